package agent

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime/debug"
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
	s := &session{agent: a}
	var keys []Key
	for _, m := range s.offer(ctx) {
		keys = append(keys, Key{Profile: m.profile.Name, Certificate: m.cert, Comment: m.comment})
	}
	return keys
}

func (s *session) list(ctx context.Context) error {
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
	binary.BigEndian.PutUint32(s.out[5:], count)
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
	for _, p := range a.set().profiles {
		if why := s.hidden(p); why != "" {
			a.notes.hide(p.Name, why)
			a.log().Info("profile hidden from a list", "pid", s.peer.pid, "profile", p.Name, "why", why)
			continue
		}
		m := a.current(p)
		if m == nil {
			missing = append(missing, p)
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

// mint asks the profiles' Sources, all at once, and returns what came of it in
// the order of the profiles, nil where there was an error or no answer in time.
func (a *Agent) mint(ctx context.Context, profiles []*profile) []*minted {
	ctx, cancel := context.WithTimeoutCause(ctx, listTime, fmt.Errorf("no answer within %s", listTime))
	defer cancel()
	type result struct {
		index int
		key   *minted
		err   error
	}
	results := make(chan result, len(profiles))
	for i, p := range profiles {
		go func() {
			m, err := a.mintOne(ctx, p)
			results <- result{i, m, err}
		}()
	}
	keys := make([]*minted, len(profiles))
	answered := make([]bool, len(profiles))
	for range profiles {
		select {
		case r := <-results:
			answered[r.index], keys[r.index] = true, r.key
			if r.err != nil {
				a.log().Warn("certificate not minted", "profile", profiles[r.index].Name, "err", r.err)
			}
		case <-ctx.Done(): // also of a Source that does not mind it
			for i, p := range profiles {
				if !answered[i] {
					a.log().Warn("certificate not minted", "profile", p.Name, "err", context.Cause(ctx))
				}
			}
			return keys
		}
	}
	return keys
}

func (a *Agent) mintOne(ctx context.Context, p *profile) (m *minted, err error) {
	defer func() {
		if r := recover(); r != nil {
			m, err = nil, fmt.Errorf("the source broke: %v", r)
			a.log().Error("a source broke", "profile", p.Name, "panic", r, "stack", string(debug.Stack()))
		}
	}()
	generation := p.generation.Load()
	signer, err := p.Source.Signer(ctx)
	if err != nil {
		return nil, err
	}
	if signer == nil {
		return nil, errors.New("the source gave neither a certificate nor an error")
	}
	m, err = a.remember(p, generation, signer)
	switch {
	case err != nil:
		return nil, err
	case m == nil:
		return nil, errors.New("the profile was forgotten meanwhile")
	case m.expired(time.Now()):
		return nil, errors.New("the source gave a certificate that has expired")
	}
	return m, nil
}
