package knownhosts

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

func newSigner(t testing.TB) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func line(hosts string, key ssh.PublicKey) string {
	return hosts + " " + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))) + " a comment\n"
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, text string) *Hosts {
	t.Helper()
	path := filepath.Join(t.TempDir(), "known_hosts")
	write(t, path, text)
	return (&Files{Paths: []string{path}}).Read()
}

// hashed has ssh-keygen hash the names.
func hashed(t testing.TB, text string) string {
	t.Helper()
	program, err := exec.LookPath("ssh-keygen")
	if err != nil {
		if os.Getenv("SSHMINT_REQUIRE_ALL") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	path := filepath.Join(t.TempDir(), "known_hosts")
	write(t, path, text)
	if out, err := exec.Command(program, "-H", "-f", path).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen -H: %v\n%s", err, out)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestLookup(t *testing.T) {
	host, other, ca := newSigner(t), newSigner(t), newSigner(t)
	key := host.PublicKey()
	now := time.Now()
	certificate := func(change func(*ssh.Certificate)) ssh.PublicKey {
		c := &ssh.Certificate{
			Key: key, CertType: ssh.HostCert, ValidPrincipals: []string{"db7.corp.example.com", "DB7"},
			ValidAfter: uint64(now.Add(-time.Hour).Unix()), ValidBefore: uint64(now.Add(time.Hour).Unix()),
		}
		if change != nil {
			change(c)
		}
		if err := c.SignCert(rand.Reader, ca); err != nil {
			t.Fatal(err)
		}
		return c
	}
	good := certificate(nil)
	trust := line("@cert-authority *.corp.example.com", ca.PublicKey())
	one, two := hashed(t, line("db7.corp.example.com", key)), hashed(t, line("db7.corp.example.com,10.0.0.7", key))
	port := hashed(t, line("[db7]:2222", key))

	for _, tt := range []struct {
		name  string
		files string
		key   ssh.PublicKey
		try   Candidates
		want  Host
	}{
		{"no file", "", key, Candidates{}, Host{Open: true}},
		{"another key", line("db7", other.PublicKey()), key, Candidates{Typed: []string{"db7"}}, Host{Open: true}},
		{"one name", line("db7", key), key, Candidates{}, Host{Names: []string{"db7"}}},
		{"names in a list, and lines", line("DB7,10.0.0.7", key) + line("[db7]:2222", key), key, Candidates{}, Host{Names: []string{"db7", "10.0.0.7", "[db7]:2222"}}},
		{"an exception takes a name away", line("db7,db8,!db7", key), key, Candidates{Typed: []string{"db7"}}, Host{Names: []string{"db8"}}},
		{"wildcard", line("*.corp.example.com", key), key, Candidates{}, Host{Wild: []string{"*.corp.example.com"}, Open: true}},
		{"wildcard, and what was typed", line("*.corp.example.com", key), key, Candidates{Typed: []string{"db7.corp.example.com"}}, Host{Names: []string{"db7.corp.example.com"}}},
		{"typed with a port, known without", line("db7", key), key, Candidates{Typed: []string{"[db7]:2222"}}, Host{Names: []string{"db7", "[db7]:2222"}}},
		{"comment and blank line", "# " + line("db7", key) + "\n", key, Candidates{}, Host{Open: true}},

		{"hashed", one, key, Candidates{}, Host{Open: true}},
		{"hashed, typed", one, key, Candidates{Typed: []string{"db7.corp.example.com"}}, Host{Names: []string{"db7.corp.example.com"}}},
		{"hashed, typed another name", one, key, Candidates{Typed: []string{"db8.corp.example.com"}}, Host{Open: true}},
		{"hashed, found by another candidate", one, key, Candidates{Others: []string{"db8", "db7.corp.example.com"}}, Host{Names: []string{"db7.corp.example.com"}}},
		{"hashed twice, one found", two, key, Candidates{Others: []string{"10.0.0.7"}}, Host{Names: []string{"10.0.0.7"}, Open: true}},
		{"hashed twice, one typed", two, key, Candidates{Typed: []string{"10.0.0.7"}}, Host{Names: []string{"10.0.0.7"}}},
		{"hashed with a port", port, key, Candidates{Typed: []string{"db7"}, Others: []string{"[db7]:2222"}}, Host{Names: []string{"[db7]:2222"}}},

		{"certificate of an authority for its names", trust, good, Candidates{}, Host{Names: []string{"db7.corp.example.com"}}},
		{"certificate of an authority for other names", line("@cert-authority *.example.org", ca.PublicKey()), good, Candidates{}, Host{Open: true}},
		{"certificate of an unknown authority", line("@cert-authority *", other.PublicKey()), good, Candidates{Typed: []string{"db7"}}, Host{Open: true}},
		{"the authority's key as a host's", line("*", ca.PublicKey()), good, Candidates{Typed: []string{"db7"}}, Host{Open: true}},
		{"a host's key as an authority's", line("@cert-authority *", key), key, Candidates{Typed: []string{"db7"}}, Host{Open: true}},
		{"certificate, known by its plain key", line("bastion", key), good, Candidates{}, Host{Names: []string{"bastion"}}},
		{"user certificate", trust, certificate(func(c *ssh.Certificate) { c.CertType = ssh.UserCert }), Candidates{}, Host{Open: true}},
		{"expired certificate", trust, certificate(func(c *ssh.Certificate) { c.ValidBefore = uint64(now.Unix()) }), Candidates{}, Host{Open: true}},
		{"certificate of tomorrow", trust, certificate(func(c *ssh.Certificate) { c.ValidAfter = uint64(now.Unix()) + 60 }), Candidates{}, Host{Open: true}},
		{"certificate with a critical option", trust, certificate(func(c *ssh.Certificate) { c.CriticalOptions = map[string]string{"x": ""} }), Candidates{}, Host{Open: true}},
		{"certificate without principals", trust, certificate(func(c *ssh.Certificate) { c.ValidPrincipals = nil }), Candidates{Typed: []string{"db7.corp.example.com"}}, Host{Open: true}},
		{"principal with a wildcard", trust, certificate(func(c *ssh.Certificate) { c.ValidPrincipals = []string{"*.corp.example.com"} }), Candidates{}, Host{Open: true}},
		{
			"principal with a wildcard, and what was typed", trust, certificate(func(c *ssh.Certificate) { c.ValidPrincipals = []string{"*.corp.example.com"} }),
			Candidates{Typed: []string{"db7.corp.example.com"}},
			Host{Names: []string{"db7.corp.example.com"}},
		},
		{"typed, but no principal", trust, good, Candidates{Typed: []string{"db8.corp.example.com"}}, Host{Names: []string{"db7.corp.example.com"}}},

		{"revoked", line("db7", key) + line("@revoked *", key), key, Candidates{}, Host{Revoked: true}},
		{"revoked key in a certificate", trust + line("@revoked *", key), good, Candidates{}, Host{Revoked: true}},
		{"revoked authority", trust + line("@revoked *", ca.PublicKey()), good, Candidates{}, Host{Revoked: true}},
		{"revoked key of another", line("db7", key) + line("@revoked *", other.PublicKey()), key, Candidates{}, Host{Names: []string{"db7"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := read(t, tt.files).Lookup(tt.key, now, tt.try)
			if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

// TestReadAnew: what ssh writes is seen at the next look, and what was learned of
// hashed names stays.
func TestReadAnew(t *testing.T) {
	host, later := newSigner(t).PublicKey(), newSigner(t).PublicKey()
	path := filepath.Join(t.TempDir(), "known_hosts")
	f := &Files{Paths: []string{path}}
	none := f.Read()
	if again := f.Read(); again != none {
		t.Error("read twice though nothing changed")
	}
	first := hashed(t, line("db7", host))
	write(t, path, first)
	if got := f.Read().Lookup(host, time.Now(), Candidates{}); !got.Open || got.Names != nil {
		t.Fatalf("without a candidate: %+v", got)
	}
	f.Read().Lookup(host, time.Now(), Candidates{Typed: []string{"db7"}})
	write(t, path, first+line("db8", later))
	hosts := f.Read()
	for want, key := range map[string]ssh.PublicKey{"db7": host, "db8": later} {
		if got := hosts.Lookup(key, time.Now(), Candidates{}); !slices.Equal(got.Names, []string{want}) || got.Open {
			t.Errorf("%s: %+v", want, got)
		}
	}
}

func TestMalformedLines(t *testing.T) {
	key := newSigner(t).PublicKey()
	encoded := strings.Fields(line("x", key))[2]
	var log bytes.Buffer
	path := filepath.Join(t.TempDir(), "known_hosts")
	f := &Files{Paths: []string{path}, Log: slog.New(slog.NewTextHandler(&log, nil))}
	for _, bad := range []string{
		"db6", "db6 ssh-ed25519", "db6 ssh-ed25519 AAAA!", "db6 ssh-ed25519 AAAA", "db6 ssh-rsa " + encoded,
		"db6 1024 65537 1234567890", "@nobody db6 ssh-ed25519 " + encoded, "@revoked db6 ssh-ed25519",
		"|2|AAAA|AAAA ssh-ed25519 " + encoded, "|1|AAAA|AAAA ssh-ed25519 " + encoded, "|1|AAAA ssh-ed25519 " + encoded, "\x00\xff",
	} {
		log.Reset()
		write(t, path, bad+"\n"+line("db7", key))
		for range 2 {
			if got := f.Read().Lookup(key, time.Now(), Candidates{}); !slices.Equal(got.Names, []string{"db7"}) || got.Open {
				t.Errorf("after %q: %+v", bad, got)
			}
		}
		if n := strings.Count(log.String(), "line 1: "); n > 1 {
			t.Errorf("%q is logged %d times", bad, n)
		}
	}
	f = &Files{Paths: []string{path}, Log: f.Log}
	log.Reset()
	for i := range 3 {
		write(t, path, "nonsense\n"+strings.Repeat(line("db7", key), i+1))
		f.Read()
	}
	if n := strings.Count(log.String(), "line 1: it has no host, type and key"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, log.String())
	}
}

func TestFilesThatCountForNothing(t *testing.T) {
	key := newSigner(t).PublicKey()
	good := filepath.Join(t.TempDir(), "good")
	write(t, good, line("db8", key))
	for name, spoil := range map[string]func(path string) error{
		"others can write it": func(path string) error { return os.Chmod(path, 0o666) },
		"too large":           func(path string) error { return os.Truncate(path, 4<<20+1) },
		"a folder":            func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			path := filepath.Join(t.TempDir(), "known_hosts")
			write(t, path, line("db7", key))
			f := &Files{Paths: []string{path, good}, Log: slog.New(slog.NewTextHandler(&log, nil))}
			if got := f.Read().Lookup(key, time.Now(), Candidates{}); !slices.Equal(got.Names, []string{"db7", "db8"}) {
				t.Fatalf("before: %+v", got)
			}
			if err := spoil(path); err != nil {
				t.Fatal(err)
			}
			f.last.Store(nil) // a chmod alone is nothing that ssh does
			if got := f.Read().Lookup(key, time.Now(), Candidates{}); !slices.Equal(got.Names, []string{"db8"}) {
				t.Errorf("after: %+v", got)
			}
			if !strings.Contains(log.String(), path) {
				t.Errorf("the log does not name it: %s", log.String())
			}
		})
	}
}

// TestAsSSHKeygen asks ssh-keygen -F which lines a name finds.
func TestAsSSHKeygen(t *testing.T) {
	var text string
	for _, hosts := range []string{
		"db7", "DB8,10.0.0.8", "[db7]:2222", "*.corp.example.com,!secret.corp.example.com", "db?", "[*.corp.example.com]:2222",
		"2001:db8::1", "[2001:db8::1]:2222", "*", "!db7", "a*b*c", "@cert-authority *.example.org", "@revoked *.example.net",
	} {
		text += line(hosts, newSigner(t).PublicKey())
	}
	text += hashed(t, line("hidden,10.9.8.7", newSigner(t).PublicKey())+line("[hidden]:2222", newSigner(t).PublicKey()))
	path := filepath.Join(t.TempDir(), "known_hosts")
	write(t, path, text)
	h := (&Files{Paths: []string{path}}).Read()
	for _, name := range []string{
		"db7", "db8", "10.0.0.8", "[db7]:2222", "[db7]:22", "x.corp.example.com", "secret.corp.example.com", "[x.corp.example.com]:2222",
		"2001:db8::1", "[2001:db8::1]:2222", "abc", "a1b2c", "a1b2", "hidden", "10.9.8.7", "[hidden]:2222", "x.example.org", "x.example.net", "nobody",
	} {
		out, err := exec.Command("ssh-keygen", "-F", name, "-f", path).Output()
		if err != nil {
			var exit *exec.ExitError
			if !errors.As(err, &exit) {
				t.Fatal(err)
			}
		}
		for _, e := range h.entries {
			theirs := regexp.MustCompile(fmt.Sprintf(`found: line %d\b`, e.line)).Match(out)
			if ours := e.is(name); ours != theirs {
				t.Errorf("%s, line %d (%s): we say %v, ssh-keygen %v", name, e.line, e.hosts, ours, theirs)
			}
		}
	}
}

func FuzzKnownHosts(f *testing.F) {
	host := newSigner(f).PublicKey()
	encoded := strings.TrimPrefix(line("", host), " ")
	for _, hosts := range []string{
		"db7", "db7,!db8,*.corp", "@revoked *", "@cert-authority *.corp.example.com", "[db7]:2222", "# db7", "@x y", "",
		"|1|bGlicmFyeSBvZiBzYWx0IDIwYg==|bGlicmFyeSBvZiBzYWx0IDIwYg==", "|1||", "|", "[", "[]:", ",,!", "***",
	} {
		f.Add(hosts+" "+encoded, "db7.corp.example.com")
	}
	f.Add(strings.Repeat("a", 5000), "[db7]:2222")
	path := filepath.Join(f.TempDir(), "known_hosts")
	f.Fuzz(func(t *testing.T, text, name string) {
		write(t, path, text)
		h := (&Files{Paths: []string{path}}).Read()
		got := h.Lookup(host, time.Now(), Candidates{Typed: []string{name}})
		if got.Revoked && (got.Names != nil || got.Wild != nil) {
			t.Errorf("revoked, and known as %q", got.Names)
		}
		if len(got.Names) > 0 && len(h.byKey[string(host.Marshal())]) == 0 {
			t.Errorf("no line has the key, and it is known as %q", got.Names)
		}
		for _, k := range h.Keys(name) {
			if k.Line < 1 || k.Blob == "" {
				t.Errorf("key %+v", k)
			}
		}
	})
}
