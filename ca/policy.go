package ca

import (
	"cmp"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"
	"unicode"

	"github.com/sshmint/sshmint/internal/wire"
)

// Policy decides what an X.509 certificate may become. It is safe for use by several goroutines at a
// time.
type Policy struct {
	// Log gets what happens to tables; nil: nothing is logged. Set it before the first use.
	Log *slog.Logger

	trusts   []*trust
	rules    []*rule
	tables   map[string]*table
	reserved reserved
}

// A Grant is what a leaf may have.
type Grant struct {
	Rule, Trust string
	// Person names who asked, for the key id: printable ASCII without blanks, quotes and
	// backslashes, all else percent-encoded; 1 to 128 bytes.
	Person     string
	Principals []string      // at least one, no two the same
	Validity   time.Duration // the longest that the rule allows
	NotAfter   time.Time     // the least of the chain, root included
	Extensions []string      // sorted
	// CriticalOptions are source-address and force-command, where the rule has them.
	CriticalOptions map[string]string
	X509Key         bool // the leaf's own key may be certified, without a proof
	Leaf            *Leaf
	Chain           []*x509.Certificate // as verified: leaf first, root last
}

// NewPolicy compiles the policy of a configuration and reads the files that it
// names. The error has all that is wrong, each with file, line and key.
func NewPolicy(c *Config) (*Policy, error) {
	p := &Policy{tables: make(map[string]*table)}
	var errs []error
	complain := func(key, format string, args ...any) { errs = append(errs, c.errorf(key, format, args...)) }

	var err error
	if p.reserved, err = newReserved(c.Reserved); err != nil {
		complain("reserved", "%s", err)
	}
	trusts := make(map[string]bool)
	for i := range c.Trust {
		t := &c.Trust[i]
		complainTrust := func(key, format string, args ...any) {
			complain(fmt.Sprintf("trust.%d.%s", i, key), "trust %q: %s", t.Name, fmt.Sprintf(format, args...))
		}
		if err := checkLabel(t.Name, trusts); err != nil {
			complainTrust("name", "%s", err)
		}
		p.trusts = append(p.trusts, newTrust(t, complainTrust))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Table)) {
		if p.tables[name], err = openTable(name, c.Table[name].File); err != nil {
			complain("table."+name+".file", "%s", err)
		}
	}
	x, err := newExpressions(slices.Collect(maps.Keys(c.Table)), p.lookup)
	if err != nil {
		return nil, fmt.Errorf("preparing the policy language: %w", err)
	}
	rules := make(map[string]bool)
	for i := range c.Rule {
		r := &c.Rule[i]
		complainRule := func(key, format string, args ...any) {
			complain(fmt.Sprintf("rule.%d.%s", i, key), "rule %q: %s", r.Name, fmt.Sprintf(format, args...))
		}
		if err := checkLabel(r.Name, rules); err != nil {
			complainRule("name", "%s", err)
		}
		if r.Trust == "" {
			complainRule("trust", "missing: whose certificates is the rule for?")
		} else if !trusts[r.Trust] {
			complainRule("trust", "there is no [[trust]] named %q", r.Trust)
		}
		p.rules = append(p.rules, newRule(r, x, complainRule))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return p, nil
}

// checkLabel wants a name that can stand in a sentence and in a log line.
func checkLabel(name string, seen map[string]bool) error {
	switch {
	case name == "":
		return errors.New("missing: a name, for the log and for people")
	case len(name) > maxRuleName:
		return fmt.Errorf("longer than %d bytes", maxRuleName)
	case seen[name]:
		return fmt.Errorf("there are two named %q", name)
	}
	for _, r := range name {
		if !unicode.IsPrint(r) || r == '"' {
			return fmt.Errorf("%q holds %q", name, r)
		}
	}
	seen[name] = true
	return nil
}

func (p *Policy) lookup(name string, names []string) ([]string, error) {
	t, ok := p.tables[name]
	if !ok {
		return nil, fmt.Errorf("there is no table %q", name)
	}
	log := p.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return t.lookup(log, names)
}

// Decide says what the certificate chain, leaf first, as the client presented
// it, may become at the time now. The error is a [*Refusal]. That the client
// holds the leaf's key is for the caller to know.
func (p *Policy) Decide(ctx context.Context, chain []*x509.Certificate, now time.Time) (*Grant, error) {
	grant, _, err := p.Explain(ctx, chain, now)
	return grant, err
}

// Explain is Decide, and tells what was looked at on the way.
func (p *Policy) Explain(ctx context.Context, chain []*x509.Certificate, now time.Time) (*Grant, *Trace, error) {
	trace := new(Trace)
	if r := checkSize(chain); r != nil {
		return nil, trace, r
	}
	leaf, err := parseLeaf(chain[0])
	if err != nil {
		return nil, trace, &Refusal{Code: wire.BadRequest, Detail: "your certificate is malformed: " + err.Error(), Err: err}
	}
	grant, refusal := p.decide(ctx, chain, leaf, now, trace)
	if refusal != nil {
		refusal.Leaf = leaf
		return nil, trace, refusal
	}
	return grant, trace, nil
}

// checkSize comes before anything is verified.
func checkSize(chain []*x509.Certificate) *Refusal {
	refused := func(format string, args ...any) *Refusal {
		return &Refusal{Code: wire.BadRequest, Detail: fmt.Sprintf(format, args...)}
	}
	if len(chain) == 0 {
		return &Refusal{Code: wire.IdentityRequired, Detail: "no client certificate was sent"}
	}
	if len(chain) > wire.MaxChain {
		return refused("%d certificates were sent; at most %d are looked at", len(chain), wire.MaxChain)
	}
	size := 0
	for _, c := range chain {
		size += len(c.Raw)
		if k, ok := c.PublicKey.(*rsa.PublicKey); ok && k.N.BitLen() > maxRSA {
			return refused("%s has an RSA key of %d bits; at most %d are looked at", nameText(c.RawSubject), k.N.BitLen(), maxRSA)
		}
	}
	if size > wire.MaxChainBytes {
		return refused("the certificates have %d bytes; at most %d are looked at", size, wire.MaxChainBytes)
	}
	return nil
}

func (p *Policy) decide(ctx context.Context, chain []*x509.Certificate, leaf *Leaf, now time.Time, trace *Trace) (*Grant, *Refusal) {
	if len(p.trusts) == 0 {
		return nil, &Refusal{Code: wire.NoRule, Detail: "this CA trusts nobody yet: its ca.toml has no [[trust]]"}
	}
	held := make(map[string]*verified)
	var refusals []*Refusal
	for _, t := range p.trusts {
		v, r := t.verify(chain, leaf, now)
		if r != nil {
			refusals = append(refusals, r)
		} else {
			held[t.name] = v
		}
		trace.Trusts = append(trace.Trusts, TrustTrace{Trust: t.name, Err: r, Constrained: v != nil && v.constrained})
	}
	if len(held) == 0 {
		return nil, mostTelling(refusals)
	}
	for _, r := range p.rules {
		v, ok := held[r.trust]
		if !ok {
			trace.add(r, NotTrusted, nil)
			continue
		}
		grant, refusal, matched := r.apply(ctx, leaf, v, p.reserved)
		switch {
		case refusal != nil:
			refusal.Rule, refusal.Trust = r.name, r.trust
			trace.add(r, Refuses, refusal)
			return nil, refusal
		case matched:
			trace.add(r, Grants, nil)
			return grant, nil
		}
		trace.add(r, NoMatch, nil)
	}
	return nil, &Refusal{Code: wire.NoRule, Detail: "your certificate is valid, but no rule of this CA is for it"}
}

// apply gives a grant or a refusal if the rule matches.
func (r *rule) apply(ctx context.Context, leaf *Leaf, v *verified, no reserved) (*Grant, *Refusal, bool) {
	f := newFacts(leaf, v)
	matched, err := r.matches(ctx, f)
	if err != nil {
		return nil, r.failed("match", err), true
	}
	if !matched {
		return nil, nil, false
	}
	grant, refusal := r.decide(ctx, leaf, v, f, no)
	return grant, refusal, true
}

// mostTelling prefers the trust that the chain got furthest with; among equals
// the first.
func mostTelling(refusals []*Refusal) *Refusal {
	far := map[wire.Code]int{wire.UntrustedIssuer: 1, wire.WrongUsage: 2, wire.IdentityExpired: 3}
	return slices.MaxFunc(refusals, func(a, b *Refusal) int {
		if c := cmp.Compare(far[a.Code], far[b.Code]); c != 0 {
			return c
		}
		return cmp.Compare(a.progress, b.progress)
	})
}
