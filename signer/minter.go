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
	Changed    func()        // called when Current became another, before anybody gets that; nil means nothing

	current atomic.Pointer[minted]

	mu       sync.Mutex
	key      ssh.Signer // certified next, and by current
	keyBorn  time.Time
	flight   *flight // nil if none; what another one brings is dropped
	failure  failure
	timer    *time.Timer
	lastMint time.Time // when the last renewal began
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

// NeedsPerson tells whether a mint would ask a person for something now.
func (m *Minter) NeedsPerson() bool { return m.Identity.NeedsPerson() }

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

// Forget drops certificate and key, and ends a mint that is under way: whoever
// waits for it gets ErrForgotten. The next use mints anew.
func (m *Minter) Forget() {
	defer m.changed()
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

// changed is called without the lock.
func (m *Minter) changed() {
	if m.Changed != nil {
		m.Changed()
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
