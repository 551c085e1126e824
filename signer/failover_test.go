package signer

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"
)

type issuerFunc func(context.Context, *Request) (*ssh.Certificate, error)

func (f issuerFunc) Issue(ctx context.Context, r *Request) (*ssh.Certificate, error) {
	return f(ctx, r)
}

// endpointFake answers after a while, with a certificate of its own or an error.
type endpointFake struct {
	after    time.Duration
	person   time.Duration // before that, a person is asked
	cert     *ssh.Certificate
	err      error
	asked    atomic.Int32
	cutShort atomic.Bool // its context ended first
}

func (e *endpointFake) Issue(ctx context.Context, _ *Request) (*ssh.Certificate, error) {
	e.asked.Add(1)
	if e.person > 0 {
		done := awaitPerson(ctx)
		time.Sleep(e.person)
		done()
	}
	select {
	case <-time.After(e.after):
		return e.cert, e.err
	case <-ctx.Done():
		e.cutShort.Store(true)
		return nil, ctx.Err()
	}
}

const never = 24 * time.Hour

func good(after time.Duration) *endpointFake {
	return &endpointFake{after: after, cert: &ssh.Certificate{}}
}

func bad(after time.Duration, text string) *endpointFake {
	return &endpointFake{after: after, err: &Error{CA: text, Text: "is down"}}
}

func failover(list ...*endpointFake) *Failover {
	f := &Failover{}
	for _, e := range list {
		f.Issuers = append(f.Issuers, e)
	}
	return f
}

func TestFailover(t *testing.T) {
	final := &endpointFake{after: time.Second, err: &Error{CA: "one", Text: "no rule matches", Final: true}}
	slowFinal := &endpointFake{after: 3 * time.Second, err: &Error{CA: "one", Text: "no rule matches", Final: true}}
	person := good(time.Second)
	person.person = 30 * time.Second
	tired := good(never)
	tired.person = 30 * time.Second
	for name, c := range map[string]struct {
		issuers []*endpointFake
		winner  int // or -1
		took    time.Duration
		asked   []int32
	}{
		"first answers":                      {[]*endpointFake{good(time.Second), good(0)}, 0, time.Second, []int32{1, 0}},
		"first fails":                        {[]*endpointFake{bad(time.Second, "one"), good(time.Second)}, 1, 2 * time.Second, []int32{1, 1}},
		"first is a black hole":              {[]*endpointFake{good(never), good(time.Second)}, 1, 3 * time.Second, []int32{1, 1}},
		"two black holes":                    {[]*endpointFake{good(never), good(never), good(0)}, 2, 4 * time.Second, []int32{1, 1, 1}},
		"first is slow and wins":             {[]*endpointFake{good(3 * time.Second), good(2 * time.Second)}, 0, 3 * time.Second, []int32{1, 1}},
		"first is slow and fails":            {[]*endpointFake{bad(3*time.Second, "one"), good(4 * time.Second)}, 1, 6 * time.Second, []int32{1, 1}},
		"first is final":                     {[]*endpointFake{final, good(0)}, -1, time.Second, []int32{1, 0}},
		"a slow final ends the second":       {[]*endpointFake{slowFinal, good(never)}, -1, 3 * time.Second, []int32{1, 1}},
		"a person takes half a minute":       {[]*endpointFake{person, good(0)}, 0, 31 * time.Second, []int32{1, 0}},
		"black hole after the person's part": {[]*endpointFake{tired, good(time.Second)}, 1, 33 * time.Second, []int32{1, 1}},
		"all fail":                           {[]*endpointFake{bad(time.Second, "one"), bad(time.Second, "two")}, -1, 2 * time.Second, []int32{1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				cert, err := failover(c.issuers...).Issue(t.Context(), &Request{})
				if d := time.Since(begun); d != c.took {
					t.Errorf("it took %s, want %s", d, c.took)
				}
				if (c.winner < 0) != (err != nil) || c.winner >= 0 && cert != c.issuers[c.winner].cert {
					t.Errorf("got %v, %v", cert, err)
				}
				synctest.Wait()
				for i, e := range c.issuers {
					if n := e.asked.Load(); n != c.asked[i] {
						t.Errorf("CA %d was asked %d times", i, n)
					}
					if loser := i != c.winner && c.asked[i] > 0 && e.err == nil; loser && !e.cutShort.Load() {
						t.Errorf("CA %d lost and was not told", i)
					}
				}
			})
		})
	}
}

func TestFailoverNamesEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := failover(bad(0, "https://one"), bad(0, "https://two")).Issue(t.Context(), &Request{})
		if err == nil || err.Error() != "https://one: is down; https://two: is down" {
			t.Errorf("got %v", err)
		}
		var e *Error
		if !errors.As(err, &e) || isFinal(err) {
			t.Error("the errors of the CAs cannot be had")
		}
		if _, err := (&Failover{}).Issue(t.Context(), &Request{}); err == nil || !strings.Contains(err.Error(), "no CA is configured") {
			t.Errorf("with no CA: %v", err)
		}
	})
}

// A second PIN prompt after a "no" would teach people to type PINs.
func TestFailoverTakesNoForAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		no := &endpointFake{err: &Error{Text: "no", Final: true, Err: ErrDeclined}}
		second := good(0)
		if _, err := failover(no, second).Issue(t.Context(), &Request{}); !errors.Is(err, ErrDeclined) || second.asked.Load() != 0 {
			t.Errorf("got %v, and the second was asked %d times", err, second.asked.Load())
		}
	})
}

func TestFailoverSetsAside(t *testing.T) {
	for name, first := range map[string]*endpointFake{"failing": bad(0, "one"), "silent": good(never)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				second := good(0)
				f := failover(first, second)
				ask := func() time.Duration {
					begun := time.Now()
					if _, err := f.Issue(t.Context(), &Request{}); err != nil {
						t.Fatal(err)
					}
					return time.Since(begun)
				}
				ask()
				was := first.asked.Load()
				time.Sleep(59 * time.Second)
				if d := ask(); d != 0 || first.asked.Load() != was {
					t.Errorf("within a minute it was asked again (%s)", d)
				}
				time.Sleep(2 * time.Second)
				if ask(); first.asked.Load() != was+1 {
					t.Error("after a minute it was not asked again")
				}
				// Set aside is not switched off: where the others fail too, it is asked.
				second.err = errors.New("down as well")
				first.err, first.after, first.cert = nil, 0, &ssh.Certificate{}
				ask()
				if first.asked.Load() != was+2 {
					t.Error("all are set aside, and nobody was asked")
				}
				if _, aside := f.aside[0]; aside {
					t.Error("one that answers again is still set aside")
				}
			})
		})
	}
}

func TestFailoverEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := good(never), good(never)
		f := failover(one, two)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := f.Issue(ctx, &Request{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if got := f.order(); got[0] != 0 {
			t.Errorf("where everything is silent nobody is set aside: %v", got)
		}
	})
}

// Two prompts of one turn, one after the clock ran out: the next CA is asked
// once, not once more for each prompt.
func TestTurnExpiresOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var slow int
		ctx, end := withTurn(t.Context(), time.Second, func() { slow++ })
		one := awaitPerson(ctx)
		two := awaitPerson(ctx)
		time.Sleep(time.Minute)
		turnOf(ctx).elapsed() // the clock ran out while the prompt was being opened
		one()
		time.Sleep(time.Minute)
		if slow != 0 {
			t.Error("a person's time counted as the CA's")
		}
		two()
		time.Sleep(time.Second)
		synctest.Wait()
		three := awaitPerson(ctx)
		four := awaitPerson(ctx)
		three()
		four()
		time.Sleep(time.Minute)
		if slow != 1 {
			t.Errorf("slow was called %d times", slow)
		}
		end()
		awaitPerson(context.Background())() // no turn
	})
}
