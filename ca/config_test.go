package ca

import (
	"crypto/elliptic"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sshmint/sshmint/internal/conffile"
	"github.com/sshmint/sshmint/internal/testpki"
)

func TestReadConfig(t *testing.T) {
	dir := folder(t, map[string]string{ConfigFile: "tls_cert = 'a.pem'\ntls_key = '/b.pem'\n" +
		"[[trust]]\nname = 't'\nroots = 'r.pem'\n[table.x]\nfile = 'x.txt'\n"})
	c, err := ReadConfig(dir)
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != ":8443" || c.MinTLS != "1.3" || c.RatePerAddress != 600 || c.RatePerIdentity != 10 {
		t.Errorf("defaults: %+v", c)
	}
	for _, path := range []struct{ got, want string }{
		{c.TLSCert, filepath.Join(dir, "a.pem")},
		{c.TLSKey, "/b.pem"},
		{c.Trust[0].Roots, filepath.Join(dir, "r.pem")},
		{c.Table["x"].File, filepath.Join(dir, "x.txt")},
	} {
		if path.got != path.want {
			t.Errorf("got path %s, want %s", path.got, path.want)
		}
	}
}

// TestConfigRefused has one mistake a row. Each is named with its line and key
// when the file is loaded, not when somebody wants to log in.
func TestConfigRefused(t *testing.T) {
	const rule = trustCorp + "[[rule]]\nname = 'r'\ntrust = 'corp'\n" // the key under test comes on line 7
	ok := rule + "grant = ['user']\n"
	for _, c := range []struct {
		text string
		line int
		key  string
		says string
	}{
		{"lissen = ':1'\n", 1, "lissen", "no such key"},
		{"listen = 'here'\n", 1, "listen", "no address"},
		{"min_tls = '1.1'\n", 1, "min_tls", "neither"},
		{"rate_per_address = 0\n", 1, "rate_per_address", "refuse everyone"},
		{"rate_per_identity = -1\n", 1, "rate_per_identity", "refuse everyone"},
		{"rate_per_identity = 'x'\n", 1, "rate_per_identity", ""},
		{"tls_cert = 'x'\n", 1, "tls_cert", "tls_key is missing"},
		{"tls_key = 'x'\n", 1, "tls_key", "tls_cert is missing"},
		{"reserved = ['a*b']\n", 1, "reserved", "no account name"},
		{"reserved = ['']\n", 1, "reserved", "no account name"},

		{"[[trust]]\nroots = 'corp.pem'\n", 1, "trust.0.name", "missing"},
		{"[[trust]]\nname = 'x'\n", 1, "trust.0.roots", "missing"},
		{"[[trust]]\nname = 'x'\nroots = 'none.pem'\n", 3, "trust.0.roots", "none.pem"},
		{"[[trust]]\nname = 'x'\nroots = 'leaf.pem'\n", 3, "trust.0.roots", "no certificate authority"},
		{"[[trust]]\nname = 'x'\nroots = 'key.pem'\n", 3, "trust.0.roots", "only certificates"},
		{"[[trust]]\nname = 'x'\nroots = 'weak.pem'\n", 3, "trust.0.roots", "P-256"},
		{"[[trust]]\nname = 'x'\nroots = 'empty.pem'\n", 3, "trust.0.roots", "no PEM"},
		{"[[trust]]\nname = 'x'\nroots = 'cut.pem'\n", 3, "trust.0.roots", "damaged"},
		{"[[trust]]\nname = 'x'\nroots = 'corp.pem'\neku = []\n", 4, "trust.0.eku", "refuse everyone"},
		{"[[trust]]\nname = 'x'\nroots = 'corp.pem'\neku = ['clientauht']\n", 4, "trust.0.eku", "known are OCSPSigning, any, clientAuth"},
		{trustCorp + trustCorp, 5, "trust.1.name", "two named"},

		{"[table.t]\nfile = 'none.txt'\n", 2, "table.t.file", "none.txt"},
		{"[table.t]\nfile = 'bad.txt'\n", 2, "table.t.file", "bad.txt:2"},

		{trustCorp + "[[rule]]\ntrust = 'corp'\ngrant = ['user']\n", 4, "rule.0.name", "missing"},
		{trustCorp + "[[rule]]\nname = 'a\"b'\ntrust = 'corp'\ngrant = ['user']\n", 5, "rule.0.name", "holds"},
		{ok + "[[rule]]\nname = 'r'\ntrust = 'corp'\ngrant = ['user']\n", 9, "rule.1.name", "two named"},
		{trustCorp + "[[rule]]\nname = 'r'\ngrant = ['user']\n", 4, "rule.0.trust", "missing"},
		{trustCorp + "[[rule]]\nname = 'r'\ntrust = 'korp'\ngrant = ['user']\n", 6, "rule.0.trust", `no [[trust]] named "korp"`},
		{rule, 4, "rule.0.principals", "missing"},
		{rule + "match = 'cert.upn == []'\ngrant = ['user']\n", 7, "rule.0.match", "cert.upns"},
		{rule + "match = 'cert.cn == \"x\"'\ngrant = ['user']\n", 7, "rule.0.match", "it has common_names"},
		{rule + "match = 'cert.upns'\ngrant = ['user']\n", 7, "rule.0.match", "a bool is wanted"},
		{ok + "match = ''\n", 8, "rule.0.match", "neither true nor false"},
		{ok + "match = ' '\n", 8, "rule.0.match", "neither true nor false"},
		{ok + "Match = 'true'\n", 8, "rule.0.Match", "case counts: match"},
		{rule + "match = '1 +'\ngrant = ['user']\n", 7, "rule.0.match", "Syntax error"},
		{rule + "match = 'now() > 0'\ngrant = ['user']\n", 7, "rule.0.match", "undeclared"},
		{rule + "match = 'cert.upns.exists(a, cert.upns.exists(b, cert.upns.exists(c, a == c)))'\ngrant = ['user']\n", 7, "rule.0.match", "may cost"},
		{rule + "principals = 'one(cert.upns)'\n", 7, "rule.0.principals", "a list(string) is wanted"},
		{rule + "principals = '[1]'\n", 7, "rule.0.principals", "a list(string) is wanted"},
		{rule + "principals = '[dyn(1)]'\n", 7, "rule.0.principals", "a list(string) is wanted"},
		{rule + "principals = 'lookup(\"roles\", cert.upns)'\n", 7, "rule.0.principals", "no [table.roles]"},
		{rule + "principals = 'lookup(cert.sid, cert.upns)'\n", 7, "rule.0.principals", "table's name in quotes"},
		{ok + "person = 'cert.upns'\n", 8, "rule.0.person", "a string is wanted"},
		{ok + "pattern = '['\n", 8, "rule.0.pattern", "missing closing"},
		{ok + "pattern = 'a)|(?:.*'\n", 8, "rule.0.pattern", "unexpected )"},
		{ok + "pattern = '\\Qabc'\n", 8, "rule.0.pattern", "missing closing )"}, // by itself it is well-formed
		{rule + "grant = []\n", 4, "rule.0.principals", "missing"},
		{rule + "grant = ['a,b']\n", 7, "rule.0.grant", "holds ','"},
		{rule + "grant = ['']\n", 7, "rule.0.grant", "empty"},
		{rule + "grant = ['a b']\n", 7, "rule.0.grant", "blank"},
		{ok + "validity = '25h'\n", 8, "rule.0.validity", "24h"},
		{ok + "validity = '0s'\n", 8, "rule.0.validity", "not between"},
		{ok + "validity = '-1h'\n", 8, "rule.validity", ""},
		{ok + "validity = '10'\n", 8, "rule.validity", ""},
		{ok + "extensions = ['permit-ptty']\n", 8, "rule.0.extensions", "no such extension"},
		{ok + "extensions = ['no-touch-required']\n", 8, "rule.0.extensions", "no such extension"},
		{ok + "extensions = ['a,b@c']\n", 8, "rule.0.extensions", "no such extension"},
		{ok + "extensions = ['']\n", 8, "rule.0.extensions", "no such extension"},
		{ok + "source_address = []\n", 8, "rule.0.source_address", "no restriction"},
		{ok + "source_address = ['192.0.2.1/24']\n", 8, "rule.0.source_address", "192.0.2.0/24 is meant"},
		{ok + "source_address = ['192.0.2.0/24,0.0.0.0/0']\n", 8, "rule.0.source_address", "neither an address"},
		{ok + "source_address = ['fe80::1%eth0']\n", 8, "rule.0.source_address", "neither an address"},
		{ok + "force_command = ''\n", 8, "rule.0.force_command", "empty command"},
		{ok + "force_command = ' '\n", 8, "rule.0.force_command", "empty command"},
		{ok + "force_command = \"a\\nb\"\n", 8, "rule.0.force_command", "control"},
		{ok + "refuse = 'no'\n", 8, "rule.0.refuse", "grants nothing"},
		{rule + "refuse = ''\n", 7, "rule.0.refuse", "nothing"},
		{rule + "refuse = 'no'\nx509_key = true\n", 7, "rule.0.refuse", "grants nothing"},
		{rule + "refuse = 'no'\ncritical_options = {}\n", 8, "rule.critical_options", "no such key"},
	} {
		root := testpki.NewRoot(t, "Corp Root")
		_, err := loadPolicy(t, c.text, map[string]string{
			"corp.pem":  string(testpki.PEM(root.Cert)),
			"leaf.pem":  string(testpki.PEM(root.Leaf(t, "alice").Leaf())),
			"key.pem":   string(testpki.KeyPEM(t, root.Key)),
			"weak.pem":  string(testpki.PEM(testpki.NewRootFor(t, curveKey(elliptic.P224())(t), "Weak").Cert)),
			"cut.pem":   string(testpki.PEM(root.Cert)) + "-----BEGIN CERTIFICATE-----\nMIIB\n",
			"empty.pem": "nothing\n",
			"bad.txt":   "a = b\nc=d\n",
		})
		var at *conffile.Error
		if !errors.As(err, &at) {
			t.Errorf("%q: got %v, want an error with a place", c.text, err)
			continue
		}
		if at.Line != c.line || at.Key != c.key || !strings.Contains(at.Text, c.says) {
			t.Errorf("%q:\n got line %d, %s: %s\nwant line %d, %s: %s", c.text, at.Line, at.Key, at.Text, c.line, c.key, c.says)
		}
	}
}

func TestConfigNamesEveryMistake(t *testing.T) {
	_, err := loadPolicy(t, trustCorp+"[[rule]]\nname = 'a'\ntrust = 'x'\npattern = '['\n[[rule]]\nname = 'b'\ntrust = 'y'\ngrant = ['z']\n",
		map[string]string{"corp.pem": string(testpki.PEM(testpki.NewRoot(t, "R").Cert))})
	for _, part := range []string{"rule.0.trust", "rule.0.principals", "rule.0.pattern", "rule.1.trust", `rule "b"`} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not name %s: %v", part, err)
		}
	}
}

func TestConfigThatOthersCanWrite(t *testing.T) {
	dir := folder(t, map[string]string{ConfigFile: ""})
	if err := os.Chmod(filepath.Join(dir, ConfigFile), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadConfig(dir); err == nil || !strings.Contains(err.Error(), "others can write") {
		t.Errorf("got %v", err)
	}
}

// Roots decide who is believed, as the configuration does.
func TestRootsThatOthersCanWrite(t *testing.T) {
	dir := folder(t, map[string]string{"corp.pem": string(testpki.PEM(testpki.NewRoot(t, "R").Cert))})
	path := filepath.Join(dir, "corp.pem")
	if err := os.Chmod(path, 0o622); err != nil {
		t.Fatal(err)
	}
	_, err := NewPolicy(&Config{Trust: []TrustConfig{{Name: "x", Roots: path}}})
	if err == nil || !strings.Contains(err.Error(), "others can write") {
		t.Errorf("got %v", err)
	}
}

func TestNobodyTrustedYet(t *testing.T) {
	p := mustLoad(t, "", nil)
	_, err := p.Decide(t.Context(), testpki.NewRoot(t, "R").Leaf(t, "alice").Chain, time.Now())
	if r := refusal(t, err); r.Code != "no_rule" || !strings.Contains(r.Detail, "trusts nobody yet") {
		t.Errorf("got %+v", r)
	}
}
