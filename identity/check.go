package identity

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"time"
)

// What passes by itself between two writes of a program that renews files one
// after the other.
var (
	errMismatch = errors.New("the key does not belong to the certificate")
	errOrder    = errors.New("the leaf comes first, then its issuers")
	errEmpty    = errors.New("it is empty")
)

// checkPair tells whether key is that of the leaf, which stands first.
func checkPair(chain []*x509.Certificate, key crypto.Signer) error {
	for i, c := range chain {
		if !samePublicKey(c, key) {
			continue
		}
		if i == 0 {
			return nil
		}
		return fmt.Errorf("the key belongs to certificate %d (%s), not to the first (%s): %w",
			i+1, name(c), name(chain[0]), errOrder)
	}
	return fmt.Errorf("%w of %s", errMismatch, name(chain[0]))
}

func samePublicKey(c *x509.Certificate, key crypto.Signer) bool {
	pub, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && pub.Equal(c.PublicKey)
}

// order checks that each certificate was issued by the next and leaves out a
// self-signed root at the end, which RFC 8446 section 4.4.2 lets the sender
// omit and which a CA ignores anyway.
func order(chain []*x509.Certificate) ([]*x509.Certificate, error) {
	for i := 1; i < len(chain); i++ {
		issuer, c := chain[i], chain[i-1]
		if !bytes.Equal(issuer.RawSubject, c.RawIssuer) {
			return nil, fmt.Errorf("certificate %d (%s) did not issue certificate %d (%s), whose issuer is %s: %w",
				i+1, name(issuer), i, name(c), c.Issuer, errOrder)
		}
		if err := c.CheckSignatureFrom(issuer); err != nil {
			return nil, fmt.Errorf("certificate %d (%s) is named as the issuer of certificate %d (%s), but its key does not verify the signature: %w",
				i+1, name(issuer), i, name(c), err)
		}
	}
	if last := len(chain) - 1; last > 0 && selfSigned(chain[last]) {
		chain = chain[:last]
	}
	return chain, nil
}

func selfSigned(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, c.RawIssuer) }

// check looks at what no CA could accept: a weak key, a certificate for
// another use, dates. What a CA may decide is left to it.
func check(chain []*x509.Certificate, now time.Time) error {
	leaf := chain[0]
	if err := checkKey(leaf.PublicKey); err != nil {
		return fmt.Errorf("%s: %w", name(leaf), err)
	}
	if leaf.BasicConstraintsValid && leaf.IsCA {
		return fmt.Errorf("%s is the certificate of a CA, not of a person or a machine", name(leaf))
	}
	if leaf.KeyUsage != 0 && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return fmt.Errorf("%s is not meant for logging in: its key usage lacks digitalSignature", name(leaf))
	}
	if !forClients(leaf) {
		return fmt.Errorf("%s is not meant for logging in: its extended key usage has neither clientAuth nor anything like it", name(leaf))
	}
	for _, c := range chain {
		if err := CheckDates(c, now); err != nil {
			return err
		}
	}
	return nil
}

// CheckDates says if a certificate is expired or not yet valid, in words that
// let a person notice a wrong clock.
func CheckDates(c *x509.Certificate, now time.Time) error {
	const day = "2006-01-02 15:04 MST"
	switch {
	case now.Before(c.NotBefore):
		return fmt.Errorf("%s is not yet valid: it begins at %s, and this computer's clock says %s",
			name(c), c.NotBefore.Local().Format(day), now.Local().Format(day))
	case now.After(c.NotAfter):
		return fmt.Errorf("%s expired at %s, and this computer's clock says %s: renew the identity",
			name(c), c.NotAfter.Local().Format(day), now.Local().Format(day))
	}
	return nil
}

func checkKey(pub crypto.PublicKey) error {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() < 2048 {
			return fmt.Errorf("an RSA key of %d bits is too short, 2048 is the least", k.N.BitLen())
		}
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256(), elliptic.P384(), elliptic.P521():
		default:
			return fmt.Errorf("keys on the curve %s are not accepted, those on P-256, P-384 and P-521 are", k.Curve.Params().Name)
		}
	case ed25519.PublicKey:
	default:
		return fmt.Errorf("keys of type %T are not accepted: RSA, ECDSA and Ed25519 are", pub)
	}
	return nil
}

// otherUses are extended key usages under which nobody logs in.
var otherUses = map[x509.ExtKeyUsage]bool{
	x509.ExtKeyUsageServerAuth:      true,
	x509.ExtKeyUsageCodeSigning:     true,
	x509.ExtKeyUsageEmailProtection: true,
	x509.ExtKeyUsageTimeStamping:    true,
	x509.ExtKeyUsageOCSPSigning:     true,
}

// The PIV card authentication certificate is used without a PIN (SP 800-73).
var oidPIVCardAuth = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 6, 8}

// forClients is false where every usage is known to be for something else; an
// unknown one is left to the CA's policy.
func forClients(c *x509.Certificate) bool {
	if len(c.ExtKeyUsage) == 0 && len(c.UnknownExtKeyUsage) == 0 {
		return true
	}
	for _, u := range c.ExtKeyUsage {
		if !otherUses[u] {
			return true
		}
	}
	for _, oid := range c.UnknownExtKeyUsage {
		if !oid.Equal(oidPIVCardAuth) {
			return true
		}
	}
	return false
}

// name is how a certificate is called in an error.
func name(c *x509.Certificate) string {
	if s := c.Subject.String(); s != "" {
		return s
	}
	return fmt.Sprintf("serial %x of %s", c.SerialNumber, c.Issuer)
}
