package agent

import (
	"errors"
	"fmt"
	"time"
)

// listAdded appends the added keys that this connection may see to a list, and
// returns how many.
func (s *session) listAdded() (count uint32) {
	if s.only != "" || s.agent.Locked() {
		return 0
	}
	now := time.Now()
	for _, k := range s.agent.added.all() {
		if k.life.over(now) {
			continue
		}
		if why := k.hidden(&s.binds); why != nil {
			s.agent.log().Info("added key hidden from a list", "pid", s.peer.pid, "key", k.fingerprint(), "why", why.Error())
			continue
		}
		if len(s.out)-4+len(k.entry) > maxMessage {
			s.agent.log().Warn("added key left out of the list, which is full", "key", k.fingerprint())
			continue
		}
		s.out = append(s.out, k.entry...)
		count++
	}
	return count
}

// findAdded returns the added key with that blob, or nil. Whether the connection
// may use it is told by the key.
func (s *session) findAdded(blob []byte) *addedKey {
	if s.only != "" {
		return nil
	}
	return s.agent.added.find(blob)
}

func (s *session) removeAdded(key *addedKey) error {
	if why := key.hidden(&s.binds); why != nil {
		return fmt.Errorf("key %s: %w", key.fingerprint(), why)
	}
	if s.agent.added.remove(func(k *addedKey) bool { return k == key }) == 0 {
		return errors.New("the key was removed by somebody else")
	}
	s.agent.log().Info("added key removed", "pid", s.peer.pid, "key", key.fingerprint())
	return s.succeed()
}

// removeAllAdded drops the added keys that this connection may see, and returns
// how many.
func (s *session) removeAllAdded() int {
	if s.only != "" {
		return 0
	}
	removed := s.agent.added.remove(func(k *addedKey) bool { return k.hidden(&s.binds) == nil })
	if removed > 0 {
		s.agent.log().Info("added keys removed", "pid", s.peer.pid, "count", removed)
	}
	return removed
}

// RemoveAdded drops all keys that clients have added.
func (a *Agent) RemoveAdded() {
	if removed := a.added.remove(func(*addedKey) bool { return true }); removed > 0 {
		a.log().Info("added keys removed", "count", removed)
	}
}
