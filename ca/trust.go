package ca

import (
	"crypto/x509"
	"slices"
	"time"

	"github.com/sshmint/sshmint/internal/ownfile"
)

const (
	oidNameConstraints  = "2.5.29.30"
	oidAnyPolicy        = "2.5.29.32.0"
	oidPolicyMappings   = "2.5.29.33"
	oidInhibitAnyPolicy = "2.5.29.54"
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
	// issuerConstrained: one above the leaf's issuer has, so that the issuer's name too may be anything.
	issuerConstrained bool
	policies          []string // OIDs that the leaf has and the authorities between stand for
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

// verify finds a chain from leaf to a root that holds now. presented is what
// the client sent, leaf first.
//
// It looks at signatures and constraints first and at dates and usages after:
// that somebody's certificate has expired is told only of one that is ours.
func (t *trust) verify(presented []*x509.Certificate, leaf *Leaf, now time.Time) (*verified, *Refusal) {
	chains, err := t.chains(presented, leaf, false)
	if err != nil {
		r := t.diagnose(presented, leaf, err)
		if r.progress > 0 {
			r.Trust = t.name // else nobody vouches for what the leaf says
		}
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
	for i, c := range chain[1:] {
		if c.NotAfter.Before(v.notAfter) {
			v.notAfter = c.NotAfter
		}
		if _, ok := extension(c, oidNameConstraints); ok {
			v.constrained = true
			v.issuerConstrained = v.issuerConstrained || i > 0
		}
	}
	return v
}

// policies are those of the leaf that every authority between it and the root
// has too, or any policy in their stead: RFC 5280 section 6.1.3. It never finds
// more, since it knows no mappings and finds none where one takes place; and
// where somebody inhibits any policy, it stands for none in the whole chain.
func policies(chain []*x509.Certificate) []string {
	between := chain[1 : len(chain)-1]
	has := func(oid string) bool {
		return slices.ContainsFunc(chain[1:], func(c *x509.Certificate) bool { _, ok := extension(c, oid); return ok })
	}
	if has(oidPolicyMappings) {
		return nil
	}
	anyCounts := !has(oidInhibitAnyPolicy)
	var all []string
	for _, p := range chain[0].Policies {
		if !slices.ContainsFunc(between, func(c *x509.Certificate) bool {
			return !slices.ContainsFunc(c.Policies, func(q x509.OID) bool {
				return q.Equal(p) || anyCounts && q.String() == oidAnyPolicy
			})
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
