//go:build unix

package ownfile

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestModes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for _, c := range []struct {
		mode            fs.FileMode
		secret, trusted string // part of the error, or empty
	}{
		{0o600, "", ""},
		{0o400, "", ""},
		{0o644, "others can read", ""},
		{0o604, "others can read", ""},
		{0o620, "others can read", "others can write"},
		{0o602, "others can read", "others can write"},
	} {
		if err := Write(path, []byte("x"), c.mode); err != nil {
			t.Fatal(err)
		}
		for name, got := range map[string]struct {
			read func(string) ([]byte, error)
			want string
		}{"secret": {ReadSecret, c.secret}, "trusted": {ReadTrusted, c.trusted}} {
			b, err := got.read(path)
			switch {
			case got.want == "" && (err != nil || string(b) != "x"):
				t.Errorf("%04o as %s: %v", c.mode, name, err)
			case got.want != "" && (err == nil || !strings.Contains(err.Error(), got.want)):
				t.Errorf("%04o as %s: got %v, want %q", c.mode, name, err, got.want)
			}
		}
	}
}

func TestForeignOwner(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("giving a file to another user needs root")
	}
	path := filepath.Join(t.TempDir(), "f")
	if err := Write(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	for _, read := range []func(string) ([]byte, error){ReadSecret, ReadTrusted} {
		if _, err := read(path); err == nil || !strings.Contains(err.Error(), "belongs to user 12345") {
			t.Errorf("file of another user: %v", err)
		}
	}
}

func TestOddFiles(t *testing.T) {
	dir := t.TempDir()
	if _, err := ReadTrusted(dir); err == nil {
		t.Error("read a directory")
	}
	big := filepath.Join(dir, "big")
	if err := Write(big, make([]byte, maxSize+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadPublic(big); err == nil || !strings.Contains(err.Error(), "larger") {
		t.Errorf("read a file over the limit: %v", err)
	}
}

// A pipe is refused at once, even if nobody ever writes into it.
func TestPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := ReadSecret(path)
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("read a pipe: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("waits for somebody to write into the pipe")
	}
}

func TestCreateAndWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := Create(path, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Create(path, []byte("two"), 0o600); err == nil {
		t.Error("Create replaced a file")
	}
	if err := Write(path, []byte("three"), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := ReadSecret(path); err != nil || string(b) != "three" {
		t.Errorf("after Write: %q, %v", b, err)
	}
	if err := Write(filepath.Join(dir, "none", "f"), nil, 0o600); err == nil {
		t.Error("wrote into a folder that does not exist")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
