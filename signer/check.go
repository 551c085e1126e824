package signer

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/crypto/ssh"

	"github.com/sshmint/sshmint/internal/wire"
)

// The critical options that sshd knows (PROTOCOL.certkeys). One that it does
// not know makes it refuse the certificate, and might mean anything.
var criticalOptions = []string{"force-command", "source-address", "verify-required"}

// The most principals that sshd reads in a certificate (OpenSSH, sshkey.h,
// SSHKEY_CERT_MAX_PRINCIPALS).
const maxPrincipals = 256

// Check refuses a certificate that must not be served for this request. An
// Issuer that asks it can say which CA was wrong, and Failover can ask another.
func (r *Request) Check(cert *ssh.Certificate) error {
	if err := check(cert, r, now()); err != nil {
		return fmt.Errorf("what the CA returned is refused: %w", err)
	}
	return nil
}

// check refuses whatever a CA returned that is not exactly what was asked for.
// A certificate that passes can be offered to a server without a surprise: a
// wrong one would cost its user a login attempt, or show a server a name that
// was never meant for it. The signature is verified last, so that every other
// fault has been said by name before.
func check(cert *ssh.Certificate, r *Request, now time.Time) error {
	if cert == nil || cert.Key == nil {
		return errors.New("there is no certificate in it")
	}
	if err := checkSigner(cert, r.UserCAs); err != nil {
		return err
	}
	if n := len(cert.Marshal()); n > wire.MaxSSHCert {
		return fmt.Errorf("the certificate has %d bytes, more than %d", n, wire.MaxSSHCert)
	}
	if cert.CertType != ssh.UserCert {
		return errors.New("the certificate is not a user certificate")
	}
	if !bytes.Equal(cert.Key.Marshal(), r.Key.PublicKey().Marshal()) {
		return errors.New("the certificate is for another key")
	}
	if err := checkPrincipals(cert.ValidPrincipals, r.Principals); err != nil {
		return err
	}
	if err := checkOptions(cert.CriticalOptions); err != nil {
		return err
	}
	if err := checkValidity(cert, r.Validity, now); err != nil {
		return err
	}
	return checkSignature(cert, now)
}

// checkSigner looks at who says to have signed, and how.
func checkSigner(cert *ssh.Certificate, accepted []string) error {
	if cert.SignatureKey == nil || cert.Signature == nil {
		return errors.New("the certificate is not signed")
	}
	if f := ssh.FingerprintSHA256(cert.SignatureKey); !slices.Contains(accepted, f) {
		return fmt.Errorf("the certificate is signed by %s, which is no user CA key in ca.user_ca", f)
	}
	if cert.Signature.Format == ssh.KeyAlgoRSA || cert.Signature.Format == ssh.InsecureKeyAlgoDSA {
		return fmt.Errorf("the certificate is signed with %s, which is SHA-1", cert.Signature.Format)
	}
	return nil
}

// checkSignature must come after the other checks, which leave CheckCert
// nothing but the signature to refuse.
func checkSignature(cert *ssh.Certificate, now time.Time) error {
	if begins, _ := validity(cert); now.Before(begins) {
		now = begins // within tolerableSkew
	}
	verify := ssh.CertChecker{SupportedCriticalOptions: criticalOptions, Clock: func() time.Time { return now }}
	if err := verify.CheckCert(cert.ValidPrincipals[0], cert); err != nil {
		return fmt.Errorf("the certificate's signature does not verify: %w", err)
	}
	return nil
}

func checkOptions(critical map[string]string) error {
	for option, value := range critical {
		if !slices.Contains(criticalOptions, option) {
			return fmt.Errorf("the certificate carries the critical option %q, which sshd does not know", clean(option))
		}
		if option == "force-command" && value == "" {
			return errors.New("the certificate carries an empty force-command")
		}
	}
	return nil
}

func checkPrincipals(got, wish []string) error {
	if len(got) == 0 {
		// sshd takes such a certificate for any user where it has no principals file.
		return errors.New("the certificate names no principals")
	}
	if len(got) > maxPrincipals {
		return fmt.Errorf("the certificate names %d principals, and sshd reads no more than %d", len(got), maxPrincipals)
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

// endOfTime is the last second that RFC 3339 can write. What is said to end
// later, with ssh.CertTimeInfinity or short of it, does not end.
var endOfTime = uint64(time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).Unix()) // #nosec G115 -- positive

// lenient is how much longer than wished for a certificate may live: a CA's
// clock may be ahead, and it may count in units of its own.
const lenient = 5 * time.Minute

func checkValidity(cert *ssh.Certificate, wish time.Duration, now time.Time) error {
	if cert.ValidAfter >= cert.ValidBefore {
		return errors.New("the certificate ends before it begins")
	}
	if cert.ValidBefore > endOfTime {
		return errors.New("the certificate never expires")
	}
	begins, ends := validity(cert)
	switch {
	case begins.After(now.Add(tolerableSkew)):
		return fmt.Errorf("the certificate is not valid before %s: %s", begins.Local().Format(time.DateTime), clockText(begins.Sub(now)))
	case !ends.After(now):
		return fmt.Errorf("the certificate expired at %s: either the CA's clock is behind, or this computer's is ahead of it", ends.Local().Format(time.DateTime))
	case wish > 0 && ends.Sub(now)-lenient > wish:
		return fmt.Errorf("the certificate lives until %s, longer than the %s that were asked for", ends.Local().Format(time.DateTime), wish)
	}
	return nil
}

// validity must only be asked of a certificate whose times fit.
func validity(cert *ssh.Certificate) (begins, ends time.Time) {
	return time.Unix(int64(cert.ValidAfter), 0), time.Unix(int64(cert.ValidBefore), 0) // #nosec G115 -- checkValidity bounds both
}

// clean makes text from a CA fit to be shown: at most 500 bytes, one line, no
// control characters, so that it cannot steer a terminal.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp): // Cf holds what turns the direction of writing
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > 500 {
		s = strings.ToValidUTF8(s[:497], "") + "..."
	}
	return s
}
