package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Requests that an upstream answers are passed on as the bytes that came, and so
// are its answers: keys of kinds that this agent never heard of work.

// relaySign has an upstream sign. It decides whether the connection may use the
// key, whose binds it knows.
func (s *session) relaySign(ctx context.Context, r *relay, body []byte) error {
	ctx, stop := s.untilHangUp(ctx) // a dialog of the upstream goes with its client
	defer stop()
	answer, err := s.request(ctx, r, personTime, msgSignRequest, body, s.out)
	if err != nil {
		return err
	}
	response := reader{rest: answer[len(s.out):]}
	switch kind := response.byte(); {
	case s.agent.Locked(): // a touch may have taken a while
		return errLocked
	case kind != msgSignResponse:
		return r.refused(kind)
	}
	response.string()
	if err := response.whole(); err != nil {
		return fmt.Errorf("upstream agent %s: reading its signature: %w", r.to.path, err)
	}
	s.agent.log().LogAttrs(ctx, slog.LevelDebug, "signed by an upstream agent", slog.Int("pid", s.peer.pid), slog.String("path", r.to.path))
	s.out = answer
	return nil
}

// pass passes on a request that is answered by success or failure. What the
// upstream lists may be another thing afterwards.
func (s *session) pass(ctx context.Context, r *relay, limit time.Duration, kind byte, body []byte) error {
	answer, err := s.request(ctx, r, limit, kind, body, nil)
	r.asked, r.listed = false, nil
	if err != nil {
		return err
	}
	if answer[0] != msgSuccess {
		return r.refused(answer[0])
	}
	s.agent.log().Info("passed on to an upstream agent", "pid", s.peer.pid, "asked", requestName(kind), "path", r.to.path)
	return nil
}

func (r *relay) refused(kind byte) error {
	if kind == msgFailure || kind == msgExtensionFailure {
		return fmt.Errorf("upstream agent %s refused", r.to.path)
	}
	return fmt.Errorf("upstream agent %s answered with message %d", r.to.path, kind)
}

// keeper returns the upstream that keeps what ssh-add adds: the first one.
func (s *session) keeper() (*relay, error) {
	all := s.upstreams()
	if len(all) == 0 {
		if s.relays.closed != nil {
			return nil, fmt.Errorf("no upstream agent is used on this connection: %w", s.relays.closed)
		}
		return nil, errors.New("there is no upstream agent to keep it")
	}
	return all[0], nil
}

// keptUpstream tells whether an upstream is to keep a key: every one if the
// settings say so, and one of a security key if there is an upstream, since this
// agent drives no such device.
func (s *session) keptUpstream(body []byte) bool {
	if s.agent.currentSettings().AddUpstream {
		return true
	}
	r := reader{rest: body}
	return bytes.HasPrefix(r.string(), []byte("sk-")) && len(s.agent.upstreamSet()) > 0
}

func (s *session) addUpstream(ctx context.Context, kind byte, body []byte) error {
	r, err := s.keeper()
	if err == nil {
		err = s.pass(ctx, r, personTime, kind, body)
	}
	if err != nil {
		return err
	}
	return s.succeed()
}

// card passes on what is about PKCS#11 modules, which this agent never loads. A
// module is code: only who is certainly at this computer may name one (OpenSSH,
// process_add_smartcard_key; CVE-2023-38408).
func (s *session) card(ctx context.Context, kind byte, body []byte) error {
	if len(s.agent.upstreamSet()) == 0 {
		return errors.New("this agent loads no PKCS#11 module that a client names: name the token in a profile, or put ssh-agent upstream")
	}
	if s.binds.failed || len(s.binds.hops) > 0 {
		return errors.New("PKCS#11 modules are not loaded for a connection on which a session-bind was tried")
	}
	return s.addUpstream(ctx, kind, body)
}

// removeUpstream removes a key from the upstream that lists it.
func (s *session) removeUpstream(ctx context.Context, r *relay, body []byte) error {
	if err := s.pass(ctx, r, upstreamTime, msgRemoveIdentity, body); err != nil {
		return err
	}
	return s.succeed()
}

// removeAllUpstream has every upstream remove what it holds, and returns how
// many did. One that cannot be reached, or is this agent again, shows nothing
// that could be removed.
func (s *session) removeAllUpstream(ctx context.Context) (passed int, err error) {
	var errs []error
	for _, r := range s.upstreams() {
		err := s.pass(ctx, r, upstreamTime, msgRemoveAll, nil)
		switch {
		case err == nil:
			passed++
		case !errors.Is(err, errConnecting) && !errors.Is(err, errPathRefused):
			errs = append(errs, err)
		}
	}
	return passed, errors.Join(errs...)
}
