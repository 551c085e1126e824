package agent

import (
	"context"
	"testing"
	"testing/synctest"
)

// TestGate fills the gate by one process and then as a whole.
func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		ctx, cancel := context.WithCancel(t.Context())
		type entry struct {
			pid int
			ok  bool
		}
		entered := make(chan entry, 2*maxServed)
		enter := func(pid int) {
			go func() { entered <- entry{pid, g.enter(ctx, pid)} }()
			synctest.Wait() // those who wait do so in this order
		}
		expect := func(pid, n int) {
			t.Helper()
			synctest.Wait()
			for range n {
				select {
				case e := <-entered:
					if e.pid != pid || !e.ok {
						t.Fatalf("process %d entered: %v; want %d", e.pid, e.ok, pid)
					}
				default:
					t.Fatalf("nobody entered, want %d", pid)
				}
			}
			if len(entered) != 0 {
				t.Fatalf("%d more entered", len(entered))
			}
		}
		for range maxPerProcess + 2 {
			enter(1)
		}
		expect(1, maxPerProcess)
		enter(2) // is not held up by the two of process 1
		expect(2, 1)
		g.leave(1)
		expect(1, 1)

		for range maxServed - maxPerProcess - 1 {
			enter(0) // processes without a name do not count as one
		}
		expect(0, maxServed-maxPerProcess-1)
		enter(3)
		expect(3, 0)
		g.leave(2) // room in all, still none for process 1
		expect(3, 1)
		g.leave(1)
		expect(1, 1)
		g.leave(0)
		expect(0, 0)

		for range maxServed - g.served {
			enter(4)
		}
		expect(4, 1)
		enter(5)
		cancel()
		synctest.Wait()
		if e := <-entered; e.pid != 5 || e.ok {
			t.Errorf("at the end process %d entered: %v", e.pid, e.ok)
		}
		if len(g.waiting) != 0 || g.served != maxServed {
			t.Errorf("%d wait, %d are served", len(g.waiting), g.served)
		}
		for pid, n := range map[int]int{0: g.byProcess[0], 1: maxPerProcess, 3: 1, 4: 1} {
			for range n {
				g.leave(pid)
			}
		}
		if g.served != 0 || len(g.byProcess) != 0 {
			t.Errorf("after all left, %d are served, of %v", g.served, g.byProcess)
		}
	})
}
