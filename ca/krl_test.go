package ca

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// program finds a program that a test needs, or skips; where everything must
// be there, it fails.
func program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if name == "sshd" { // not in everybody's PATH
		if _, err := os.Stat("/usr/sbin/sshd"); err == nil {
			return "/usr/sbin/sshd"
		}
	}
	if os.Getenv("SSHMINT_REQUIRE_ALL") == "1" {
		t.Fatalf("there is no %s", name)
	}
	t.Skipf("there is no %s", name)
	return ""
}

func TestKRLIsOpenSSHs(t *testing.T) {
	keygen := program(t, "ssh-keygen")
	dir := t.TempDir()
	krl, key := filepath.Join(dir, "krl"), filepath.Join(dir, "key")
	if err := os.WriteFile(krl, EmptyKRL(time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writeSSHKey(key, "a key"); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(keygen, "-Q", "-f", krl, key+".pub").CombinedOutput()
	if err != nil || !strings.HasSuffix(strings.TrimSpace(string(out)), ": ok") {
		t.Errorf("%v: %s", err, out)
	}
	// ssh-keygen -k -u reads the list, adds to it, and then it revokes.
	if out, err := exec.Command(keygen, "-q", "-k", "-u", "-f", krl, key+".pub").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := exec.Command(keygen, "-Q", "-f", krl, key+".pub").CombinedOutput(); err == nil {
		t.Errorf("not revoked: %s", out)
	}
}
