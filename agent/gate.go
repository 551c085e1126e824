package agent

import (
	"context"
	"slices"
	"sync"
)

// Limits of connections. One that is over them is not refused, since ssh would
// then go on without its keys, but waits for its turn; up to maxWaiting of one
// socket have been accepted, the kernel queues the others.
const (
	maxServed     = 1024
	maxPerProcess = 256
	maxWaiting    = 1024
)

// A gate lets connections through, in the order in which they came, as places
// become free. The zero value is open.
type gate struct {
	mu        sync.Mutex
	served    int
	byProcess map[int]int
	waiting   []*ticket
}

type ticket struct {
	pid      int
	admitted chan struct{}
}

// enter waits for a place for a connection of the process and reports whether
// there is one; there is none if ctx ends before. Who has a place must leave.
func (g *gate) enter(ctx context.Context, pid int) bool {
	g.mu.Lock()
	if g.hasRoom(pid) {
		g.take(pid)
		g.mu.Unlock()
		return true
	}
	t := &ticket{pid, make(chan struct{})}
	g.waiting = append(g.waiting, t)
	g.mu.Unlock()

	select {
	case <-t.admitted:
		return true
	case <-ctx.Done():
	}
	g.mu.Lock()
	i := slices.Index(g.waiting, t)
	if i >= 0 {
		g.waiting = slices.Delete(g.waiting, i, i+1)
	}
	g.mu.Unlock()
	if i < 0 { // admitted at the same moment
		g.leave(pid)
	}
	return false
}

// leave gives a place back. That makes room for one more connection at most, so
// that the first in the queue for which there is room is the only one.
func (g *gate) leave(pid int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.served--
	if g.byProcess[pid]--; g.byProcess[pid] == 0 {
		delete(g.byProcess, pid)
	}
	for i, t := range g.waiting {
		if g.hasRoom(t.pid) {
			g.waiting = slices.Delete(g.waiting, i, i+1)
			g.take(t.pid)
			close(t.admitted)
			return
		}
	}
}

// hasRoom does not count processes that the system does not name (pid 0, such as
// those of another pid namespace): they may be many.
func (g *gate) hasRoom(pid int) bool {
	return g.served < maxServed && (pid == 0 || g.byProcess[pid] < maxPerProcess)
}

func (g *gate) take(pid int) {
	if g.byProcess == nil {
		g.byProcess = make(map[int]int)
	}
	g.served++
	g.byProcess[pid]++
}
