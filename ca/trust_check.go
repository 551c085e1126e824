package ca

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sshmint/sshmint/internal/wire"
)

const (
	minRSA = 2048
	// maxRSA bounds what one signature check may cost: a modulus can fill the whole chain's 32 KiB.
	maxRSA = 8192
)

// checkChain looks at what x509's Verify was not asked: dates, then strength,
// then usages.
func (t *trust) checkChain(chain []*x509.Certificate, now time.Time) *Refusal {
	for i, c := range chain {
		if r := checkDates(c, i == 0, now); r != nil {
			return r
		}
	}
	for i, c := range chain {
		if err := checkKey(c); err != nil {
			return wrongUsage("%s: %s", subjectOf(c, i == 0), err)
		}
		// A root is believed for being in the file, not for its own signature.
		if i < len(chain)-1 && !strongSignatures[c.SignatureAlgorithm] {
			return wrongUsage("%s is signed with %s, which is not accepted", subjectOf(c, i == 0), c.SignatureAlgorithm)
		}
	}
	if r := checkLeaf(chain); r != nil {
		return r
	}
	return t.checkEKU(chain)
}

func checkDates(c *x509.Certificate, isLeaf bool, now time.Time) *Refusal {
	const layout = "2006-01-02 15:04:05 MST"
	switch {
	case now.Before(c.NotBefore):
		return &Refusal{Code: wire.IdentityExpired, Detail: fmt.Sprintf("%s is not yet valid: it begins at %s",
			subjectOf(c, isLeaf), c.NotBefore.UTC().Format(layout))}
	case now.After(c.NotAfter):
		return &Refusal{Code: wire.IdentityExpired, Detail: fmt.Sprintf("%s expired at %s",
			subjectOf(c, isLeaf), c.NotAfter.UTC().Format(layout))}
	}
	return nil
}

func subjectOf(c *x509.Certificate, isLeaf bool) string {
	if isLeaf {
		if len(c.Subject.Names) == 0 {
			return fmt.Sprintf("your certificate with the serial number %x", c.SerialNumber)
		}
		return "your certificate " + nameText(c.RawSubject)
	}
	return "the certificate of the issuing authority " + nameText(c.RawSubject)
}

func wrongUsage(format string, args ...any) *Refusal {
	return &Refusal{Code: wire.WrongUsage, Detail: fmt.Sprintf(format, args...)}
}

// strongSignatures leaves out MD5 and SHA-1, which x509 refuses to verify too,
// DSA, and whatever a later Go may learn.
var strongSignatures = map[x509.SignatureAlgorithm]bool{
	x509.SHA256WithRSA: true, x509.SHA384WithRSA: true, x509.SHA512WithRSA: true,
	x509.SHA256WithRSAPSS: true, x509.SHA384WithRSAPSS: true, x509.SHA512WithRSAPSS: true,
	x509.ECDSAWithSHA256: true, x509.ECDSAWithSHA384: true, x509.ECDSAWithSHA512: true,
	x509.PureEd25519: true,
}

func checkKey(c *x509.Certificate) error {
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n < minRSA || n > maxRSA {
			return fmt.Errorf("its RSA key has %d bits; %d to %d are accepted", n, minRSA, maxRSA)
		}
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() && k.Curve != elliptic.P384() && k.Curve != elliptic.P521() {
			return errors.New("its elliptic curve is none of P-256, P-384, P-521")
		}
	case ed25519.PublicKey:
	default:
		return errors.New("its key is neither RSA, nor on a NIST curve, nor Ed25519")
	}
	return nil
}

// checkLeaf refuses authorities, and keys that are not for authentication: one
// for encryption, or one whose signatures are legally its holder's.
func checkLeaf(chain []*x509.Certificate) *Refusal {
	leaf := chain[0]
	if len(chain) == 1 || leaf.BasicConstraintsValid && leaf.IsCA {
		return wrongUsage("%s is an authority's, not a person's", subjectOf(leaf, true))
	}
	// RFC 6187 section 2.2.2: digitalSignature, if the extension is there.
	if _, present := extension(leaf, oidKeyUsage); present && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return wrongUsage("%s is not meant for signing in: its key usage lacks digitalSignature", subjectOf(leaf, true))
	}
	return nil
}

// checkEKU asks for a usage, of those that the trust lists, that the leaf has
// and that no authority above it takes away (RFC 5280 section 4.2.1.12 as it is
// commonly read: an authority's usages bound those below it).
func (t *trust) checkEKU(chain []*x509.Certificate) *Refusal {
	left := slices.Clone(t.eku)
	for i, c := range chain {
		usages, present, err := extKeyUsages(c)
		if err != nil {
			return wrongUsage("%s: its extended key usage is malformed", subjectOf(c, i == 0))
		}
		if !present {
			if i == 0 && t.requireEKU {
				return wrongUsage("%s has no extended key usage; one of %s is needed", subjectOf(c, true), t.ekuNames())
			}
			continue
		}
		if i > 0 && slices.Contains(usages, oidAnyUsage) {
			continue
		}
		left = slices.DeleteFunc(left, func(oid string) bool { return !slices.Contains(usages, oid) })
		if len(left) == 0 {
			if i == 0 {
				return wrongUsage("%s is not meant for this use: its extended key usage has none of %s", subjectOf(c, true), t.ekuNames())
			}
			return wrongUsage("%s does not let it issue certificates for %s", subjectOf(c, false), t.ekuNames())
		}
	}
	return nil
}

func (t *trust) ekuNames() string {
	names := make([]string, len(t.eku))
	for i, oid := range t.eku {
		names[i] = ekuName(oid)
	}
	return strings.Join(names, ", ")
}
