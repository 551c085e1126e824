package ca

import (
	"crypto/x509"
	"slices"
	"time"

	"github.com/sshmint/sshmint/internal/altname"
)

// chains are those that hold but for dates and usages. relaxed also leaves out
// path lengths and critical extensions; its result serves for nothing but to
// say what is wrong.
func (t *trust) chains(presented []*x509.Certificate, leaf *Leaf, relaxed bool) ([][]*x509.Certificate, error) {
	presented, anchored := t.anchored(presented)
	if !anchored {
		return nil, errNotAnchored
	}
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
// it knows, because there are only otherNames: altname.Parse has read it. If there
// is none that we know either, it stays unhandled, as RFC 5280 section 4.2 asks.
func (v viewer) ofLeaf(c *x509.Certificate, leaf *Leaf) *x509.Certificate {
	view := v.of(c)
	view.UnhandledCriticalExtensions = slices.Clone(view.UnhandledCriticalExtensions)
	if leaf.names.Understood() {
		for i, oid := range view.UnhandledCriticalExtensions {
			if oid.String() == altname.OID {
				view.UnhandledCriticalExtensions = slices.Delete(view.UnhandledCriticalExtensions, i, i+1)
				break
			}
		}
	}
	return view
}
