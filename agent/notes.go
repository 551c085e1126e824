package agent

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// A Refusal is a request that was not granted.
type Refusal struct {
	Time   time.Time
	PID    int    // of the client; 0 if the system does not tell
	Asked  string // "sign", "lock", ...
	Reason string
}

// Hidden tells how often a profile was hidden from connections, and why.
type Hidden struct {
	Profile string
	Reason  string
	Count   int
	Last    time.Time
}

// Notes are what the agent remembers for a person who asks why something did not
// work.
type notes struct {
	mu       sync.Mutex
	refusals [32]Refusal // a ring
	refused  int
	hidden   map[[2]string]*Hidden // by profile and reason
}

// Refusals returns the last requests that were refused, at most 32, oldest
// first.
func (a *Agent) Refusals() []Refusal {
	n := &a.notes
	n.mu.Lock()
	defer n.mu.Unlock()
	var last []Refusal
	for i := max(0, n.refused-len(n.refusals)); i < n.refused; i++ {
		last = append(last, n.refusals[i%len(n.refusals)])
	}
	return last
}

// Hidden returns what was hidden since the start, by profile and reason.
func (a *Agent) Hidden() []Hidden {
	n := &a.notes
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []Hidden
	for _, h := range n.hidden {
		all = append(all, *h)
	}
	slices.SortFunc(all, func(a, b Hidden) int {
		return cmp.Or(cmp.Compare(a.Profile, b.Profile), cmp.Compare(a.Reason, b.Reason))
	})
	return all
}

// refuse logs and notes a refusal; the protocol has no room for the reason. What
// a client sent may be quoted in it.
func (a *Agent) refuse(peer peer, asked string, reason error) {
	why := printable(reason.Error(), 500)
	a.log().Info("request refused", "pid", peer.pid, "asked", asked, "reason", why)
	n := &a.notes
	n.mu.Lock()
	defer n.mu.Unlock()
	n.refusals[n.refused%len(n.refusals)] = Refusal{time.Now(), peer.pid, asked, why}
	n.refused++
}

func (n *notes) hide(profile string, why error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	reason := why.Error()
	key := [2]string{profile, reason}
	h := n.hidden[key]
	if h == nil {
		h = &Hidden{Profile: profile, Reason: reason}
		if n.hidden == nil {
			n.hidden = make(map[[2]string]*Hidden)
		}
		n.hidden[key] = h
	}
	h.Count++
	h.Last = time.Now()
}
