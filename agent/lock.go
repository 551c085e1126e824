package agent

import (
	"bytes"
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// lockRounds makes a guess cost about 10 ms, which is nothing to a person.
const lockRounds = 1 << 16

// A lock is the agent's lock as OpenSSH has it: ssh-add -x sets a password, and
// with it alone ssh-add -X opens again. The zero value is open.
type lock struct {
	locked atomic.Bool

	// Attempts come one after another, so that many connections guess no
	// faster than one. Whose turn it is holds the token.
	init sync.Once
	turn chan struct{}

	salt, hash []byte // of the password, while locked
	failures   int
}

func (l *lock) begin(ctx context.Context) error {
	l.init.Do(func() { l.turn = make(chan struct{}, 1) })
	select {
	case l.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *lock) end() { <-l.turn }

func (l *lock) close(ctx context.Context, password []byte) error {
	if err := l.begin(ctx); err != nil {
		return err
	}
	defer l.end()
	if l.locked.Load() {
		return errors.New("the agent is locked already")
	}
	salt := make([]byte, 16)
	rand.Read(salt) // never fails
	hash, err := hashPassword(password, salt)
	if err != nil {
		return err
	}
	l.salt, l.hash = salt, hash
	l.locked.Store(true)
	return nil
}

func (l *lock) open(ctx context.Context, password []byte) error {
	if err := l.begin(ctx); err != nil {
		return err
	}
	defer l.end()
	if !l.locked.Load() {
		return errors.New("the agent is not locked")
	}
	hash, err := hashPassword(password, l.salt)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(hash, l.hash) != 1 {
		l.failures = min(l.failures+1, 100)
		select {
		case <-time.After(time.Duration(l.failures) * 100 * time.Millisecond):
		case <-ctx.Done():
		}
		return errors.New("wrong password")
	}
	clear(l.hash)
	l.salt, l.hash, l.failures = nil, nil, 0
	l.locked.Store(false)
	return nil
}

func hashPassword(password, salt []byte) ([]byte, error) {
	return pbkdf2.Key(sha256.New, string(password), salt, lockRounds, sha256.Size)
}

func (s *session) lock(ctx context.Context, body []byte) error {
	password, err := s.password(body)
	if err != nil {
		return err
	}
	if err := s.agent.lock.close(ctx, password); err != nil {
		return err
	}
	s.agent.log().Info("locked", "pid", s.peer.pid)
	return s.succeed()
}

func (s *session) unlock(ctx context.Context, body []byte) error {
	password, err := s.password(body)
	if err != nil {
		return err
	}
	if err := s.agent.lock.open(ctx, password); err != nil {
		return err
	}
	s.agent.log().Info("unlocked", "pid", s.peer.pid)
	return s.succeed()
}

// password reads a lock or unlock request. OpenSSH's agent ends itself when a
// lock request cannot be read; here the client is told that nothing is locked.
func (s *session) password(body []byte) ([]byte, error) {
	if err := s.binds.remote(); err != nil {
		return nil, err
	}
	r := reader{rest: body}
	password := r.string()
	switch {
	case r.short:
		return nil, errShort
	case len(password) == 0:
		return nil, errors.New("the password is empty")
	case bytes.IndexByte(password, 0) >= 0:
		return nil, errors.New("the password has a NUL")
	}
	return password, nil
}
