package signer

import (
	"context"
	"sync"
	"time"
)

// turn is the time that the network has, for one issuer of a Failover or for a
// whole mint. The time that a person takes for a PIN or a touch is not counted.
type turn struct {
	limit  time.Duration
	expire func()
	outer  *turn // of which this is a part, or nil
	mu     sync.Mutex
	timer  *time.Timer
	// persons are the prompts that are open.
	persons int
	over    bool // expire was called, or will not be
}

type turnKey struct{}

// withTurn calls expire at most once, and not after end. expire must not block.
func withTurn(ctx context.Context, limit time.Duration, expire func()) (_ context.Context, end func()) {
	t := &turn{limit: limit, expire: expire, outer: turnOf(ctx)}
	t.timer = time.AfterFunc(limit, t.elapsed)
	return context.WithValue(ctx, turnKey{}, t), t.end
}

func turnOf(ctx context.Context) *turn {
	t, _ := ctx.Value(turnKey{}).(*turn)
	return t
}

func (t *turn) elapsed() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over || t.persons > 0 {
		return
	}
	t.over = true
	t.expire()
}

func (t *turn) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	t.timer.Stop()
}

func (t *turn) pause() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.timer.Stop()
	t.persons++
}

func (t *turn) resume() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.persons--; t.persons == 0 && !t.over {
		t.timer.Reset(t.limit)
	}
}

// awaitPerson stops the clock of the turns that ctx belongs to while the
// identity may wait for a person. The caller must call done, and the network
// then has its whole time again.
func awaitPerson(ctx context.Context) (done func()) {
	inner := turnOf(ctx)
	for t := inner; t != nil; t = t.outer {
		t.pause()
	}
	return func() {
		for t := inner; t != nil; t = t.outer {
			t.resume()
		}
	}
}
