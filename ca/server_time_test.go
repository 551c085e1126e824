package ca

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sshmint/sshmint/internal/wire"
)

// pipeListener accepts the far ends of in-memory pipes, so that time limits
// can be tested by a clock that does not have to be waited for.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func newPipeListener() *pipeListener {
	return &pipeListener{make(chan net.Conn), make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

func (l *pipeListener) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

func (l *pipeListener) dial() net.Conn {
	near, far := net.Pipe()
	l.conns <- far
	return near
}

// timedServer is a server inside a synctest bubble.
type timedServer struct {
	*testCA
	*pipeListener
	stop   context.CancelFunc
	served chan error
}

func inBubble(t *testing.T, test func(t *testing.T, s *timedServer)) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCA(t, staffRules)
		server, err := NewServer(c.dir, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		s := &timedServer{c, newPipeListener(), stop, make(chan error, 1)}
		go func() { s.served <- server.Serve(ctx, s.pipeListener) }()
		test(t, s)
		stop()
		if err := <-s.served; err != nil {
			t.Error(err)
		}
	})
}

// handshake gives a TLS connection as alice, and a function that makes a
// request for her.
func (s *timedServer) handshake(t *testing.T) (conn *tls.Conn, body []byte) {
	t.Helper()
	id := s.alice(t)
	conn = tls.Client(s.dial(), &tls.Config{
		RootCAs: s.pool(t), ServerName: "localhost", Certificates: []tls.Certificate{tlsCertificate(id)},
	})
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	return conn, marshal(t, goodRequest(t, id, newSSHKey(t)))
}

func head(length int) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", wire.PathUserCertificates, length)
}

// drip writes a byte a second until writing fails, reading what comes back.
func drip(conn net.Conn, text string) (answer []byte, elapsed time.Duration) {
	start := time.Now()
	done := make(chan []byte)
	go func() {
		b, _ := io.ReadAll(conn) // ends with an error or without, by how it is closed
		done <- b
	}()
	for _, c := range []byte(text) {
		if _, err := conn.Write([]byte{c}); err != nil {
			break
		}
		time.Sleep(time.Second)
	}
	answer = <-done
	_ = conn.Close()
	return answer, time.Since(start).Truncate(time.Second)
}

func TestSilentHandshakeEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, s *timedServer) {
		start := time.Now()
		conn := s.dial()
		if _, err := io.ReadAll(conn); err != nil {
			t.Error(err)
		}
		if d := time.Since(start); d != headerTimeout {
			t.Errorf("closed after %s, want %s", d, headerTimeout)
		}
	})
}

func TestSlowHandshakeEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, s *timedServer) {
		// A TLS record's head, for 200 bytes that come one by one.
		if _, d := drip(s.dial(), "\x16\x03\x01\x00\xc8\x01"+strings.Repeat("\x00", 100)); d > headerTimeout+time.Second {
			t.Errorf("closed after %s, want %s", d, headerTimeout)
		}
	})
}

func TestSlowHeadersEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, s *timedServer) {
		conn, _ := s.handshake(t)
		if _, d := drip(conn, head(1000)); d > headerTimeout+time.Second {
			t.Errorf("closed after %s, want %s", d, headerTimeout)
		}
	})
}

func TestSlowBodyEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, s *timedServer) {
		conn, body := s.handshake(t)
		if _, err := io.WriteString(conn, head(len(body))); err != nil {
			t.Fatal(err)
		}
		answer, d := drip(conn, string(body))
		if d > requestTimeout+time.Second {
			t.Errorf("closed after %s, want %s", d, requestTimeout)
		}
		if !bytes.HasPrefix(answer, []byte("HTTP/1.1 408 ")) || !bytes.Contains(answer, []byte("within 10s")) {
			t.Errorf("the answer is %q", answer)
		}
		if e := s.entries(t); len(e) != 1 || e[0].Code != string(wire.BadRequest) || e[0].X509Subject != "CN=alice" {
			t.Errorf("audit lines %+v", e)
		}
	})
}

func TestAnswerThatNobodyReadsEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, s *timedServer) {
		conn, body := s.handshake(t)
		if _, err := conn.Write(append([]byte(head(len(body))), body...)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(answerTimeout + time.Second) // and read nothing
		s.stop()
		start := time.Now()
		if err := <-s.served; err != nil {
			t.Error(err)
		}
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("shutdown took %s: the connection was still there", d)
		}
		s.served <- nil
	})
}

func TestLargeHeadersAreRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, s *timedServer) {
		conn, _ := s.handshake(t)
		go func() {
			_, _ = io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: "+strings.Repeat("x", 4*maxHeaderBytes)+"\r\n\r\n")
		}()
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%s", answer.Status)
		}
		_ = conn.Close()
	})
}

func TestShutdownFinishesWhatIsInFlight(t *testing.T) {
	inBubble(t, func(t *testing.T, s *timedServer) {
		conn, body := s.handshake(t)
		if _, err := conn.Write(append([]byte(head(len(body))), body[:10]...)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // the handler waits for the body
		s.stop()
		time.Sleep(2 * time.Second)
		if _, err := conn.Write(body[10:]); err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode != http.StatusCreated {
			t.Errorf("%s", answer.Status)
		}
		_ = conn.Close()
		if err := <-s.served; err != nil {
			t.Error(err)
		}
		s.served <- nil
	})
}

func TestShutdownIsBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, s *timedServer) {
		conn, body := s.handshake(t)
		if _, err := io.WriteString(conn, head(len(body))); err != nil {
			t.Fatal(err)
		}
		silent := s.dial()
		synctest.Wait()
		s.stop()
		start := time.Now()
		if err := <-s.served; err != nil {
			t.Error(err)
		}
		if d := time.Since(start); d > drainTimeout+time.Second {
			t.Errorf("shutdown took %s", d)
		}
		s.served <- nil
		_ = silent.Close()
		_ = conn.Close()
	})
}

func TestServerRenewsItsCertificate(t *testing.T) {
	inBubble(t, func(t *testing.T, s *timedServer) {
		serial := func() string {
			conn, _ := s.handshake(t)
			defer conn.Close() //nolint:errcheck // nothing was written
			leaf := conn.ConnectionState().PeerCertificates[0]
			if left := time.Until(leaf.NotAfter); left < leafLifetime/3-time.Minute {
				t.Errorf("%s before its end the certificate is not renewed", left)
			}
			return leaf.SerialNumber.String()
		}
		first := serial()
		time.Sleep(leafLifetime*2/3 - time.Hour)
		if serial() != first {
			t.Error("renewed before 2/3 of its life")
		}
		time.Sleep(2 * time.Hour)
		second := serial()
		if second == first {
			t.Error("not renewed after 2/3 of its life")
		}
		time.Sleep(2 * leafLifetime) // nobody came for so long that it ended
		if serial() == second {
			t.Error("not renewed after its end")
		}
	})
}
