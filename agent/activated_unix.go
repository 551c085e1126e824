//go:build unix

package agent

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// firstActivated is SD_LISTEN_FDS_START of sd_listen_fds(3).
const firstActivated = 3

// Activated returns the socket that a supervisor such as systemd has opened for
// this process, as sd_listen_fds(3) has it, or nil if there is none: LISTEN_PID
// must be this process. It must be one stream socket with a path, and listen.
// Close leaves its path alone, which is the supervisor's. Children do not get to
// see the variables; a second call returns nil.
func Activated() (net.Listener, error) {
	pid, count := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS")
	if count == "" || pid != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		if err := os.Unsetenv(name); err != nil {
			return nil, fmt.Errorf("taking the socket of the supervisor: %w", err)
		}
	}
	if count != "1" {
		return nil, fmt.Errorf("the supervisor passed %s sockets (LISTEN_FDS); an agent takes one", count)
	}
	l, err := inherited(firstActivated)
	if err != nil {
		return nil, fmt.Errorf("taking the socket of the supervisor (LISTEN_FDS): %w", err)
	}
	return l, nil
}

// inherited takes a listening socket that was open when the process began.
func inherited(fd int) (net.Listener, error) {
	listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return nil, fmt.Errorf("file descriptor %d: %w", fd, err) // also of one that is no socket
	}
	if listens == 0 {
		return nil, fmt.Errorf("file descriptor %d does not listen", fd)
	}
	file := os.NewFile(uintptr(fd), "LISTEN_FDS")
	l, err := net.FileListener(file) // has a descriptor of its own, which no child gets
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	if _, ok := l.(*net.UnixListener); !ok || l.Addr().Network() != "unix" || !filepath.IsAbs(l.Addr().String()) {
		return nil, errors.Join(fmt.Errorf("%s %q is not a Unix stream socket with a path", l.Addr().Network(), l.Addr()), l.Close())
	}
	return l, nil
}
