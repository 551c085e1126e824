package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

const good = `
[profile.corp]
identity = "file:alice.pem"
[profile.corp.ca]
urls = ["https://ca.example.com:8443/"]
root = "corp-root.pem"
user_ca = ["SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"]
`

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaults(t *testing.T) {
	path := write(t, good)
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	p := c.Profiles[0]
	if p.Name != "corp" || p.Key != "ed25519" || p.Confirm != "never" || c.SSHSIG != nil || p.CA.MinTLS != "1.3" || p.Validity != 0 || p.Dir() != filepath.Dir(path) {
		t.Errorf("%+v", p)
	}
	if want := filepath.Join(filepath.Dir(path), "corp-root.pem"); p.CA.Root != want {
		t.Errorf("root %s, want %s", p.CA.Root, want)
	}
	if p.CA.URLs[0] != "https://ca.example.com:8443" {
		t.Errorf("URL %s", p.CA.URLs[0])
	}
}

func TestEverySetting(t *testing.T) {
	path := write(t, `
[agent]
socket = "a.sock"
sshsig = ["git", "file"]
unknown = "hide"
[profile.z]
identity = "file:b.pem"
chain = "chain.pem"
principals = ["alice", "dba"]
validity = "90m"
key = "ecdsa"
forward = "confirm"
confirm = "connection"
hosts = ["*.corp.example.com", "!old.corp.example.com", "[db7]:2222"]
socket = "z.sock"
export = "z-cert.pub"
[profile.z.ca]
type = "sshmint"
urls = ["https://a", "https://b"]
min_tls = "1.2"
user_ca = ["SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"]
`+good)
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(path)
	want := &Config{
		Files: []string{path}, Socket: filepath.Join(dir, "a.sock"), SSHSIG: []string{"git", "file"}, Unknown: "hide",
		Profiles: []Profile{{
			Name: "z", File: path, Identity: "file:b.pem", Chain: filepath.Join(dir, "chain.pem"),
			Principals: []string{"alice", "dba"}, Validity: 90 * time.Minute, Key: "ecdsa", Confirm: "connection",
			CA: CA{
				URLs: []string{"https://a", "https://b"}, MinTLS: "1.2",
				UserCA: []string{"SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"},
			},
			Use: Use{
				Hosts: []string{"*.corp.example.com", "!old.corp.example.com", "[db7]:2222"}, Forward: "confirm",
				Socket: filepath.Join(dir, "z.sock"), Export: filepath.Join(dir, "z-cert.pub"),
			},
		}, c.Profiles[1]},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
	if c.Profiles[1].Name != "corp" {
		t.Error("the order of the file is lost")
	}
}

func TestWrong(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"typo":             {"identity =", "identiy =", "profile.corp.identiy: there is no such key"},
		"no identity":      {`identity = "file:alice.pem"`, "", ":2: profile.corp.identity: it is missing"},
		"not enforced":     {"identity =", "pin_ttl = '1h'\nidentity =", ":3: profile.corp.pin_ttl: this version of sshmint does not support it"},
		"agent table":      {"[profile.corp]", "[agent]\nadd = 'both'\n[profile.corp]", `:3: agent.add: "both" is neither`},
		"forward":          {"identity =", "forward = 'yes'\nidentity =", `:3: profile.corp.forward: "yes" is neither "deny", "confirm" nor "allow"`},
		"unknown":          {"[profile.corp]", "[agent]\nunknown = 'ask'\n[profile.corp]", `:3: agent.unknown: "ask" is neither "offer" nor "hide"`},
		"host":             {"identity =", "hosts = ['db7', 'db8:22']\nidentity =", `:3: profile.corp.hosts: "db8:22" is no pattern for hosts`},
		"hosts excepted":   {"identity =", "hosts = ['!db7']\nidentity =", `:3: profile.corp.hosts: patterns with "!" alone`},
		"no hosts":         {"identity =", "hosts = []\nidentity =", ":3: profile.corp.hosts: it is empty"},
		"socket at home":   {"identity =", "socket = '~/s'\nidentity =", ":3: profile.corp.socket: \"~/s\": write the path out"},
		"export at home":   {"identity =", "export = '~/s'\nidentity =", ":3: profile.corp.export: \"~/s\": write the path out"},
		"agent's socket":   {"[profile.corp]", "[agent]\nsocket = 'x'\n[profile.corp]\nsocket = 'x'", "is agent.socket already"},
		"confirm":          {"identity =", "confirm = 'always'\nidentity =", `:3: profile.corp.confirm: "always" is neither "never", "connection" nor "sign"`},
		"proof namespace":  {"[profile.corp]", "[agent]\nsshsig = ['git', 'proof@sshmint']\n[profile.corp]", ":3: agent.sshsig: the namespace proof@sshmint is for proofs to a CA"},
		"empty namespace":  {"[profile.corp]", "[agent]\nsshsig = ['']\n[profile.corp]", ":3: agent.sshsig: an SSHSIG namespace is not empty"},
		"odd namespace":    {"[profile.corp]", "[agent]\nsshsig = [\"a\\nb\"]\n[profile.corp]", `:3: agent.sshsig: the namespace "a\nb" is not printable`},
		"key":              {"identity =", "key = 'x509'\nidentity =", `profile.corp.key: "x509" is neither`},
		"validity":         {"identity =", "validity = '8 hours'\nidentity =", `:3: profile.corp.validity`},
		"principal":        {"identity =", "principals = ['a,b']\nidentity =", `profile.corp.principals: "a,b" is no principal`},
		"empty key":        {"identity =", "key = ''\nidentity =", `profile.corp.key: "" is neither`},
		"empty forward":    {"identity =", "forward = ''\nidentity =", `profile.corp.forward: "" is`},
		"empty confirm":    {"identity =", "confirm = ''\nidentity =", `profile.corp.confirm: "" is`},
		"empty min_tls":    {"urls =", "min_tls = ''\nurls =", `profile.corp.ca.min_tls: ""`},
		"empty unknown":    {"[profile.corp]", "[agent]\nunknown = ''\n[profile.corp]", `agent.unknown: "" is`},
		"empty add":        {"[profile.corp]", "[agent]\nadd = ''\n[profile.corp]", `agent.add: "" is`},
		"no host":          {"https://ca.example.com:8443", "https://:8443", "is no URL"},
		"type":             {"urls =", "type = 'step'\nurls =", `:5: profile.corp.ca.type: "step" is not "sshmint"`},
		"min_tls":          {"urls =", "min_tls = '1.1'\nurls =", `profile.corp.ca.min_tls: "1.1"`},
		"http":             {"https://ca", "http://ca", "does not begin with https://"},
		"credentials":      {"https://ca", "https://u:p@ca", "carries more than host, port and path"},
		"no URLs":          {`urls = ["https://ca.example.com:8443/"]`, "", "profile.corp.ca.urls: it is missing"},
		"no user CA":       {"user_ca", "#", "profile.corp.ca.user_ca: it is missing"},
		"user CA":          {"SHA256:47D", "SHA256:7D", "is no fingerprint"},
		"name":             {"profile.corp", "profile.'a b'", `"a b" is no name for a profile`},
		"not TOML":         {"[profile.corp]", "[profile.corp", ":2:"},
		"step key":         {"urls =", "provisioner = 'x'\nurls =", "profile.corp.ca.provisioner: this version"},
		"profile is value": {good, "profile = 3", "profile"},
	} {
		text := strings.ReplaceAll(good, c.old, c.new)
		if _, err := Load(write(t, text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func TestMissing(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	if _, err := os.Stat("/etc/sshmint/config.toml"); err == nil {
		t.Skip("this computer has a configuration for all")
	}
	c, err := Load("")
	if err != nil || len(c.Profiles) != 0 || len(c.Files) != 0 {
		t.Errorf("no file at all: %+v, %v", c, err)
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none.toml")); err == nil {
		t.Error("a file that was named but does not exist was passed over")
	}
}

func TestLaterFileReplacesProfiles(t *testing.T) {
	c := &Config{}
	if err := c.add("/etc/sshmint/config.toml", []byte("agent.socket = '/run/a'\n"+good+strings.ReplaceAll(good, "corp", "other"))); err != nil {
		t.Fatal(err)
	}
	if err := c.add("/home/alice/config.toml", []byte(strings.ReplaceAll(good, "alice", "bob"))); err != nil {
		t.Fatal(err)
	}
	if len(c.Profiles) != 2 || c.Profiles[0].Name != "other" || c.Profiles[1].Identity != "file:bob.pem" || c.Socket != "/run/a" {
		t.Errorf("%+v", c)
	}
}

// TestPathsOfTheirOwn: what two profiles write or listen on is not the same.
func TestPathsOfTheirOwn(t *testing.T) {
	for key, want := range map[string]string{"socket": ".socket: /x is that of profile corp already", "export": ".export: /x is that of profile corp already"} {
		text := strings.ReplaceAll(good, "identity =", key+" = '/x'\nidentity =")
		c := &Config{}
		if err := c.add("/etc/sshmint/config.toml", []byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := c.add("/home/alice/config.toml", []byte(text)); err != nil {
			t.Errorf("%s of the profile that is replaced: %v", key, err)
		}
		if err := c.add("/home/alice/more.toml", []byte(strings.ReplaceAll(text, "corp", "two"))); err == nil || !strings.Contains(err.Error(), "/home/alice/more.toml:3: profile.two"+want) {
			t.Errorf("%s of another profile: %v", key, err)
		}
	}
}

func TestAdd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "config.toml")
	p := &Profile{
		Name: "corp", Identity: `file:/a b"c.pem`, Principals: []string{"alice"}, Validity: time.Hour,
		CA: CA{URLs: []string{"https://ca"}, Root: "/r.pem", UserCA: []string{"SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"}},
	}
	if err := Add(path, p); err != nil {
		t.Fatal(err)
	}
	second := *p
	second.Name = "two"
	if err := Add(path, &second); err != nil {
		t.Fatal(err)
	}
	if err := Add(path, p); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("added twice: %v", err)
	}
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Profiles) != 2 || c.Profiles[0].Identity != p.Identity || c.Profiles[1].Validity != time.Hour {
		t.Errorf("%+v", c.Profiles)
	}
	if text, err := os.ReadFile(path); err != nil || !strings.HasPrefix(string(text), "# sshmint's configuration") {
		t.Errorf("%v:\n%s", err, text)
	}
}

func TestAddKeepsWhatIsThereAndFollowsLinks(t *testing.T) {
	path := write(t, "# mine\n"+good)
	link := filepath.Join(t.TempDir(), "config.toml")
	if err := os.Symlink(path, link); err != nil {
		t.Skip(err)
	}
	p := &Profile{Name: "two", Identity: "file:b.pem", CA: CA{URLs: []string{"https://ca"}, UserCA: []string{"SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"}}}
	if err := Add(link, p); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v", err)
	}
	if text, err := os.ReadFile(path); err != nil || !strings.HasPrefix(string(text), "# mine\n"+good) {
		t.Errorf("what was there has changed: %v:\n%s", err, text)
	}
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("[[profile]]"))
	f.Add([]byte("profile.a.ca.urls = [1]"))
	f.Add([]byte("[profile.a]\n[profile.a]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := &Config{}
		if err := c.add("/f.toml", data); err != nil {
			if err.Error() == "" {
				t.Error("an error without words")
			}
			return
		}
		for _, p := range c.Profiles {
			if CheckName(p.Name) != nil || p.Identity == "" || len(p.CA.URLs) == 0 || len(p.CA.UserCA) == 0 {
				t.Errorf("accepted %+v", p)
			}
		}
	})
}
