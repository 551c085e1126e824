package agent

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	xagent "golang.org/x/crypto/ssh/agent"
)

// A panicking Source breaks inside a request.
type panicking struct{ source }

func (*panicking) Current() ssh.Signer { panic("a bug") }

// TestPanic shows that a request that breaks the agent ends its own connection
// alone, and that the others go on.
func TestPanic(t *testing.T) {
	var log lockedBuffer
	a := &Agent{Log: slog.New(slog.NewTextHandler(&log, nil))}
	a.Set(Settings{Profiles: []Profile{{Name: "corp", Source: new(panicking)}}})
	path := serve(t, a)
	other := dial(t, path)
	call(t, other, msgRemoveAllV1)
	conn := dial(t, path)
	if _, err := conn.Write(frame(msgRequestIdentities)); err != nil {
		t.Fatal(err)
	}
	if answer, err := readFrame(conn); err == nil {
		t.Errorf("answered with % x", answer)
	}
	if answer := call(t, other, msgRemoveAllV1); answer[0] != msgSuccess {
		t.Errorf("another connection was answered with %d", answer[0])
	}
	if !strings.Contains(log.String(), "a bug") {
		t.Errorf("the log does not tell:\n%s", log.String())
	}
}

// TestServeEnds has Serve end while one client is idle, one waits for a
// certificate, and one has half a message sent.
func TestServeEnds(t *testing.T) {
	minting := make(chan struct{})
	a := new(Agent)
	a.Set(Settings{Profiles: []Profile{{Name: "corp", Source: &source{mint: func(ctx context.Context) (ssh.Signer, error) {
		close(minting)
		<-ctx.Done()
		return nil, ctx.Err()
	}}}}})
	path := filepath.Join(socketDir(t), "agent.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- a.Serve(ctx, l) }()
	idle, half, waits := dial(t, path), dial(t, path), dial(t, path)
	call(t, idle, msgRemoveAllV1)
	if _, err := half.Write([]byte{0, 0}); err != nil {
		t.Fatal(err)
	}
	if _, err := waits.Write(frame(msgRequestIdentities)); err != nil {
		t.Fatal(err)
	}
	<-minting
	cancel()
	select {
	case err := <-served:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Serve does not end")
	}
	for _, conn := range []net.Conn{idle, half, waits} {
		if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		// The one that waited may have been answered, with what there was.
		_, err := io.Copy(io.Discard, conn)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("a connection outlived Serve")
		}
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket outlived Serve: %v", err)
	}
}

// TestServeFails closes the listener under Serve.
func TestServeFails(t *testing.T) {
	l, err := Listen(filepath.Join(socketDir(t), "agent.sock"))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := new(Agent).Serve(t.Context(), l); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve() = %v", err)
	}
}

// A shortListener has no descriptors left for some time.
type shortListener struct {
	net.Listener
	failures int
}

func (l *shortListener) Accept() (net.Conn, error) {
	if l.failures > 0 {
		l.failures--
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return l.Listener.Accept()
}

func TestServeOutlivesShortage(t *testing.T) {
	path := filepath.Join(socketDir(t), "agent.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- new(Agent).Serve(ctx, &shortListener{l, 3}) }()
	if answer := call(t, dial(t, path), msgRequestIdentities); answer[0] != msgIdentitiesAnswer {
		t.Errorf("answered with %d", answer[0])
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// TestManyConnections has one process ask for more connections than it is served
// at once: those that are too many wait, and are answered when others end.
func TestManyConnections(t *testing.T) {
	path := serve(t, new(Agent))
	var conns []net.Conn
	for range maxPerProcess {
		conn := dial(t, path)
		call(t, conn, msgRequestIdentities)
		conns = append(conns, conn)
	}
	late := dial(t, path)
	if _, err := late.Write(frame(msgRequestIdentities)); err != nil {
		t.Fatal(err)
	}
	// It must not be answered; a while is enough to notice one that is.
	if err := late.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := readFrame(late); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("connection %d: %v", maxPerProcess+1, err)
	}
	if err := late.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := conns[17].Close(); err != nil {
		t.Fatal(err)
	}
	if answer, err := readFrame(late); err != nil || answer[0] != msgIdentitiesAnswer {
		t.Errorf("after another one ended: % x, %v", answer, err)
	}
}

// TestOtherUser connects as another user to a socket that was opened to all by
// mistake.
func TestOtherUser(t *testing.T) {
	if path := os.Getenv("AGENT_TEST_CONNECT"); path != "" {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatalf("connecting: %v", err)
		}
		answer, err := readFrame(conn)
		t.Logf("connected, read % x: %v", answer, err)
		return
	}
	if runtime.GOOS == "windows" || os.Getuid() != 0 {
		t.Skip("needs root, to become another user")
	}
	// The other user may not reach the test's own binary.
	dir := socketDir(t)
	binary, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	exe := filepath.Join(dir, "test")
	if err := errors.Join(os.WriteFile(exe, binary, 0o755), os.Chmod(dir, 0o755), os.Chmod(exe, 0o755)); err != nil {
		t.Fatal(err)
	}
	isTurnedAway := func(path string) {
		t.Helper()
		if err := errors.Join(os.Chmod(filepath.Dir(path), 0o711), os.Chmod(path, 0o666)); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(exe, "-test.run=^TestOtherUser$", "-test.v")
		cmd.Env = []string{"AGENT_TEST_CONNECT=" + path, "TMPDIR=" + dir}
		cmd.Dir = "/"
		becomeNobody(cmd)
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "connected, read : EOF") {
			t.Errorf("as another user: %v\n%s", err, out)
		}
	}

	a := new(Agent)
	isTurnedAway(serve(t, a))
	r := a.Refusals()
	if len(r) != 1 || r[0].Asked != "connect" || !strings.Contains(r[0].Reason, "runs as user 65534") {
		t.Errorf("refusals: %+v", r)
	}

	l, err := Listen(filepath.Join(socketDir(t), "control"))
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan error, 1)
	go func() {
		conn, err := OwnUser(l).Accept()
		if err == nil {
			_, err = conn.Write(frame(msgSuccess))
		}
		accepted <- err
	}()
	isTurnedAway(l.Addr().String())
	if answer, err := readFrame(dial(t, l.Addr().String())); err != nil || answer[0] != msgSuccess {
		t.Errorf("as the same user: % x, %v", answer, err)
	}
	if err := errors.Join(<-accepted, l.Close()); err != nil {
		t.Error(err)
	}
}

// TestRefusals keeps the last 32.
func TestRefusals(t *testing.T) {
	a := new(Agent)
	s := &session{agent: a, peer: peer{pid: 4711}}
	for i := range 40 {
		ask(s, byte(200+i))
	}
	r := a.Refusals()
	if len(r) != 32 || r[0].Asked != "message 208" || r[31].Asked != "message 239" || r[31].PID != 4711 || r[31].Time.IsZero() {
		t.Errorf("%d refusals, from %+v to %+v", len(r), r[0], r[len(r)-1])
	}
}

// TestRefusalIsPrintable quotes what a client sent, as far as a terminal and a
// log bear it.
func TestRefusalIsPrintable(t *testing.T) {
	a := new(Agent)
	kind := "ssh-\x1b[2J\n" + strings.Repeat("x", 10_000)
	ask(&session{agent: a}, rawBind(appendString(nil, kind), sessionOne, nil, false)...)
	reason := lastReason(a)
	if !strings.Contains(reason, "ssh-[2Jxxx") || strings.ContainsAny(reason, "\x1b\n") || len(reason) > 500 {
		t.Errorf("refused because %q", reason)
	}
}

// TestConcurrentUse has many clients list and sign while the agent is reloaded,
// forgotten and locked; the race detector looks on.
func TestConcurrentUse(t *testing.T) {
	ca := newAuthority(t)
	src := &source{mint: func(context.Context) (ssh.Signer, error) {
		return ca.certify(t, newKey(t, "ed25519"), time.Hour, "alice"), nil
	}}
	a := new(Agent)
	a.Set(Settings{Profiles: []Profile{{Name: "corp", Source: src}}})
	path := serve(t, a)
	done := make(chan struct{})
	var clients sync.WaitGroup
	for range 8 {
		client := xagent.NewClient(dial(t, path))
		clients.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				keys, err := client.List()
				if err != nil {
					t.Error(err)
					return
				}
				for _, k := range keys {
					l := login{
						session: sessionOne, kind: 50, user: "alice", service: "ssh-connection", method: "publickey",
						signed: 1, algorithm: k.Format, key: k.Blob,
					}
					if sig, err := client.Sign(k, l.marshal()); err == nil && k.Verify(l.marshal(), sig) != nil {
						t.Error("a bad signature")
					}
				}
			}
		})
	}
	for range 50 {
		a.Forget()
		a.Set(Settings{Profiles: []Profile{{Name: "other", Source: &source{}}, {Name: "corp", Source: src}}})
		a.Hidden()
		a.Keys(context.Background())
	}
	s := &session{agent: a}
	for _, kind := range []byte{msgLock, msgUnlock} {
		if answer := ask(s, lockMessage(kind, "sesame")...); answer[0] != msgSuccess {
			t.Errorf("message %d was answered with %d", kind, answer[0])
		}
	}
	close(done)
	clients.Wait()
}
