package agent

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// converse answers one end of a pipe as a connection of this process, and
// returns the other end. The test must be in a synctest bubble.
func converse(t *testing.T, a *Agent) net.Conn {
	t.Helper()
	client, server := net.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = server.Close() }()
		a.answer(ctx, server, a.session(peer{pid: 1}, ""))
	}()
	t.Cleanup(func() {
		cancel()
		_ = client.Close()
		<-done
	})
	return client
}

func TestFrames(t *testing.T) {
	a := new(Agent)
	list, query := frame(msgRequestIdentities), frame(appendString([]byte{msgExtension}, "query")...)
	largest := frame(append([]byte{200}, make([]byte, maxMessage-1)...)...)

	t.Run("many in one write, in order", func(t *testing.T) {
		conn := dial(t, serve(t, a))
		if _, err := conn.Write(bytes.Join([][]byte{list, query, list, largest, query}, nil)); err != nil {
			t.Fatal(err)
		}
		for i, want := range []byte{msgIdentitiesAnswer, msgExtensionResponse, msgIdentitiesAnswer, msgFailure, msgExtensionResponse} {
			answer, err := readFrame(conn)
			if err != nil || answer[0] != want {
				t.Fatalf("answer %d is % x, %v", i, answer, err)
			}
		}
	})
	t.Run("byte by byte", func(t *testing.T) {
		conn := dial(t, serve(t, a))
		for _, b := range query {
			if _, err := conn.Write([]byte{b}); err != nil {
				t.Fatal(err)
			}
		}
		if answer, err := readFrame(conn); err != nil || answer[0] != msgExtensionResponse {
			t.Fatalf("answer % x, %v", answer, err)
		}
	})
	for name, size := range map[string]uint32{"empty": 0, "one byte too long": maxMessage + 1, "as long as can be": 1<<32 - 1} {
		t.Run(name, func(t *testing.T) {
			conn := dial(t, serve(t, a))
			if _, err := conn.Write(binary.BigEndian.AppendUint32(nil, size)); err != nil {
				t.Fatal(err)
			}
			if answer, err := readFrame(conn); err == nil {
				t.Errorf("answered with % x", answer)
			}
			if reason := lastReason(a); !strings.Contains(reason, fmt.Sprintf("it has %d bytes", size)) {
				t.Errorf("refused because %q", reason)
			}
		})
	}
}

// TestFrameBuffer shows that a claimed length costs nothing until bytes arrive,
// and that a large message is not kept.
func TestFrameBuffer(t *testing.T) {
	client, server := net.Pipe()
	defer func() { _ = client.Close() }()
	f := frameReader{conn: server}
	write := func(b []byte) {
		go func() { _, _ = client.Write(b) }()
	}
	secret := bytes.Repeat([]byte("secret "), 30_000)
	write(frame(secret...))
	message, err := f.next()
	if err != nil || !bytes.Equal(message, secret) {
		t.Fatalf("got %d bytes, %v", len(message), err)
	}
	f.consumed(message)
	if bytes.Contains(f.buf, []byte("secret")) {
		t.Error("a message is still in the buffer")
	}
	write(append(frame(1), 0, 3, 0, 0, 'x'))
	if message, err = f.next(); err != nil || len(message) != 1 {
		t.Fatalf("got %d bytes, %v", len(message), err)
	}
	go func() { _ = client.Close() }()
	if _, err = f.next(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
	if len(f.buf) > 2*keptBuffer {
		t.Errorf("the buffer has %d bytes for a message of which 1 arrived", len(f.buf))
	}
}

// TestFramesAreWiped has a secret arrive in two pieces behind another message,
// once within one buffer, and once outgrowing several: no copy stays in any.
func TestFramesAreWiped(t *testing.T) {
	for _, tt := range []struct{ before, secret, cut, reads int }{
		{1000, 700, 1500, 2},
		{1, 70_000, keptBuffer / 2, 5},
	} {
		stream := append(frame(make([]byte, tt.before)...), frame(bytes.Repeat([]byte("secret "), tt.secret/7)...)...)
		conn := &pieces{left: [][]byte{stream[:tt.cut], stream[tt.cut:]}}
		r := frameReader{conn: conn}
		for range 2 {
			message, err := r.next()
			if err != nil {
				t.Fatal(err)
			}
			r.consumed(message)
		}
		if len(conn.into) < tt.reads {
			t.Errorf("%d reads, want %d at least", len(conn.into), tt.reads)
		}
		for i, b := range conn.into {
			if at := bytes.Index(b, []byte("secret")); at >= 0 {
				t.Errorf("the buffer of read %d has the secret at %d of %d", i, at, len(b))
			}
		}
	}
}

func TestSlowFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := new(Agent)
		conn := converse(t, a)
		ends := func() time.Duration {
			start := time.Now()
			_, _ = conn.Read(make([]byte, 1))
			return time.Since(start)
		}
		// Waiting between messages is fine: ssh does so for its session.
		for range 3 {
			time.Sleep(24 * time.Hour)
			if answer := call(t, conn, msgRequestIdentities); answer[0] != msgIdentitiesAnswer {
				t.Fatalf("answer % x", answer)
			}
		}
		// So is a message that takes its time, if it comes to an end.
		list := frame(msgRequestIdentities)
		for _, b := range list {
			time.Sleep(frameTime/time.Duration(len(list)) - time.Second)
			if _, err := conn.Write([]byte{b}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := readFrame(conn); err != nil {
			t.Fatal(err)
		}
		time.Sleep(24 * time.Hour)
		// Drops that never make a message are not.
		if _, err := conn.Write([]byte{0, 0}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(frameTime - time.Second)
		if _, err := conn.Write([]byte{0}); err != nil {
			t.Fatal(err)
		}
		if took := ends(); took != time.Second {
			t.Errorf("the connection ended after another %s, want 1s", took)
		}
		if reason := lastReason(a); !strings.Contains(reason, "did not end within 30s") {
			t.Errorf("refused because %q", reason)
		}
	})
}

// Pieces is a connection that brings one piece with each read.
type pieces struct {
	net.Conn
	left [][]byte
	into [][]byte // the buffers that were read into
}

func (p *pieces) Read(b []byte) (int, error) {
	p.into = append(p.into, b)
	if len(p.left) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.left[0])
	if p.left[0] = p.left[0][n:]; len(p.left[0]) == 0 {
		p.left = p.left[1:]
	}
	return n, nil
}

func (p *pieces) SetReadDeadline(time.Time) error { return nil }

// FuzzFrame cuts a stream of messages in two places and checks that each message
// comes out as it is, or that the reader stops at the first bad one.
func FuzzFrame(f *testing.F) {
	f.Add(frame(msgRequestIdentities), uint16(1), uint16(3))
	f.Add(append(frame(1, 2, 3), frame(4)...), uint16(5), uint16(8))
	f.Add([]byte{0, 0, 0, 0}, uint16(0), uint16(2))
	f.Add([]byte{0, 4, 0, 1, 9}, uint16(4), uint16(5))
	f.Add(frame(make([]byte, keptBuffer+9)...), uint16(keptBuffer), uint16(keptBuffer+1))
	f.Fuzz(func(t *testing.T, stream []byte, first, second uint16) {
		i := min(int(first), len(stream))
		j := max(i, min(int(second), len(stream)))
		r := frameReader{conn: &pieces{left: [][]byte{
			bytes.Clone(stream[:i]), bytes.Clone(stream[i:j]), bytes.Clone(stream[j:]),
		}}}
		for rest := stream; ; {
			message, err := r.next()
			var size uint32
			if len(rest) >= 4 {
				size = binary.BigEndian.Uint32(rest)
			}
			whole := size > 0 && size <= maxMessage && uint64(len(rest)) >= 4+uint64(size)
			if whole != (err == nil) {
				t.Fatalf("message of %d bytes, %d left: %v", size, len(rest), err)
			}
			if !whole {
				return
			}
			if !bytes.Equal(message, rest[4:4+size]) {
				t.Fatalf("got % x", message)
			}
			r.consumed(message)
			rest = rest[4+size:]
		}
	})
}

// TestLargeFrames has many connections begin a large message and not end it. Of
// one that comes then, the buffer waits for another to go; a small one is
// answered at once.
func TestLargeFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var large largeBuffers
		message := frame(append([]byte{msgExtension}, make([]byte, 2*smallBuffer)...)...)
		read := func(piece []byte) (net.Conn, chan error) {
			client, server := net.Pipe()
			done := make(chan error, 1)
			go func() {
				f := frameReader{conn: server, large: &large, ctx: t.Context()}
				_, err := f.next()
				f.close()
				done <- err
			}()
			go func() { _, _ = client.Write(piece) }()
			synctest.Wait()
			return client, done
		}
		var stuck []net.Conn
		for range maxLarge {
			client, _ := read(message[:len(message)-1])
			stuck = append(stuck, client)
		}
		if len(large.held) != maxLarge {
			t.Fatalf("%d large buffers", len(large.held))
		}

		small, done := read(frame(msgRequestIdentities))
		if err := <-done; err != nil {
			t.Errorf("a small message: %v", err)
		}
		late, done := read(message)
		select {
		case err := <-done:
			t.Fatalf("a large message did not wait: %v", err)
		default:
		}
		if err := stuck[0].Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Errorf("a large message, when there was room: %v", err)
		}

		again, _ := read(message[:len(message)-1])
		tooLate, done := read(message)
		time.Sleep(frameTime)
		if err := <-done; !errors.Is(err, errFrame) {
			t.Errorf("a large message that waited in vain: %v", err)
		}
		synctest.Wait()
		if len(large.held) != 0 { // the others have ended by now, too
			t.Errorf("%d large buffers are kept", len(large.held))
		}
		for _, conn := range append(stuck[1:], small, late, again, tooLate) {
			_ = conn.Close()
		}
	})
}
