package ca

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sshmint/sshmint/internal/wire"
)

// backdate is how long before now a certificate begins, for a server whose
// clock is slow. The X.509 leaf's notBefore does not bound it: the leaf is
// valid at the time of signing, and nobody could have used the certificate
// before that.
const backdate = time.Minute

// maxPrincipals is OpenSSH's SSHKEY_CERT_MAX_PRINCIPALS.
const maxPrincipals = 256

// template is the certificate that a grant makes of a request, but for serial
// number, nonce and signature.
func template(g *Grant, r *Request, requestID string, now time.Time) (*ssh.Certificate, error) {
	principals, err := wishedPrincipals(g, r.Principals)
	if err != nil {
		return nil, err
	}
	before, err := validBefore(g, r.Validity, now)
	if err != nil {
		return nil, err
	}
	id, err := keyID(g, requestID)
	if err != nil {
		return nil, err
	}
	extensions := make(map[string]string, len(g.Extensions))
	for _, e := range g.Extensions {
		extensions[e] = ""
	}
	return &ssh.Certificate{
		Key:             r.PublicKey,
		CertType:        ssh.UserCert,
		KeyId:           id,
		ValidPrincipals: principals,
		ValidAfter:      uint64(now.Add(-backdate).Unix()), // #nosec G115 -- after 1970
		ValidBefore:     uint64(before.Unix()),             // #nosec G115 -- after 1970
		Permissions:     ssh.Permissions{CriticalOptions: g.CriticalOptions, Extensions: extensions},
	}, nil
}

// wishedPrincipals grants a wish whole or refuses it: a certificate for less
// than was asked for fails later, at a server, where nobody sees why.
func wishedPrincipals(g *Grant, wish []string) ([]string, error) {
	principals := g.Principals
	if len(wish) > 0 {
		principals = nil
		for _, p := range wish {
			if !slices.Contains(g.Principals, p) {
				return nil, &Refusal{
					Code: wire.PrincipalRefused, Rule: g.Rule, Trust: g.Trust, Leaf: g.Leaf,
					Detail: fmt.Sprintf("principal %q is not among those that rule %q grants you: %s", cut(p, 64), g.Rule, nameSome(g.Principals)),
				}
			}
			if !slices.Contains(principals, p) {
				principals = append(principals, p)
			}
		}
	}
	if n := len(principals); n == 0 || n > maxPrincipals {
		return nil, &Refusal{
			Code: wire.PrincipalRefused, Rule: g.Rule, Trust: g.Trust, Leaf: g.Leaf,
			Detail: fmt.Sprintf("rule %q grants %d principals; sshd takes 1 to %d", g.Rule, n, maxPrincipals),
		}
	}
	return principals, nil
}

// nameSome lists names for a sentence, and not hundreds of them.
func nameSome(names []string) string {
	const most = 16
	s := ""
	for i, n := range names {
		if i == most {
			return fmt.Sprintf("%s and %d more", s, len(names)-most)
		}
		if i > 0 {
			s += ", "
		}
		s += n
	}
	return s
}

// validBefore is the least of what was wished for, what the rule allows, how
// long each certificate of the chain lives, and wire.MaxValidity; in whole
// seconds, rounded down.
func validBefore(g *Grant, wish time.Duration, now time.Time) (time.Time, error) {
	if g.NotAfter.Sub(now) < minValidity {
		return time.Time{}, &Refusal{
			Code: wire.IdentityExpired, Rule: g.Rule, Trust: g.Trust, Leaf: g.Leaf,
			Detail: "the X.509 certificate, or an issuer of it, expires this very second: " + g.NotAfter.UTC().Format(time.RFC3339),
		}
	}
	validity := min(g.Validity, wire.MaxValidity)
	if wish > 0 {
		validity = min(validity, wish)
	}
	before := now.Add(validity)
	if g.NotAfter.Before(before) {
		before = g.NotAfter
	}
	return before.Truncate(time.Second), nil
}

// keyID names the person, the X.509 certificate and the request, in at most
// 250 bytes. sshd logs it at every login, whatever the principal.
func keyID(g *Grant, requestID string) (string, error) {
	// RFC 5280 section 4.1.2.2: a serial number has at most 20 octets.
	if len(g.Leaf.Serial) > 2*20 {
		return "", badRequest("the X.509 serial number has %d octets; RFC 5280 allows 20", len(g.Leaf.Serial)/2)
	}
	return fmt.Sprintf("%s x509=%s@%.16s req=%s", g.Person, g.Leaf.Serial, g.Leaf.IssuerSHA256, requestID), nil
}

// newSerial is a random serial number. It is never 0: a KRL cannot revoke that.
func newSerial() uint64 {
	for {
		var b [8]byte
		_, _ = rand.Read(b[:]) // never fails: crypto/rand
		if n := binary.BigEndian.Uint64(b[:]); n != 0 {
			return n
		}
	}
}

// sign completes and signs the certificate.
func (a *Authority) sign(cert *ssh.Certificate) error {
	cert.Serial = newSerial()
	if err := cert.SignCert(rand.Reader, a.user); err != nil {
		return &Refusal{Code: wire.Unavailable, Detail: "the CA could not sign", Err: err}
	}
	if n := len(cert.Marshal()); n > wire.MaxSSHCert {
		return &Refusal{
			Code:   wire.PrincipalRefused,
			Detail: fmt.Sprintf("the certificate would have %d bytes; at most %d are taken: wish for fewer principals", n, wire.MaxSSHCert),
		}
	}
	return nil
}
