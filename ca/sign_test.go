package ca

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sshmint/sshmint/internal/testpki"
	"github.com/sshmint/sshmint/internal/wire"
)

func testGrant(notAfter time.Time) *Grant {
	return &Grant{
		Rule: "staff", Trust: "corp", Person: "alice", Principals: []string{"alice", "dev"},
		Validity: 10 * time.Hour, NotAfter: notAfter,
		Leaf: &Leaf{Serial: "0a0b", IssuerSHA256: strings.Repeat("0123456789abcdef", 4)},
	}
}

func TestValidity(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 600e6, time.UTC)
	second := now.Truncate(time.Second)
	for _, row := range []struct {
		name             string
		wish, rule, leaf time.Duration
		want             time.Duration // from the second's begin; 0: refused
	}{
		{"the rule's", 0, 10 * time.Hour, 1000 * time.Hour, 10 * time.Hour},
		{"the wish", 8 * time.Hour, 10 * time.Hour, 1000 * time.Hour, 8 * time.Hour},
		{"a wish for more than the rule", 11 * time.Hour, 10 * time.Hour, 1000 * time.Hour, 10 * time.Hour},
		{"a wish for ever", 1 << 62, 10 * time.Hour, 1000 * time.Hour, 10 * time.Hour},
		{"the leaf's", 8 * time.Hour, 10 * time.Hour, 2 * time.Hour, 2 * time.Hour},
		{"a rule for more than a day", 0, 100 * time.Hour, 1000 * time.Hour, 24 * time.Hour},
		{"a wish of a second", time.Second, 10 * time.Hour, 1000 * time.Hour, time.Second},
		{"a wish between seconds", 1999 * time.Millisecond, 10 * time.Hour, 1000 * time.Hour, 2 * time.Second},
		{"two seconds left", 0, 10 * time.Hour, 2 * time.Second, 2 * time.Second},
		{"less than a second left", 0, 10 * time.Hour, time.Second, 0},
		{"nothing left", 0, 10 * time.Hour, 0, 0},
	} {
		g := testGrant(second.Add(row.leaf))
		g.Validity = row.rule
		got, err := validBefore(g, row.wish, now)
		if row.want == 0 {
			if r := refusal(t, err); r.Code != wire.IdentityExpired {
				t.Errorf("%s: %v", row.name, r)
			}
			continue
		}
		if err != nil || !got.Equal(second.Add(row.want)) || !got.After(now) {
			t.Errorf("%s: %s, %v; want %s", row.name, got.Sub(second), err, row.want)
		}
	}
}

func TestPrincipalsThatSSHDWouldRefuse(t *testing.T) {
	for _, n := range []int{0, maxPrincipals + 1} {
		g := testGrant(time.Now().Add(time.Hour))
		g.Principals = make([]string, n)
		_, err := template(g, &Request{}, "0", time.Now())
		if r := refusal(t, err); r.Code != wire.PrincipalRefused {
			t.Errorf("%d principals: %v", n, r)
		}
	}
}

func TestKeyID(t *testing.T) {
	g := testGrant(time.Now())
	id, err := keyID(g, "feedfeedfeedfeed")
	if want := "alice x509=0a0b@0123456789abcdef req=feedfeedfeedfeed"; err != nil || id != want {
		t.Errorf("%q, %v; want %q", id, err, want)
	}
	g.Person, g.Leaf.Serial = strings.Repeat("p", 128), strings.Repeat("f", 40)
	if id, err = keyID(g, newRequestID()); err != nil || len(id) > 250 {
		t.Errorf("the longest has %d bytes, %v", len(id), err)
	}
	g.Leaf.Serial += "ff"
	_, err = keyID(g, "0")
	if r := refusal(t, err); r.Code != wire.BadRequest {
		t.Errorf("a serial number of 21 octets: %v", r)
	}
}

func TestSerialsAreRandom(t *testing.T) {
	seen := map[uint64]bool{}
	for range 1000 {
		n := newSerial()
		if n == 0 || seen[n] {
			t.Fatalf("serial number %d", n)
		}
		seen[n] = true
	}
}

// mintLocally is what sshmint-ca sign does.
func mintLocally(t *testing.T, c *testCA, req *Request) (*Minted, error) {
	t.Helper()
	audit, err := OpenAudit(c.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = audit.Close() }()
	a, err := OpenAuthority(c.dir, audit, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return a.Mint(t.Context(), req)
}

// Whatever type the CA key has, ssh-keygen can read what it signs.
func TestCAKeyTypes(t *testing.T) {
	for _, row := range [][]string{
		{"-t", "ed25519"}, {"-t", "ecdsa", "-b", "256"}, {"-t", "ecdsa", "-b", "521"}, {"-t", "rsa", "-b", "2048"},
	} {
		t.Run(strings.Join(row[1:], ""), func(t *testing.T) {
			c := newTestCA(t, staffRules)
			file := filepath.Join(c.dir, fileUserCA)
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(file + ".pub"); err != nil {
				t.Fatal(err)
			}
			keygen(t, append(row, "-q", "-N", "", "-f", file)...)
			m, err := mintLocally(t, c, &Request{Chain: c.alice(t).Chain, PublicKey: newSSHKey(t).PublicKey(), Vouched: true, Source: "local"})
			if err != nil {
				t.Fatal(err)
			}
			cert := filepath.Join(t.TempDir(), "id-cert.pub")
			if err := os.WriteFile(cert, ssh.MarshalAuthorizedKey(m.Certificate), 0o600); err != nil {
				t.Fatal(err)
			}
			out := keygen(t, "-L", "-f", cert)
			for _, want := range []string{"user certificate", `Key ID: "alice@corp.example.com x509=`, "permit-pty", " alice\n"} {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in %s", want, out)
				}
			}
			if row[1] == "rsa" && m.Certificate.Signature.Format != ssh.KeyAlgoRSASHA512 {
				t.Errorf("signed with %s", m.Certificate.Signature.Format)
			}
		})
	}
}

func TestVouchedRequestsObeyThePolicy(t *testing.T) {
	c := newTestCA(t, staffRules)
	key := newSSHKey(t).PublicKey()
	alice := c.alice(t)
	for _, row := range []struct {
		name string
		req  Request
		code wire.Code
	}{
		{"no certificate", Request{}, wire.IdentityRequired},
		{"a stranger", Request{Chain: testpki.NewRoot(t, "other").Leaf(t, "alice").Chain}, wire.UntrustedIssuer},
		{"nobody's rule", Request{Chain: c.root.Leaf(t, "bob").Chain}, wire.NoRule},
		{"a wish too far", Request{Chain: alice.Chain, Principals: []string{"root"}}, wire.PrincipalRefused},
	} {
		row.req.PublicKey, row.req.Vouched, row.req.Source = key, true, "local"
		_, err := mintLocally(t, c, &row.req)
		if r := refusal(t, err); r.Code != row.code {
			t.Errorf("%s: %v, want %s", row.name, r, row.code)
		}
	}
	if e := c.entries(t); len(e) != 4 || e[3].Decision != Refused || e[3].Source != "local" || e[3].Person != "alice@corp.example.com" {
		t.Errorf("audit lines %+v", e)
	}
	// Without a word for the key, a proof is needed here too.
	_, err := mintLocally(t, c, &Request{Chain: alice.Chain, PublicKey: key})
	if r := refusal(t, err); r.Code != wire.BadRequest {
		t.Errorf("no proof: %v", r)
	}
}

func TestNoAuditNoLocalCertificate(t *testing.T) {
	c := newTestCA(t, staffRules)
	a, err := OpenAuthority(c.dir, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	m, err := a.Mint(t.Context(), &Request{Chain: c.alice(t).Chain, PublicKey: newSSHKey(t).PublicKey(), Vouched: true})
	if r := refusal(t, err); r.Code != wire.Unavailable || m != nil {
		t.Errorf("%v, %v", m, err)
	}
}

func TestFaultsAreNotToldToTheAsker(t *testing.T) {
	c := newTestCA(t, staffRules)
	a, err := OpenAuthority(c.dir, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r := a.begin("local").refuse(errors.New("a secret path"))
	if r.Code != wire.Unavailable || strings.Contains(r.Detail, "secret") {
		t.Errorf("%+v", r)
	}
}
