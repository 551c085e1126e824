package agent

import (
	"errors"
	"net"
)

// ErrInUse is returned by Listen, wrapped, if another agent is listening.
var ErrInUse = errors.New("another agent is listening")

// OwnUser returns l without the connections of other users' processes, root's
// excepted. Agent.Serve looks for itself; this is for what else listens on a
// socket of Listen.
func OwnUser(l net.Listener) net.Listener {
	return ownListener{l}
}

type ownListener struct{ net.Listener }

func (l ownListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if p, err := peerOf(conn); err == nil && p.check() == nil {
			return conn, nil
		}
		_ = conn.Close()
	}
}
