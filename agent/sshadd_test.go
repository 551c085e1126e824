package agent

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// TestSSHAddKeys has the system's ssh-add do all it can with keys of each kind,
// which have certificates beside them.
func TestSSHAddKeys(t *testing.T) {
	a := new(Agent)
	socket := serve(t, a)
	dir := t.TempDir()
	must := func(argv ...string) string {
		t.Helper()
		out, err := run(t, socket, argv...)
		if err != nil {
			t.Fatalf("%s: %v\n%s", argv, err, out)
		}
		return out
	}
	lines := func() []string {
		t.Helper()
		out, err := run(t, socket, "ssh-add", "-L")
		if err != nil {
			return nil
		}
		var keys []string
		for line := range strings.Lines(out) {
			keys = append(keys, strings.Join(strings.Fields(line)[:2], " "))
		}
		return keys
	}
	file := func(name string) string { return filepath.Join(dir, name) }
	public := func(name string) string {
		t.Helper()
		b, err := os.ReadFile(file(name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(strings.Fields(string(b))[:2], " ")
	}
	must("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file("ca"))
	for kind, options := range map[string][]string{
		"rsa1024": {"-t", "rsa", "-b", "1024"}, "rsa3072": {"-t", "rsa", "-b", "3072"},
		"ecdsa256": {"-t", "ecdsa", "-b", "256"}, "ecdsa384": {"-t", "ecdsa", "-b", "384"}, "ecdsa521": {"-t", "ecdsa", "-b", "521"},
		"ed25519": {"-t", "ed25519"},
	} {
		must(append([]string{"ssh-keygen", "-q", "-N", "", "-C", kind, "-f", file(kind)}, options...)...)
		must("ssh-keygen", "-q", "-s", file("ca"), "-I", kind, "-n", "alice", file(kind+".pub"))
		plain, cert := public(kind+".pub"), public(kind+"-cert.pub")

		must("ssh-add", file(kind))
		if got := lines(); !slices.Equal(got, []string{plain, cert}) {
			t.Errorf("%s: added %q", kind, got)
		}
		if out := must("ssh-add", "-l"); !strings.Contains(out, " "+kind+" (") {
			t.Errorf("%s: ssh-add -l: %s", kind, out)
		}
		must("ssh-add", "-T", file(kind+".pub"))
		must("ssh-add", "-T", file(kind+"-cert.pub"))
		must("ssh-add", "-d", "-k", file(kind))
		if got := lines(); !slices.Equal(got, []string{cert}) {
			t.Errorf("%s: after ssh-add -d -k: %q", kind, got)
		}
		must("ssh-add", "-k", file(kind))
		must("ssh-add", "-D")
		if got := lines(); got != nil {
			t.Errorf("%s: after ssh-add -D: %q", kind, got)
		}
	}

	// Constraints.
	known := file("known_hosts")
	if err := os.WriteFile(known, []byte("db7 "+public("ed25519.pub")+"\n@cert-authority *.example.com "+public("ca.pub")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	blob := func(name string) string {
		t.Helper()
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(public(name)))
		if err != nil {
			t.Fatal(err)
		}
		return string(key.Marshal())
	}
	must("ssh-add", "-q", "-k", "-c", "-t", "2h", "-H", known, "-h", "alice@db7", "-h", "db7>*@jump.example.com", file("ecdsa256"))
	k := a.added.find([]byte(blob("ecdsa256.pub")))
	if k == nil {
		t.Fatal("not added")
	}
	db := hop{host: "db7", keys: []hopKey{{blob("ed25519.pub"), false}}}
	toDB := db
	toDB.user = "alice"
	toJump := hop{user: "*", host: "jump.example.com", keys: []hopKey{{blob("ca.pub"), true}}}
	same := func(a, b hop) bool { return a.user == b.user && a.host == b.host && slices.Equal(a.keys, b.keys) }
	if !k.confirm || !k.life.limited || k.life.limit != 2*time.Hour {
		t.Errorf("confirm %t, lifetime %s", k.confirm, k.life.limit)
	}
	if r := k.restrictions; len(r) != 2 || !same(r[0].from, hop{}) || !same(r[0].to, toDB) || !same(r[1].from, db) || !same(r[1].to, toJump) {
		t.Errorf("restrictions: %+v", r)
	}
	// A key whose use has to be confirmed does not pass ssh-add -T with nobody
	// to ask.
	must("ssh-add", "-q", "-k", "-c", file("ed25519"))
	if out, err := run(t, socket, "ssh-add", "-T", file("ed25519.pub")); err == nil {
		t.Errorf("ssh-add -T signed without a confirmation: %s", out)
	}
	if got := lines(); !slices.Equal(got, []string{public("ecdsa256.pub"), public("ed25519.pub")}) {
		t.Errorf("at the end: %q", got)
	}
}
