package signer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// Times of a Minter.
const (
	mintNetwork  = 10 * time.Second // a mint, without what a person takes
	mintPerson   = 60 * time.Second // one that may wait for a PIN or a touch, all in all
	rememberFor  = 15 * time.Second // how long a failure answers for the next
	rememberNo   = 60 * time.Second // and how long a person's no does
	betweenMints = 10 * time.Second // from one renewal to the next, at least
	maxRetry     = 5 * time.Minute  // between tries of a renewal that keeps failing
	maxKeyAge    = 24 * time.Hour   // then a new key is certified
)

// Minter keeps one profile's certificate valid. Its fields must not change once
// it is in use.
//
// Only one mint is in flight at a time; whoever needs it waits for it with a
// context of their own, and one that gives up does not end it. From 2/3 of the
// lifetime on, a certificate that was used is renewed in the background, unless
// that would ask a person; the old one serves until it expires. All times are
// those of the wall clock, because the monotonic one stops while a computer
// sleeps. No lock is held while the network or a person is waited for.
type Minter struct {
	Profile    string // for the log
	Identity   Identity
	Issuer     Issuer
	KeyType    KeyType
	Principals []string      // wish
	Validity   time.Duration // wish
	UserCAs    []string      // fingerprints (SHA256:...) of the user CA keys that are accepted
	Paused     func() bool   // while true nothing is renewed by itself; nil means never
	Log        *slog.Logger  // nil means none

	current atomic.Pointer[minted]

	mu       sync.Mutex
	key      ssh.Signer // certified next, and by current
	keyBorn  time.Time
	flight   *flight // nil if none; what another one brings is dropped
	failure  failure
	timer    *time.Timer
	lastMint time.Time // when the last renewal began
}

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

// ErrForgotten is the outcome of a mint that Forget overtook.
var ErrForgotten = errors.New("the certificate was forgotten while it was being minted")

// Current gives a signer whose public key is the certificate that is valid now,
// or nil. It does no I/O.
func (m *Minter) Current() ssh.Signer {
	if c := m.valid(); c != nil {
		return c
	}
	return nil // not a typed nil
}

func (m *Minter) valid() *minted {
	c := m.current.Load()
	if c == nil || !c.listable(now()) {
		return nil
	}
	return c
}

// Signer gives Current, or mints.
func (m *Minter) Signer(ctx context.Context) (ssh.Signer, error) {
	m.mu.Lock()
	if c := m.valid(); c != nil {
		m.mu.Unlock()
		return c, nil
	}
	if m.flight == nil {
		if left := pending(m.failure.at, m.failure.remember, now()); left > 0 {
			err := fmt.Errorf("%w (tried again in %s)", m.failure.err, left.Round(time.Second))
			m.mu.Unlock()
			return nil, err
		}
		m.launch()
	}
	return m.wait(ctx)
}

// Mint has a new certificate made, whatever is there and whatever failed a
// moment ago; one already under way will do.
func (m *Minter) Mint(ctx context.Context) (ssh.Signer, error) {
	m.mu.Lock()
	if m.flight == nil {
		m.launch()
	}
	return m.wait(ctx)
}

// wait is entered with the lock held and gives it back.
func (m *Minter) wait(ctx context.Context) (ssh.Signer, error) {
	f := m.flight
	m.mu.Unlock()
	select {
	case <-f.done:
		if f.err != nil {
			return nil, f.err
		}
		return f.minted, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for a certificate: %w", context.Cause(ctx))
	}
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
	close(f.done)
	switch {
	case err == nil:
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

// Forget drops certificate and key, and ends a mint that is under way: whoever
// waits for it gets ErrForgotten. The next use mints anew.
func (m *Minter) Forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.flight != nil {
		m.flight.cancel()
		m.flight = nil
	}
	m.failure = failure{}
	m.key = nil
	m.current.Store(nil)
	if m.timer != nil {
		m.timer.Stop()
	}
}

func (m *Minter) log() *slog.Logger {
	if m.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return m.Log
}

// now is the wall clock without its monotonic reading.
func now() time.Time { return time.Now().Round(0) }
