package ca

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sshmint/sshmint/internal/testpki"
	"github.com/sshmint/sshmint/internal/wire"
)

func corpPolicy(t testing.TB, text string, roots ...*x509.Certificate) *Policy {
	t.Helper()
	return mustLoad(t, text, map[string]string{"corp.pem": string(testpki.PEM(roots...))})
}

// again issues a certificate for an authority that another one has issued for
// before: the same name and key.
func again(t testing.TB, issuer, ca *testpki.CA, edits ...testpki.Edit) *x509.Certificate {
	t.Helper()
	return issuer.IntermediateFor(t, ca.Key, ca.Cert.Subject.CommonName, edits...).Cert
}

func TestCrossSigned(t *testing.T) {
	root := testpki.NewRoot(t, "Root")
	foreign := testpki.NewRoot(t, "Foreign")
	good := root.Intermediate(t, "Issuing")
	leaf := good.Leaf(t, "alice").Leaf()
	expired := again(t, root, good, dates(-48*time.Hour, -time.Hour))
	short := again(t, root, good, dates(-time.Hour, time.Hour))
	constrained := again(t, root, good, onlyCorpMail)
	strange := again(t, foreign, good)
	p := corpPolicy(t, literal, root.Cert)

	for _, c := range []struct {
		what     string
		chain    []*x509.Certificate
		through  *x509.Certificate // nil: refused
		notAfter time.Time
	}{
		{"one way", []*x509.Certificate{leaf, good.Cert}, good.Cert, leaf.NotAfter},
		{"root sent along", []*x509.Certificate{leaf, good.Cert, root.Cert}, good.Cert, leaf.NotAfter},
		{"any order", []*x509.Certificate{leaf, root.Cert, strange, good.Cert}, good.Cert, leaf.NotAfter},
		{"expired first", []*x509.Certificate{leaf, expired, good.Cert}, good.Cert, leaf.NotAfter},
		{"expired last", []*x509.Certificate{leaf, good.Cert, expired}, good.Cert, leaf.NotAfter},
		{"shorter first", []*x509.Certificate{leaf, short, good.Cert}, good.Cert, leaf.NotAfter},
		{"shorter alone", []*x509.Certificate{leaf, short}, short, short.NotAfter},
		{"constrained first", []*x509.Certificate{leaf, constrained, short}, short, short.NotAfter},
		{"expired and constrained", []*x509.Certificate{leaf, expired, constrained}, nil, time.Time{}},
		{"expired and foreign", []*x509.Certificate{leaf, expired, strange}, nil, time.Time{}},
	} {
		g, err := p.Decide(t.Context(), c.chain, time.Now())
		if c.through == nil {
			if err == nil {
				t.Errorf("%s: granted", c.what)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		if g.Chain[0] != leaf || g.Chain[1] != c.through || g.Chain[2].Subject.CommonName != "Root" || len(g.Chain) != 3 {
			t.Errorf("%s: the chain goes another way", c.what)
		}
		if !g.NotAfter.Equal(c.notAfter) {
			t.Errorf("%s: until %s, want %s", c.what, g.NotAfter, c.notAfter)
		}
	}
}

// Authorities that are signed by each other, and by no root, are not verified
// with the keys that a stranger chose; nor do they hinder a chain that holds.
func TestStrangersAreNotVerified(t *testing.T) {
	root := testpki.NewRoot(t, "Root")
	p := corpPolicy(t, literal, root.Cert)
	mesh := testpki.NewRoot(t, "Mesh")
	var strangers []*x509.Certificate
	for i := range wire.MaxChain - 1 {
		strangers = append(strangers, again(t, mesh, mesh, func(c *x509.Certificate) { c.DNSNames = []string{fmt.Sprintf("h%d", i)} }))
	}
	_, err := p.Decide(t.Context(), append(mesh.Leaf(t, "mallory").Chain, strangers...), time.Now())
	if r := refusal(t, err); r.Code != wire.UntrustedIssuer || !errors.Is(r, errNotAnchored) {
		t.Errorf("refused for another reason: %v", r)
	}
	good := root.Intermediate(t, "Issuing").Leaf(t, "alice").Chain
	if _, err := p.Decide(t.Context(), append(good, strangers[:6]...), time.Now()); err != nil {
		t.Errorf("a good chain among strangers: %v", err)
	}
}

func TestNotAfterIsTheLeast(t *testing.T) {
	in := func(d time.Duration) testpki.Edit { return dates(-time.Hour, d) }
	for _, c := range []struct{ root, mid, leaf time.Duration }{
		{3 * time.Hour, 2 * time.Hour, time.Hour},
		{3 * time.Hour, time.Hour, 2 * time.Hour},
		{time.Hour, 2 * time.Hour, 3 * time.Hour},
	} {
		root := testpki.NewRoot(t, "Root", in(c.root))
		chain := root.Intermediate(t, "Issuing", in(c.mid)).Leaf(t, "alice", in(c.leaf)).Chain
		g, err := corpPolicy(t, literal, root.Cert).Decide(t.Context(), chain, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if left := time.Until(g.NotAfter); left > time.Hour || left < 59*time.Minute {
			t.Errorf("%+v: %s left", c, left)
		}
	}
}

// A certificate is valid at its first second and at its last (RFC 5280 section 4.1.2.5).
func TestDatesToTheSecond(t *testing.T) {
	root := testpki.NewRoot(t, "Root")
	p := corpPolicy(t, literal, root.Cert)
	leaf := root.Leaf(t, "alice")
	from, to := leaf.Leaf().NotBefore, leaf.Leaf().NotAfter
	for _, c := range []struct {
		at   time.Time
		says string // "": granted
	}{
		{from.Add(-time.Nanosecond), "not yet valid"},
		{from, ""},
		{to, ""},
		{to.Add(time.Nanosecond), "expired at " + to.UTC().Format("2006-01-02 15:04:05 UTC")},
	} {
		_, err := p.Decide(t.Context(), leaf.Chain, c.at)
		if c.says == "" {
			if err != nil {
				t.Errorf("at %s: %v", c.at, err)
			}
			continue
		}
		if r := refusal(t, err); r.Code != wire.IdentityExpired || !strings.Contains(r.Detail, c.says) {
			t.Errorf("at %s: %s: %s", c.at, r.Code, r.Detail)
		}
	}
}

// An outsider with an expired certificate of no usage is told nothing of either.
func TestChainBeforeDates(t *testing.T) {
	p := corpPolicy(t, literal, testpki.NewRoot(t, "Root").Cert)
	outsider := testpki.NewRoot(t, "Root").Leaf(t, "mallory", dates(-2*time.Hour, -time.Hour), testpki.EKU())
	_, err := p.Decide(t.Context(), outsider.Chain, time.Now())
	// A Trust in the audit log is one that vouches for the names beside it.
	if r := refusal(t, err); r.Code != wire.UntrustedIssuer || r.Trust != "" {
		t.Errorf("%s, trust %q: %s", r.Code, r.Trust, r.Detail)
	}
}

// Of several trusts the person is told of the one that nearly held.
func TestMostTellingTrust(t *testing.T) {
	root := testpki.NewRoot(t, "Root")
	files := map[string]string{
		"corp.pem":  string(testpki.PEM(root.Cert)),
		"other.pem": string(testpki.PEM(testpki.NewRoot(t, "Other").Cert)),
	}
	first := trustCorp + "[[trust]]\nname = 'other'\nroots = 'other.pem'\n"
	last := "[[trust]]\nname = 'other'\nroots = 'other.pem'\n" + trustCorp
	for _, c := range []struct {
		leaf *testpki.Identity
		code wire.Code
		says string
	}{
		{root.Leaf(t, "alice", dates(-2*time.Hour, -time.Hour)), wire.IdentityExpired, "expired"},
		{root.Leaf(t, "alice", testpki.EKU(serverAuth)), wire.WrongUsage, "clientAuth"},
		{root.Intermediate(t, "I", onlyCorpMail).Leaf(t, "", testpki.Email("a@x.example")), wire.UntrustedIssuer, "name constraints"},
	} {
		for _, text := range []string{first, last} {
			_, trace, err := mustLoad(t, text, files).Explain(t.Context(), c.leaf.Chain, time.Now())
			r := refusal(t, err)
			if r.Code != c.code || r.Trust != "corp" || !strings.Contains(r.Detail, c.says) {
				t.Errorf("%s of %s: %s", r.Code, r.Trust, r.Detail)
			}
			if len(trace.Trusts) != 2 || trace.Trusts[0].Err == nil || trace.Trusts[1].Err == nil {
				t.Errorf("trace %+v", trace)
			}
		}
	}
}

// Roots are shared by all requests: looking at a chain must not change them.
func TestVerifyChangesNothing(t *testing.T) {
	root := testpki.NewRoot(t, "Root", onlyCorpMail)
	p := corpPolicy(t, literal+"person = '\"p\"'\n", root.Cert)
	chain := root.Leaf(t, "", testpki.CriticalSAN(goodMail, testpki.URIName("urn:uuid:1"))).Chain
	before := []x509.Certificate{*chain[0], *p.trusts[0].roots[0]}
	for range 2 {
		if _, err := p.Decide(t.Context(), chain, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range []*x509.Certificate{chain[0], p.trusts[0].roots[0]} {
		if !c.NotAfter.Equal(before[i].NotAfter) || !slices.Equal(c.URIs, before[i].URIs) ||
			len(c.UnhandledCriticalExtensions) != len(before[i].UnhandledCriticalExtensions) || c.MaxPathLen != before[i].MaxPathLen {
			t.Errorf("certificate %d has changed", i)
		}
	}
}

// The root may have the constraints too.
func TestRootConstrainsURIs(t *testing.T) {
	root := testpki.NewRoot(t, "Root", onlyCorpHosts)
	p := corpPolicy(t, anyone, root.Cert)
	for uri, ok := range map[string]bool{
		"spiffe://h.corp.example.com/a": true,
		"spiffe://h.evil.example/a":     false,
		"urn:uuid:1":                    false, // no host to hold against them
	} {
		_, err := p.Decide(t.Context(), root.Leaf(t, "", testpki.SAN(testpki.URIName(uri))).Chain, time.Now())
		if ok && err != nil {
			t.Errorf("%s: %v", uri, err)
		}
		if !ok && refusal(t, err).Code != wire.UntrustedIssuer {
			t.Errorf("%s: %v", uri, err)
		}
	}
}

// What x509 refuses by itself today is refused all the same if it ever passes:
// a signature with SHA-1, and a root of version 1, which cannot say that it is
// an authority, in place of a leaf.
func TestCheckChainAlone(t *testing.T) {
	root := testpki.NewRoot(t, "Root")
	tr := &trust{name: "corp", roots: []*x509.Certificate{root.Cert}, eku: []string{"1.3.6.1.5.5.7.3.2"}}
	weak := root.Leaf(t, "alice", algorithm(x509.ECDSAWithSHA1)).Leaf()
	if r := tr.checkChain([]*x509.Certificate{weak, root.Cert}, time.Now()); r == nil || r.Code != wire.WrongUsage || !strings.Contains(r.Detail, "SHA1") {
		t.Errorf("SHA-1: %+v", r)
	}
	old := *root.Cert
	old.Version, old.BasicConstraintsValid, old.IsCA, old.Extensions = 1, false, false, nil
	if r := tr.checkChain([]*x509.Certificate{&old}, time.Now()); r == nil || r.Code != wire.WrongUsage || !strings.Contains(r.Detail, "authority") {
		t.Errorf("a root: %+v", r)
	}
	good := root.Leaf(t, "alice").Leaf()
	if r := tr.checkChain([]*x509.Certificate{good, root.Cert}, time.Now()); r != nil {
		t.Errorf("without a flaw: %+v", r)
	}
}
