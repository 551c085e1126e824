package agent

import (
	"context"
	"net"
	"os"
	"slices"
	"sync"
	"time"
)

// An Upstream is another agent, whose keys are offered after ours, as it is now.
type Upstream struct {
	Path      string
	Reachable bool
	Keys      int // that it lists to a local client
	// LastError is the last thing that went wrong with it, or "", and FailedAt
	// when that was.
	LastError string
	FailedAt  time.Time
}

// An upstream is what all client connections share of another agent: where it is
// and how it does. Each has a relay of its own to it.
type upstream struct {
	path    string
	connect func(ctx context.Context) (net.Conn, error)

	mu       sync.Mutex
	failing  bool
	err      error
	failedAt time.Time
}

func newUpstream(path string) *upstream {
	return &upstream{path: path, connect: func(ctx context.Context) (net.Conn, error) { return dialAgent(ctx, path) }}
}

// note keeps how an exchange went. It reports whether that is news, so that an
// agent which is gone for a day does not fill the log.
func (u *upstream) note(err error) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	news := u.failing != (err != nil) || err != nil && u.err.Error() != err.Error()
	u.failing = err != nil
	if err != nil {
		u.err, u.failedAt = err, time.Now()
	}
	return news
}

// setUpstreams keeps what is known of those that stay.
func (a *Agent) setUpstreams(paths []string) {
	old := a.upstreamSet()
	next := make([]*upstream, 0, len(paths))
	for _, path := range paths {
		same := func(u *upstream) bool { return u.path == path }
		if slices.ContainsFunc(next, same) {
			continue
		}
		if i := slices.IndexFunc(old, same); i >= 0 {
			next = append(next, old[i])
		} else {
			next = append(next, newUpstream(path))
		}
	}
	a.upstreams.Store(&next)
}

func (a *Agent) upstreamSet() []*upstream {
	if set := a.upstreams.Load(); set != nil {
		return *set
	}
	return nil
}

// Upstreams asks each upstream agent, as a list by a local client would: ctx and
// 3 s bound that. While the agent is locked they are not asked.
func (a *Agent) Upstreams(ctx context.Context) []Upstream {
	s := &session{agent: a, peer: peer{pid: os.Getpid()}}
	defer s.close()
	var lists []upstreamList
	if asked := s.askUpstreams(ctx); asked != nil {
		asked.wait()
		lists = asked.lists
	}
	var all []Upstream
	for _, u := range a.upstreamSet() {
		now := Upstream{Path: u.path}
		for _, l := range lists {
			if l.relay.to == u && l.err == nil {
				now.Reachable, now.Keys = true, len(l.keys)
			}
		}
		u.mu.Lock()
		if u.err != nil {
			now.LastError, now.FailedAt = printable(u.err.Error(), 500), u.failedAt
		}
		u.mu.Unlock()
		all = append(all, now)
	}
	return all
}
