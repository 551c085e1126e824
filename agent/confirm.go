package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// A Confirmer asks the person at the computer. Confirm must return nil for a
// clear yes to q and for nothing else, ErrDeclined, wrapped or not, for a no,
// and must return soon after ctx has ended. It may be called from several
// goroutines at once.
type Confirmer interface {
	Confirm(ctx context.Context, q Question) error
}

// ErrDeclined is a Confirmer's answer if the person said no. Every other error
// is no as well; this one is remembered for a while, so that a program which
// tries again and again does not ask again and again.
var ErrDeclined = errors.New("the person declined")

// A Confirmation says how often a person is asked before a key is used.
type Confirmation int

const (
	ConfirmNever      Confirmation = iota
	ConfirmConnection              // once on a connection for the same use: account, server or namespace
	ConfirmSignature               // each time
)

const (
	// confirmTime bounds a question, waiting for other questions included.
	confirmTime = 60 * time.Second
	// denialTime is how long a no stays one without another question.
	denialTime = time.Minute
)

var errNoConfirmer = errors.New("it has to be confirmed, and there is no way to ask anybody")

// confirm asks the person whether a key may be used as q says, and returns nil
// for a yes alone. What the connection tells is added to q. No lock is held
// while the person thinks.
func (s *session) confirm(ctx context.Context, q Question) error {
	a := s.agent
	if a.Confirmer == nil {
		return errNoConfirmer
	}
	q.Forwarded = s.binds.remote() != nil
	q.Callers = callers(s.peer.pid)
	who := denied{subject: q.subject(), pid: s.peer.pid}
	if len(q.Callers) > 0 {
		who.started = q.Callers[0].started
	}
	if until, ok := a.denials.until(who, time.Now()); ok {
		return fmt.Errorf("%w a moment ago; asked again from %s", ErrDeclined, until.Format(time.TimeOnly))
	}
	late := fmt.Errorf("nobody answered within %s", confirmTime)
	ctx, cancel := context.WithTimeoutCause(ctx, confirmTime, late)
	defer cancel()
	ctx, stop := s.untilHangUp(ctx)
	defer stop()
	err := a.Confirmer.Confirm(ctx, q)
	switch {
	case errors.Is(err, ErrDeclined), ctx.Err() != nil && errors.Is(context.Cause(ctx), late):
		a.denials.add(who, time.Now())
	}
	switch {
	case ctx.Err() != nil: // also after a yes: it came too late
		return fmt.Errorf("asking for confirmation: %w", context.Cause(ctx))
	case err != nil:
		return fmt.Errorf("asking for confirmation: %w", err)
	case a.Locked(): // meanwhile
		return errLocked
	}
	return nil
}

// untilHangUp returns a ctx that ends when the client does, so that no dialog
// stays on the screen that nothing depends on.
func (s *session) untilHangUp(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	watched := func() {}
	if s.conn != nil {
		watched = onHangUp(s.conn, func() { cancel(errors.New("the client hung up")) })
	}
	return ctx, func() {
		watched()
		cancel(nil)
	}
}

// confirmLogin asks for a login as the profile says.
func (s *session) confirmLogin(ctx context.Context, m *minted, q authRequest) error {
	if s.confirmation(m.profile) == ConfirmNever {
		return nil
	}
	return s.confirmUse(ctx, m, Question{Use: UseLogin, User: string(q.user), Host: s.destination()})
}

// confirmUse asks as the profile of a minted key says. A yes for a connection is
// one for what the question said: another account, server or namespace is asked
// for anew, as a forwarded connection may come to need.
func (s *session) confirmUse(ctx context.Context, m *minted, q Question) error {
	p := m.profile
	how := s.confirmation(p)
	q.Forwarded = s.binds.remote() != nil
	switch how {
	case ConfirmNever:
		return nil
	case ConfirmConnection:
		if slices.Contains(s.confirmed, confirmed{p, q.use()}) {
			return nil
		}
	}
	q.Profile, q.Comment, q.Fingerprint = p.Name, m.comment, ssh.FingerprintSHA256(m.cert.Key)
	if err := s.confirm(ctx, q); err != nil {
		return err
	}
	if how == ConfirmConnection && len(s.confirmed) < maxConfirmed {
		s.confirmed = append(s.confirmed, confirmed{p, q.use()})
	}
	// The question may have taken a while.
	find := s.find
	if q.Use == UseSSHSIG {
		find = s.findSSHSIG
	}
	if still, err := find([]byte(m.blob)); err != nil || still != m {
		return errors.New("the certificate was dropped while the person was asked")
	}
	return nil
}

// destination is the server that the connection proved with its last bind: the
// names by which ssh knows it, or its host key, or "".
func (s *session) destination() string {
	if s.binds.failed || len(s.binds.hops) == 0 {
		return ""
	}
	if host := s.host(); host != nil && len(host.Names) > 0 {
		return strings.Join(host.Names[:min(len(host.Names), 3)], ", ")
	}
	key, err := ssh.ParsePublicKey([]byte(s.binds.hops[len(s.binds.hops)-1].hostKey))
	if err != nil {
		return ""
	}
	if cert, ok := key.(*ssh.Certificate); ok {
		key = cert.Key
	}
	return "the server with the host key " + ssh.FingerprintSHA256(key)
}

// maxConfirmed is how many confirmations one connection keeps; what goes beyond
// is asked each time.
const maxConfirmed = 64

// confirmed is what a person allowed for the rest of a connection.
type confirmed struct {
	profile *profile
	use     use
}

// denied is who was refused what.
type denied struct {
	subject string // the profile, or the fingerprint of an added key
	pid     int
	started uint64 // tells processes apart that had the same pid
}

// denials are remembered until their time is over. The zero value is empty.
type denials struct {
	mu   sync.Mutex
	ends map[denied]time.Time
}

func (d *denials) add(who denied, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for other, end := range d.ends {
		if !now.Before(end) {
			delete(d.ends, other)
		}
	}
	if d.ends == nil {
		d.ends = make(map[denied]time.Time)
	}
	d.ends[who] = now.Add(denialTime)
}

func (d *denials) until(who denied, now time.Time) (time.Time, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	end, ok := d.ends[who]
	return end, ok && now.Before(end)
}
