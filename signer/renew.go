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
	if m.current.Load() != c || m.flight != nil || t.Before(c.renew) || !t.Before(c.ends) {
		return
	}
	if m.failure.err != nil && t.Before(m.failure.at.Add(m.failure.wait)) {
		return
	}
	if wait := m.lastMint.Add(betweenMints).Sub(t); wait > 0 {
		m.wake(wait)
		return
	}
	m.launch()
}
