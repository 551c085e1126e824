package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// A session is one connection: who is at its other end, the SSH sessions that
// it was bound to, and buffers that its requests share. Requests are handled one
// after another.
type session struct {
	agent *Agent
	peer  peer
	binds bindings
	only  string   // the profile whose own socket it came by
	conn  net.Conn // nil where there is none, as for what the agent itself asks
	known known

	out    []byte
	listed []*minted
	placed []placed

	confirmed []confirmed
	relays    relays
}

var errLocked = errors.New("the agent is locked")

// handle returns the answer to one request as a frame, valid until the next
// call.
func (s *session) handle(ctx context.Context, message []byte) []byte {
	if cap(s.out) > 4*keptBuffer {
		s.out = nil
	}
	s.out = append(s.out[:0], 0, 0, 0, 0) // its length
	kind, body := message[0], message[1:]
	if err := s.dispatch(ctx, kind, body); err != nil {
		s.agent.refuse(s.peer, requestName(kind), err)
		code := byte(msgFailure)
		if errors.Is(err, errExtensionFailed) {
			code = msgExtensionFailure
		}
		s.out = append(s.out[:4], code)
	}
	putLength(s.out)
	return s.out
}

// dispatch appends the answer to s.out, or returns why there is none. While the
// agent is locked, the list is empty and a bind is recorded, so that what
// connects in the meantime is told from a local client later; all else is
// refused (OpenSSH, process_message).
func (s *session) dispatch(ctx context.Context, kind byte, body []byte) error {
	switch kind {
	case msgRequestIdentities:
		return s.list(ctx)
	case msgExtension:
		return s.extension(body)
	case msgUnlock:
		return s.unlock(ctx, body)
	}
	if s.agent.Locked() {
		return errLocked
	}
	switch kind {
	case msgSignRequest:
		return s.sign(ctx, body)
	case msgRemoveIdentity:
		return s.remove(ctx, body)
	case msgRemoveAll:
		return s.removeAll(ctx)
	case msgRemoveAllV1:
		return s.removeAllV1()
	case msgLock:
		return s.lock(ctx, body)
	case msgAddIdentity, msgAddConstrained:
		if s.keptUpstream(body) {
			return s.addUpstream(ctx, kind, body)
		}
		return s.add(ctx, body)
	case msgAddCard, msgAddCardConstraint, msgRemoveCard:
		return s.card(ctx, kind, body)
	}
	return errors.New("message number not known")
}

func (s *session) succeed() error {
	s.out = append(s.out, msgSuccess)
	return nil
}

// hidden returns why this connection may not see, use or drop what the profile
// minted, or nil.
func (s *session) hidden(p *profile) error {
	_, err := s.place(p)
	return err
}

// find returns the minted key that a certificate or plain key names, if this
// connection may use it; of a plain key the one whose certificate came last.
func (s *session) find(blob []byte) (*minted, error) {
	err := errors.New("the agent has no such key")
	for _, m := range s.agent.set().byBlob[string(blob)] {
		switch why := s.hidden(m.profile); {
		case why != nil:
			s.agent.notes.hide(m.profile.Name, why)
			err = fmt.Errorf("profile %s is hidden: %w", m.profile.Name, why)
		case m.expired(time.Now()):
			err = fmt.Errorf("the certificate of profile %s has expired", m.profile.Name)
		default:
			return m, nil
		}
	}
	return nil, err
}

func requestName(kind byte) string {
	switch kind {
	case msgRequestIdentities:
		return "list"
	case msgSignRequest:
		return "sign"
	case msgAddIdentity, msgAddConstrained:
		return "add a key"
	case msgRemoveIdentity:
		return "remove a key"
	case msgRemoveAll, msgRemoveAllV1:
		return "remove all keys"
	case msgAddCard, msgAddCardConstraint:
		return "add a token"
	case msgRemoveCard:
		return "remove a token"
	case msgLock:
		return "lock"
	case msgUnlock:
		return "unlock"
	case msgExtension:
		return "extension"
	}
	return fmt.Sprintf("message %d", kind)
}
