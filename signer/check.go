package signer

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sshmint/sshmint/internal/wire"
)

// The critical options that sshd knows (PROTOCOL.certkeys). One that it does
// not know makes it refuse the certificate, and might mean anything.
var criticalOptions = []string{"force-command", "source-address", "verify-required"}

// pins are the fingerprints (SHA256:...) of the user CA keys that are accepted.
type pins []string

// check refuses whatever a CA returned that is not exactly what was asked for.
// A certificate that passes can be offered to a server without a surprise: a
// wrong one would cost its user a login attempt, or show a server a name that
// was never meant for it.
func check(cert *ssh.Certificate, r *Request, accepted pins, now time.Time) error {
	if n := len(cert.Marshal()); n > wire.MaxSSHCert {
		return fmt.Errorf("the certificate has %d bytes, more than %d", n, wire.MaxSSHCert)
	}
	if cert.CertType != ssh.UserCert {
		return errors.New("the certificate is not a user certificate")
	}
	if !bytes.Equal(cert.Key.Marshal(), r.Key.PublicKey().Marshal()) {
		return errors.New("the certificate is for another key")
	}
	if err := checkSigner(cert, accepted); err != nil {
		return err
	}
	if err := checkPrincipals(cert.ValidPrincipals, r.Principals); err != nil {
		return err
	}
	for option, value := range cert.CriticalOptions {
		if !slices.Contains(criticalOptions, option) {
			return fmt.Errorf("the certificate carries the critical option %s, which sshd does not know", clean(option))
		}
		if option == "force-command" && value == "" {
			return errors.New("the certificate carries an empty force-command")
		}
	}
	return checkValidity(cert, now)
}

func checkSigner(cert *ssh.Certificate, accepted pins) error {
	if cert.SignatureKey == nil || cert.Signature == nil {
		return errors.New("the certificate is not signed")
	}
	if f := ssh.FingerprintSHA256(cert.SignatureKey); !slices.Contains(accepted, f) {
		return fmt.Errorf("the certificate is signed by %s, which is no user CA key in ca.user_ca", f)
	}
	if cert.Signature.Format == ssh.KeyAlgoRSA || cert.Signature.Format == ssh.InsecureKeyAlgoDSA {
		return fmt.Errorf("the certificate is signed with %s, which is SHA-1", cert.Signature.Format)
	}
	// CheckCert verifies the signature; what else it looks at is kept out of its
	// way, since it is checked here by name.
	verify := ssh.CertChecker{
		SupportedCriticalOptions: slices.Collect(keys(cert.CriticalOptions)),
		Clock:                    func() time.Time { return time.Unix(int64(min(cert.ValidAfter, math.MaxInt64)), 0) }, // #nosec G115 -- bounded
	}
	principal := ""
	if len(cert.ValidPrincipals) > 0 {
		principal = cert.ValidPrincipals[0]
	}
	if cert.ValidAfter >= cert.ValidBefore {
		return errors.New("the certificate ends before it begins")
	}
	if err := verify.CheckCert(principal, cert); err != nil {
		return fmt.Errorf("the certificate's signature does not verify: %w", err)
	}
	return nil
}

func keys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func checkPrincipals(got, wish []string) error {
	if len(got) == 0 {
		// sshd takes such a certificate for any user where it has no principals file.
		return errors.New("the certificate names no principals")
	}
	for _, p := range got {
		if p == "" || strings.ContainsFunc(p, func(c rune) bool { return c <= ' ' || c == ',' || c == 0x7f }) {
			return fmt.Errorf("the certificate names the principal %q, which no server can match", clean(p))
		}
		if len(wish) > 0 && !slices.Contains(wish, p) {
			return fmt.Errorf("the certificate names the principal %q, which was not asked for", clean(p))
		}
	}
	return nil
}

func checkValidity(cert *ssh.Certificate, now time.Time) error {
	if cert.ValidBefore == ssh.CertTimeInfinity || cert.ValidBefore > math.MaxInt64 || cert.ValidAfter > math.MaxInt64 {
		return errors.New("the certificate never expires")
	}
	begins, ends := validity(cert)
	switch {
	case begins.After(now.Add(tolerableSkew)):
		return fmt.Errorf("the certificate is not valid before %s: %s", begins.Local().Format(time.DateTime), clockText(begins.Sub(now)))
	case !ends.After(now):
		return fmt.Errorf("the certificate expired at %s: either the CA's clock is behind, or this computer's is ahead of it", ends.Local().Format(time.DateTime))
	}
	return nil
}

// validity must only be asked of a certificate whose times fit.
func validity(cert *ssh.Certificate) (begins, ends time.Time) {
	return time.Unix(int64(cert.ValidAfter), 0), time.Unix(int64(cert.ValidBefore), 0) // #nosec G115 -- checkValidity bounds both
}

// clean makes text from a CA fit to be shown: at most 500 bytes, no control
// characters, so that it cannot steer a terminal.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > 500 {
		s = strings.ToValidUTF8(s[:497], "") + "..."
	}
	return s
}
