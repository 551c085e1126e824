package agent

import (
	"fmt"
	"net"

	"golang.org/x/sys/windows"
)

// A peer is the process at the other end of a connection, as the system knows
// it.
type peer struct {
	pid int // 0: not known
}

// check has nothing to do: the pipe's security descriptor lets nobody else in.
func (peer) check() error { return nil }

func peerOf(conn net.Conn) (peer, error) {
	pipe, ok := conn.(interface{ Fd() uintptr })
	if !ok {
		return peer{}, fmt.Errorf("the peer of a connection of type %T cannot be told", conn)
	}
	var pid uint32
	if err := windows.GetNamedPipeClientProcessId(windows.Handle(pipe.Fd()), &pid); err != nil {
		return peer{}, fmt.Errorf("asking who the client is: %w", err)
	}
	return peer{pid: int(pid)}, nil
}
