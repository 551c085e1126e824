package ca

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sshmint/sshmint/internal/ownfile"
)

const (
	oidNameConstraints = "2.5.29.30"
	oidAnyPolicy       = "2.5.29.32.0"
)

// trust is one [[trust]]: whom to believe, and for what use of a certificate.
type trust struct {
	name       string
	roots      []*x509.Certificate
	eku        []string // OIDs
	requireEKU bool
}

// verified is a chain that holds under a trust.
type verified struct {
	chain       []*x509.Certificate // leaf first, root last
	notAfter    time.Time           // the least
	constrained bool                // an authority of it has name constraints
	policies    []string            // OIDs that the leaf has and the authorities between stand for
}

// newTrust reads the roots; complain takes what is wrong with a key.
func newTrust(c *TrustConfig, complain func(key, format string, args ...any)) *trust {
	t := &trust{name: c.Name, requireEKU: c.RequireEKU == nil || *c.RequireEKU}
	names := c.EKU
	if names == nil {
		names = defaultEKU
	}
	if len(names) == 0 {
		complain("eku", "an empty list would refuse everyone; leave the key out for its default")
	}
	for _, s := range names {
		oid, err := ekuOID(s)
		if err != nil {
			complain("eku", "%q: %s", s, err)
		}
		t.eku = append(t.eku, oid)
	}
	if c.Roots == "" {
		complain("roots", "missing: a PEM file with the certificates to trust")
		return t
	}
	data, err := ownfile.ReadTrusted(c.Roots)
	if err != nil {
		complain("roots", "%s", err)
		return t
	}
	if t.roots, err = parseRoots(data); err != nil {
		complain("roots", "%s: %s", c.Roots, err)
	}
	return t
}

// parseRoots refuses a file that holds anything else: a root that was silently
// left out is as bad as one too many.
func parseRoots(data []byte) ([]*x509.Certificate, error) {
	var roots []*x509.Certificate
	for {
		var block *pem.Block
		block, data = pem.Decode(data)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("it holds a %s; only certificates belong there", block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(roots)+1, err)
		}
		if err := checkRoot(cert); err != nil {
			return nil, fmt.Errorf("certificate %d, %s: %w", len(roots)+1, nameText(cert.RawSubject), err)
		}
		roots = append(roots, cert)
	}
	if len(roots) == 0 {
		return nil, errors.New("no PEM certificate in it")
	}
	if bytes.Contains(data, []byte("-----BEGIN")) {
		return nil, fmt.Errorf("damaged PEM after certificate %d", len(roots))
	}
	return roots, nil
}

// checkRoot demands an authority; version 1 could not say whether it is one.
func checkRoot(cert *x509.Certificate) error {
	if cert.Version >= 3 && (!cert.BasicConstraintsValid || !cert.IsCA) {
		return errors.New("it is no certificate authority")
	}
	return checkKey(cert)
}

// verify finds a chain from leaf to a root that holds now. presented is what
// the client sent, leaf first.
//
// It looks at signatures and constraints first and at dates and usages after:
// that somebody's certificate has expired is told only of one that is ours.
func (t *trust) verify(presented []*x509.Certificate, leaf *Leaf, now time.Time) (*verified, *Refusal) {
	chains, err := t.chains(presented, leaf, false)
	if err != nil {
		r := t.diagnose(presented, leaf, err)
		r.Trust = t.name
		return nil, r
	}
	var best *verified
	var first *Refusal
	for _, chain := range chains {
		if r := t.checkChain(chain, now); r != nil {
			r.Trust = t.name
			if first == nil {
				first = r
			}
			continue
		}
		v := newVerified(chain)
		if best == nil || v.betterThan(best) {
			best = v
		}
	}
	if best == nil {
		return nil, first
	}
	return best, nil
}

func newVerified(chain []*x509.Certificate) *verified {
	v := &verified{chain: chain, notAfter: chain[0].NotAfter, policies: policies(chain)}
	for _, c := range chain[1:] {
		if c.NotAfter.Before(v.notAfter) {
			v.notAfter = c.NotAfter
		}
		if _, ok := extension(c, oidNameConstraints); ok {
			v.constrained = true
		}
	}
	return v
}

// policies are those of the leaf that every authority between it and the root
// has too, or any policy in their stead: RFC 5280 section 6.1.3, without
// mappings, so that it never finds more.
func policies(chain []*x509.Certificate) []string {
	var all []string
	for _, p := range chain[0].Policies {
		if !slices.ContainsFunc(chain[1:len(chain)-1], func(c *x509.Certificate) bool {
			return !slices.ContainsFunc(c.Policies, func(q x509.OID) bool { return q.Equal(p) || q.String() == oidAnyPolicy })
		}) {
			all = append(all, p.String())
		}
	}
	return all
}

// betterThan chooses among chains of cross-signed authorities, all of which
// hold: which of them are there to choose from is up to the client anyway.
func (v *verified) betterThan(w *verified) bool {
	if v.constrained != w.constrained {
		return !v.constrained
	}
	return v.notAfter.After(w.notAfter)
}

// chains are those that hold but for dates and usages. relaxed also leaves out
// path lengths and critical extensions; its result serves for nothing but to
// say what is wrong.
func (t *trust) chains(presented []*x509.Certificate, leaf *Leaf, relaxed bool) ([][]*x509.Certificate, error) {
	view := viewer{uriConstraints: t.constrainsURIs(presented), relaxed: relaxed}
	original := make(map[string]*x509.Certificate, len(presented)+len(t.roots))
	options := x509.VerifyOptions{
		Roots:         x509.NewCertPool(),
		Intermediates: x509.NewCertPool(),
		CurrentTime:   someTime,
		// Without it Verify asks for serverAuth; and it knows no secureShellClient. checkChain does it all.
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}
	for _, c := range presented[1:] {
		original[string(c.Raw)] = c
		options.Intermediates.AddCert(view.of(c))
	}
	for _, c := range t.roots {
		original[string(c.Raw)] = c
		options.Roots.AddCert(view.of(c))
	}
	found, err := view.ofLeaf(presented[0], leaf).Verify(options)
	if err != nil {
		return nil, err
	}
	chains := make([][]*x509.Certificate, len(found))
	for i, chain := range found {
		chains[i] = []*x509.Certificate{presented[0]}
		for _, c := range chain[1:] {
			chains[i] = append(chains[i], original[string(c.Raw)])
		}
	}
	return chains, nil
}

// constrainsURIs tells whether any authority in sight has constraints for URIs.
func (t *trust) constrainsURIs(presented []*x509.Certificate) bool {
	has := func(c *x509.Certificate) bool { return len(c.PermittedURIDomains)+len(c.ExcludedURIDomains) > 0 }
	return slices.ContainsFunc(presented[1:], has) || slices.ContainsFunc(t.roots, has)
}

// viewer makes shallow copies of certificates for x509's Verify to look at.
type viewer struct {
	uriConstraints bool
	relaxed        bool
}

// someTime is the moment that every view is valid at.
var someTime = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// of takes the dates off, which checkChain looks at; and the URIs, if nothing
// constrains them: Verify refuses a URI without a host, such as urn:uuid, under
// constraints of any kind.
func (v viewer) of(c *x509.Certificate) *x509.Certificate {
	view := *c
	view.NotBefore, view.NotAfter = someTime, someTime
	if !v.uriConstraints {
		view.URIs = nil
	}
	if v.relaxed {
		view.MaxPathLen, view.MaxPathLenZero = -1, false
		view.UnhandledCriticalExtensions = nil
	}
	return &view
}

// ofLeaf also handles a critical subjectAltName that x509 finds no name in that
// it knows, because there are only otherNames: parseSAN has read it. If there
// is none that we know either, it stays unhandled, as RFC 5280 section 4.2 asks.
func (v viewer) ofLeaf(c *x509.Certificate, leaf *Leaf) *x509.Certificate {
	view := v.of(c)
	view.UnhandledCriticalExtensions = slices.Clone(view.UnhandledCriticalExtensions)
	if leaf.names.understood() {
		for i, oid := range view.UnhandledCriticalExtensions {
			if oid.String() == oidSubjectAltName {
				view.UnhandledCriticalExtensions = slices.Delete(view.UnhandledCriticalExtensions, i, i+1)
				break
			}
		}
	}
	return view
}
