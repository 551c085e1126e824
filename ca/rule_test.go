package ca

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sshmint/sshmint/internal/ownfile"
	"github.com/sshmint/sshmint/internal/testpki"
	"github.com/sshmint/sshmint/internal/wire"
)

func TestDefaults(t *testing.T) {
	root := testpki.NewRoot(t, "Root")
	for _, c := range []struct {
		lines      string
		validity   time.Duration
		extensions string
	}{
		{"", 8 * time.Hour, "permit-pty"},
		{"extensions = []\nvalidity = '1s'\n", time.Second, ""},
		{"extensions = ['x@y', 'permit-pty', 'x@y']\nvalidity = '24h'\n", 24 * time.Hour, "permit-pty x@y"},
	} {
		g, err := corpPolicy(t, literal+c.lines, root.Cert).Decide(t.Context(), root.Leaf(t, "alice").Chain, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(g.Extensions, " "); got != c.extensions || g.Validity != c.validity {
			t.Errorf("%q: %s, %s", c.lines, got, g.Validity)
		}
		if g.X509Key || len(g.CriticalOptions) != 0 {
			t.Errorf("%q: %+v", c.lines, g)
		}
	}
}

// Names are given once, computed ones first.
func TestPrincipalsOnce(t *testing.T) {
	root := testpki.NewRoot(t, "Root")
	p := corpPolicy(t, byUPN+"grant = ['root', 'alice', 'Any.Name']\nperson = '\"p\"'\n", root.Cert)
	leaf := root.Leaf(t, "", testpki.UPN("alice@corp.example.com", "ALICE@CORP.example.com", "bob@corp.example.com"))
	g, err := p.Decide(t.Context(), leaf.Chain, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(g.Principals, " "); got != "alice bob root Any.Name" {
		t.Errorf("got %s", got)
	}
	g.Principals[0], g.Extensions[0] = "root", "x"
	if again, err := p.Decide(t.Context(), leaf.Chain, time.Now()); err != nil || again.Principals[0] != "alice" || again.Extensions[0] != "permit-pty" {
		t.Error("a grant that was changed changed the policy")
	}
}

func TestFirstRuleDecides(t *testing.T) {
	root, other := testpki.NewRoot(t, "Root"), testpki.NewRoot(t, "Other")
	rule := func(name, trust, match, rest string) string {
		return "[[rule]]\nname = '" + name + "'\ntrust = '" + trust + "'\nmatch = '" + match + "'\n" + rest + "\n"
	}
	p := mustLoad(t, trustCorp+"[[trust]]\nname = 'other'\nroots = 'other.pem'\n"+
		rule("others", "other", "true", "grant = ['other']")+
		rule("bob", "corp", `"bob" in cert.common_names`, "grant = ['b']")+
		rule("carol", "corp", `"carol" in cert.common_names`, "refuse = 'no'")+
		rule("all", "corp", "true", "grant = ['all']")+
		rule("never", "corp", "true", "grant = ['never']"),
		map[string]string{"corp.pem": string(testpki.PEM(root.Cert)), "other.pem": string(testpki.PEM(other.Cert))})
	for _, c := range []struct {
		leaf *testpki.Identity
		rule string
		code wire.Code
		seen string // outcomes
	}{
		{root.Leaf(t, "alice"), "all", "", NotTrusted + "|" + NoMatch + "|" + NoMatch + "|" + Grants},
		{root.Leaf(t, "bob"), "bob", "", NotTrusted + "|" + Grants},
		{root.Leaf(t, "carol"), "carol", wire.RefusedByRule, NotTrusted + "|" + NoMatch + "|" + Refuses},
		{other.Leaf(t, "alice"), "others", "", Grants},
	} {
		g, trace, err := p.Explain(t.Context(), c.leaf.Chain, time.Now())
		rule := ""
		if c.code != "" {
			r := refusal(t, err)
			rule = r.Rule
			if r.Code != c.code || g != nil {
				t.Errorf("%s: %s", c.rule, r.Code)
			}
		} else if err != nil {
			t.Errorf("%s: %v", c.rule, err)
			continue
		} else {
			rule = g.Rule
		}
		var seen []string
		for _, r := range trace.Rules {
			seen = append(seen, r.Outcome)
		}
		if rule != c.rule || strings.Join(seen, "|") != c.seen {
			t.Errorf("decided by %s after %q, want %s", rule, seen, c.rule)
		}
	}
}

func TestEscapePerson(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"alice@corp.example.com", "alice@corp.example.com"},
		{"Alice Smith", "Alice%20Smith"},
		{"alice x509=00@00 req=1", "alice%20x509=00@00%20req=1"},
		{`a"b'c\d%`, "a%22b%27c%5Cd%25"},
		{"J\u00f6rg", "J%C3%B6rg"},
		{"a\nb", "a%0Ab"},
		{"", ""},
		{strings.Repeat("x", 128), strings.Repeat("x", 128)},
		{strings.Repeat("x", 129), ""},
		{strings.Repeat(" ", 43), ""},
	} {
		got, err := escapePerson(c.in)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q: got %q, %v", c.in, got, err)
		}
	}
}

func TestReserved(t *testing.T) {
	r, err := newReserved([]string{"Deploy-*", "ci"})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"root": true, "Root": true, "roo": false, "root2": false, "systemd-resolve": true, "systemd": false,
		"_x": true, "x_": false, "deploy-": true, "DEPLOY-x": true, "deploy": false, "ci": true, "CI": true, "cid": false,
		"azureuser": true, "admin": false,
	} {
		if r.has(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
	if other, err := newReserved(nil); err != nil || other.has("ci") {
		t.Error("one policy's reserved names are another's too")
	}
}

// TestTableWhileDeciding changes a table under many requests, for the race
// detector; and without the file nobody gets anything.
func TestTableWhileDeciding(t *testing.T) {
	root := testpki.NewRoot(t, "Root")
	dir := folder(t, map[string]string{ConfigFile: rolesToml, "corp.pem": string(testpki.PEM(root.Cert)), "roles.txt": "alice@x = one\n"})
	c, err := ReadConfig(dir)
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewPolicy(c)
	if err != nil {
		t.Fatal(err)
	}
	chain := root.Leaf(t, "", testpki.UPN("alice@x")).Chain
	roles := filepath.Join(dir, "roles.txt")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				g, err := p.Decide(t.Context(), chain, time.Now())
				if err != nil || len(g.Principals) != 1 || g.Principals[0] != "one" && g.Principals[0] != "two" {
					t.Errorf("got %+v, %v", g, err)
					return
				}
			}
		})
	}
	for i := range 20 {
		if err := ownfile.Write(roles, []byte([]string{"alice@x = two\n", "alice@x = one\n"}[i%2]), 0o600); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	if err := os.Remove(roles); err != nil {
		t.Fatal(err)
	}
	_, err = p.Decide(t.Context(), chain, time.Now())
	if r := refusal(t, err); r.Code != wire.RefusedByRule || strings.Contains(r.Detail, roles) {
		t.Errorf("%s: %s", r.Code, r.Detail)
	}
}

// FuzzPolicyLeaf: whatever the names of a certificate, nobody computes a way to
// a principal outside of the pattern or to a system account, and the person fits
// a key id.
func FuzzPolicyLeaf(f *testing.F) {
	for _, s := range []string{"alice", "root", "a,root", "a\x00", "\u212aate", "a@b@corp.example.com", "", "a b", "_x"} {
		f.Add(s, s+"@corp.example.com", s+"@corp.example.com")
	}
	root := testpki.NewRoot(f, "Root")
	p := corpPolicy(f, trustCorp+"[[rule]]\nname = 'r'\ntrust = 'corp'\n"+
		`principals = 'cert.common_names + local(cert.upns, "corp.example.com") + local(cert.emails, "corp.example.com")'`+"\n", root.Cert)
	key := testpki.NewKey(f)
	f.Fuzz(func(t *testing.T, cn, upn, email string) {
		if len(cn)+len(upn)+len(email) > 1000 || strings.ContainsFunc(email, func(r rune) bool { return r > 0x7e }) {
			t.Skip() // x509 does not read those
		}
		leaf, ok := tryLeaf(root, key, cn, testpki.SAN(testpki.UPNName(upn), testpki.EmailName(email)))
		if !ok {
			t.Skip()
		}
		g, err := p.Decide(t.Context(), append(leaf, root.Chain...), time.Now())
		if err != nil {
			if g != nil {
				t.Error("a grant beside an error")
			}
			return
		}
		for _, principal := range g.Principals {
			if !p.rules[0].pattern.MatchString(principal) || p.reserved.has(principal) || strings.ContainsAny(principal, ", \n\x00") {
				t.Errorf("granted %q", principal)
			}
		}
		if g.Person == "" || len(g.Person) > maxPerson || strings.ContainsFunc(g.Person, func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Errorf("person %q", g.Person)
		}
	})
}

func BenchmarkDecide(b *testing.B) {
	root := testpki.NewRoot(b, "Corp Root")
	p := mustLoad(b, sampleToml, map[string]string{
		"corp.pem":  string(testpki.PEM(root.Cert)),
		"roles.txt": "alice@corp.example.com = admin, dba\n",
	})
	chain := root.Intermediate(b, "Corp Issuing").Leaf(b, "Alice", testpki.UPN("alice@corp.example.com")).Chain
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Decide(b.Context(), chain, now); err != nil {
			b.Fatal(err)
		}
	}
}

// TestNoTimeIsNoVerdict: where the time ran out nobody is let in, but nobody is
// told that a rule is against them either.
func TestNoTimeIsNoVerdict(t *testing.T) {
	corp := testpki.NewRoot(t, "Corp Root")
	head := "hosts = ['ca']\n[[trust]]\nname = 'corp'\nroots = 'roots.pem'\n[[rule]]\nname = 'staff'\ntrust = 'corp'\n"
	for key, rule := range map[string]string{
		"match":      "match = 'size(cert.upns) == 1'\ngrant = ['alice']\n",
		"principals": "principals = 'cert.upns'\npattern = '.*'\n",
		"person":     "person = 'one(cert.upns)'\ngrant = ['alice']\n",
	} {
		p := mustLoad(t, head+rule, map[string]string{"roots.pem": string(testpki.PEM(corp.Cert))})
		chain := corp.Leaf(t, "Alice", testpki.UPN("alice@corp.example.com")).Chain
		if _, err := p.Decide(t.Context(), chain, time.Now()); err != nil {
			t.Errorf("%s, with time: %v", key, err)
		}
		ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
		_, err := p.Decide(ctx, chain, time.Now())
		cancel()
		if r := refusal(t, err); r.Code != wire.Unavailable || !strings.Contains(r.Detail, "no time to evaluate rule \"staff\"") {
			t.Errorf("%s, without time: %s %s", key, r.Code, r.Detail)
		}
	}
}
