package agent

import (
	"context"
	"fmt"
	"net"
)

// ServeProfile is Serve for a socket that offers one profile alone: no other
// profile, no added keys, and no other agents' keys. That a client came there
// stands for the profile's hosts where the server has no name that speaks
// against it. All other rules are those of Serve.
func (a *Agent) ServeProfile(ctx context.Context, l net.Listener, profile string) error {
	return a.serve(ctx, l, profile)
}

// session returns the session for a connection to a profile's own socket, or to the
// agent's for "".
func (a *Agent) session(peer peer, profile string) *session {
	s := &session{agent: a, peer: peer, only: profile}
	if profile != "" {
		s.relays.close(s.alone())
	}
	return s
}

// alone returns why other keys have no place on this connection, or nil.
func (s *session) alone() error {
	if s.only == "" {
		return nil
	}
	return fmt.Errorf("the socket is for the certificates of profile %s alone", s.only)
}

// KeysOf returns what the profile's own socket would offer a client which does
// not say where it goes: one certificate, minted if need be, or none.
func (a *Agent) KeysOf(ctx context.Context, profile string) []Key {
	return a.session(peer{}, profile).keys(ctx)
}
