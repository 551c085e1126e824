//go:build unix

package agent

import (
	"fmt"
	"net"
	"os"
)

// A peer is the process at the other end of a connection, as the system knows
// it. A process that hands its connection on stays the peer.
type peer struct {
	uid int
	pid int // 0: not known
}

func peerOf(conn net.Conn) (peer, error) {
	c, ok := conn.(*net.UnixConn)
	if !ok {
		return peer{}, fmt.Errorf("asking who the client is: a connection of type %T does not tell", conn)
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return peer{}, fmt.Errorf("asking who the client is: %w", err)
	}
	var p peer
	var credErr error
	if err := raw.Control(func(fd uintptr) { p, credErr = credentials(int(fd)) }); err != nil {
		return peer{}, fmt.Errorf("asking who the client is: %w", err)
	}
	if credErr != nil {
		return peer{}, fmt.Errorf("asking who the client is: %w", credErr)
	}
	return p, nil
}

// check admits the agent's own user, and root, who could read its memory anyway
// (OpenSSH, handle_socket_read).
func (p peer) check() error {
	if p.uid != os.Getuid() && p.uid != 0 {
		return fmt.Errorf("the client runs as user %d, the agent as user %d", p.uid, os.Getuid())
	}
	return nil
}
