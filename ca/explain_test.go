package ca

import (
	"crypto/x509"
	"log/slog"
	"testing"

	"github.com/sshmint/sshmint/internal/testpki"
	"github.com/sshmint/sshmint/internal/wire"
)

// Explain must say what Mint does.
func TestExplainAgreesWithMint(t *testing.T) {
	c := newTestCA(t, staffRules)
	a, err := OpenAuthority(c.dir, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	alice := c.alice(t)
	for _, row := range []struct {
		name  string
		chain []*x509.Certificate
		code  wire.Code
		rules []string // outcomes, from the top
	}{
		{"granted", alice.Chain, "", []string{"does not match", "grants"}},
		{"stranger", testpki.NewRoot(t, "other").Leaf(t, "alice").Chain, wire.UntrustedIssuer, nil},
		{"no rule", c.root.Leaf(t, "bob").Chain, wire.NoRule, []string{"does not match", "does not match"}},
		{"wrong usage", c.root.Leaf(t, "web", testpki.EKU(x509.ExtKeyUsageServerAuth)).Chain, wire.WrongUsage, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			x := a.Explain(t.Context(), row.chain)
			m, err := mintLocally(t, c, &Request{Chain: row.chain, PublicKey: newSSHKey(t).PublicKey(), Vouched: true})
			if x.Code != string(row.code) || x.Granted != (row.code == "") || x.Granted != (err == nil) {
				t.Fatalf("explained %+v; mint says %v", x, err)
			}
			if x.Leaf == nil || x.Leaf.Serial == "" {
				t.Error("nothing is told of the leaf")
			}
			if len(x.Trusts) != 1 || x.Trusts[0].Verified == (row.code == wire.UntrustedIssuer || row.code == wire.WrongUsage) {
				t.Errorf("trusts %+v", x.Trusts)
			}
			if len(x.Rules) != len(row.rules) {
				t.Fatalf("rules %+v, want %q", x.Rules, row.rules)
			}
			for i, want := range row.rules {
				if x.Rules[i].Outcome != want {
					t.Errorf("rule %d %s, want %s", i, x.Rules[i].Outcome, want)
				}
			}
			if err != nil {
				if r := refusal(t, err); r.Detail != x.Detail {
					t.Errorf("mint says %q, explain %q", r.Detail, x.Detail)
				}
				return
			}
			if got, want := len(x.Certificate.Principals), len(m.Certificate.ValidPrincipals); got != want {
				t.Errorf("%d principals, mint gave %d", got, want)
			}
			if d := certTime(m.Certificate.ValidBefore).Sub(x.Certificate.ValidBefore).Seconds(); d < 0 || d > 5 {
				t.Errorf("valid before %s, mint %s", x.Certificate.ValidBefore, certTime(m.Certificate.ValidBefore))
			}
		})
	}
	if e := c.entries(t); len(e) != 4 {
		t.Errorf("%d audit lines: explain must leave none", len(e))
	}
}
