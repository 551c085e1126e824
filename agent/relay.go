package agent

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"time"
)

const (
	// upstreamTime bounds a list by an upstream agent, and all that comes before
	// the first request on a connection: ssh waits meanwhile.
	upstreamTime = 3 * time.Second
	// personTime bounds every other request: it may wait for a PIN or a touch.
	personTime = 60 * time.Second
)

// What a connection keeps of its binds for the upstreams, which see all of them
// in order. ssh makes one for each hop, with less than 4 KiB.
const (
	maxKeptBinds     = maxBindings + 1 // one that we refuse may be good for them
	maxKeptBindBytes = 64 << 10
)

var (
	errConnecting  = errors.New("connecting")
	errLate        = errors.New("it did not answer in time")
	errBindRefused = errors.New("it refused a session-bind of this connection")
	errUnkeptBinds = errors.New("the connection has more session-binds than are passed on")
)

// Relays are one client connection's connections to the upstream agents.
type relays struct {
	all    []*relay
	binds  []keptBind
	path   []string // of agents before us, see loop.go
	closed error    // why no upstream is used on this connection, or nil
}

// A keptBind is a session-bind request of the client.
type keptBind struct {
	body     []byte
	verified bool // by us
}

// A relay is one client connection's own connection to an upstream agent, so
// that what is bound there is what was bound here. It is made at its first use,
// and again when the upstream has been restarted.
type relay struct {
	to     *upstream
	conn   net.Conn
	binds  int      // that have been passed on
	bound  bool     // it took one, so that it knows what a bind is
	asked  bool     // for its list
	listed []string // the keys that it listed
	closed error    // why it is not used on this connection any more, or nil
}

// keepBind keeps a session-bind for the upstreams. Which of them will be used,
// or restarted, is not known yet.
func (s *session) keepBind(body []byte, verified bool) {
	r := &s.relays
	if r.closed != nil {
		return
	}
	size := len(body)
	for _, b := range r.binds {
		if bytes.Equal(b.body, body) {
			return
		}
		size += len(b.body)
	}
	if len(r.binds) == maxKeptBinds || size > maxKeptBindBytes {
		r.close(errUnkeptBinds)
		return
	}
	r.binds = append(r.binds, keptBind{bytes.Clone(body), verified})
}

// close ends the use of all upstreams on this connection.
func (r *relays) close(why error) {
	for _, one := range r.all {
		one.hangUp()
	}
	r.closed = why
	r.all, r.binds = nil, nil
}

// upstreams returns the relays to the upstreams of now, in order.
func (s *session) upstreams() []*relay {
	set := s.agent.upstreamSet()
	r := &s.relays
	if r.closed != nil || len(set) == 0 && len(r.all) == 0 {
		return nil
	}
	if !slices.EqualFunc(r.all, set, func(one *relay, u *upstream) bool { return one.to == u }) {
		old := r.all
		r.all = make([]*relay, len(set))
		for i, u := range set {
			if j := slices.IndexFunc(old, func(one *relay) bool { return one.to == u }); j >= 0 {
				r.all[i] = old[j]
			} else {
				r.all[i] = &relay{to: u}
			}
		}
		for _, one := range old {
			if !slices.Contains(r.all, one) {
				one.hangUp()
			}
		}
	}
	return r.all
}

// close ends what a session holds outside of itself.
func (s *session) close() {
	s.relays.close(net.ErrClosed)
}

// request sends one request to the upstream and returns the answer, appended to dst.
// The connection is made if there is none. One that was used before and turns
// out to be dead is made once more: the upstream may have been restarted.
func (s *session) request(ctx context.Context, r *relay, limit time.Duration, kind byte, body, dst []byte) ([]byte, error) {
	used := r.conn != nil
	answer, err := s.requestOnce(ctx, r, limit, kind, body, dst)
	if err != nil && used && r.closed == nil && ctx.Err() == nil && !errors.Is(err, errLate) && !errors.Is(err, errFrame) {
		answer, err = s.requestOnce(ctx, r, limit, kind, body, dst)
	}
	if err != nil {
		err = fmt.Errorf("upstream agent %s: %w", r.to.path, err)
	}
	if news := r.to.note(err); news && err != nil {
		s.agent.log().Warn("upstream agent cannot be used", "path", r.to.path, "err", err)
	} else if news {
		s.agent.log().Info("upstream agent can be used again", "path", r.to.path)
	}
	return answer, err
}

func (s *session) requestOnce(ctx context.Context, r *relay, limit time.Duration, kind byte, body, dst []byte) ([]byte, error) {
	if r.closed != nil {
		return nil, r.closed
	}
	soon := time.Now().Add(upstreamTime)
	if err := s.ready(ctx, r, soon); err != nil {
		r.hangUp()
		return nil, err
	}
	deadline := soon
	if limit > upstreamTime {
		deadline = time.Now().Add(limit)
	}
	answer, err := r.exchange(ctx, deadline, kind, body, dst)
	if err != nil {
		r.hangUp() // what comes late must not answer the next request
	}
	return answer, err
}

// ready brings the relay's connection to where the client's is: connected, told
// which agents it passed, and bound.
func (s *session) ready(ctx context.Context, r *relay, deadline time.Time) error {
	if r.conn == nil {
		ctx, cancel := context.WithDeadline(ctx, deadline)
		defer cancel()
		conn, err := r.to.connect(ctx)
		if err != nil {
			return fmt.Errorf("%w: %w", errConnecting, err)
		}
		r.conn, r.binds, r.bound = conn, 0, false
		if err := s.sendPath(ctx, r, deadline); err != nil {
			return err
		}
	}
	for ; r.binds < len(s.relays.binds); r.binds++ {
		bind := s.relays.binds[r.binds]
		answer, err := r.exchange(ctx, deadline, msgExtension, bind.body, nil)
		if err != nil {
			return fmt.Errorf("passing on a session-bind: %w", err)
		}
		switch {
		case answer[0] == msgSuccess:
			r.bound = true
		case answer[0] == msgFailure && bind.verified && !r.bound:
			// It does not know the extension (RFC 9987 section 5.10): it has no
			// keys either that a bind would hide.
		default:
			r.closed = errBindRefused
			return r.closed
		}
	}
	return nil
}

// exchange writes a message and reads the answer to it, appended to dst.
func (r *relay) exchange(ctx context.Context, deadline time.Time, kind byte, body, dst []byte) ([]byte, error) {
	if err := r.conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	conn := r.conn
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	header := binary.BigEndian.AppendUint32(nil, uint32(1+len(body))) //nolint:gosec // G115: a message has 256 KiB at most
	message := net.Buffers{append(header, kind)}
	if len(body) > 0 { // an empty write means something on a pipe
		message = append(message, body) // no copy: it may hold a private key
	}
	_, err := message.WriteTo(conn)
	if err == nil {
		dst, err = readAnswer(conn, dst)
	}
	switch {
	case err == nil:
		return dst, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("waiting for an answer: %w", context.Cause(ctx))
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, errLate
	}
	return nil, fmt.Errorf("reading an answer: %w", err)
}

// readAnswer appends one message to dst, without its length. It takes memory as
// bytes arrive, not as a length promises them.
func readAnswer(conn io.Reader, dst []byte) ([]byte, error) {
	var header [4]byte
	if _, err := io.ReadFull(conn, header[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(header[:])
	if size == 0 || size > maxMessage {
		return nil, fmt.Errorf("%w: it has %d bytes; 1 to %d are allowed", errFrame, size, maxMessage)
	}
	end := len(dst) + int(size)
	for len(dst) < end {
		dst = slices.Grow(dst, min(end-len(dst), keptBuffer))
		n, err := conn.Read(dst[len(dst):min(end, cap(dst))])
		dst = dst[:len(dst)+n]
		if err != nil && len(dst) < end {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return dst, nil
}

func (r *relay) hangUp() {
	if r.conn != nil {
		_ = r.conn.Close() // nothing more is wanted from it
		r.conn = nil
	}
}
