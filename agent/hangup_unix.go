//go:build unix

package agent

import (
	"errors"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// onHangUp calls gone if the client closes the connection before stop is called.
// It takes nothing from the connection, which nobody else may read meanwhile, and
// looks no further than to a request that a client has sent ahead.
func onHangUp(conn net.Conn, gone func()) (stop func()) {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return func() {}
	}
	raw, err := c.SyscallConn()
	if err != nil { // closed on our side
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var next [1]byte
		// An error is that of the deadline, or of a connection that we close.
		_ = raw.Read(func(fd uintptr) (looked bool) {
			n, _, err := unix.Recvfrom(int(fd), next[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
			switch {
			case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
				return false
			case err != nil, n == 0 && hungUp(int(fd)):
				gone()
			}
			return true
		})
	}()
	return func() {
		_ = conn.SetReadDeadline(time.Unix(1, 0)) // fails on a closed connection, which nobody waits for
		<-done
		_ = conn.SetReadDeadline(time.Time{})
	}
}

// hungUp tells a connection that was closed from one on which the client only
// sends no more.
func hungUp(fd int) bool {
	poll := []unix.PollFd{{Fd: int32(fd)}} // #nosec G115 -- a file descriptor
	_, err := unix.Poll(poll, 0)
	return err != nil || poll[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0
}
