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
	for len(r.rest) > 0 && len(path) <= maxAgents {
		name := r.string()
		if r.short || len(name) > maxAgentName {
			break
		}
		path = append(path, string(name))
	}
	s.relays.path = path
	var why error
	switch {
	case slices.Contains(path, s.agent.self.get()):
		why = errLoop
	case len(r.rest) > 0 || r.short || len(path) > maxAgents:
		why = errLongPath
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
