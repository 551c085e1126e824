package agent

import (
	"context"
	"encoding/binary"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"
)

// listTime bounds a list: ssh itself would wait for ever, while sshd's
// LoginGraceTime runs.
const listTime = 60 * time.Second

// A Key is a minted certificate as a client is offered it.
type Key struct {
	Profile     string
	Certificate *ssh.Certificate
	Comment     string
}

// Keys returns what a local connection would be offered now, in that order, and
// mints what is missing, as a list does: ctx and 60 s bound that. There are none
// while the agent is locked.
func (a *Agent) Keys(ctx context.Context) []Key {
	return a.session(peer{}, "").keys(ctx)
}

func (s *session) keys(ctx context.Context) []Key {
	var keys []Key
	for _, m := range s.offer(ctx) {
		keys = append(keys, Key{Profile: m.profile.Name, Certificate: m.cert, Comment: m.comment})
	}
	return keys
}

func (s *session) list(ctx context.Context) error {
	upstream := s.askUpstreams(ctx) // meanwhile
	offered := s.offer(ctx)
	s.out = append(s.out, msgIdentitiesAnswer, 0, 0, 0, 0)
	count := uint32(0)
	for _, m := range offered {
		if len(s.out)-4+len(m.entry) > maxMessage {
			s.agent.log().Warn("certificate left out of the list, which is full", "profile", m.profile.Name)
			continue
		}
		s.out = append(s.out, m.entry...)
		count++
	}
	count += s.listAdded()
	binary.BigEndian.PutUint32(s.out[5:], count)
	clear(offered) // an idle connection must not keep keys that were forgotten
	s.appendUpstreams(upstream)
	return nil
}

// offer returns what this connection is offered: of each profile that is not
// hidden from it the certificate that is valid now, minted if need be. What
// cannot be had in time is left out. The slice is valid until the next call.
func (s *session) offer(ctx context.Context) []*minted {
	a := s.agent
	if a.Locked() {
		return nil
	}
	s.listed = s.listed[:0]
	var missing []*profile
	for _, o := range s.order() {
		m := a.current(o.profile)
		if m == nil {
			if !s.mayMint(o.profile, o.place) {
				continue
			}
			missing = append(missing, o.profile)
		}
		s.listed = append(s.listed, m) // nil keeps the place
	}
	if missing != nil {
		minted := a.mint(ctx, missing)
		for i, m := range s.listed {
			if m == nil {
				s.listed[i], minted = minted[0], minted[1:]
			}
		}
		if a.Locked() { // while we waited
			return nil
		}
	}
	s.listed = distinct(s.listed)
	return s.listed
}

// distinct leaves out what was not minted, and a second entry for the same
// certificate, such as from two profiles with one Source.
func distinct(all []*minted) []*minted {
	kept := all[:0]
	for _, m := range all {
		if m != nil && !slices.ContainsFunc(kept, func(k *minted) bool { return k.blob == m.blob }) {
			kept = append(kept, m)
		}
	}
	return kept
}

// current returns what the profile has, or nil if it must be minted.
func (a *Agent) current(p *profile) *minted {
	generation := p.generation.Load()
	signer := p.Source.Current()
	if signer == nil {
		return nil
	}
	m, err := a.remember(p, generation, signer)
	if err != nil {
		a.log().Error("certificate not offered", "profile", p.Name, "err", err)
		return nil
	}
	if m == nil || m.expired(time.Now()) {
		return nil
	}
	return m
}
