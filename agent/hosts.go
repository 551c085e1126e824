package agent

import (
	"slices"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sshmint/sshmint/internal/knownhosts"
)

// Hosts select servers by the names under which ssh knows their host keys. The
// zero value selects every server.
type Hosts struct{ patterns knownhosts.Patterns }

// ParseHosts reads patterns as ssh_config's Host has them: *, ?, and ! for
// exceptions; "[pattern]:port" is for that port alone. None select every server.
func ParseHosts(patterns []string) (Hosts, error) {
	p, err := knownhosts.ParsePatterns(patterns)
	return Hosts{p}, err
}

func (h Hosts) everywhere() bool { return h.patterns.None() }

// host returns what is known of the server that the last bind proves, or nil if
// there is none: nothing was bound, or only what the agent was forwarded to.
func (s *session) host() *knownhosts.Host {
	b := &s.binds
	last := len(b.hops) - 1
	if last < 0 || b.failed || b.hops[last].forwarding {
		return nil
	}
	settings := s.agent.currentSettings()
	if s.known.bind == last+1 && s.known.settings == settings {
		return &s.known.host
	}
	s.known = known{bind: last + 1, settings: settings, host: s.lookUp(b.hops[last].hostKey)}
	return &s.known.host
}

// known is what host found; a new bind or a reload outdates it, and each list
// looks anew.
type known struct {
	bind     int // how many there were
	settings *Settings
	host     knownhosts.Host
}

func (s *session) lookUp(hostKey string) knownhosts.Host {
	a := s.agent
	key, err := ssh.ParsePublicKey([]byte(hostKey))
	if err != nil { // the bind was verified with it
		return knownhosts.Host{Open: true}
	}
	var typed []string
	// What forwards the agent was told the first server, not the last.
	if s.binds.kind() == bound && a.routes() {
		typed = s.typed()
	}
	return a.knownHosts().Lookup(key, time.Now(), a.candidates(typed))
}

// routes tells whether any profile has hosts.
func (a *Agent) routes() bool {
	return slices.ContainsFunc(a.set().profiles, func(p *profile) bool { return !p.rules.Load().Hosts.everywhere() })
}

// candidates are the names that a hashed entry of known_hosts may be for: what
// the client was told to connect to, and what is written out in hosts, on those
// ports.
func (a *Agent) candidates(typed []string) knownhosts.Candidates {
	c := knownhosts.Candidates{Typed: typed}
	for _, p := range a.set().profiles {
		for _, name := range p.rules.Load().Hosts.patterns.Literals() {
			c.Others = append(c.Others, name)
			for _, t := range typed {
				if with := knownhosts.WithPort(name, t); with != name {
					c.Others = append(c.Others, with)
				}
			}
		}
	}
	return c
}

func (a *Agent) knownHosts() *knownhosts.Hosts {
	a.known.once.Do(func() {
		a.known.files.Paths, a.known.files.Log = a.KnownHosts, a.Log
	})
	return a.known.files.Read()
}
