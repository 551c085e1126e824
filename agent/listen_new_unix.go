//go:build unix

package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// ListenNew makes a socket of mode 0600 where ssh-agent -a would make one: in a
// directory that is there, and that others may see into, such as /tmp. What is
// at path already stays, and is an error. A directory in which others could put
// a socket of their own in the place of ours is refused. Close removes the
// socket, unless another one has taken its place.
func ListenNew(path string) (net.Listener, error) {
	path, err := socketPath(path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("looking at the directory for the socket: %w", err)
	}
	if err := steady(info); err != nil {
		return nil, fmt.Errorf("directory %s for the socket: %w", filepath.Dir(path), err)
	}
	l, err := bind(path)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", path, err)
	}
	return newListener(l, path, false)
}

// steady checks that what we make in a directory stays ours: the directory is
// ours or root's, and others cannot write there, or are kept from what is not
// theirs by the sticky bit.
func steady(info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return errors.New("the system does not tell whose it is")
	case stat.Uid != 0 && int(stat.Uid) != os.Geteuid():
		return fmt.Errorf("it belongs to user %d, not to %d", stat.Uid, os.Geteuid())
	case info.Mode().Perm()&0o022 != 0 && info.Mode()&fs.ModeSticky == 0:
		return fmt.Errorf("others can put sockets of their own there (mode %04o)", info.Mode().Perm())
	}
	return nil
}
