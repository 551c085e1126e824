package ca

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// limiter allows each key so many events a minute: all of them at once, then
// one whenever a minute's share has passed.
//
// Its memory is bounded without a sweep: keys live in two generations, and
// when the young one is full the old one is dropped. A key that was used
// lately moves to the young one, so what is forgotten is what was idle while
// maxLimited others came.
type limiter struct {
	perMinute int

	mu         sync.Mutex
	young, old map[string]*rate.Limiter
}

// maxLimited is how many keys a generation holds.
const maxLimited = 16 << 10

func newLimiter(perMinute int) *limiter {
	return &limiter{perMinute: perMinute, young: map[string]*rate.Limiter{}}
}

// wait is 0 where key may go on now, and else the time after which it may.
func (l *limiter) wait(key string, now time.Time) time.Duration {
	r := l.bucket(key).ReserveN(now, 1)
	d := r.DelayFrom(now)
	if d > 0 {
		r.CancelAt(now)
	}
	return d
}

func (l *limiter) bucket(key string) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b, ok := l.young[key]; ok {
		return b
	}
	b, ok := l.old[key]
	if !ok {
		b = rate.NewLimiter(rate.Every(time.Minute/time.Duration(l.perMinute)), l.perMinute)
	}
	if len(l.young) >= maxLimited {
		l.old, l.young = l.young, map[string]*rate.Limiter{}
	}
	l.young[key] = b
	return b
}

// addressKey is what a source address is counted as: IPv6 by its /64, since
// one customer has all of that to choose from.
func addressKey(remote string) string {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return remote
	}
	a := ap.Addr().Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}
