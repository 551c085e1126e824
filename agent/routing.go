package agent

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/sshmint/sshmint/internal/knownhosts"
)

// Forwarding says what a profile does on forwarded connections.
type Forwarding int

// Whatever it is, nothing is minted or dropped there, and no person is asked for
// a PIN.
const (
	ForwardDeny    Forwarding = iota // it is hidden
	ForwardConfirm                   // what is valid now signs logins if a person confirms each connection
	ForwardAllow                     // what is valid now signs logins
)

// A place is where a profile stands in the list for a connection.
type place int

const (
	placeNamed   place = iota // its hosts select the server
	placeAny                  // it has none, or the client came by its own socket
	placeUnnamed              // what the server is called is not known, or not in full
)

var (
	errOtherSocket = errors.New("the socket is another profile's")
	errRevoked     = errors.New("known_hosts marks the server's host key as revoked")
	errOtherHost   = errors.New("its hosts do not select the server")
	errUnnamed     = errors.New("it is for certain hosts, and known_hosts does not name the server")
	errUnbound     = errors.New("it is for certain hosts, and the client does not prove where it goes")
)

// place returns where a profile stands in this connection's list, or why the
// connection may not see, use or drop what the profile minted. Everything that
// touches a minted key asks it.
func (s *session) place(p *profile) (place, error) {
	rules := p.rules.Load()
	if s.only != "" && s.only != p.Name {
		return 0, errOtherSocket
	}
	if err := s.binds.remote(); err != nil && (s.binds.failed || rules.Forward == ForwardDeny) {
		return 0, err
	}
	return rules.place(s.host(), s.only != "", s.agent.currentSettings().HideUnknown)
}

// place is the part of it that is about the server: nil if the client proves
// none. That it was chosen by its own socket counts where no name speaks against
// it.
func (p *Profile) place(host *knownhosts.Host, chosen, hideUnknown bool) (place, error) {
	match := knownhosts.Maybe
	switch {
	case host != nil && host.Revoked:
		return 0, errRevoked
	case p.Hosts.everywhere():
		return placeAny, nil
	case host != nil:
		match = p.Hosts.patterns.Match(*host)
	}
	switch {
	case match == knownhosts.Yes:
		return placeNamed, nil
	case match == knownhosts.No:
		return 0, errOtherHost
	case chosen:
		return placeAny, nil
	case hideUnknown && host == nil:
		return 0, errUnbound
	case hideUnknown:
		return 0, errUnnamed
	}
	return placeUnnamed, nil
}

// A placed profile is one that is offered.
type placed struct {
	profile *profile
	place   place
}

// order returns the profiles that are not hidden from this connection, in the
// order of offer. The slice is valid until the next call.
func (s *session) order() []placed {
	a := s.agent
	s.known = known{} // ssh may have written to known_hosts since
	s.placed = s.placed[:0]
	for _, p := range a.set().profiles {
		at, why := s.place(p)
		if why == nil {
			s.placed = append(s.placed, placed{p, at})
			continue
		}
		if errors.Is(why, errOtherSocket) {
			continue // not what anybody wonders about
		}
		a.notes.hide(p.Name, why)
		level := slog.LevelInfo
		if errors.Is(why, errOtherHost) { // as was asked for
			level = slog.LevelDebug
		}
		a.log().Log(context.Background(), level, "profile hidden from a list", "pid", s.peer.pid, "profile", p.Name, "why", why.Error())
	}
	slices.SortStableFunc(s.placed, byPlace)
	return s.placed
}

func byPlace(a, b placed) int { return int(a.place - b.place) }

// findSSHSIG is find for an SSHSIG message. A client that is not bound signs one
// in the namespaces that the settings allow, wherever it goes: to no server.
func (s *session) findSSHSIG(blob []byte) (*minted, error) {
	if s.binds.kind() == unbound && s.only == "" {
		for _, m := range s.agent.set().byBlob[string(blob)] {
			if !m.expired(time.Now()) {
				return m, nil
			}
		}
	}
	return s.find(blob)
}

// confirmation is how often a person is asked on this connection.
func (s *session) confirmation(p *profile) Confirmation {
	rules := p.rules.Load()
	if rules.Confirm == ConfirmNever && rules.Forward == ForwardConfirm && s.binds.remote() != nil {
		return ConfirmConnection
	}
	return rules.Confirm
}

// mayMint tells whether a certificate that is missing is minted for a list.
func (s *session) mayMint(p *profile, at place) bool {
	switch {
	case s.binds.remote() != nil:
		return false
	case at == placeUnnamed && p.Source.NeedsPerson():
		s.agent.log().Info("certificate not minted: it would ask a person, and the server may be another", "pid", s.peer.pid, "profile", p.Name)
		return false
	}
	return true
}
