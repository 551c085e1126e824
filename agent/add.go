package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// add keeps a key that a client leaves with us, or replaces the one that has the
// same public half, with its comment and constraints, if the connection may see
// that. ADD_IDENTITY may have constraints as well, as OpenSSH's agent has it.
func (s *session) add(ctx context.Context, body []byte) error {
	if err := s.alone(); err != nil {
		return err
	}
	key, err := readAddedKey(body, time.Now())
	if err != nil {
		return err
	}
	if def := s.agent.AddedLifetime; def > 0 && !key.life.limited {
		key.life = life{from: time.Now(), limit: def, limited: true}
	}
	if err := s.agent.added.put(key, func(old *addedKey) error { return old.hidden(&s.binds) }); err != nil {
		key.private.wipe()
		return fmt.Errorf("key %s: %w", key.fingerprint(), err)
	}
	s.agent.log().LogAttrs(ctx, slog.LevelInfo, "key added", slog.Int("pid", s.peer.pid), slog.String("key", key.fingerprint()),
		slog.String("type", key.keyType), slog.Bool("confirm", key.confirm), slog.Int("destinations", len(key.restrictions)),
		slog.Duration("lifetime", key.life.limit))
	return s.succeed()
}

// readAddedKey reads the body of ADD_IDENTITY or ADD_ID_CONSTRAINED (RFC 9987
// sections 5.2.1 to 5.2.7).
func readAddedKey(body []byte, now time.Time) (*addedKey, error) {
	r := reader{rest: body}
	private, keyType, blob, err := readPrivateKey(&r)
	if err != nil {
		return nil, fmt.Errorf("reading a private key of type %q: %w", printable(keyType, 64), err)
	}
	comment := r.string()
	key := &addedKey{
		blob:    string(blob),
		keyType: keyType,
		comment: string(comment),
		size:    len(body),
		private: private,
	}
	key.entry = appendString(appendString(nil, key.blob), key.comment)
	switch {
	case r.short:
		err = errShort
	case bytes.IndexByte(comment, 0) >= 0:
		err = errors.New("the comment has a NUL")
	default:
		if err = key.readConstraints(&r, now); err != nil {
			err = fmt.Errorf("reading the constraints of a key: %w", err)
		}
	}
	if err != nil {
		private.wipe()
		return nil, err
	}
	return key, nil
}
