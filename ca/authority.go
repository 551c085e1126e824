package ca

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"golang.org/x/crypto/ssh"

	"github.com/sshmint/sshmint/internal/ownfile"
	"github.com/sshmint/sshmint/internal/wire"
)

// An Authority turns X.509 identities into SSH user certificates: the SSH CA
// keys, the policy and the audit log of one folder, as they were when it was
// opened. It is safe for concurrent use.
type Authority struct {
	// Config is what ca.toml says.
	Config *Config

	dir    string
	policy *Policy
	user   ssh.Signer
	host   ssh.PublicKey
	audit  *Audit
	log    *slog.Logger
}

// OpenAuthority reads the folder dir, and reports everything that is wrong
// with it at once. Decisions go to audit; with none, no certificate is made.
func OpenAuthority(dir string, audit *Audit, log *slog.Logger) (*Authority, error) {
	a := &Authority{dir: dir, audit: audit, log: log}
	var policyErr, userErr, hostErr error
	if a.Config, policyErr = ReadConfig(dir); policyErr == nil {
		if a.policy, policyErr = NewPolicy(a.Config); policyErr == nil {
			a.policy.Log = log
		}
	}
	a.user, userErr = readSigner(filepath.Join(dir, fileUserCA))
	a.host, hostErr = readPublicKey(filepath.Join(dir, fileHostCA+".pub"))
	if err := errors.Join(policyErr, userErr, hostErr); err != nil {
		return nil, err
	}
	if bytes.Equal(a.user.PublicKey().Marshal(), a.host.Marshal()) {
		return nil, fmt.Errorf("%s and %s are the same key: whoever trusts the one would trust the other", fileUserCA, fileHostCA)
	}
	// sshd-config sends servers to that file.
	public, err := readPublicKey(filepath.Join(dir, fileUserCA+".pub"))
	switch {
	case err != nil:
		return nil, err
	case !bytes.Equal(a.user.PublicKey().Marshal(), public.Marshal()):
		return nil, fmt.Errorf("%[1]s.pub is not the public key of %[1]s: servers would be told to trust a key that does not sign; ssh-keygen -y -f %[1]s > %[1]s.pub",
			filepath.Join(dir, fileUserCA))
	}
	return a, nil
}

// readSigner reads an SSH CA key in OpenSSH's form. One of RSA signs with
// SHA-512: the plain algorithm of an RSA key is SHA-1, which sshd refuses.
func readSigner(path string) (ssh.Signer, error) {
	text, err := ownfile.ReadSecret(path)
	if err != nil {
		return nil, fmt.Errorf("reading the user CA key: %w", err)
	}
	signer, err := ssh.ParsePrivateKey(text)
	var encrypted *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &encrypted):
		return nil, fmt.Errorf("reading the user CA key %s: it is encrypted with a passphrase, which nobody can type at a server's start", path)
	case err != nil:
		return nil, fmt.Errorf("reading the user CA key %s: %w", path, err)
	}
	if err := checkCAKey(signer.PublicKey()); err != nil {
		return nil, fmt.Errorf("the user CA key %s: %w", path, err)
	}
	if signer.PublicKey().Type() != ssh.KeyAlgoRSA {
		return signer, nil
	}
	rsaSigner, ok := signer.(ssh.AlgorithmSigner)
	if !ok {
		return nil, fmt.Errorf("the user CA key %s cannot sign with SHA-512", path)
	}
	return ssh.NewSignerWithAlgorithms(rsaSigner, []string{ssh.KeyAlgoRSASHA512})
}

func readPublicKey(path string) (ssh.PublicKey, error) {
	text, err := ownfile.ReadPublic(path)
	if err != nil {
		return nil, fmt.Errorf("reading an SSH CA key: %w", err)
	}
	key, err := ParsePublicKey(string(text))
	if err != nil {
		return nil, fmt.Errorf("reading an SSH CA key: %s: %w", path, err)
	}
	return key, nil
}

func checkCAKey(key ssh.PublicKey) error {
	_, err := ParsePublicKey(authorizedKey(key))
	return err
}

// Authorities are the SSH CA keys that this CA signs with.
func (a *Authority) Authorities() *wire.Authorities {
	return &wire.Authorities{
		User: []wire.Authority{{Key: authorizedKey(a.user.PublicKey()), State: wire.Current}},
		Host: []wire.Authority{{Key: authorizedKey(a.host), State: wire.Current}},
	}
}

// newRequestID names one request in the key id, the audit log and our own.
func newRequestID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand
	return fmt.Sprintf("%x", b)
}
