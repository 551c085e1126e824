package agent

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestBindsArePassedOn has what becomes of an upstream by its answers to binds.
func TestBindsArePassedOn(t *testing.T) {
	host := newKey(t, "ed25519")
	jump := bindMessage(t, host, sessionOne, true)
	login := bindMessage(t, host, sessionTwo, false)
	forged := rawBind([]byte("no key"), sessionOne, nil, false)
	var many [][]byte
	for i := range maxBindings + 2 {
		many = append(many, bindMessage(t, host, fmt.Appendf(nil, "session %d", i), true))
	}
	large := append(bindMessage(t, host, sessionOne, true), make([]byte, maxKeptBindBytes)...)
	for _, tt := range []struct {
		name    string
		binds   [][]byte
		answers []byte // to one bind after the other
		want    [][]byte
		used    bool
	}{
		{"none", nil, nil, nil, true},
		{"all are taken", [][]byte{jump, login}, []byte{msgSuccess, msgSuccess}, [][]byte{jump, login}, true},
		{"the same one again", [][]byte{jump, jump, login}, []byte{msgSuccess, msgSuccess}, [][]byte{jump, login}, true},
		{"it does not know them", [][]byte{jump, login}, []byte{msgFailure, msgFailure}, [][]byte{jump, login}, true},
		{"it knows the kind of key that we do not", [][]byte{forged}, []byte{msgSuccess}, [][]byte{forged}, true},
		{"16, and one that we refuse", many[:17], bytes.Repeat([]byte{msgSuccess}, 17), many[:17], true},

		{"refused", [][]byte{login}, []byte{msgExtensionFailure}, [][]byte{login}, false},
		{"the second is refused", [][]byte{jump, login}, []byte{msgSuccess, msgExtensionFailure}, [][]byte{jump, login}, false},
		{"the second is refused as OpenSSH did before 10.3", [][]byte{jump, login}, []byte{msgSuccess, msgFailure}, [][]byte{jump, login}, false},
		{"the first is refused, the second would be taken", [][]byte{jump, login}, []byte{msgExtensionFailure, msgSuccess}, [][]byte{jump}, false},
		{"not known, and we refused it", [][]byte{forged}, []byte{msgFailure}, [][]byte{forged}, false},
		{"not known, and we refused the second", [][]byte{jump, forged}, []byte{msgFailure, msgFailure}, [][]byte{jump, forged}, false},
		{"answered with rubbish", [][]byte{login}, []byte{msgIdentitiesAnswer}, [][]byte{login}, false},
		{"more than are kept", many, nil, nil, false},
		{"larger than is kept", [][]byte{large}, nil, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got [][]byte
			f := startFake(t, func(message []byte) []byte {
				if message[0] != msgExtension {
					return lists(strange("x"), "strange")(message)
				}
				got = append(got, message)
				return frame(tt.answers[len(got)-1])
			})
			a, _ := behind(t, f.path)
			s := open(t, a)
			for _, bind := range tt.binds {
				ask(s, bind...)
			}
			if slices.Contains(comments(t, s), "strange") != tt.used {
				t.Errorf("listed by the upstream: %t, want %t", !tt.used, tt.used)
			}
			ask(s, relayRequest(strange("x"), "data", 0)...)
			if slices.Contains(f.kinds(), msgSignRequest) != tt.used {
				t.Errorf("asked to sign: %t, want %t", !tt.used, tt.used)
			}
			if slices.Contains(comments(t, s), "strange") != tt.used {
				t.Errorf("listed later: %t, want %t", !tt.used, tt.used)
			}
			if !slices.EqualFunc(got, tt.want, bytes.Equal) {
				t.Errorf("%d binds were passed on, want %d", len(got), len(tt.want))
			}
		})
	}
}

// TestBindsBetweenLists: a forwarded connection is bound again by each hop, and
// each bind reaches the upstream before the next request.
func TestBindsBetweenLists(t *testing.T) {
	f := startFake(t, lists(strange("x"), "strange"))
	a, _ := behind(t, f.path)
	s := open(t, a)
	host := newKey(t, "ed25519")
	ask(s, bindMessage(t, host, sessionOne, true)...)
	wantComments(t, s, "strange")
	ask(s, bindMessage(t, host, sessionTwo, false)...)
	wantComments(t, s, "strange")
	ask(s, relayRequest(strange("x"), "data", 0)...)
	if got, want := f.kinds(), []byte{msgExtension, msgRequestIdentities, msgExtension, msgRequestIdentities, msgSignRequest}; !bytes.Equal(got, want) {
		t.Errorf("the upstream was sent % d, want % d", got, want)
	}
	if len(f.conns) != 1 {
		t.Errorf("%d connections for one client", len(f.conns))
	}
}

// TestUpstreamRestart: a client that stays connected finds the new one, bound as
// the old one was.
func TestUpstreamRestart(t *testing.T) {
	f := startFake(t, func(message []byte) []byte {
		if message[0] == msgSignRequest {
			return frame(appendString([]byte{msgSignResponse}, "signature")...)
		}
		return lists(strange("x"), "strange")(message)
	})
	a, _ := behind(t, f.path)
	s := open(t, a)
	ask(s, bindMessage(t, newKey(t, "ed25519"), sessionOne, false)...)
	wantComments(t, s, ours(t, a), "strange")

	f.stop(t)
	f.start(t)
	f.kinds()
	if answer := ask(s, relayRequest(strange("x"), "data", 0)...); answer[0] != msgSignResponse {
		t.Errorf("sign was answered with % x: %s", answer, lastReason(a))
	}
	if got, want := f.kinds(), []byte{msgExtension, msgSignRequest}; !bytes.Equal(got, want) {
		t.Errorf("the new upstream was sent % d, want % d", got, want)
	}

	f.stop(t)
	wantComments(t, s, ours(t, a))
	f.start(t)
	wantComments(t, s, ours(t, a), "strange")
}

// TestUpstreamConnectionEnds with the client's.
func TestUpstreamConnectionEnds(t *testing.T) {
	ended := make(chan error, 1)
	f := startFake(t, lists(strange("x"), "strange"))
	a, _ := behind(t)
	u := newUpstream(f.path)
	dialed := u.connect
	u.connect = func(ctx context.Context) (net.Conn, error) {
		conn, err := dialed(ctx)
		return closing{conn, ended}, err
	}
	a.upstreams.Store(&[]*upstream{u})
	conn := dial(t, serve(t, a))
	call(t, conn, msgRequestIdentities)
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the upstream's connection stays open")
	}
}

// TestUpstreamConnectionEndsWhileItAsks: who is at the keyboard gave up, and no
// dialog for a PIN or a touch has to stay.
func TestUpstreamConnectionEndsWhileItAsks(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a pipe does not tell that its client is gone")
	}
	asked := make(chan struct{})
	f := startFake(t, func(message []byte) []byte {
		if message[0] == msgSignRequest {
			close(asked)
			<-t.Context().Done()
		}
		return lists(strange("x"), "strange")(message)
	})
	ended := make(chan error, 1)
	a, _ := behind(t)
	u := newUpstream(f.path)
	dialed := u.connect
	u.connect = func(ctx context.Context) (net.Conn, error) {
		conn, err := dialed(ctx)
		return closing{conn, ended}, err
	}
	a.upstreams.Store(&[]*upstream{u})
	conn := dial(t, serve(t, a))
	if _, err := conn.Write(frame(relayRequest(strange("x"), "data", 0)...)); err != nil {
		t.Fatal(err)
	}
	<-asked
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the upstream is still asked")
	}
}

type closing struct {
	net.Conn
	closed chan error
}

func (c closing) Close() error {
	err := c.Conn.Close()
	c.closed <- err
	return err
}

// TestRelayTime has an upstream that waits for a touch which never comes.
func TestRelayTime(t *testing.T) {
	for _, tt := range []struct {
		name    string
		message []byte
		want    time.Duration
	}{
		{"list", []byte{msgRequestIdentities}, upstreamTime},
		{"sign", relayRequest(strange("x"), "data", 0), personTime},
		{"add a token", []byte{msgAddCard}, personTime},
		{"remove all", []byte{msgRemoveAll}, upstreamTime},
		{"remove", appendString([]byte{msgRemoveIdentity}, strange("x")), upstreamTime},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				connections := 0
				u := &upstream{path: "hangs", connect: func(context.Context) (net.Conn, error) {
					ours, theirs := net.Pipe()
					connections++
					f := &fakeAgent{answer: func(message []byte) []byte {
						if message[0] == msgRequestIdentities && tt.message[0] != message[0] {
							return listing(strange("x"), "strange")
						}
						<-t.Context().Done()
						return nil
					}}
					go f.serve(theirs, 1)
					return ours, nil
				}}
				a := new(Agent)
				a.upstreams.Store(&[]*upstream{u})
				s := open(t, a)
				ask(s, msgRequestIdentities)
				if s.relays.all[0].conn == nil && tt.message[0] != msgRequestIdentities {
					t.Fatal("the list failed")
				}
				connections = 0
				began := time.Now()
				ask(s, tt.message...)
				if took := time.Since(began); took != tt.want {
					t.Errorf("it took %s, want %s", took, tt.want)
				}
				if connections > 1 || s.relays.all[0].conn != nil {
					t.Errorf("%d new connections, and is there one: %t", connections, s.relays.all[0].conn != nil)
				}
			})
		})
	}
}

// TestShutdownEndsRelays: the agent does not wait for an upstream when it ends.
func TestShutdownEndsRelays(t *testing.T) {
	reached := make(chan struct{})
	f := startFake(t, func([]byte) []byte {
		close(reached)
		<-t.Context().Done()
		return nil
	})
	a, _ := behind(t, f.path)
	ctx, cancel := context.WithCancel(t.Context())
	s := open(t, a)
	done := make(chan time.Time, 1)
	go func() {
		s.handle(ctx, relayRequest(strange("x"), "data", 0))
		done <- time.Now()
	}()
	<-reached
	ended := time.Now()
	cancel()
	if took := (<-done).Sub(ended); took > time.Second {
		t.Errorf("it took %s", took)
	}
}
