package agent

import (
	"context"
	"fmt"
)

// remove forgets the profile whose certificate, or plain key, is named. What is
// minted is minted again at the next use; ssh-add -x is the way to stop that.
func (s *session) remove(ctx context.Context, body []byte) error {
	r := reader{rest: body}
	blob := r.string()
	if err := r.whole(); err != nil {
		return err
	}
	m, err := s.find(blob)
	if err != nil {
		if key := s.findAdded(blob); key != nil {
			return s.removeAdded(key)
		}
		if r := s.relayOf(ctx, blob); r != nil {
			return s.removeUpstream(ctx, r, body)
		}
		return err
	}
	if err := s.binds.remote(); err != nil { // it may be seen there, not dropped
		return fmt.Errorf("profile %s: %w", m.profile.Name, err)
	}
	s.agent.forget(m.profile)
	s.agent.log().Info("profile forgotten", "pid", s.peer.pid, "profile", m.profile.Name)
	return s.succeed()
}

// removeAll drops what was minted, unless the connection is forwarded, and has
// everybody else drop what ssh-add -l shows, by the rules of who holds it.
func (s *session) removeAll(ctx context.Context) error {
	others := s.removeAllAdded()
	remote := s.binds.remote()
	switch {
	case remote != nil:
	case s.only != "":
		s.agent.ForgetProfile(s.only)
		s.agent.log().Info("profile forgotten", "pid", s.peer.pid, "profile", s.only)
	default:
		s.agent.Forget()
		s.agent.log().Info("all profiles forgotten", "pid", s.peer.pid)
	}
	passed, err := s.removeAllUpstream(ctx)
	switch {
	case err != nil:
		return err
	case remote != nil && others+passed == 0:
		return remote // there was nothing that the client may drop
	}
	return s.succeed()
}

// removeAllV1 is about SSHv1 keys, of which there are none. ssh-add -D sends it
// right after removeAll; to forget once more would drop what somebody has minted
// in between.
func (s *session) removeAllV1() error {
	if err := s.binds.remote(); err != nil {
		return err
	}
	return s.succeed()
}
