//go:build unix

package agent

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func TestListen(t *testing.T) {
	dead := func(t *testing.T, path string) { // as an agent that was killed leaves it
		t.Helper()
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		l.SetUnlinkOnClose(false)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name    string
		prepare func(t *testing.T, dir string) (path string)
		fails   string // "" if it listens
	}{
		{"private directory", func(_ *testing.T, dir string) string { return filepath.Join(dir, "s") }, ""},
		{"missing directories", func(_ *testing.T, dir string) string { return filepath.Join(dir, "a", "b", "s") }, ""},
		{"dead socket", func(t *testing.T, dir string) string {
			dead(t, filepath.Join(dir, "s"))
			return filepath.Join(dir, "s")
		}, ""},
		{"longest path", func(_ *testing.T, dir string) string {
			limit := len(syscall.RawSockaddrUnix{}.Path) - 1
			return filepath.Join(dir, strings.Repeat("x", limit-len(dir)-1))
		}, ""},
		{"path too long", func(_ *testing.T, dir string) string {
			limit := len(syscall.RawSockaddrUnix{}.Path) - 1
			return filepath.Join(dir, strings.Repeat("x", limit-len(dir)))
		}, "choose a shorter one"},
		{"directory of others", func(t *testing.T, dir string) string {
			must(t, os.Chmod(dir, 0o750))
			return filepath.Join(dir, "s")
		}, "mode 0750"},
		{"directory that others can search", func(t *testing.T, dir string) string {
			must(t, os.Chmod(dir, 0o711))
			return filepath.Join(dir, "s")
		}, "mode 0711"},
		{"directory of another user", func(t *testing.T, dir string) string {
			if os.Getuid() != 0 {
				t.Skip("needs root")
			}
			must(t, os.Chown(dir, 65534, -1))
			return filepath.Join(dir, "s")
		}, "belongs to user 65534"},
		{"link to a directory", func(t *testing.T, dir string) string {
			must(t, os.Mkdir(filepath.Join(dir, "real"), 0o700))
			must(t, os.Symlink("real", filepath.Join(dir, "link")))
			return filepath.Join(dir, "link", "s")
		}, "not a directory itself"},
		{"file in the way", func(t *testing.T, dir string) string {
			must(t, os.WriteFile(filepath.Join(dir, "s"), []byte("precious"), 0o600))
			return filepath.Join(dir, "s")
		}, "is not a socket"},
		{"link in the way", func(t *testing.T, dir string) string {
			dead(t, filepath.Join(dir, "real"))
			must(t, os.Symlink("real", filepath.Join(dir, "s")))
			return filepath.Join(dir, "s")
		}, "is not a socket"},
		{"socket of another user", func(t *testing.T, dir string) string {
			if os.Getuid() != 0 {
				t.Skip("needs root")
			}
			dead(t, filepath.Join(dir, "s"))
			must(t, os.Lchown(filepath.Join(dir, "s"), 65534, -1))
			return filepath.Join(dir, "s")
		}, "belongs to user 65534"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := tt.prepare(t, socketDir(t))
			before, beforeErr := os.Lstat(path)
			l, err := Listen(path)
			if tt.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fails) || errors.Is(err, ErrInUse) {
					t.Fatalf("Listen() = %v, want %q", err, tt.fails)
				}
				if after, err := os.Lstat(path); beforeErr == nil && (err != nil || !os.SameFile(before, after)) {
					t.Errorf("what was in the way is gone: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
				info, err := os.Lstat(name)
				if err != nil || info.Mode().Perm() != want {
					t.Errorf("%s: mode %v, want %v; %v", name, info.Mode(), want, err)
				}
			}
			if l.Addr().String() != path {
				t.Errorf("Addr() = %s, want %s", l.Addr(), path)
			}
			if _, err := Listen(path); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), path) {
				t.Errorf("the second Listen() = %v", err)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			if err := l.Close(); err != nil {
				t.Errorf("the second Close() = %v", err)
			}
			if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("Close left the socket: %v", err)
			}
		})
	}
}

// TestListenKeepsUmask listens while the umask is one that a private directory
// must not depend on.
func TestListenKeepsUmask(t *testing.T) {
	dir := socketDir(t)
	was := syscall.Umask(0)
	l, err := Listen(filepath.Join(dir, "new", "s"))
	if got := syscall.Umask(was); got != 0 {
		t.Errorf("the umask became %04o", got)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for name, want := range map[string]os.FileMode{"new": 0o700, "new/s": 0o600} {
		if info, err := os.Lstat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

// TestListenRace has many agents start at once at a dead socket: one listens,
// the others are told so, and the one is not cut off.
func TestListenRace(t *testing.T) {
	path := filepath.Join(socketDir(t), "s")
	for range 20 {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		l.SetUnlinkOnClose(false)
		_ = l.Close()

		var starts sync.WaitGroup
		listeners := make(chan net.Listener, 8)
		for range cap(listeners) {
			starts.Go(func() {
				l, err := Listen(path)
				switch {
				case err == nil:
					listeners <- l
				case !errors.Is(err, ErrInUse):
					t.Error(err)
				}
			})
		}
		starts.Wait()
		if len(listeners) != 1 {
			t.Fatalf("%d listen", len(listeners))
		}
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatalf("the one that listens was cut off: %v", err)
		}
		_ = conn.Close()
		if err := (<-listeners).Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCloseLeavesAnothers closes a listener whose socket was replaced.
func TestCloseLeavesAnothers(t *testing.T) {
	path := filepath.Join(socketDir(t), "s")
	first, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	second, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = second.Close() }()
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatalf("the second was cut off: %v", err)
	}
	_ = conn.Close()
}

func TestCloseWithoutDirectory(t *testing.T) {
	dir := filepath.Join(socketDir(t), "gone")
	l, err := Listen(filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func TestDefaultSocket(t *testing.T) {
	private, home := socketDir(t), socketDir(t)
	open := filepath.Join(socketDir(t), "open")
	if err := os.Mkdir(open, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", home)
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("SSH_AUTH_SOCK", filepath.Join(private, "another.sock"))
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	fallback := filepath.Join(cache, "sshmint", "run", "agent.sock")
	for name, tt := range map[string]struct{ runtime, want string }{
		"private":           {private, filepath.Join(private, "sshmint", "agent.sock")},
		"open to others":    {open, fallback},
		"missing":           {filepath.Join(private, "none"), fallback},
		"not a directory":   {os.Args[0], fallback},
		"relative":          {"run", fallback},
		"no such directory": {"", fallback},
	} {
		t.Setenv("XDG_RUNTIME_DIR", tt.runtime)
		if got, err := DefaultSocket(); err != nil || got != tt.want {
			t.Errorf("%s: DefaultSocket() = %s, %v; want %s", name, got, err, tt.want)
		}
	}
	t.Setenv("XDG_RUNTIME_DIR", "")
	t.Setenv("HOME", "")
	if got, err := DefaultSocket(); err == nil {
		t.Errorf("without a home: DefaultSocket() = %s", got)
	}
}
