package agent

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// A Source has one profile's certificate. Its methods may be called from several
// goroutines at once, its dynamic type must be comparable, and the PublicKey of
// each signer it returns must be a *ssh.Certificate that nobody changes any
// more: a user certificate, fit to be shown to a server.
type Source interface {
	// Current must return what is valid now, or nil, at once: no I/O, no
	// prompt. It is called for every list.
	Current() ssh.Signer

	// Signer returns what is valid now, and mints it if need be. It must return
	// when ctx ends; that a client went away does not end ctx.
	Signer(ctx context.Context) (ssh.Signer, error)

	// NeedsPerson tells whether Signer would ask a person for something now, such
	// as a PIN. It must answer at once.
	NeedsPerson() bool

	// Forget must drop the certificate, its key and what is about to be minted:
	// once it has returned, neither Current nor Signer return what was asked for
	// before.
	Forget()
}

// A Profile is a Source under the name that a person knows.
type Profile struct {
	Name    string
	Source  Source
	Hosts   Hosts        // for which it is
	Forward Forwarding   // on connections that are forwarded to another host
	Confirm Confirmation // how often a person is asked before it signs
}

// maxRemembered is how many certificates of one profile sign at once: the
// current one, and those that clients may have listed before it. Renewal leaves
// one or two behind; only minting by hand comes near.
const maxRemembered = 16

// A profile is a Profile with what clients were given of it. A reload that
// leaves it its name and Source leaves it what it is, and changes its rules.
type profile struct {
	Name   string
	Source Source
	rules  atomic.Pointer[Profile] // as the last Set had it

	// generation grows each time that the profile is forgotten, so that a
	// certificate which was fetched before is not remembered after.
	generation atomic.Uint64
	latest     atomic.Pointer[minted]

	given []*minted // oldest first; guarded by Agent.change
}

func (p *profile) drop() {
	p.generation.Add(1)
	p.latest.Store(nil)
	p.given = nil
}

// A keySet is what the agent has at one moment. It is never changed, only
// replaced as a whole, so that requests look into it without a lock.
type keySet struct {
	profiles []*profile           // in the order of offer
	byBlob   map[string][]*minted // by certificate, and by the plain key in it
}

func newKeySet(profiles []*profile) *keySet {
	set := &keySet{profiles: profiles, byBlob: make(map[string][]*minted)}
	for _, p := range profiles {
		for _, m := range slices.Backward(p.given) {
			set.byBlob[m.blob] = append(set.byBlob[m.blob], m)
			set.byBlob[m.plain] = append(set.byBlob[m.plain], m)
		}
	}
	return set
}

var noKeys = newKeySet(nil)

func (a *Agent) set() *keySet {
	if set := a.keys.Load(); set != nil {
		return set
	}
	return noKeys
}

// remember returns the minted key for a signer of the profile's Source, fetched
// in that generation, and makes it known to sign requests. It returns nil if the
// profile was forgotten meanwhile.
func (a *Agent) remember(p *profile, generation uint64, signer ssh.Signer) (*minted, error) {
	cert, ok := signer.PublicKey().(*ssh.Certificate)
	if m := p.latest.Load(); ok && m != nil && m.cert == cert {
		return m, nil // the usual case
	}
	m, err := newMinted(p, signer)
	if err != nil {
		return nil, err
	}

	a.change.Lock()
	defer a.change.Unlock()
	if p.generation.Load() != generation {
		return nil, nil
	}
	now := time.Now()
	given := slices.DeleteFunc(slices.Clone(p.given), func(g *minted) bool { return g.expired(now) || g.blob == m.blob })
	p.given = append(given[max(0, len(given)-maxRemembered+1):], m)
	a.keys.Store(newKeySet(a.set().profiles))
	p.latest.Store(m)
	return m, nil
}

// forget tells the Sources first: what they hand out until the profile's
// generation has changed belongs to the old one.
func (a *Agent) forget(profiles ...*profile) {
	for _, p := range profiles {
		p.Source.Forget()
	}
	a.change.Lock()
	defer a.change.Unlock()
	for _, p := range profiles {
		p.drop()
	}
	a.keys.Store(newKeySet(a.set().profiles))
}
