package signer

import (
	"context"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// Failover is an Issuer of Issuers. It asks the first; where that one fails,
// or has not answered after Patience, also the next. The first certificate
// wins, and a final refusal ends it: another CA under the same policy would
// say the same. One that failed is asked last for the next Aside.
//
// The time that a person needs for a PIN or a touch is not counted as the
// CA's.
type Failover struct {
	Issuers  []Issuer
	Patience time.Duration // 0 means 2 s
	Aside    time.Duration // 0 means 60 s

	mu    sync.Mutex
	aside map[int]time.Time // until when
}

type outcome struct {
	issuer int
	cert   *ssh.Certificate
	err    error
}

// Issue is safe for concurrent use.
func (f *Failover) Issue(ctx context.Context, r *Request) (*ssh.Certificate, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends those that lost
	var (
		order    = f.order()
		outcomes = make(chan outcome, len(order))
		slow     = make(chan struct{}, len(order))
		waiting  = 0
		failed   failures
	)
	start := func() {
		issuer := order[0]
		order = order[1:]
		waiting++
		turn := newTurn(f.patience(), func() { slow <- struct{}{} })
		go func() {
			defer turn.end()
			cert, err := f.Issuers[issuer].Issue(context.WithValue(ctx, turnKey{}, turn), r)
			outcomes <- outcome{issuer, cert, err}
		}()
	}
	if len(order) == 0 {
		return nil, &Error{Text: "no CA is configured", Final: true}
	}
	start()
	for {
		select {
		case <-slow:
			if len(order) > 0 {
				start()
			}
		case o := <-outcomes:
			waiting--
			switch {
			case o.err == nil:
				f.remember(o.issuer, false)
				return o.cert, nil
			case isFinal(o.err):
				return nil, o.err
			}
			failed = append(failed, o.err)
			if ctx.Err() == nil {
				f.remember(o.issuer, true)
				if len(order) > 0 {
					start()
				}
			}
			if waiting == 0 {
				return nil, failed
			}
		}
	}
}

func (f *Failover) patience() time.Duration {
	if f.Patience == 0 {
		return 2 * time.Second
	}
	return f.Patience
}

// order gives the issuers as configured, but those set aside last: asking
// them all the same beats telling a person that nobody was asked.
func (f *Failover) order() []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	var first, last []int
	for i := range f.Issuers {
		if time.Now().Before(f.aside[i]) {
			last = append(last, i)
		} else {
			first = append(first, i)
		}
	}
	return append(first, last...)
}

func (f *Failover) remember(issuer int, failed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !failed {
		delete(f.aside, issuer)
		return
	}
	if f.aside == nil {
		f.aside = map[int]time.Time{}
	}
	aside := f.Aside
	if aside == 0 {
		aside = time.Minute
	}
	f.aside[issuer] = time.Now().Add(aside)
}

// failures are what several CAs said, in the order in which they failed.
type failures []error

func (f failures) Error() string {
	texts := make([]string, len(f))
	for i, err := range f {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (f failures) Unwrap() []error { return f }

// turn is the time that one issuer has before the next is asked too.
type turn struct {
	patience time.Duration
	mu       sync.Mutex
	timer    *time.Timer
	persons  int // prompts that are open
	ended    bool
}

type turnKey struct{}

func newTurn(patience time.Duration, slow func()) *turn {
	t := &turn{patience: patience}
	t.timer = time.AfterFunc(patience, slow)
	return t
}

func (t *turn) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
	t.timer.Stop()
}

// awaitPerson stops the clock of the turn that ctx belongs to while the
// identity signs, which may take a person's PIN or touch. It must be called
// again with what it returns.
func awaitPerson(ctx context.Context) (done func()) {
	t, ok := ctx.Value(turnKey{}).(*turn)
	if !ok {
		return func() {}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	// One that has fired stays so: the next issuer is being asked already.
	running := t.timer.Stop() || t.persons > 0
	t.persons++
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.persons--; t.persons == 0 && running && !t.ended {
			t.timer.Reset(t.patience)
		}
	}
}
