package signer

import (
	"context"
	"errors"
	"time"

	"golang.org/x/crypto/ssh"
)

// flight is a mint that is under way. minted and err are set before done is
// closed.
type flight struct {
	cancel context.CancelFunc
	done   chan struct{}
	minted *minted
	err    error
}

// failure is the last mint's, until another one succeeds.
type failure struct {
	err      error
	at       time.Time
	remember time.Duration // it answers for further mints
	wait     time.Duration // before the next renewal
}

// launch starts a mint. The lock is held.
func (m *Minter) launch() {
	ctx, cancel := context.WithCancel(context.Background())
	m.flight = &flight{cancel: cancel, done: make(chan struct{})}
	m.lastMint = now()
	go m.fly(ctx, m.flight)
}

func (m *Minter) fly(ctx context.Context, f *flight) {
	defer f.cancel()
	ctx, cancel := m.limited(ctx)
	defer cancel()
	c, err := m.mint(ctx, f)
	c, err = m.land(f, c, err)
	f.minted, f.err = c, err
	defer close(f.done) // a refusal is in the log before anybody is told
	switch {
	case err == nil:
		m.changed()
		m.log().Info("minted", "profile", m.Profile, "key_id", clean(c.cert.KeyId), "serial", c.cert.Serial,
			"principals", c.cert.ValidPrincipals, "until", c.ends)
	case errors.Is(err, ErrForgotten):
		m.log().Info("minting", "profile", m.Profile, "error", err)
	default:
		m.log().Error("minting", "profile", m.Profile, "error", err)
	}
}

// limited bounds a mint as a whole, and what the network takes of it beside a
// person.
func (m *Minter) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	limit := mintNetwork
	if m.Identity.NeedsPerson() {
		limit = mintPerson
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	ctx, expire := context.WithCancelCause(ctx)
	ctx, end := withTurn(ctx, mintNetwork, func() { expire(context.DeadlineExceeded) })
	return ctx, func() {
		end()
		cancel()
	}
}

func (m *Minter) mint(ctx context.Context, f *flight) (*minted, error) {
	key, err := m.keyForNow(f)
	if err != nil {
		return nil, err
	}
	r := &Request{Key: key, Principals: m.Principals, Validity: m.Validity, UserCAs: m.UserCAs}
	cert, err := m.Issuer.Issue(ctx, r)
	if err != nil {
		return nil, err
	}
	// Whether the Issuer did so or not: this is the gate.
	if err := r.Check(cert); err != nil {
		return nil, &Error{Text: err.Error(), Err: err}
	}
	return newMinted(m, key, cert, now())
}

// keyForNow gives the same key for a day, so that what a client listed before a
// renewal still signs after it.
func (m *Minter) keyForNow(f *flight) (ssh.Signer, error) {
	m.mu.Lock()
	key, age := m.key, now().Sub(m.keyBorn)
	m.mu.Unlock()
	if key != nil && age.Abs() <= maxKeyAge {
		return key, nil
	}
	key, err := m.KeyType.generate()
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.flight == f {
		m.key, m.keyBorn = key, now()
	}
	return key, nil
}

// land takes what a mint brought into service, unless Forget came first.
func (m *Minter) land(f *flight, c *minted, err error) (*minted, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.flight != f {
		return nil, ErrForgotten
	}
	m.flight = nil
	if err != nil {
		m.failed(err)
		return nil, err
	}
	m.failure = failure{}
	m.current.Store(c)
	m.wake(c.renew.Sub(now()))
	return c, nil
}

// failed remembers why there is no new certificate. The lock is held.
func (m *Minter) failed(err error) {
	remember := rememberFor
	if errors.Is(err, ErrDeclined) {
		remember = rememberNo
	}
	m.failure = failure{err: err, at: now(), remember: remember, wait: min(max(2*m.failure.wait, remember), maxRetry)}
	if m.valid() != nil {
		m.wake(m.failure.wait)
	}
}
