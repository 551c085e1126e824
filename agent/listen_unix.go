//go:build unix

package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Listen makes a socket that only this user reaches: mode 0600, in a directory
// of mode 0700 that is made if it is missing. A directory that is somebody
// else's, or open to others, is refused. A socket that is at path already is
// replaced if it is ours and nobody answers there; if somebody does, the error
// is ErrInUse. Close removes the socket, unless another one has taken its place.
func Listen(path string) (net.Listener, error) {
	path, err := socketPath(path)
	if err != nil {
		return nil, err
	}
	directory, err := openDirectory(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer directory.Close() //nolint:errcheck // nothing was written
	// Two agents that start at once must not both find a dead socket, and the
	// second remove the first one's new one.
	unlock, err := lockDirectory(directory)
	if err != nil {
		return nil, err
	}
	defer unlock()

	if err := removeDead(path); err != nil {
		return nil, err
	}
	l, err := bind(path)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", path, err)
	}
	return newListener(l, path, true)
}

// socketPath makes a path absolute, also Linux's abstract "@name", and checks
// that it fits. One byte is for the NUL; OpenSSH's client cuts a longer path
// without a word, and then finds no socket.
func socketPath(path string) (string, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("listening on %s: %w", path, err)
	}
	if limit := len(syscall.RawSockaddrUnix{}.Path) - 1; len(absolute) > limit {
		return "", fmt.Errorf("socket path %s has %d bytes, %d fit: choose a shorter one", absolute, len(absolute), limit)
	}
	return absolute, nil
}

// umask is of the whole process; whoever changes it holds this.
var umask sync.Mutex

// bind makes the socket with mode 0600: a chmod afterwards would leave a gap.
func bind(path string) (*net.UnixListener, error) {
	umask.Lock()
	defer umask.Unlock()
	defer unix.Umask(unix.Umask(0o177))
	return net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
}

// openDirectory opens the socket's directory, made if it is missing, after it
// has checked that nobody else can reach into it.
func openDirectory(path string) (*os.File, error) {
	umask.Lock() // a mode of 0600 would make the directory useless
	err := os.MkdirAll(path, 0o700)
	umask.Unlock()
	if err != nil {
		return nil, fmt.Errorf("making the directory for the socket: %w", err)
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOTDIR) {
		return nil, fmt.Errorf("directory %s for the socket is not a directory itself: name the one that a link leads to", path)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the directory %s for the socket: %w", path, err)
	}
	directory := os.NewFile(uintptr(fd), path)
	info, err := directory.Stat()
	if err == nil {
		err = private(info)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("directory %s for the socket: %w", path, err), directory.Close())
	}
	return directory, nil
}

// private checks that a directory is ours and closed to everybody else.
func private(info fs.FileInfo) error {
	if err := owned(info); err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("others can reach into it (mode %04o): it must have mode 0700", info.Mode().Perm())
	}
	return nil
}

func owned(info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return errors.New("the system does not tell whose it is")
	}
	if int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("it belongs to user %d, not to %d", stat.Uid, os.Geteuid())
	}
	return nil
}

func lockDirectory(directory *os.File) (unlock func(), err error) {
	fd := int(directory.Fd())
	for {
		err = unix.Flock(fd, unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("locking the directory %s for the socket: %w", directory.Name(), err)
	}
	return func() { _ = unix.Flock(fd, unix.LOCK_UN) }, nil
}

// removeDead removes a socket of ours that nobody listens on. Anything else that
// is in the way stays.
func removeDead(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking at the socket: %w", err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is in the way and is not a socket", path)
	}
	if err := owned(info); err != nil {
		return fmt.Errorf("socket %s is in the way: %w", path, err)
	}
	conn, err := net.Dial("unix", path)
	if err == nil {
		_ = conn.Close()
		return fmt.Errorf("socket %s: %w", path, ErrInUse)
	}
	if errors.Is(err, syscall.EAGAIN) { // its queue is full
		return fmt.Errorf("socket %s: %w", path, ErrInUse)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("asking whether somebody listens on %s: %w", path, err)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("removing the socket of an agent that is gone: %w", err)
	}
	return nil
}

type listener struct {
	*net.UnixListener
	path   string
	made   fs.FileInfo
	locked bool // its directory is locked to replace it
	once   sync.Once
}

// newListener returns l with the socket that it made, so that Close removes no
// other one.
func newListener(l *net.UnixListener, path string, locked bool) (net.Listener, error) {
	l.SetUnlinkOnClose(false) // see Close
	info, err := os.Lstat(path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listening on %s: %w", path, err), l.Close())
	}
	return &listener{UnixListener: l, path: path, made: info, locked: locked}, nil
}

// Close removes the socket before it closes it: the inode cannot be another's
// until then.
func (l *listener) Close() error {
	var err error
	l.once.Do(func() { err = errors.Join(l.remove(), l.UnixListener.Close()) })
	return err
}

func (l *listener) remove() error {
	if l.locked {
		directory, err := os.Open(filepath.Dir(l.path))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("removing the socket: %w", err)
		}
		defer directory.Close() //nolint:errcheck // nothing was written
		unlock, err := lockDirectory(directory)
		if err != nil {
			return err
		}
		defer unlock()
	}
	info, err := os.Lstat(l.path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(info, l.made) {
		return nil
	}
	if err == nil {
		err = os.Remove(l.path)
	}
	if err != nil {
		return fmt.Errorf("removing the socket: %w", err)
	}
	return nil
}

// DefaultSocket returns where the agent listens unless it is told otherwise: in
// the session's runtime directory if there is one that is private, else in the
// user's cache directory. SSH_AUTH_SOCK is never asked, which may be another
// agent's.
func DefaultSocket() (string, error) {
	if runtime := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(runtime) {
		if info, err := os.Stat(runtime); err == nil && info.IsDir() && private(info) == nil {
			return filepath.Join(runtime, "sshmint", "agent.sock"), nil
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("choosing a socket path: %w", err)
	}
	return filepath.Join(cache, "sshmint", "run", "agent.sock"), nil
}
