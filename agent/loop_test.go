package agent

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// holding returns an agent that serves a certificate for a name.
func holding(t testing.TB, name string) (a *Agent, socket string) {
	t.Helper()
	a = new(Agent)
	setUpstream(t, a, name)
	return a, serve(t, a)
}

func setUpstream(t testing.TB, a *Agent, name string, upstreams ...string) {
	t.Helper()
	var src Source
	if set := a.set().profiles; len(set) > 0 {
		src = set[0].Source
	} else {
		src = &source{current: newAuthority(t).certify(t, newKey(t, "ed25519"), time.Hour, name)}
	}
	a.Set(Settings{Profiles: []Profile{{Name: name, Source: src}}, Upstream: upstreams})
}

// profileNames lists by the first word of the comment, over the socket.
func profileNames(t testing.TB, socket string) (names []string) {
	t.Helper()
	began := time.Now()
	r := reader{rest: call(t, dial(t, socket), msgRequestIdentities)}
	if took := time.Since(began); took > upstreamTime-time.Second {
		t.Errorf("the list took %s", took)
	}
	r.byte()
	for range r.uint32() {
		r.string()
		name, _, _ := strings.Cut(string(r.string()), " ")
		names = append(names, name)
	}
	return names
}

func wantProfiles(t testing.TB, socket string, want ...string) {
	t.Helper()
	if got := profileNames(t, socket); !slices.Equal(got, want) {
		t.Errorf("listed %q, want %q", got, want)
	}
}

// TestLoop: agents that are upstream of one another serve what each of them
// has, at once, and say that there is a loop.
func TestLoop(t *testing.T) {
	one, oneSocket := holding(t, "one")
	two, twoSocket := holding(t, "two")
	three, threeSocket := holding(t, "three")

	setUpstream(t, one, "one", oneSocket) // itself
	wantProfiles(t, oneSocket, "one")

	setUpstream(t, one, "one", twoSocket)
	setUpstream(t, two, "two", oneSocket)
	wantProfiles(t, oneSocket, "one", "two")
	wantProfiles(t, twoSocket, "two", "one")
	for _, a := range []*Agent{one, two} {
		if !strings.Contains(lastReason(a), "in a loop") {
			t.Errorf("the last refusal is %q", lastReason(a))
		}
		if u := a.Upstreams(t.Context())[0]; !u.Reachable || !strings.Contains(u.LastError, "upstream of itself") {
			t.Errorf("%+v", u)
		}
	}
	// What one removes, the other does.
	if answer := call(t, dial(t, oneSocket), msgRemoveAll); answer[0] != msgSuccess {
		t.Errorf("remove all: % x: %s, %s", answer, lastReason(one), lastReason(two))
	}
	wantProfiles(t, oneSocket)

	setUpstream(t, two, "two", threeSocket)
	setUpstream(t, three, "three", oneSocket, twoSocket)
	wantProfiles(t, oneSocket, "three")
}

// TestLoopThroughASocketThatIsPassedOn: forwarding, socat and the like hide
// where an agent is.
func TestLoopThroughASocketThatIsPassedOn(t *testing.T) {
	a, socket := holding(t, "one")
	path := filepath.Join(socketDir(t), "forwarded")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			on, err := net.Dial("unix", socket)
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(on, conn); _ = on.Close() }()
			go func() { _, _ = io.Copy(conn, on); _ = conn.Close() }()
		}
	}()
	setUpstream(t, a, "one", path)
	wantProfiles(t, socket, "one")
	if !strings.Contains(lastReason(a), "in a loop") {
		t.Errorf("the last refusal is %q", lastReason(a))
	}
}

// TestLoopThroughAnAgentOfAnotherKind, which passes on lists and nothing else:
// it ends, and our own keys are there. After a while it is tried again.
func TestLoopThroughAnAgentOfAnotherKind(t *testing.T) {
	a, socket := holding(t, "one")
	var open atomic.Int32
	other := startFake(t, func(message []byte) []byte {
		open.Add(1)
		defer open.Add(-1)
		conn, err := net.Dial("unix", socket)
		if err != nil {
			return nil
		}
		defer func() { _ = conn.Close() }()
		if _, err := conn.Write(frame(message...)); err != nil {
			return nil
		}
		answer, err := readFrame(conn)
		if err != nil {
			return nil
		}
		return frame(answer...)
	})
	setUpstream(t, a, "one", other.path)
	wantProfiles(t, socket, "one")
	if r := a.Refusals(); len(r) != 1 || !strings.Contains(r[0].Reason, "lists under way") {
		t.Errorf("refused: %+v", r)
	}
	other.mu.Lock()
	n := len(other.conns)
	other.mu.Unlock()
	if n != maxLists || open.Load() != 0 {
		t.Errorf("%d connections, of which %d wait", n, open.Load())
	}
	wantProfiles(t, socket, "one") // without another round
	a.askers.mu.Lock()
	defer a.askers.mu.Unlock()
	if u := a.askers.underWay; len(u) != 0 {
		t.Errorf("under way: %v", u)
	}
}

func TestAskers(t *testing.T) {
	var a askers
	now := time.Now()
	for range maxLists {
		if ok, err := a.begin(1, now); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	for _, tt := range []struct {
		pid  int
		when time.Duration
		ok   bool
		why  error
	}{
		{1, 0, false, errManyLists},
		{1, 0, false, nil}, // said already
		{2, 0, true, nil},
		{1, loopTime - 1, false, nil},
		{1, loopTime, false, errManyLists}, // they are still there
	} {
		if ok, why := a.begin(tt.pid, now.Add(tt.when)); ok != tt.ok || !errors.Is(why, tt.why) {
			t.Errorf("process %d after %s: %t, %v", tt.pid, tt.when, ok, why)
		}
	}
	for range maxLists {
		a.end(1)
	}
	a.end(2)
	if ok, _ := a.begin(1, now.Add(2*loopTime)); !ok {
		t.Error("the process is never asked for again")
	}
	a.end(1)
	if len(a.underWay) != 0 || len(a.looping) != 0 {
		t.Errorf("%+v", &a)
	}
}

func pathMessage(names ...string) []byte {
	b := appendString([]byte{msgExtension}, agentPath)
	for _, name := range names {
		b = appendString(b, name)
	}
	return b
}

// TestPath has which paths keep a connection from the upstreams; none gives it
// more than it had.
func TestPath(t *testing.T) {
	f := startFake(t, lists(strange("x"), "strange"))
	a, _ := behind(t, f.path)
	self := a.self.get()
	var eight []string
	for i := range maxAgents {
		eight = append(eight, fmt.Sprint("agent", i))
	}
	for _, tt := range []struct {
		name     string
		messages [][]byte
		refused  bool
	}{
		{"none", nil, false},
		{"empty", [][]byte{pathMessage()}, false},
		{"others", [][]byte{pathMessage(eight...)}, false},
		{"a name of 64 bytes", [][]byte{pathMessage(strings.Repeat("x", 64))}, false},
		{"ourselves", [][]byte{pathMessage(self)}, true},
		{"ourselves between others", [][]byte{pathMessage("a", self, "b")}, true},
		{"ourselves, then another one", [][]byte{pathMessage(self), pathMessage("a")}, true},
		{"ourselves in the second", [][]byte{pathMessage("a"), pathMessage(self)}, true},
		{"nine", [][]byte{pathMessage(append([]string{"one more"}, eight...)...)}, true},
		{"nine in two", [][]byte{pathMessage(eight...), pathMessage("one more")}, true},
		{"a name of 65 bytes", [][]byte{pathMessage(strings.Repeat("x", 65))}, true},
		{"cut", [][]byte{pathMessage("agent")[:len(pathMessage("agent"))-1]}, true},
	} {
		for _, locked := range []bool{false, true} {
			s := open(t, a)
			a.lock.locked.Store(locked)
			var answer []byte
			for _, m := range tt.messages {
				answer = ask(s, m...)
			}
			a.lock.locked.Store(false)
			refused := byte(0)
			if tt.refused {
				refused = 1
			}
			if answer != nil && !bytes.Equal(answer, append(appendString([]byte{msgExtensionResponse}, agentPath), refused)) {
				t.Errorf("%s: answered with % x", tt.name, answer)
			}
			want := []string{ours(t, a), "strange"}
			if tt.refused {
				want = want[:1]
			}
			if got := comments(t, s); !slices.Equal(got, want) {
				t.Errorf("%s: listed %q, want %q", tt.name, got, want)
			}
			if len(s.relays.path) > maxAgents {
				t.Errorf("%s: %d names are kept", tt.name, len(s.relays.path))
			}
		}
	}
}
