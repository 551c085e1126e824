package agent

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// agentPath is the extension with which an agent tells the next one, first of
// all, through which agents a connection came: names that each makes up at its
// start. An agent that finds its own name there, or too many names, says so and
// asks no upstream for that connection. What the extension does can only take
// keys from the connection that it is sent on, so anybody may send it.
const agentPath = "agent-path@sshmint"

const (
	maxAgents    = 8  // in a chain
	maxAgentName = 64 // bytes
)

var (
	errLoop        = errors.New("the agents are upstream of one another, in a loop")
	errLongPath    = fmt.Errorf("the connection came through more than %d agents, or says so wrongly", maxAgents)
	errPathRefused = fmt.Errorf("this agent is upstream of itself through it, or the last of more than %d", maxAgents)
)

// A selfName is the agent's in a path.
type selfName struct {
	once sync.Once
	text string
}

func (n *selfName) get() string {
	n.once.Do(func() { n.text = rand.Text() })
	return n.text
}

// takePath records the agents that a connection came through, also while the
// agent is locked, and answers whether its keys can be had through here.
func (s *session) takePath(body []byte) {
	r := reader{rest: body}
	path := s.relays.path
	var why error
	for len(r.rest) > 0 && why == nil {
		name := r.string()
		if r.short || len(name) > maxAgentName || len(path) == maxAgents {
			why = errLongPath
			break
		}
		path = append(path, string(name))
	}
	s.relays.path = path
	if slices.Contains(path, s.agent.self.get()) {
		why = errLoop
	}
	refused := byte(0)
	if why != nil {
		s.agent.refuse(s.peer, "extension", why)
		s.relays.close(why)
		refused = 1
	}
	s.out = append(s.out, msgExtensionResponse)
	s.out = appendString(s.out, agentPath)
	s.out = append(s.out, refused)
}

// sendPath tells an upstream through which agents the connection comes. What is
// no agent of this kind does not know the extension, whatever it answers.
func (s *session) sendPath(ctx context.Context, r *relay, deadline time.Time) error {
	body := appendString(nil, agentPath)
	for _, name := range s.relays.path {
		body = appendString(body, name)
	}
	body = appendString(body, s.agent.self.get())
	answer, err := r.exchange(ctx, deadline, msgExtension, body, nil)
	if err != nil {
		return err
	}
	said := reader{rest: answer}
	if said.byte() == msgExtensionResponse && string(said.string()) == agentPath && said.byte() == 1 {
		r.closed = errPathRefused
	}
	return r.closed
}

// A loop through a program that does not know agent-path is told by what it
// does: one process with ever more lists under way, each of which waits for the
// next. For a while nothing is asked for that process then.
const (
	maxLists = maxPerProcess / 2
	loopTime = 10 * time.Second
)

var errManyLists = fmt.Errorf("its process has %d lists under way, as if it asked this agent and were asked by it: upstream agents are not asked for it for %s", maxLists, loopTime)

// askers count the lists that wait for upstreams, by process.
type askers struct {
	mu       sync.Mutex
	underWay map[int]int
	looping  map[int]time.Time // until when
}

// begin reports whether upstreams may be asked for the process. If they may, the
// caller must end.
func (a *askers) begin(pid int, now time.Time) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if until, ok := a.looping[pid]; ok {
		if now.Before(until) {
			return false, nil
		}
		delete(a.looping, pid)
	}
	if a.underWay == nil {
		a.underWay, a.looping = make(map[int]int), make(map[int]time.Time)
	}
	if a.underWay[pid] == maxLists {
		a.looping[pid] = now.Add(loopTime)
		return false, errManyLists
	}
	a.underWay[pid]++
	return true, nil
}

func (a *askers) end(pid int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.underWay[pid]--; a.underWay[pid] == 0 {
		delete(a.underWay, pid)
	}
}

// mayAsk is begin for this connection.
func (s *session) mayAsk() bool {
	ok, why := s.agent.askers.begin(s.peer.pid, time.Now())
	if why != nil { // once, not for each of them
		s.agent.refuse(s.peer, "list", why)
	}
	return ok
}
