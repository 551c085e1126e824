package agent

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/ssh"
)

// A minted key is a certificate with the signer for its key, prepared so that
// listing copies bytes and signing looks nothing up twice. It is immutable.
type minted struct {
	profile *profile
	signer  ssh.Signer
	cert    *ssh.Certificate
	blob    string // the certificate on the wire
	plain   string // its key alone on the wire
	comment string
	entry   []byte // blob and comment, as an identities answer has them

	certType, plainType string
	ends                int64 // Unix time
}

func newMinted(p *profile, signer ssh.Signer) (*minted, error) {
	cert, ok := signer.PublicKey().(*ssh.Certificate)
	switch {
	case !ok:
		return nil, fmt.Errorf("the source gave a key of type %s, not a certificate", signer.PublicKey().Type())
	case cert.CertType != ssh.UserCert:
		return nil, errors.New("the source gave a certificate that is not a user certificate")
	case cert.Key.Type() == ssh.InsecureKeyAlgoDSA:
		return nil, errors.New("the source gave a certificate for a DSA key, which signs with SHA-1 only")
	}
	m := &minted{
		profile: p,
		signer:  signer,
		cert:    cert,
		blob:    string(cert.Marshal()),
		plain:   string(cert.Key.Marshal()),
		comment: comment(p.Name, cert, time.Now()),

		certType:  cert.Type(),
		plainType: cert.Key.Type(),
		ends:      int64(min(cert.ValidBefore, math.MaxInt64)),
	}
	m.entry = appendString(appendString(nil, m.blob), m.comment)
	return m, nil
}

// expired goes by the wall clock: the monotonic one stands still in suspend.
func (m *minted) expired(now time.Time) bool {
	return now.Unix() >= m.ends
}

// comment is what ssh-add -l shows: profile, who, until when.
func comment(profile string, cert *ssh.Certificate, now time.Time) string {
	// A key id may go on with fields for sshd's log; the first one names the
	// person.
	who, _, _ := strings.Cut(strings.TrimSpace(cert.KeyId), " ")
	text := printable(profile, 40)
	if who = printable(who, 64); who != "" {
		text += " " + who
	}
	if cert.ValidBefore > math.MaxInt64 {
		return text // ssh.CertTimeInfinity
	}
	end := time.Unix(int64(cert.ValidBefore), 0)
	if end.Sub(now) < 24*time.Hour {
		return text + " until " + end.Format("15:04")
	}
	return text + " until " + end.Format("2006-01-02 15:04")
}

// printable drops what a terminal would not show as itself, and what goes beyond
// limit bytes.
func printable(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
	for len(s) > limit {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}
