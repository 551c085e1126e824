//go:build unix

package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/crypto/ssh"
)

// TestHostileClients besieges the real agent, in a process of its own.
func TestHostileClients(t *testing.T) {
	for _, program := range []string{"ssh", "sshd", "ssh-add", "ssh-keygen"} {
		need(t, program)
	}
	root, err := os.MkdirTemp("/tmp", "sm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	more := maps.Clone(commands)
	more["plainprograms"] = plainPrograms
	more["besiege"] = besiege
	testscript.Run(t, testscript.Params{Dir: "testdata/hostile", WorkdirRoot: root, RequireExplicitExec: true, Setup: setUp, Cmds: more, Condition: condition})
}

// plainprograms puts an sshmint first in PATH that is built as it is shipped: the
// race detector's memory is not the agent's.
func plainPrograms(ts *testscript.TestScript, _ bool, _ []string) {
	build := exec.Command("go", "build", "-trimpath", "-o", ts.MkAbs("plain")+"/", ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		ts.Fatalf("building: %v\n%s", err, out)
	}
	ts.Setenv("PATH", ts.MkAbs("plain")+string(os.PathListSeparator)+ts.Getenv("PATH"))
}

// logins are those of stock ssh during an attack. How long they take is logged;
// a test holds only that they come to an end.
const logins = 3

// mostMemory is what the agent may take, in KiB.
const mostMemory = 30 << 10

// besiege JOB ATTACK runs an attack on an agent, and has ssh log in meanwhile.
func besiege(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 || attacks[args[1]] == nil {
		ts.Fatalf("usage: besiege JOB ATTACK")
	}
	socket, j := ts.Getenv("SSH_AUTH_SOCK"), find(ts, args[0])
	ctx, cancel := context.WithCancel(context.Background())
	underWay := make(chan struct{})
	done := make(chan error, 1)
	go func() { done <- attacks[args[1]](ctx, socket, sync.OnceFunc(func() { close(underWay) })) }()
	defer cancel()
	select {
	case <-underWay:
	case err := <-done:
		ts.Fatalf("the attack did not begin: %v", err)
	case <-time.After(time.Minute):
		ts.Fatalf("the attack did not begin")
	}
	began := time.Now()
	for range logins {
		within(ts, false, []string{"30s", "ssh", "-F", ts.MkAbs("ssh_config"), "certonly", "true"})
	}
	login := time.Since(began) / logins
	took := memory(ts, j.cmd.Process.Pid)
	cancel()
	if err := <-done; err != nil && !errors.Is(err, syscall.EAGAIN) { // it ended in the queue
		ts.Fatalf("attacking: %v", err)
	}
	ts.Logf("%s: %d KiB, %s for a login", args[1], took, login.Round(time.Millisecond))
	if took > mostMemory {
		ts.Fatalf("under %s the agent took %d KiB, more than %d", args[1], took, mostMemory)
	}
}

// memory is the most that a process has had so far, in KiB, or where the system
// does not tell, what it has now.
func memory(ts *testscript.TestScript, pid int) int {
	if runtime.GOOS == "linux" {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		ts.Check(err)
		peak := regexp.MustCompile(`VmHWM:\s+([0-9]+) kB`).FindSubmatch(status)
		if peak == nil {
			ts.Fatalf("no VmHWM in %s", status)
		}
		n, err := strconv.Atoi(string(peak[1]))
		ts.Check(err)
		return n
	}
	out, err := exec.Command("ps", "-o", "rss=", "-p", strconv.Itoa(pid)).Output()
	ts.Check(err)
	n, err := strconv.Atoi(strings.TrimSpace(string(out)))
	ts.Check(err)
	return n
}

// An attack goes on until ctx ends, after it has said that it is under way.
type attack func(ctx context.Context, socket string, underWay func()) error

var attacks = map[string]attack{
	"none": func(ctx context.Context, _ string, underWay func()) error { // what is usual
		underWay()
		<-ctx.Done()
		return nil
	},
	"truncated":   repeat([]byte{0, 0, 0, 100, 11, 1, 2, 3}),
	"oversized":   repeat([]byte{0xff, 0xff, 0xff, 0xff, 11}),
	"zero-length": repeat([]byte{0, 0, 0, 0}),
	"slow-drip":   hold(200, []byte{0, 3, 0, 0}, 1),
	"large":       hold(250, append([]byte{0, 4, 0, 0}, make([]byte, 250<<10)...), 1),
	"connections": hold(2000, nil, 0),
	"binds":       manyBinds,
	"requests":    manyRequests,
}

// connect dials until there is room in the queue of the socket. A client that is
// not in a hurry, such as ssh, waits in the same place.
func connect(ctx context.Context, socket string) (net.Conn, error) {
	for {
		conn, err := net.Dial("unix", socket)
		if !errors.Is(err, syscall.EAGAIN) || ctx.Err() != nil {
			return conn, err
		}
		runtime.Gosched()
	}
}

// repeat opens connections, says something on each, and closes it.
func repeat(message []byte) attack {
	return func(ctx context.Context, socket string, underWay func()) error {
		for n := 0; ctx.Err() == nil; n++ {
			conn, err := connect(ctx, socket)
			if err != nil {
				return err
			}
			_, err = conn.Write(message)
			if err := errors.Join(err, conn.Close()); err != nil {
				return err
			}
			if n == 100 {
				underWay()
			}
		}
		return nil
	}
}

// hold opens n connections, says something on each, and then adds drip bytes to
// all of them now and again.
func hold(n int, message []byte, drip int) attack {
	return func(ctx context.Context, socket string, underWay func()) error {
		conns := make([]net.Conn, n)
		defer func() {
			for _, conn := range conns {
				if conn != nil {
					_ = conn.Close()
				}
			}
		}()
		for i := range conns {
			conn, err := connect(ctx, socket)
			if err != nil {
				return err
			}
			conns[i] = conn
			// One that is not read must not stop the attack.
			if err := conn.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
				return err
			}
			if _, err := conn.Write(message); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				return err
			}
		}
		underWay()
		for ticker := time.NewTicker(20 * time.Millisecond); ; {
			select {
			case <-ctx.Done():
				ticker.Stop()
				return nil
			case <-ticker.C:
			}
			for _, conn := range conns {
				_, _ = conn.Write(make([]byte, drip)) // some have been closed by the agent
			}
		}
	}
}

// converse sends a message on one connection again and again, and wants an answer
// to each.
func converse(ctx context.Context, socket string, underWay func(), least int, message func(n int) []byte) error {
	conn, err := connect(ctx, socket)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // nothing is left to be written
	for n := 0; ctx.Err() == nil || n < least; n++ {
		m := message(n)
		if _, err := conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(m))), m...)); err != nil {
			return err
		}
		var size [4]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return fmt.Errorf("after %d: %w", n, err)
		}
		if _, err := io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint32(size[:]))); err != nil {
			return err
		}
		if n == 100 {
			underWay()
		}
	}
	return nil
}

// manyBinds binds one connection 10,000 times at least, each time to another
// session.
func manyBinds(ctx context.Context, socket string, underWay func()) error {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	host, err := ssh.NewSignerFromSigner(key)
	if err != nil {
		return err
	}
	var failed error
	err = converse(ctx, socket, underWay, 10_000, func(n int) []byte {
		session := fmt.Appendf(nil, "session %024d", n)
		signature, err := host.Sign(rand.Reader, session)
		failed = errors.Join(failed, err)
		return append([]byte{27}, ssh.Marshal(struct {
			Name                        string
			HostKey, Session, Signature []byte
			Forwarding                  bool
		}{"session-bind@openssh.com", host.PublicKey().Marshal(), session, ssh.Marshal(signature), true})...)
	})
	return errors.Join(err, failed)
}

// manyRequests sends requests of each number that are cut, or full of rubbish.
func manyRequests(ctx context.Context, socket string, underWay func()) error {
	rubbish := make([]byte, 2048)
	if _, err := rand.Read(rubbish); err != nil {
		return err
	}
	return converse(ctx, socket, underWay, 2_000, func(n int) []byte {
		kind := byte(n)
		switch kind {
		case 9, 19, 22, 23: // which would drop the keys of the honest client, lock it out, or be slowed down on purpose
			kind = 200
		}
		return append([]byte{kind}, bytes.Clone(rubbish[:n%len(rubbish)])...)
	})
}
