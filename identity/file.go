package identity

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/sshmint/sshmint/internal/ownfile"
)

// File is an identity in one or two files, PEM or DER.
type File struct {
	CertFile  string // leaf first, then its issuers
	KeyFile   string // may be CertFile
	ChainFile string // further issuers, or ""
}

// Certificate reads the files and gives what they hold now, leaf first and
// without a self-signed root. The error names the file and what is wrong.
func (f *File) Certificate(ctx context.Context) (*tls.Certificate, error) {
	for try := 0; ; try++ {
		cert, err := f.load(time.Now())
		if err == nil || try == 5 || !f.settles(err) {
			return cert, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// settles tells whether a moment may help: a program that renews several files
// replaces one after the other, and one that writes in place empties it first.
func (f *File) settles(err error) bool {
	several := f.KeyFile != f.CertFile || f.ChainFile != ""
	return errors.Is(err, errEmpty) || several && (errors.Is(err, errMismatch) || errors.Is(err, errOrder))
}

// NeedsPerson is false: a file asks nobody.
func (f *File) NeedsPerson() bool { return false }

func (f *File) load(now time.Time) (*tls.Certificate, error) {
	chain, err := f.chain()
	if err != nil {
		return nil, err
	}
	key, err := f.key()
	if err != nil {
		return nil, err
	}
	if err := checkPair(chain, key); err != nil {
		return nil, fmt.Errorf("identity %s: %w", f.CertFile, err)
	}
	chain, err = order(chain)
	if err == nil {
		err = check(chain, now)
	}
	if err != nil {
		return nil, fmt.Errorf("identity %s: %w", f.CertFile, err)
	}
	out := &tls.Certificate{PrivateKey: key, Leaf: chain[0]}
	for _, c := range chain {
		out.Certificate = append(out.Certificate, c.Raw)
	}
	return out, nil
}

func (f *File) chain() ([]*x509.Certificate, error) {
	chain, err := readCertificates(f.CertFile)
	if err != nil || f.ChainFile == "" {
		return chain, err
	}
	more, err := readCertificates(f.ChainFile)
	if err != nil {
		return nil, err
	}
	return append(chain, more...), nil
}

func readCertificates(path string) ([]*x509.Certificate, error) {
	data, err := ownfile.ReadPublic(path)
	if err != nil {
		return nil, fmt.Errorf("reading identity: %w", err)
	}
	chain, err := ParseCertificates(data)
	if err != nil {
		return nil, fmt.Errorf("reading identity %s: %w", path, err)
	}
	return chain, nil
}

func (f *File) key() (crypto.Signer, error) {
	data, err := ownfile.ReadSecret(f.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("reading the key of the identity: %w", err)
	}
	key, err := ParseKey(data)
	clear(data)
	if err != nil {
		return nil, fmt.Errorf("reading the key of the identity from %s: %w", f.KeyFile, err)
	}
	return key, nil
}
