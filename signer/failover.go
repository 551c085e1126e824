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
		ctx, end := withTurn(ctx, f.patience(), func() { slow <- issuer })
		go func() {
			cert, err := f.Issuers[issuer].Issue(ctx, r)
			end()
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
