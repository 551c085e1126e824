package agent

import "net"

// OwnUser gives a listener that accepts only connections of this user or of
// root, as Serve does. It is for the socket beside the agent's own.
func OwnUser(l net.Listener) net.Listener { return ownUser{l} }

type ownUser struct{ net.Listener }

func (l ownUser) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		peer, err := peerOf(conn)
		if err == nil {
			err = peer.check()
		}
		if err == nil {
			return conn, nil
		}
		_ = conn.Close() // nothing was said on it
	}
}
