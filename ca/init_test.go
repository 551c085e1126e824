package ca

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestInit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ca")
	fingerprint, err := Init(dir, []string{"ca.example.com", "2001:db8::1"})
	if err != nil {
		t.Fatal(err)
	}
	modes := map[string]os.FileMode{
		ConfigFile: 0o600, fileTLSRoot: 0o644, fileTLSRootKey: 0o600, fileUserCA: 0o600, fileUserCA + ".pub": 0o644,
		fileHostCA: 0o600, fileHostCA + ".pub": 0o644, fileKRL: 0o644, fileAudit: 0o600,
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if want, ok := modes[e.Name()]; !ok || runtime.GOOS != "windows" && info.Mode() != want {
			t.Errorf("%s has mode %s, want %s (expected: %v)", e.Name(), info.Mode(), want, ok)
		}
		delete(modes, e.Name())
	}
	if len(modes) > 0 {
		t.Errorf("missing: %v", modes)
	}
	summary, err := Check(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if summary.Fingerprint != fingerprint || !strings.HasPrefix(fingerprint, "SHA256:") || len(fingerprint) != len("SHA256:")+43 {
		t.Errorf("fingerprint %s, want %s", summary.Fingerprint, fingerprint)
	}
	if got := strings.Join(summary.Hosts, " "); got != "ca.example.com 2001:db8::1" {
		t.Errorf("names %s", got)
	}
	if summary.UserCA == summary.HostCA {
		t.Error("one key for users and hosts")
	}
}

// The chain that the server sends satisfies a verifier that is not Go.
func TestServerChainByOpenSSL(t *testing.T) {
	openssl := program(t, "openssl")
	c := newTestCA(t, "")
	a, err := OpenAuthority(c.dir, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	id, err := openServerIdentity(c.dir, a.Config, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	leaf := filepath.Join(t.TempDir(), "leaf.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: id.current.Load().Certificate[0]}
	if err := os.WriteFile(leaf, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"localhost", "127.0.0.1"} {
		flag := "-verify_hostname"
		if name == "127.0.0.1" {
			flag = "-verify_ip"
		}
		out, err := exec.Command(openssl, "verify", "-x509_strict", "-purpose", "sslserver", flag, name,
			"-CAfile", filepath.Join(c.dir, fileTLSRoot), leaf).CombinedOutput()
		if err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}
	if cert := id.current.Load().Leaf; cert.IsCA || len(cert.ExtKeyUsage) != 1 || cert.ExtKeyUsage[0] != x509.ExtKeyUsageServerAuth {
		t.Error("the server's certificate is good for more than a server")
	}
}

func TestInitRefuses(t *testing.T) {
	parent := t.TempDir()
	used := filepath.Join(parent, "used")
	if _, err := Init(used, []string{"localhost"}); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(used, fileUserCA))
	if err != nil {
		t.Fatal(err)
	}
	full := filepath.Join(parent, "full")
	if err := os.Mkdir(full, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(full, "notes.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(full, "notes.txt")
	fresh := filepath.Join(parent, "fresh")
	for _, row := range []struct {
		name, dir string
		hosts     []string
		says      string
	}{
		{"a CA is there", used, []string{"localhost"}, "holds a CA already"},
		{"something is there", full, []string{"localhost"}, "not empty"},
		{"a file is there", file, []string{"localhost"}, "not a directory"},
		{"no folder above", filepath.Join(parent, "no", "ca"), []string{"localhost"}, "no such file"},
		{"no host", fresh, nil, "needs a name"},
		{"a URL", fresh, []string{"https://ca.example.com"}, "neither a DNS name"},
		{"a port", fresh, []string{"ca.example.com:8443"}, "neither a DNS name"},
		{"empty", fresh, []string{""}, "neither a DNS name"},
		{"a wildcard", fresh, []string{"*.example.com"}, "neither a DNS name"},
		{"a quote", fresh, []string{"a\"b"}, "neither a DNS name"},
		{"a newline", fresh, []string{"a\nlisten=1"}, "neither a DNS name"},
		{"a zone", fresh, []string{"fe80::1%eth0"}, "neither a DNS name"},
		{"the second one wrong", fresh, []string{"localhost", "-"}, "neither a DNS name"},
	} {
		if _, err := Init(row.dir, row.hosts); err == nil || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: %v", row.name, err)
		}
	}
	after, err := os.ReadFile(filepath.Join(used, fileUserCA))
	if err != nil || string(after) != string(before) {
		t.Error("the CA that was there is changed")
	}
	left, err := os.ReadDir(parent)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 2 {
		t.Errorf("left behind: %v", left)
	}
}

// The folder may be the one that we are in, or a mount point: it must stay the
// same folder.
func TestInitTakesAnEmptyFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	if _, err := Init(".", []string{"localhost"}); err != nil {
		t.Fatal(err)
	}
	if _, err := Check(dir, slog.New(slog.DiscardHandler)); err != nil {
		t.Error(err)
	}
	after, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(before, after) || runtime.GOOS != "windows" && after.Mode().Perm() != folderMode {
		t.Errorf("another folder, or with mode %s", after.Mode())
	}
}

// What cannot be finished is taken away again.
func TestInitLeavesAnEmptyFolderEmpty(t *testing.T) {
	dir := t.TempDir()
	if _, err := fillEmpty(dir, []string{"localhost"}); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, fileTLSRoot)); err != nil {
		t.Fatal(err)
	}
	if _, err := fillEmpty(dir, []string{"localhost"}); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("files in the way: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// The sample in ca.toml is one that works when it is uncommented.
func TestSampleConfigurationWorks(t *testing.T) {
	c := newTestCA(t, "")
	text := strings.Replace(configTemplate, "@HOSTS@", `"localhost"`, 1)
	_, sample, found := strings.Cut(text, "# ---- whom it trusts")
	if !found {
		t.Fatal("no sample")
	}
	var b strings.Builder
	for line := range strings.Lines(text[:len(text)-len(sample)] + sample) {
		uncommented, ok := strings.CutPrefix(line, "# ")
		if ok && (strings.HasPrefix(uncommented, "[") || strings.Contains(uncommented, " = ")) && !strings.Contains(uncommented, "@corp.example.com = ") && !strings.HasPrefix(uncommented, "tls_") {
			line = uncommented
		}
		b.WriteString(line)
	}
	c.write(t, ConfigFile, b.String())
	c.write(t, "roles.txt", "alice@corp.example.com = admin, dba\n")
	summary, err := Check(c.dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("%v in\n%s", err, b.String())
	}
	if summary.Trusts != 1 || summary.Rules != 1 || summary.Tables != 1 {
		t.Errorf("%+v", summary)
	}
}

func TestOpenAuthorityRefuses(t *testing.T) {
	for _, row := range []struct {
		name  string
		spoil func(t *testing.T, c *testCA)
		says  string
	}{
		{"user CA key readable by others", func(t *testing.T, c *testCA) {
			if err := os.Chmod(filepath.Join(c.dir, fileUserCA), 0o644); err != nil {
				t.Fatal(err)
			}
		}, "chmod 600"},
		{"user CA key missing", func(t *testing.T, c *testCA) {
			if err := os.Remove(filepath.Join(c.dir, fileUserCA)); err != nil {
				t.Fatal(err)
			}
		}, fileUserCA},
		{"user CA key is garbage", func(t *testing.T, c *testCA) { c.write(t, fileUserCA, "garbage") }, fileUserCA},
		{"user CA key with a passphrase", func(t *testing.T, c *testCA) {
			keygen(t, "-q", "-p", "-P", "", "-N", "secret", "-f", filepath.Join(c.dir, fileUserCA))
		}, "passphrase"},
		{"user CA key too weak", func(t *testing.T, c *testCA) {
			if err := os.Remove(filepath.Join(c.dir, fileUserCA)); err != nil {
				t.Fatal(err)
			}
			keygen(t, "-q", "-t", "rsa", "-b", "1024", "-N", "", "-f", filepath.Join(c.dir, fileUserCA))
		}, "1024 bits"},
		{"one key for both", func(t *testing.T, c *testCA) {
			c.write(t, fileUserCA, c.read(t, fileHostCA))
		}, "same key"},
		{"user CA key replaced, but not what servers get", func(t *testing.T, c *testCA) {
			c.write(t, fileUserCA, newTestCA(t, "").read(t, fileUserCA))
		}, "user_ca.pub is not the public key of"},
		{"host CA key missing", func(t *testing.T, c *testCA) {
			if err := os.Remove(filepath.Join(c.dir, fileHostCA+".pub")); err != nil {
				t.Fatal(err)
			}
		}, fileHostCA},
		{"no hosts", func(t *testing.T, c *testCA) { c.write(t, ConfigFile, "") }, "hosts"},
		{"a host that is none", func(t *testing.T, c *testCA) { c.write(t, ConfigFile, "hosts = [\"https://x\"]") }, "neither a DNS name"},
		{"TLS root missing", func(t *testing.T, c *testCA) {
			if err := os.Remove(filepath.Join(c.dir, fileTLSRoot)); err != nil {
				t.Fatal(err)
			}
		}, fileTLSRoot},
		{"TLS root of another key", func(t *testing.T, c *testCA) {
			c.write(t, fileTLSRootKey, newTestCA(t, "").read(t, fileTLSRootKey))
		}, "private key does not match"},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := newTestCA(t, staffRules)
			row.spoil(t, c)
			if _, err := Check(c.dir, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), row.says) {
				t.Errorf("%v", err)
			}
		})
	}
}

// keygen runs ssh-keygen.
func keygen(t testing.TB, args ...string) string {
	t.Helper()
	out, err := exec.Command(program(t, "ssh-keygen"), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("ssh-keygen %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}
