package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"syscall"
	"time"
)

// Serve answers requests on the connections that l accepts, until ctx ends; then
// it closes l and its connections, waits for the requests under way, and returns
// nil. It returns an error if l fails before. Connections are those of Listen:
// the peer must be this user or root. Serve may be called for several listeners.
func (a *Agent) Serve(ctx context.Context, l net.Listener) error {
	return a.serve(ctx, l, "")
}

func (a *Agent) serve(ctx context.Context, l net.Listener, profile string) error {
	ctx, cancel := context.WithCancel(ctx)
	var connections sync.WaitGroup
	defer connections.Wait()
	defer cancel()
	closeListener := sync.OnceFunc(func() {
		if err := l.Close(); err != nil {
			a.log().Warn("closing the socket", "err", err)
		}
	})
	defer closeListener() // the socket is gone on return
	defer context.AfterFunc(ctx, closeListener)()

	accepted := make(chan struct{}, maxServed+maxWaiting)
	for {
		conn, err := accept(ctx, l, a.log())
		if err != nil {
			if ctx.Err() != nil {
				return nil // closed by us
			}
			return fmt.Errorf("accepting a connection on %s: %w", l.Addr(), err)
		}
		select {
		case accepted <- struct{}{}:
		case <-ctx.Done():
			_ = conn.Close()
			return nil
		}
		// Here and not in the goroutine, whose stack it would double: very many
		// may wait for the gate.
		peer, err := peerOf(conn)
		if err == nil {
			err = peer.check()
		}
		connections.Go(func() {
			defer func() { <-accepted }()
			switch {
			case err != nil:
				a.refuse(peer, "connect", err)
			case a.gate.enter(ctx, peer.pid):
				a.serveConn(ctx, conn, a.session(peer, profile))
				return
			}
			_ = conn.Close()
		})
	}
}

// accept is l.Accept that outlives a shortage of file descriptors or memory: an
// agent that ends for it would take its keys along.
func accept(ctx context.Context, l net.Listener, log *slog.Logger) (net.Conn, error) {
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		conn, err := l.Accept()
		if err == nil || !passing(err) {
			return conn, err
		}
		log.Warn("accepting a connection; trying again", "err", err, "pause", pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func passing(err error) bool {
	for _, e := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// serveConn serves one connection that the gate let in, and closes it.
func (a *Agent) serveConn(ctx context.Context, conn net.Conn, s *session) {
	defer a.gate.leave(s.peer.pid)
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer func() {
		if stop() {
			_ = conn.Close()
		}
	}()
	a.answer(ctx, conn, s)
}

// answer reads requests and answers each in one write, until the connection
// ends. A panic ends this connection alone.
func (a *Agent) answer(ctx context.Context, conn net.Conn, s *session) {
	defer func() {
		if p := recover(); p != nil {
			a.log().Error("a request broke the agent; closing its connection", "pid", s.peer.pid, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	defer s.close()
	s.conn = conn
	frames := frameReader{conn: conn, large: &a.large, ctx: ctx}
	defer frames.close()
	for {
		message, err := frames.next()
		if err != nil {
			if errors.Is(err, errFrame) {
				a.refuse(s.peer, "send a message", err)
			}
			return // the client is gone, or we are going
		}
		reply := s.handle(ctx, message)
		frames.consumed(message)
		// A client that does not read stops itself only: it is served in a
		// goroutine of its own, as an idle one is.
		if _, err := conn.Write(reply); err != nil {
			a.log().Debug("answering", "pid", s.peer.pid, "err", err)
			return
		}
	}
}
