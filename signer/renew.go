package signer

import "time"

// wake has the renewal looked at after d. The lock is held.
//
// The timer runs on the monotonic clock and so comes late after a sleep; by
// then a use of the certificate, or a listing that finds it expired, has come
// first.
func (m *Minter) wake(d time.Duration) {
	if m.timer == nil {
		m.timer = time.AfterFunc(d, m.renew)
		return
	}
	m.timer.Reset(d)
}

// renew begins a renewal if there is reason to. It never blocks.
func (m *Minter) renew() {
	c := m.current.Load()
	if c == nil || !c.used.Load() || m.Identity.NeedsPerson() || m.Paused != nil && m.Paused() {
		return
	}
	t := now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.current.Load() != c || m.flight != nil || !t.Before(c.ends) {
		return
	}
	wait := max(c.renew.Sub(t), pending(m.lastMint, betweenMints, t))
	if m.failure.err != nil {
		wait = max(wait, pending(m.failure.at, m.failure.wait, t))
	}
	if wait > 0 {
		m.wake(wait)
		return
	}
	m.launch()
}

// pending is what is left at t of d, which began at start. It is nothing if the
// clock was set back to before start: a wrong clock would hold things up for
// ever, and may have been what made a mint fail.
func pending(start time.Time, d time.Duration, t time.Time) time.Duration {
	if t.Before(start) {
		return 0
	}
	return start.Add(d).Sub(t)
}
