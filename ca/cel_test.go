package ca

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	"github.com/sshmint/sshmint/internal/testpki"
	"github.com/sshmint/sshmint/internal/wire"
)

func testExpressions(t testing.TB) *expressions {
	t.Helper()
	x, err := newExpressions([]string{"roles"}, func(_ string, names []string) ([]string, error) {
		if slices.Contains(names, "broken") {
			return nil, errors.New("the table is gone")
		}
		var values []string
		for _, n := range names {
			values = append(values, "role-"+n)
		}
		return values, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestExpressions(t *testing.T) {
	x := testExpressions(t)
	f := newFacts(&Leaf{
		Subject: "CN=alice,O=Corp", Serial: "0abc", CommonNames: []string{"alice"},
		Emails: []string{"Alice@Corp.example", "a@b@corp.example", "root@evil.example"},
		UPNs:   []string{"x"}, URIs: []string{"spiffe://corp/a", "urn:x"},
		NotAfter: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
	}, new(verified))
	for _, c := range []struct{ text, want string }{
		{`local(cert.emails, "corp.example")`, "alice"},
		{`local(cert.emails, "CORP.example")`, "alice"},
		{`local([], "corp.example")`, ""},
		{`local(cert.emails, "b@corp.example")`, ""},
		{`local(["@corp.example", "x"], "corp.example")`, "<>"},
		{`lookup("roles", cert.upns + ["y"])`, "role-x role-y"},
		{`lookup("roles", cert.dns_names)`, ""},
		{`[one(cert.upns)]`, "x"},
		{`cert.uris.filter(u, u.startsWith("spiffe://")).map(u, u.split("/")[3])`, "a"},
		{`cert.common_names.map(c, c.upperAscii())`, "ALICE"},
		{`[cert.subject, cert.serial, cert.sid]`, "CN=alice,O=Corp 0abc <>"},
		{`cert.not_after > timestamp("2026-12-31T00:00:00Z") ? ["late"] : []`, "late"},
		{`cert.eku + cert.policies + cert.organizational_units + cert.fasc_ns + [cert.issuer, cert.spki_sha256]`, "<> <>"},
	} {
		e, err := x.compile(c.text, stringList)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		list, err := eval[[]string](t.Context(), e, f)
		for i, s := range list {
			if s == "" {
				list[i] = "<>"
			}
		}
		if got := strings.Join(list, " "); err != nil || got != c.want {
			t.Errorf("%s: got %s, %v, want %s", c.text, got, err, c.want)
		}
	}
}

func TestExpressionsThatFail(t *testing.T) {
	x := testExpressions(t)
	many := make([]string, 5000)
	for i := range many {
		many[i] = fmt.Sprintf("name%d@x.example", i)
	}
	f := newFacts(&Leaf{UPNs: []string{"broken"}, Emails: many}, new(verified))
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		ctx        context.Context
		text, says string
	}{
		{t.Context(), `one(cert.emails) == ""`, "one() of a list of 5000"},
		{t.Context(), `one(cert.uris) == ""`, "one() of a list of 0"},
		{t.Context(), `cert.uris[0] == ""`, "index out of bounds"},
		{t.Context(), `lookup("roles", cert.upns) == []`, "the table is gone"},
		{t.Context(), `dyn(cert.sid) == 1 || one(cert.uris) == ""`, "one()"},
		// 25 million comparisons: the cost limit ends it, or on a slow machine the time limit.
		{t.Context(), `cert.emails.exists(a, cert.emails.exists(b, a == b + "x"))`, ""},
		{cancelled, `cert.sid == ""`, "context canceled"},
		{cancelled, `cert.emails.all(a, a != "")`, ""},
	} {
		e, err := x.compile(c.text, cel.BoolType)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		got, err := eval[bool](c.ctx, e, f)
		if err == nil || got || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, %v, want %s", c.text, got, err, c.says)
		}
	}
}

// A dynamic value comes past the type checker; it must not come past eval.
// The estimate is made for texts of altname.MaxName bytes; a subject may have
// more, and then the cost is what it really is.
func TestCostAsItIs(t *testing.T) {
	e, err := testExpressions(t).compile(`cert.uris.all(a, cert.uris.all(b, !cert.subject.contains("zz")))`, cel.BoolType)
	if err != nil {
		t.Fatal(err)
	}
	uris := slices.Repeat([]string{"u"}, wire.MaxNames)
	for _, c := range []struct {
		subject int
		want    string // part of the error
	}{{100, ""}, {30 << 10, "cost limit exceeded"}} {
		f := newFacts(&Leaf{Subject: strings.Repeat("x", c.subject), URIs: uris}, new(verified))
		ok, _, err := e.program.ContextEval(t.Context(), map[string]any(f)) // eval's limit of time may come first
		if c.want == "" && (err != nil || ok != types.True) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%d bytes: %v, %v, want %q", c.subject, ok, err, c.want)
		}
	}
}

func TestDynamicTypes(t *testing.T) {
	x := testExpressions(t)
	for _, text := range []string{`[dyn(1)]`, `dyn("x")`, `dyn(["x"])`} {
		if e, err := x.compile(text, stringList); err == nil {
			t.Errorf("%s compiles: %v", text, e)
		}
	}
}

// What an expression fails on is for the log: of the asker's certificate alone
// is told.
func TestFailureStaysInside(t *testing.T) {
	root := testpki.NewRoot(t, "Root")
	p := corpPolicy(t, literal+"match = 'cert.emails[3] == \"secret\"'\n", root.Cert)
	_, trace, err := p.Explain(t.Context(), root.Leaf(t, "alice").Chain, time.Now())
	r := refusal(t, err)
	if r.Code != wire.RefusedByRule || r.Rule != "r" || strings.Contains(r.Detail, "bounds") || strings.Contains(r.Detail, "secret") {
		t.Errorf("told the asker %q", r.Detail)
	}
	if r.Err == nil || !strings.Contains(r.Error(), "index out of bounds") {
		t.Errorf("the log gets %v", r.Err)
	}
	if len(trace.Rules) != 1 || trace.Rules[0].Outcome != Refuses || trace.Rules[0].Err != r {
		t.Errorf("trace %+v", trace.Rules)
	}
}

func TestCancelledRequest(t *testing.T) {
	root := testpki.NewRoot(t, "Root")
	p := corpPolicy(t, literal+"match = 'cert.sid == \"\"'\n", root.Cert)
	ctx, cancel := context.WithCancel(t.Context())
	chain := root.Leaf(t, "alice").Chain
	if _, err := p.Decide(ctx, chain, time.Now()); err != nil {
		t.Fatal(err)
	}
	cancel()
	_, err := p.Decide(ctx, chain, time.Now())
	if r := refusal(t, err); r.Code != wire.Unavailable || !errors.Is(err, context.Canceled) {
		t.Errorf("got %+v", r)
	}
}
