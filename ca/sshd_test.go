package ca

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

func sshdConfig(t *testing.T, dir, sshdDir string) string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteSSHDConfig(&b, dir, sshdDir); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// A login is a real ssh that talks to a real sshd over a pipe.
type login struct {
	config, key, cert, known string
}

// newLogin writes sshd's configuration, and a key with its certificate.
func newLogin(t *testing.T, c *testCA, fragment string) (*login, *ssh.Certificate) {
	t.Helper()
	program(t, "ssh")
	dir := t.TempDir()
	l := &login{filepath.Join(dir, "sshd_config"), filepath.Join(dir, "id"), filepath.Join(dir, "id-cert.pub"), filepath.Join(dir, "known_hosts")}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	m, err := mintLocally(t, c, &Request{Chain: c.alice(t).Chain, PublicKey: key, Vouched: true, Source: "local"})
	if err != nil {
		t.Fatal(err)
	}
	if err := writeSSHKey(filepath.Join(dir, "host_key"), ""); err != nil {
		t.Fatal(err)
	}
	hostKey, err := os.ReadFile(filepath.Join(dir, "host_key.pub"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		l.known: append([]byte("host "), hostKey...),
		l.key:   pem.EncodeToMemory(block),
		l.cert:  ssh.MarshalAuthorizedKey(m.Certificate),
		l.config: []byte(fragment + "\nHostKey " + filepath.Join(dir, "host_key") +
			"\nAuthorizedKeysFile none\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nStrictModes no\nPidFile none\n"),
	} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if os.Getuid() == 0 {
		// The empty folder that sshd runs its unprivileged part in.
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return l, m.Certificate
}

// try logs in to our own account and runs id -un there.
func (l *login) try(t *testing.T) (string, error) {
	t.Helper()
	sshd := program(t, "sshd")
	cmd := exec.Command("ssh", "-F", "none", "-i", l.key,
		"-o", "CertificateFile="+l.cert, "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "BatchMode=yes",
		"-o", "PreferredAuthentications=publickey", "-o", "UserKnownHostsFile="+l.known, "-o", "GlobalKnownHostsFile=none",
		"-o", "LogLevel=ERROR",
		"-o", "ProxyCommand="+sshd+" -i -e -f "+l.config, me(t)+"@host", "id", "-un")
	cmd.Env = append(os.Environ(), "SHELL=/bin/sh")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func me(t *testing.T) string {
	t.Helper()
	u, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return u.Username
}

func TestSSHDConfigLogsIn(t *testing.T) {
	program(t, "sshd")
	program(t, "ssh-keygen")
	c := newTestCA(t, staffRules)
	fragment := sshdConfig(t, c.dir, "")
	l, cert := newLogin(t, c, fragment)
	c.write(t, filepath.Join(filePrincipals, me(t)), "dba\nops\n")
	if out, err := l.try(t); err != nil || !strings.Contains(out, me(t)+"\n") {
		t.Fatalf("%v: %s", err, out)
	}

	c.write(t, filepath.Join(filePrincipals, me(t)), "dba\nbob\n")
	if out, err := l.try(t); err == nil {
		t.Errorf("no principal of the certificate is in the file, and yet: %s", out)
	}
	c.write(t, filepath.Join(filePrincipals, me(t)), "alice\n")
	if out, err := l.try(t); err != nil {
		t.Fatalf("%v: %s", err, out)
	}

	krl := filepath.Join(c.dir, fileKRL)
	spec := filepath.Join(t.TempDir(), "spec")
	if err := os.WriteFile(spec, []byte("serial: "+strconv.FormatUint(cert.Serial, 10)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	keygen(t, "-q", "-k", "-u", "-f", krl, "-s", filepath.Join(c.dir, fileUserCA+".pub"), spec)
	if out, err := l.try(t); err == nil {
		t.Errorf("revoked, and yet: %s", out)
	}
	// Why the empty list is made: without the file every key is refused.
	if err := os.Remove(krl); err != nil {
		t.Fatal(err)
	}
	if out, err := l.try(t); err == nil {
		t.Errorf("no list, and yet: %s", out)
	}
	if again := sshdConfig(t, c.dir, ""); again != fragment {
		t.Errorf("printed again it is another:\n%s", again)
	}
	if out, err := l.try(t); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// Every output is a configuration that sshd takes, whatever the folder's name.
func TestSSHDConfigIsValid(t *testing.T) {
	sshd := program(t, "sshd")
	if os.Getuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"ca", "my ca", "50%", "it's", "#1"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), name)
			if _, err := Init(dir, []string{"localhost"}); err != nil {
				t.Fatal(err)
			}
			for _, at := range []string{"", "/etc/ssh/sshmint", "/etc/ssh/" + name} {
				config := filepath.Join(dir, "sshd_config")
				text := sshdConfig(t, dir, at) + "HostKey \"" + filepath.Join(dir, fileHostCA) + "\"\n"
				if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				out, err := exec.Command(sshd, "-T", "-f", config).CombinedOutput()
				if err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				where := at
				if at == "" {
					where = dir
				}
				for _, want := range []string{
					"trustedusercakeys " + where + "/user_ca.pub\n",
					"authorizedprincipalsfile " + strings.ReplaceAll(where, "%", "%%") + "/principals/%u\n",
					"revokedkeys " + where + "/revoked.krl\n",
				} {
					if !strings.Contains(string(out), want) {
						t.Errorf("sshd does not read %q from\n%s", want, text)
					}
				}
			}
		})
	}
}

func TestSSHDConfigRefuses(t *testing.T) {
	c := newTestCA(t, "")
	for _, row := range []struct{ name, dir, at, says string }{
		{"no CA", t.TempDir(), "", "reading an SSH CA key"},
		{"a relative folder", c.dir, "etc/ssh", "absolute"},
		{"a quote", c.dir, `/etc/"ssh`, "absolute"},
		{"a newline", c.dir, "/etc/ssh\nPermitRootLogin yes", "absolute"},
	} {
		var b bytes.Buffer
		if err := WriteSSHDConfig(&b, row.dir, row.at); err == nil || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: %v", row.name, err)
		}
		if b.Len() > 0 {
			t.Errorf("%s: printed all the same: %s", row.name, b.String())
		}
	}
}

func TestUnreachableFoldersAreNamed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "closed", "ca")
	if err := os.Mkdir(filepath.Dir(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Init(dir, []string{"localhost"}); err != nil {
		t.Fatal(err)
	}
	note := "# Note: " + filepath.Dir(dir) + " is closed to other users"
	if got := sshdConfig(t, dir, ""); !strings.Contains(got, note) {
		t.Errorf("no %q in\n%s", note, got)
	}
	if got := sshdConfig(t, dir, "/etc/ssh/sshmint"); strings.Contains(got, "# Note:") {
		t.Errorf("a note about folders that do not matter:\n%s", got)
	}
}
