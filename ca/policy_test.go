package ca

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sshmint/sshmint/internal/testpki"
	"github.com/sshmint/sshmint/internal/wire"
)

// folder makes a CA's folder of files, by name.
func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// loadPolicy compiles the text of a ca.toml whose other files are given too.
func loadPolicy(t testing.TB, text string, files map[string]string) (*Policy, error) {
	t.Helper()
	dir := folder(t, files)
	if err := os.WriteFile(filepath.Join(dir, ConfigFile), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := ReadConfig(dir)
	if err != nil {
		return nil, err
	}
	return NewPolicy(c)
}

func mustLoad(t testing.TB, text string, files map[string]string) *Policy {
	t.Helper()
	p, err := loadPolicy(t, text, files)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func refusal(t testing.TB, err error) *Refusal {
	t.Helper()
	var r *Refusal
	if !errors.As(err, &r) {
		t.Fatalf("got %v, want a refusal", err)
	}
	return r
}

const sampleToml = `
[[trust]]
name  = "corp"
roots = "corp.pem"
eku   = ["clientAuth", "secureShellClient", "smartcardLogon"]

[table.roles]
file = "roles.txt"

[[rule]]
name   = "left the company"
trust  = "corp"
match  = '"mallory@corp.example.com" in cert.upns'
refuse = "this account is closed; ask the service desk"

[[rule]]
name       = "staff"
trust      = "corp"
match      = 'size(local(cert.upns, "corp.example.com")) == 1'
principals = 'local(cert.upns, "corp.example.com") + lookup("roles", cert.upns)'
person     = 'one(cert.upns)'
grant      = ["root"]
validity   = "10h"
extensions = ["permit-pty", "permit-port-forwarding"]
source_address = ["192.0.2.0/24", "2001:db8::1"]
force_command  = "/usr/bin/id"
x509_key = true
`

func TestSamplePolicy(t *testing.T) {
	root := testpki.NewRoot(t, "Corp Root")
	p := mustLoad(t, sampleToml, map[string]string{
		"corp.pem":  string(testpki.PEM(root.Cert)),
		"roles.txt": "# roles\nalice@corp.example.com = admin, dba, alice\n",
	})
	alice := root.Intermediate(t, "Corp Issuing").Leaf(t, "Alice", testpki.UPN("alice@corp.example.com"))
	g, trace, err := p.Explain(t.Context(), alice.Chain, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(g.Principals, " "); got != "alice admin dba root" {
		t.Errorf("principals %s", got)
	}
	if g.Rule != "staff" || g.Trust != "corp" || g.Person != "alice@corp.example.com" || g.Validity != 10*time.Hour || !g.X509Key {
		t.Errorf("grant %+v", g)
	}
	if !g.NotAfter.Equal(alice.Leaf().NotAfter) {
		t.Errorf("not after %s, the leaf %s", g.NotAfter, alice.Leaf().NotAfter)
	}
	if got := strings.Join(g.Extensions, " "); got != "permit-port-forwarding permit-pty" {
		t.Errorf("extensions %s", got)
	}
	if g.CriticalOptions["source-address"] != "192.0.2.0/24,2001:db8::1" || g.CriticalOptions["force-command"] != "/usr/bin/id" {
		t.Errorf("critical options %q", g.CriticalOptions)
	}
	if len(g.Chain) != 3 || g.Chain[2] != p.trusts[0].roots[0] {
		t.Errorf("chain of %d", len(g.Chain))
	}
	if len(trace.Rules) != 2 || trace.Rules[0].Outcome != NoMatch || trace.Rules[1].Outcome != Grants {
		t.Errorf("trace %+v", trace)
	}

	mallory := root.Leaf(t, "Mallory", testpki.UPN("mallory@corp.example.com"))
	_, err = p.Decide(t.Context(), mallory.Chain, time.Now())
	if r := refusal(t, err); r.Code != wire.RefusedByRule || r.Detail != "this account is closed; ask the service desk" || r.Rule != "left the company" || r.Leaf == nil {
		t.Errorf("refusal %+v", r)
	}
}
