package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"
)

// A person is a Confirmer that answers by a function, and remembers what it was
// asked.
type person struct {
	answer func(ctx context.Context) error
	asked  []Question
}

func (p *person) Confirm(ctx context.Context, q Question) error {
	p.asked = append(p.asked, q)
	return p.answer(ctx)
}

func yes(context.Context) error { return nil }
func no(context.Context) error  { return fmt.Errorf("asking with a dialog: %w", ErrDeclined) }

// away is a person who does not answer, asked by a program that minds its
// context.
func away(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// confirming returns an agent with a certificate in the profile "corp", whose
// use p must confirm.
func confirming(t testing.TB, how Confirmation, p Confirmer) (*Agent, ssh.Signer) {
	t.Helper()
	signer := newAuthority(t).certify(t, newKey(t, "ed25519"), time.Hour, "alice")
	a := &Agent{Confirmer: p}
	a.Set(Settings{
		Profiles: []Profile{{Name: "corp", Source: &source{current: signer}, Confirm: how}},
		SSHSIG:   []string{"git"},
	})
	if len(a.Keys(context.Background())) != 1 {
		t.Fatal("not listed")
	}
	return a, signer
}

// TestConfirmAnswers has each answer but a clear yes in time refused.
func TestConfirmAnswers(t *testing.T) {
	for _, tt := range []struct {
		name    string
		answer  func(context.Context) error // nil: no Confirmer
		takes   time.Duration
		reason  string // "" where the login is granted
		remains bool   // another attempt is refused without a question
	}{
		{name: "yes", answer: yes},
		{name: "yes after 59 s", answer: func(context.Context) error { time.Sleep(59 * time.Second); return nil }, takes: 59 * time.Second},
		{name: "no", answer: no, reason: "the person declined", remains: true},
		{name: "no way to ask", reason: "there is no way to ask anybody"},
		{name: "the dialog breaks", answer: func(context.Context) error { return errors.New("exit status 139") }, reason: "exit status 139"},
		{name: "nobody there", answer: away, takes: confirmTime, reason: "nobody answered within 1m0s", remains: true},
		{name: "yes after 61 s", answer: func(context.Context) error { time.Sleep(61 * time.Second); return nil }, takes: 61 * time.Second, reason: "nobody answered within 1m0s", remains: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &person{answer: tt.answer}
				a, signer := confirming(t, ConfirmSignature, p)
				if tt.answer == nil {
					a.Confirmer = nil
				}
				start := time.Now()
				if granted := newAttempt(a, signer).granted(t); granted != (tt.reason == "") {
					t.Errorf("granted: %t, last refusal %q", granted, lastReason(a))
				}
				if took := time.Since(start); took != tt.takes {
					t.Errorf("it took %s, want %s", took, tt.takes)
				}
				if tt.reason != "" && !strings.Contains(lastReason(a), tt.reason) {
					t.Errorf("refused because %q, want %q", lastReason(a), tt.reason)
				}
				before := len(p.asked)
				newAttempt(a, signer).granted(t)
				if asked := len(p.asked) > before; asked == tt.remains && tt.answer != nil {
					t.Errorf("asked again: %t", asked)
				}
			})
		})
	}
}

// TestConfirmDenialIsForgotten asks again after a minute, and at once for
// another process or profile.
func TestConfirmDenialIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &person{answer: no}
		a, signer := confirming(t, ConfirmConnection, p)
		other := newAuthority(t).certify(t, newKey(t, "ed25519"), time.Hour, "alice")
		profiles := append(a.currentSettings().Profiles, Profile{Name: "other", Source: &source{current: other}, Confirm: ConfirmConnection})
		a.Set(Settings{Profiles: profiles})
		a.Keys(t.Context())

		login := func(signer ssh.Signer, pid, wantAsked int) {
			t.Helper()
			at := newAttempt(a, signer)
			at.s.peer.pid = pid
			p.asked = nil
			if at.granted(t) {
				t.Fatal("granted")
			}
			if len(p.asked) != wantAsked {
				t.Errorf("asked %d times, want %d", len(p.asked), wantAsked)
			}
		}
		login(signer, 4711, 1)
		time.Sleep(denialTime - time.Nanosecond)
		login(signer, 4711, 0)
		if !strings.Contains(lastReason(a), "asked again from") {
			t.Errorf("refused because %q", lastReason(a))
		}
		login(other, 4711, 1)
		login(signer, 4712, 1)
		time.Sleep(time.Nanosecond)
		login(signer, 4711, 1)
		login(signer, 4712, 0)
		time.Sleep(denialTime)
		p.answer = yes
		if !newAttempt(a, signer).granted(t) {
			t.Error("a yes after the denial's minute is refused")
		}
		if n := len(a.denials.ends); n > 3 {
			t.Errorf("%d denials are remembered", n)
		}
	})
}

// TestConfirmOnce counts the questions for several logins on one connection, and
// on another.
func TestConfirmOnce(t *testing.T) {
	for _, tt := range []struct {
		how                                              Confirmation
		login, again, asRoot, asAlice, sshsig, elsewhere int // questions
	}{
		{ConfirmNever, 0, 0, 0, 0, 0, 0},
		{ConfirmConnection, 1, 0, 1, 0, 1, 1},
		{ConfirmSignature, 1, 1, 1, 1, 1, 1},
	} {
		p := &person{answer: yes}
		a, signer := confirming(t, tt.how, p)
		at := newAttempt(a, signer)
		expect := func(what string, want int) {
			t.Helper()
			before := len(p.asked)
			if !at.granted(t) {
				t.Fatalf("%s: refused: %s", what, lastReason(a))
			}
			if asked := len(p.asked) - before; asked != want {
				t.Errorf("mode %d, %s: asked %d times, want %d", tt.how, what, asked, want)
			}
		}
		expect("a login", tt.login)
		expect("the same again", tt.again)
		at.login.user = "root"
		expect("another account", tt.asRoot)
		at.login.user = "alice"
		expect("the first account", tt.asAlice)
		at.data = sshsigData("git", "", "sha512", 64)
		expect("SSHSIG", tt.sshsig)
		at = newAttempt(a, signer)
		expect("another connection", tt.elsewhere)
	}
}

// TestConfirmReload has a profile that stays get a stricter rule: connections
// that are open obey it.
func TestConfirmReload(t *testing.T) {
	p := &person{answer: no}
	a, signer := confirming(t, ConfirmNever, p)
	at := newAttempt(a, signer)
	if !at.granted(t) {
		t.Fatal("refused")
	}
	profile := a.currentSettings().Profiles[0]
	profile.Confirm = ConfirmSignature
	a.Set(Settings{Profiles: []Profile{profile}})
	if at.granted(t) || len(p.asked) != 1 {
		t.Errorf("granted, or asked %d times", len(p.asked))
	}
}

// TestConfirmMeanwhile locks the agent, forgets the certificate or lets it run
// out while the person thinks, who then says yes.
func TestConfirmMeanwhile(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(t *testing.T, a *Agent)
		reason string
	}{
		"nothing": {func(*testing.T, *Agent) {}, ""},
		"locked": {func(t *testing.T, a *Agent) { // and the certificate is still there
			if err := a.lock.close(t.Context(), []byte("pw")); err != nil {
				t.Error(err)
			}
		}, "locked"},
		"forgotten":       {func(_ *testing.T, a *Agent) { a.Forget() }, "dropped"},
		"profile removed": {func(_ *testing.T, a *Agent) { a.Set(Settings{}) }, "dropped"},
	} {
		t.Run(name, func(t *testing.T) {
			p := new(person)
			a, signer := confirming(t, ConfirmConnection, p)
			p.answer = func(context.Context) error {
				tt.change(t, a)
				return nil
			}
			if granted := newAttempt(a, signer).granted(t); granted != (tt.reason == "") || !strings.Contains(lastReason(a), tt.reason) {
				t.Errorf("granted: %t, last refusal %q", granted, lastReason(a))
			}
		})
	}
}

// TestConfirmHoldsUpNobody has other connections served while a person thinks,
// lists included, and a list ask nobody.
func TestConfirmHoldsUpNobody(t *testing.T) {
	answer := make(chan error)
	asked := make(chan struct{})
	p := &person{answer: func(context.Context) error { close(asked); return <-answer }}
	a, signer := confirming(t, ConfirmSignature, p)
	other := newAuthority(t).certify(t, newKey(t, "ed25519"), time.Hour, "alice")
	a.Set(Settings{Profiles: append(a.currentSettings().Profiles, Profile{Name: "other", Source: &source{current: other}})})
	a.Keys(t.Context())
	path := serve(t, a)
	waiting := dial(t, path)
	if _, err := waiting.Write(frame(newAttempt(a, signer).request()...)); err != nil {
		t.Fatal(err)
	}
	<-asked
	conn := dial(t, path)
	if answer := call(t, conn, msgRequestIdentities); answer[0] != msgIdentitiesAnswer {
		t.Errorf("list: % x", answer)
	}
	if answer := call(t, conn, newAttempt(a, other).request()...); answer[0] != msgSignResponse {
		t.Errorf("sign: % x", answer)
	}
	answer <- nil
	if answer, err := readFrame(waiting); err != nil || answer[0] != msgSignResponse {
		t.Errorf("the one that waited: % x, %v", answer, err)
	}
}

// TestConfirmQuestion looks at what a person is told, by a real connection.
func TestConfirmQuestion(t *testing.T) {
	p := &person{answer: yes}
	a, signer := confirming(t, ConfirmSignature, p)
	conn := dial(t, serve(t, a))
	host := newKey(t, "ecdsa")
	at := newAttempt(a, signer)
	if answer := call(t, conn, bindMessage(t, host, sessionOne, false)...); answer[0] != msgSuccess {
		t.Fatalf("bind: % x", answer)
	}
	if answer := call(t, conn, at.request()...); answer[0] != msgSignResponse {
		t.Fatalf("sign: % x, %s", answer, lastReason(a))
	}
	q := p.asked[0]
	if q.Profile != "corp" || q.User != "alice" || q.Use != UseLogin || q.Forwarded || q.Fingerprint == "" || !strings.HasPrefix(q.Comment, "corp alice@") {
		t.Errorf("%+v", q)
	}
	if !strings.Contains(q.Host, ssh.FingerprintSHA256(host.PublicKey())) {
		t.Errorf("host %q", q.Host)
	}
	if len(q.Callers) < 2 || q.Callers[0].PID != os.Getpid() || q.Callers[1].PID != os.Getppid() {
		t.Errorf("callers %+v", q.Callers)
	}
	text := q.String()
	for _, want := range []string{`Log in as "alice" on the server with the host key SHA256:`, "with the certificate of profile corp?", fmt.Sprintf("(%d), started by ", os.Getpid())} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
}

// TestConfirmForwarded has a forwarded connection reach three servers, one after
// another: a yes is for one of them, and the question says what is at stake.
func TestConfirmForwarded(t *testing.T) {
	for _, tt := range []struct {
		rules         Profile
		first, second int // questions for two logins at the first server, one at the next
	}{
		{Profile{Forward: ForwardConfirm}, 1, 1},
		{Profile{Forward: ForwardConfirm, Confirm: ConfirmSignature}, 2, 1},
		{Profile{Forward: ForwardAllow, Confirm: ConfirmConnection}, 1, 1},
		{Profile{Forward: ForwardAllow}, 0, 0},
	} {
		p := &person{answer: yes}
		a, signer := confirming(t, ConfirmNever, p)
		profile := a.currentSettings().Profiles[0]
		profile.Forward, profile.Confirm = tt.rules.Forward, tt.rules.Confirm
		a.Set(Settings{Profiles: []Profile{profile}})
		jump, far, next := newKey(t, "ed25519"), newKey(t, "ed25519"), newKey(t, "ed25519")
		path := func(hops ...ssh.Signer) *attempt {
			at := newAttempt(a, signer)
			for i, host := range hops {
				last := i == len(hops)-1
				at.bind(t, host, []byte(fmt.Sprint("session ", i)), !last)
				at.login.session, at.login.method, at.login.hostKey = []byte(fmt.Sprint("session ", i)), hostbound, host.PublicKey().Marshal()
			}
			return at
		}
		at := path(jump, far)
		for range 2 {
			if !at.granted(t) {
				t.Fatalf("refused: %s", lastReason(a))
			}
		}
		if len(p.asked) != tt.first {
			t.Errorf("%+v: asked %d times, want %d", tt.rules, len(p.asked), tt.first)
		}
		for _, q := range p.asked {
			if text := q.String(); !q.Forwarded || !strings.Contains(text, "is forwarded") || !strings.Contains(text, ssh.FingerprintSHA256(far.PublicKey())) {
				t.Errorf("%+v: %s", tt.rules, text)
			}
		}
		// What a person allowed there is not allowed for the next server, also
		// where the connection's memory of it is the same.
		p.asked = nil
		onward := path(jump, next)
		onward.s.confirmed = at.s.confirmed
		if !onward.granted(t) || len(p.asked) != tt.second {
			t.Errorf("%+v: the next server: asked %d times, want %d; %s", tt.rules, len(p.asked), tt.second, lastReason(a))
		}
	}
}

// TestConfirmHangUp closes the connection while a person is asked: the dialog
// goes away. A client that sends ahead, or only sends no more, waits for its
// answer.
func TestConfirmHangUp(t *testing.T) {
	asked := make(chan context.Context)
	answer := make(chan error)
	p := &person{answer: func(ctx context.Context) error {
		asked <- ctx
		select {
		case err := <-answer:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}}
	a, signer := confirming(t, ConfirmSignature, p)
	path := serve(t, a)
	login := frame(newAttempt(a, signer).request()...)

	conn := dial(t, path)
	if _, err := conn.Write(login); err != nil {
		t.Fatal(err)
	}
	ctx := <-asked
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	<-ctx.Done()
	if why := context.Cause(ctx); !strings.Contains(why.Error(), "hung up") {
		t.Errorf("the question ended because %v", why)
	}

	for name, also := range map[string]func(*net.UnixConn) error{
		"waits":         func(*net.UnixConn) error { return nil },
		"sends ahead":   func(c *net.UnixConn) error { _, err := c.Write(frame(msgRequestIdentities)); return err },
		"sends no more": (*net.UnixConn).CloseWrite,
	} {
		conn, ok := dial(t, path).(*net.UnixConn)
		if !ok {
			t.Skip("not a Unix socket")
		}
		if _, err := conn.Write(login); err != nil {
			t.Fatal(err)
		}
		ctx := <-asked
		if err := also(conn); err != nil {
			t.Fatal(err)
		}
		answer <- nil
		if got, err := readFrame(conn); err != nil || got[0] != msgSignResponse {
			t.Errorf("%s: % x, %v (%v)", name, got, err, context.Cause(ctx))
		}
		if name == "sends ahead" {
			if got, err := readFrame(conn); err != nil || got[0] != msgIdentitiesAnswer {
				t.Errorf("%s: the next answer: % x, %v", name, got, err)
			}
		}
		if name == "waits" { // the connection is as good as before
			if got := call(t, conn, msgRequestIdentities); got[0] != msgIdentitiesAnswer {
				t.Errorf("%s: the next answer: % x", name, got)
			}
		}
	}
}
