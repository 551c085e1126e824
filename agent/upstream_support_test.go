package agent

import (
	"context"
	"encoding/binary"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
)

// A fakeAgent is an upstream that answers what it is told to.
type fakeAgent struct {
	path string
	// answer returns what is written for a message, its length included; nil
	// closes the connection.
	answer func(message []byte) []byte

	mu    sync.Mutex
	l     net.Listener
	conns []net.Conn
	got   [][]byte // all messages but agent-path, with the number of the connection in front
}

func startFake(t testing.TB, answer func(message []byte) []byte) *fakeAgent {
	t.Helper()
	f := &fakeAgent{path: filepath.Join(socketDir(t), "fake"), answer: answer}
	f.start(t)
	t.Cleanup(func() { f.stop(t) })
	return f
}

func (f *fakeAgent) start(t testing.TB) {
	t.Helper()
	l, err := Listen(f.path)
	if err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.l = l
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			f.mu.Lock()
			f.conns = append(f.conns, conn)
			number := byte(len(f.conns))
			f.mu.Unlock()
			go f.serve(conn, number)
		}
	}()
}

// stop ends the fake and its connections, as a kill would.
func (f *fakeAgent) stop(t testing.TB) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.l.Close(); err != nil {
		t.Error(err)
	}
	for _, conn := range f.conns {
		_ = conn.Close()
	}
}

func (f *fakeAgent) serve(conn net.Conn, number byte) {
	defer func() { _ = conn.Close() }()
	for {
		message, err := readFrame(conn)
		if err != nil {
			return
		}
		r := reader{rest: message[1:]}
		if message[0] == msgExtension && string(r.string()) == agentPath {
			if _, err := conn.Write(frame(msgFailure)); err != nil {
				return
			}
			continue
		}
		f.mu.Lock()
		f.got = append(f.got, append([]byte{number}, message...))
		f.mu.Unlock()
		answer := f.answer(message)
		if answer == nil {
			return
		}
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}

// kinds returns the kinds of the messages that came, and forgets them.
func (f *fakeAgent) kinds() (kinds []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.got {
		kinds = append(kinds, m[1])
	}
	f.got = nil
	return kinds
}

// listing is the answer to a list, of blobs and comments in turn.
func listing(blobsAndComments ...string) []byte {
	b := binary.BigEndian.AppendUint32([]byte{msgIdentitiesAnswer}, uint32(len(blobsAndComments)/2))
	for _, s := range blobsAndComments {
		b = appendString(b, s)
	}
	return frame(b...)
}

// strange is a key of a kind that nobody knows.
func strange(name string) string {
	return string(appendString(appendString(nil, "ssh-strange@example.com"), name))
}

// lists answers every list with the same keys, and all else with success.
func lists(blobsAndComments ...string) func([]byte) []byte {
	return func(message []byte) []byte {
		if message[0] == msgRequestIdentities {
			return listing(blobsAndComments...)
		}
		return frame(msgSuccess)
	}
}

// behind returns an agent with one certificate and upstreams behind it.
func behind(t testing.TB, upstreams ...string) (*Agent, ssh.Signer) {
	t.Helper()
	a, signer := warm(t)
	p := a.set().profiles[0]
	a.Set(Settings{Profiles: []Profile{{Name: p.Name, Source: p.Source}}, Upstream: upstreams})
	return a, signer
}

// open returns a session of the agent that is closed with the test.
func open(t testing.TB, a *Agent) *session {
	s := &session{agent: a, peer: peer{pid: 4711}}
	t.Cleanup(s.close)
	return s
}

// comments lists the keys by comment.
func comments(t testing.TB, s *session) (names []string) {
	t.Helper()
	answer := s.handle(context.Background(), []byte{msgRequestIdentities})[4:]
	r := reader{rest: answer}
	if r.byte() != msgIdentitiesAnswer {
		t.Fatalf("list answered with % x", answer)
	}
	for range r.uint32() {
		r.string()
		names = append(names, string(r.string()))
	}
	if err := r.whole(); err != nil {
		t.Fatalf("list: %v", err)
	}
	return names
}

func wantComments(t testing.TB, s *session, want ...string) {
	t.Helper()
	if got := comments(t, s); !slices.Equal(got, want) {
		t.Errorf("listed %q, want %q", got, want)
	}
}

func relayRequest(blob, data string, flags uint32) []byte {
	b := appendString([]byte{msgSignRequest}, blob)
	b = appendString(b, data)
	return binary.BigEndian.AppendUint32(b, flags)
}
