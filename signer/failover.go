package signer

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// Failover is an Issuer of Issuers. It asks the first; where that one fails,
// or has not answered after Patience, also the next. The first certificate
// wins, and a final refusal ends it: another CA under the same policy would
// say the same. One that failed, or was still silent when a later one had
// answered, is asked last for the next Aside.
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
		slow     = make(chan int, len(order))
		waiting  []int // asked and not done, in that order
		failed   failures
	)
	start := func() {
		issuer := order[0]
		order = order[1:]
		waiting = append(waiting, issuer)
		turn := newTurn(f.patience(), func() { slow <- issuer })
		go func() {
			cert, err := f.Issuers[issuer].Issue(context.WithValue(ctx, turnKey{}, turn), r)
			turn.end()
			outcomes <- outcome{issuer, cert, err}
		}()
	}
	if len(order) == 0 {
		return nil, &Error{Text: "no CA is configured", Final: true}
	}
	start()
	for {
		select {
		case issuer := <-slow:
			if len(order) > 0 && slices.Contains(waiting, issuer) { // not done meanwhile
				start()
			}
		case o := <-outcomes:
			done := slices.Index(waiting, o.issuer)
			earlier := waiting[:done]
			waiting = slices.Delete(slices.Clone(waiting), done, done+1)
			switch {
			case o.err == nil:
				f.restore(o.issuer)
				f.setAside(earlier...)
				return o.cert, nil
			case isFinal(o.err):
				return nil, o.err
			}
			failed = append(failed, o.err)
			if ctx.Err() == nil {
				f.setAside(o.issuer)
				if len(order) > 0 {
					start()
				}
			}
			if len(waiting) == 0 {
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

func (f *Failover) setAside(issuers ...int) {
	aside := f.Aside
	if aside == 0 {
		aside = time.Minute
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.aside == nil {
		f.aside = map[int]time.Time{}
	}
	for _, i := range issuers {
		f.aside[i] = time.Now().Add(aside)
	}
}

func (f *Failover) restore(issuer int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.aside, issuer)
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
	slow     func()
	mu       sync.Mutex
	timer    *time.Timer
	persons  int  // prompts that are open
	over     bool // slow was called, or the issuer is done
}

type turnKey struct{}

// newTurn calls slow at most once.
func newTurn(patience time.Duration, slow func()) *turn {
	t := &turn{patience: patience, slow: slow}
	t.timer = time.AfterFunc(patience, t.expire)
	return t
}

func (t *turn) expire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over || t.persons > 0 {
		return
	}
	t.over = true
	t.slow()
}

func (t *turn) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	t.timer.Stop()
}

// awaitPerson stops the clock of the turn that ctx belongs to while the
// identity may wait for a person's PIN or touch. The caller must call done, and
// the CA then has its whole time again.
func awaitPerson(ctx context.Context) (done func()) {
	t, ok := ctx.Value(turnKey{}).(*turn)
	if !ok {
		return func() {}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.timer.Stop()
	t.persons++
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.persons--; t.persons == 0 && !t.over {
			t.timer.Reset(t.patience)
		}
	}
}
