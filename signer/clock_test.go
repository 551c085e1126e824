package signer

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"
)

func TestTimeLimit(t *testing.T) {
	for name, c := range map[string]struct {
		needsPerson  bool
		person, want time.Duration
	}{
		"nobody is asked":               {false, 0, 10 * time.Second},
		"the PIN is known":              {true, 0, 10 * time.Second},
		"a person takes half a minute":  {true, 30 * time.Second, 40 * time.Second},
		"a person takes almost all":     {true, 55 * time.Second, 60 * time.Second},
		"a person is asked by surprise": {false, 30 * time.Second, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				blackHole := issuerFunc(func(ctx context.Context, _ *Request) (*ssh.Certificate, error) {
					done := awaitPerson(ctx)
					select {
					case <-time.After(c.person):
					case <-ctx.Done():
					}
					done()
					<-ctx.Done()
					return nil, context.Cause(ctx)
				})
				for kind, issuer := range map[string]Issuer{"alone": blackHole, "in a Failover": &Failover{Issuers: []Issuer{blackHole}}} {
					m := &Minter{Identity: somebody{needsPerson: c.needsPerson}, Issuer: issuer}
					begun := time.Now()
					_, err := m.Signer(t.Context())
					if d := time.Since(begun); !errors.Is(err, context.DeadlineExceeded) || d != c.want {
						t.Errorf("%s: %v after %s, want %s", kind, err, d, c.want)
					}
				}
			})
		})
	}
}

func TestListedUntil(t *testing.T) {
	for life, margin := range map[time.Duration]time.Duration{
		time.Hour:        5 * time.Second,
		50 * time.Second: 5 * time.Second,
		20 * time.Second: 2 * time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			ca := newOffice(t, life)
			m := ca.minter()
			if _, err := m.Signer(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(life - margin)
			if m.Current() == nil {
				t.Errorf("%s: not listed with %s left", life, margin)
			}
			time.Sleep(time.Millisecond)
			if m.Current() != nil || m.Status().Certificate != nil {
				t.Errorf("%s: still listed with less than %s left", life, margin)
			}
			use(t, m)
			if ca.count() != 2 {
				t.Errorf("%d mints", ca.count())
			}
		})
	}
}

func TestCAWithAnotherClock(t *testing.T) {
	for name, c := range map[string]struct {
		clock, life time.Duration
		left        time.Duration // of the certificate, where it is accepted
		want        []string
	}{
		"same":                       {0, 8 * time.Hour, 8 * time.Hour, nil},
		"30 s ahead":                 {30 * time.Second, 8 * time.Hour, 8*time.Hour + 30*time.Second, nil},
		"an hour ahead":              {time.Hour, 8 * time.Hour, 0, []string{"is not valid before", "this computer's clock is 59m0s behind the CA's"}},
		"an hour behind":             {-time.Hour, 8 * time.Hour, 7 * time.Hour, nil},
		"an hour behind, short life": {-time.Hour, 30 * time.Minute, 0, []string{"the certificate expired at", "the CA's clock is behind"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := newOffice(t, c.life)
				ca.clock = c.clock
				m := ca.minter()
				_, err := m.Signer(t.Context())
				if c.want == nil {
					if err != nil || time.Until(m.Status().Ends) != c.left {
						t.Errorf("got %v, %s left", err, time.Until(m.Status().Ends))
					}
					return
				}
				for _, w := range c.want {
					if err == nil || !strings.Contains(err.Error(), w) {
						t.Errorf("got %v, want %q", err, w)
					}
				}
				if m.Current() != nil {
					t.Error("it is served all the same")
				}
			})
		})
	}
}

// The bubble's wall clock cannot be set, so what a Minter remembers is set
// instead, as if the clock had been ahead then.
func TestClockSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := newOffice(t, time.Hour)
		ca.fail(errors.New("the identity is not yet valid"))
		m := ca.minter()
		if _, err := m.Signer(t.Context()); err == nil {
			t.Fatal("no error")
		}
		ca.fail(nil)
		ahead := time.Now().Add(365 * 24 * time.Hour)
		m.mu.Lock()
		m.failure.at, m.lastMint, m.keyBorn = ahead, ahead, ahead
		m.mu.Unlock()
		use(t, m)
		if ca.count() != 2 || ca.keys[0] == ca.keys[1] {
			t.Errorf("%d mints; a failure or a key of the future is kept", ca.count())
		}
		m.mu.Lock()
		m.lastMint = ahead
		m.mu.Unlock()
		time.Sleep(50 * time.Minute)
		if ca.count() != 3 {
			t.Error("a mint of the future holds up renewal")
		}
	})
}

// A time with a monotonic reading is not compared by the wall clock, and does
// not age while the computer sleeps.
func TestWallClock(t *testing.T) {
	m := newOffice(t, time.Hour).minter()
	use(t, m)
	c := m.current.Load()
	for name, at := range map[string]time.Time{
		"begins": c.begins, "ends": c.ends, "renew": c.renew, "last mint": m.lastMint, "key": m.keyBorn, "now": now(),
	} {
		if at != at.Round(0) {
			t.Errorf("%s has a monotonic reading: %s", name, at)
		}
	}
}
