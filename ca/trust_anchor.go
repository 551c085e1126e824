package ca

import (
	"bytes"
	"crypto/x509"
	"errors"
	"slices"
)

var errNotAnchored = errors.New("no signature leads from a root to it")

// anchored gives the leaf and those of the other certificates that a root has
// signed, or one that a root has signed, and so on; false if the leaf is none.
//
// It goes from the roots down, so that no signature is checked with a key that
// nobody vouches for. Verify goes up from the leaf, and a stranger who sends
// seven authorities of one name, each signed by each, has it check a hundred
// signatures with keys that he chose to be slow.
func (t *trust) anchored(presented []*x509.Certificate) (found []*x509.Certificate, ok bool) {
	signed := make([]bool, len(presented))
	for issuers := t.roots; len(issuers) > 0; {
		var next []*x509.Certificate
		for i, c := range presented {
			if !signed[i] && slices.ContainsFunc(issuers, func(issuer *x509.Certificate) bool { return signs(issuer, c) }) {
				signed[i] = true
				next = append(next, c)
			}
		}
		issuers = next
	}
	for i, c := range presented {
		if signed[i] {
			found = append(found, c)
		}
	}
	return found, signed[0]
}

// signs leaves out whether issuer may sign: Verify tells, and says why not.
func signs(issuer, c *x509.Certificate) bool {
	return bytes.Equal(issuer.RawSubject, c.RawIssuer) &&
		issuer.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}
