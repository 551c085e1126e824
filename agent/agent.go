// Package agent is an ssh-agent that serves certificates which are minted on
// demand. It speaks the agent protocol of RFC 9987 with the extensions of
// OpenSSH's PROTOCOL.agent, and is told what to serve by Profiles, each with a
// Source of certificates. It never sees how a Source gets its certificates.
//
// # What it guarantees
//
// A minted key signs only SSH user authentication (RFC 4252 section 7) that
// names the key's own certificate or plain key, and SSHSIG messages in the
// namespaces that the settings allow, these for clients on this computer alone:
// never a TLS handshake, never arbitrary bytes, and never with SHA-1. Where a
// profile demands that a person confirms it, nothing but a clear yes in time
// will do.
//
// A key that a client added (ssh-add) signs what OpenSSH's agent would sign with
// it: anything, for whoever sees it, unless the client that added it asked for
// less. Lifetime, confirmation and destinations are kept as OpenSSH keeps them,
// on forwarded connections too; an addition with a constraint that is not known
// fails. Its private half is cleared when it goes, as far as Go allows.
//
// A connection that ssh bound to a session (session-bind@openssh.com) signs for
// that session alone, and sees what is for the server whose host key the bind
// proves: by the names that known_hosts has for that key, never by what the
// client says. On a connection that was forwarded to another host, or on which a
// bind failed, nothing is minted, removed, locked or unlocked, and a minted key
// is seen only if its profile's Forward says so; after a failed bind not even
// then. One predicate rules listing, signing and removing, so what is hidden
// cannot be named in a request either. A program that forwards the socket
// without session-bind looks like a local one: that is beyond what an agent can
// tell.
//
// The keys of other agents are theirs to rule: what is asked and answered is
// passed on as it is, with the connection's binds before it. They cannot keep
// ours from a client, nor give a client what we hide from it.
//
// A client is always answered: 60 s after a request for the list at the latest,
// with the certificates that could be had by then, and as late after a request
// for a signature that a person must confirm. Requests of one connection are
// answered in order; no lock is held while a Source works, a person thinks or a
// signature is made.
//
// Refusals carry no text in the protocol, so each is logged, and the last ones
// are kept (see Agent.Refusals). Neither holds what was to be signed.
package agent

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sshmint/sshmint/internal/knownhosts"
)

// An Agent answers agent requests on any number of sockets, which share its
// profiles, its lock and its limits. The zero value has no profiles and is ready
// to use. An Agent must not be copied.
type Agent struct {
	// Log gets one record for each event. Nil discards them.
	Log *slog.Logger

	// AddedLifetime is that of keys which clients add without one; zero keeps
	// them until they are removed.
	AddedLifetime time.Duration

	// Confirmer asks the person. Nil: there is no way to ask, and what must be
	// confirmed is refused.
	Confirmer Confirmer

	// KnownHosts are the files that tell which names a host key has. Nil: those
	// that ssh reads unless its configuration says otherwise.
	KnownHosts []string

	known struct {
		once  sync.Once
		files knownhosts.Files
	}

	keys     atomic.Pointer[keySet]
	settings atomic.Pointer[Settings]
	change   sync.Mutex // held to replace keys; never across a call to a Source

	added addedKeys

	lock  lock
	gate  gate
	large largeBuffers
	notes notes

	upstreams atomic.Pointer[[]*upstream]
	self      selfName
	askers    askers

	denials denials
}

// Forget drops every minted certificate with its key; the next use mints anew.
func (a *Agent) Forget() {
	a.forget(a.set().profiles...)
}

// ForgetProfile is Forget for one profile. It reports whether there is one of
// that name.
func (a *Agent) ForgetProfile(name string) bool {
	for _, p := range a.set().profiles {
		if p.Name == name {
			a.forget(p)
			return true
		}
	}
	return false
}

// Locked reports whether the agent is locked. Until it is unlocked nothing is
// listed, signed or minted by it; whoever renews certificates in the background
// must ask as well.
func (a *Agent) Locked() bool {
	return a.lock.locked.Load()
}

func (a *Agent) log() *slog.Logger {
	if a.Log == nil {
		return discard
	}
	return a.Log
}

var discard = slog.New(slog.DiscardHandler)
