package signer

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestRenewal(t *testing.T) {
	for name, c := range map[string]struct {
		needsPerson, paused bool
		useAt               time.Duration // 0: never
		mints               int           // until the first certificate has expired
	}{
		"never used":                 {false, false, 0, 1},
		"used at once":               {false, false, time.Second, 2},
		"used before two thirds":     {false, false, 30 * time.Minute, 2},
		"used after two thirds":      {false, false, 50 * time.Minute, 2},
		"needs a person":             {true, false, time.Second, 1},
		"needs a person, used late":  {true, false, 50 * time.Minute, 1},
		"paused":                     {false, true, time.Second, 1},
		"paused, used late":          {false, true, 50 * time.Minute, 1},
		"used when too late to list": {false, false, time.Hour - 2*time.Second, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := newOffice(t, time.Hour)
				m := ca.minter()
				m.Identity = somebody{needsPerson: c.needsPerson}
				m.Paused = func() bool { return c.paused }
				s, err := m.Signer(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				begun := time.Now()
				if c.useAt > 0 {
					time.Sleep(c.useAt)
					sign(t, s)
				}
				if early := 40*time.Minute - time.Second - time.Since(begun); early > 0 {
					time.Sleep(early)
					if ca.count() != 1 {
						t.Errorf("renewed before two thirds of the lifetime")
					}
				}
				time.Sleep(time.Hour - time.Since(begun))
				if n := ca.count(); n != c.mints {
					t.Errorf("%d mints, want %d", n, c.mints)
				}
				if c.mints == 2 {
					due := max(c.useAt, 40*time.Minute)
					if at := ca.times()[1].Sub(begun); at < due || at > due+time.Hour/20 {
						t.Errorf("renewed after %s, want %s and a little", at, due)
					}
					if m.Current() == nil || m.Current() == s {
						t.Error("the new certificate is not served")
					}
				}
				// Nobody used the new one.
				time.Sleep(48 * time.Hour)
				if n := ca.count(); n != c.mints {
					t.Errorf("%d mints with nobody there", n)
				}
				sign(t, s) // whether it has expired is for its user to look at
				synctest.Wait()
				if n := ca.count(); n != c.mints {
					t.Error("what has expired was renewed in the background")
				}
			})
		})
	}
}

// What kept a renewal back was lifted: the next use renews.
func TestRenewalAfterAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := newOffice(t, time.Hour)
		m := ca.minter()
		var paused atomic.Bool
		paused.Store(true)
		m.Paused = paused.Load
		use(t, m)
		time.Sleep(50 * time.Minute)
		paused.Store(false)
		use(t, m)
		synctest.Wait()
		if ca.count() != 2 {
			t.Errorf("%d mints", ca.count())
		}
	})
}

func TestOldOneServesWhileRenewalFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := newOffice(t, time.Hour)
		m := ca.minter()
		use(t, m)
		old := m.Current()
		down := errors.New("down")
		ca.fail(down)
		time.Sleep(50 * time.Minute)
		if m.Current() != old {
			t.Error("the old certificate is gone")
		}
		if s := m.Status(); !errors.Is(s.LastError, down) || s.Certificate == nil {
			t.Errorf("status: %+v", s)
		}
		times := ca.times()
		want := []time.Duration{15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute}
		if len(times) < 2+len(want)-1 {
			t.Fatalf("%d tries in ten minutes", len(times)-1)
		}
		for i := range min(len(times)-2, len(want)) {
			if d := times[i+2].Sub(times[i+1]); d != want[i] {
				t.Errorf("try %d came %s after the one before, want %s", i+2, d, want[i])
			}
		}
		// Use does not hasten it.
		n := len(times)
		for range 20 {
			use(t, m)
		}
		synctest.Wait()
		if ca.count() != n {
			t.Errorf("twenty signatures cost %d tries", ca.count()-n)
		}
		ca.fail(nil)
		time.Sleep(maxRetry)
		if m.Current() == old || m.Current() == nil {
			t.Error("the CA is back, and there is no new certificate")
		}
	})
}

func TestRenewalsAreTenSecondsApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := newOffice(t, 12*time.Second) // two thirds are 8 s
		m := ca.minter()
		for range 100 {
			use(t, m)
			time.Sleep(500 * time.Millisecond)
		}
		times := ca.times()
		if len(times) < 4 {
			t.Fatalf("%d mints in 50 s", len(times))
		}
		for i := range times[1:] {
			if d := times[i+1].Sub(times[i]); d < betweenMints {
				t.Errorf("mint %d came %s after the one before", i+2, d)
			}
		}
	})
}

func TestShortCertificatesInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := newOffice(t, 20*time.Second)
		ca.delay = 200 * time.Millisecond
		m := ca.minter()
		begun := time.Now()
		use(t, m)
		cold := time.Since(begun)
		for time.Since(begun) < 60*time.Second {
			before := time.Now()
			use(t, m)
			if d := time.Since(before); d > 0 {
				t.Errorf("after %s a login waited %s", time.Since(begun), d)
			}
			time.Sleep(250 * time.Millisecond)
		}
		if n := ca.count(); n > 6 || cold != ca.delay {
			t.Errorf("%d mints in 60 s, the first took %s", n, cold)
		}
	})
}
