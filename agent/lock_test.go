package agent

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"
)

func lockMessage(kind byte, password string) []byte {
	return appendString([]byte{kind}, password)
}

// TestLock is OpenSSH's lock, with the time that a wrong password takes.
func TestLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, signer := warm(t)
		s := &session{agent: a}
		step := func(kind byte, password string, want byte, took time.Duration) {
			t.Helper()
			start := time.Now()
			if answer := ask(s, lockMessage(kind, password)...); answer[0] != want {
				t.Errorf("message %d with %q was answered with %d, want %d", kind, password, answer[0], want)
			}
			if d := time.Since(start); d != took {
				t.Errorf("message %d with %q took %s, want %s", kind, password, d, took)
			}
		}
		step(msgUnlock, "sesame", msgFailure, 0)
		step(msgLock, "", msgFailure, 0)
		step(msgLock, "sesame", msgSuccess, 0)
		step(msgLock, "sesame", msgFailure, 0)
		step(msgUnlock, "", msgFailure, 0)
		for i := range 3 {
			step(msgUnlock, "wrong", msgFailure, time.Duration(i+1)*100*time.Millisecond)
		}
		if !a.Locked() || newAttempt(a, signer).granted(t) || len(a.Keys(t.Context())) != 0 {
			t.Error("a locked agent serves")
		}
		step(msgUnlock, "sesame", msgSuccess, 0)
		if a.Locked() || !newAttempt(a, signer).granted(t) || len(a.Keys(t.Context())) != 1 {
			t.Error("an unlocked agent does not serve")
		}
		// The count starts again, and goes to 10 s.
		step(msgLock, "other", msgSuccess, 0)
		step(msgUnlock, "sesame", msgFailure, 100*time.Millisecond)
		a.lock.failures = 1000
		step(msgUnlock, "sesame", msgFailure, 10*time.Second)
		step(msgUnlock, "other", msgSuccess, 0)
	})
}

// TestUnlockAttempts has several connections guess at once, which must not be
// faster than one, and ends the agent while others wait.
func TestUnlockAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := new(Agent)
		ask(&session{agent: a}, lockMessage(msgLock, "sesame")...)
		ctx, cancel := context.WithCancel(t.Context())
		const guesses = 4
		start := time.Now()
		done := make(chan time.Duration, guesses)
		for range guesses {
			go func() {
				s := &session{agent: a}
				s.handle(ctx, lockMessage(msgUnlock, "guess"))
				done <- time.Since(start)
			}()
		}
		for _, want := range []time.Duration{100, 300, 600} {
			if got := <-done; got != want*time.Millisecond {
				t.Errorf("a guess was answered after %s, want %dms", got, want)
			}
		}
		cancel()
		if got := <-done; got != 600*time.Millisecond {
			t.Errorf("the last guess was answered after %s, want the end of the agent", got)
		}
		if !a.Locked() {
			t.Error("unlocked by a guess")
		}
	})
}

// TestLockOvertakes locks while a certificate is being minted and while a token
// signs: neither outcome leaves the agent.
func TestLockOvertakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := newAuthority(t)
		signer := ca.certify(t, newKey(t, "ed25519"), time.Hour, "alice")
		a := new(Agent)
		a.Set(Settings{Profiles: []Profile{{Name: "token", Source: &source{mint: func(context.Context) (ssh.Signer, error) {
			time.Sleep(5 * time.Second)
			return slowSigner{signer}, nil
		}}}}})
		lockSoon := func() {
			time.Sleep(time.Second)
			ask(&session{agent: a}, lockMessage(msgLock, "sesame")...)
		}
		unlock := func() {
			t.Helper()
			if answer := ask(&session{agent: a}, lockMessage(msgUnlock, "sesame")...); answer[0] != msgSuccess {
				t.Fatal("cannot unlock")
			}
		}
		go lockSoon()
		if keys := a.Keys(t.Context()); len(keys) != 0 {
			t.Error("listed what was minted while the agent was locked")
		}
		unlock()
		if keys := a.Keys(t.Context()); len(keys) != 1 {
			t.Fatal("not listed after unlocking")
		}
		if !newAttempt(a, signer).granted(t) {
			t.Fatalf("refused: %s", lastReason(a))
		}
		go lockSoon()
		if newAttempt(a, signer).granted(t) {
			t.Error("a signature came out of a locked agent")
		}
		unlock()
	})
}

// A slowSigner takes 5 s, as a token that waits for a touch.
type slowSigner struct{ ssh.Signer }

func (s slowSigner) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	time.Sleep(5 * time.Second)
	return s.Signer.Sign(rand, data)
}

// TestBindWhileLocked shows that what connects in the meantime is told from a
// local client after unlocking.
func TestBindWhileLocked(t *testing.T) {
	a, _ := warm(t)
	s := &session{agent: a}
	ask(s, lockMessage(msgLock, "sesame")...)
	if answer := ask(s, bindMessage(t, newKey(t, "ed25519"), sessionOne, true)...); answer[0] != msgSuccess {
		t.Fatalf("a bind was answered with %d", answer[0])
	}
	if answer := ask(s, lockMessage(msgUnlock, "sesame")...); answer[0] != msgFailure {
		t.Error("a forwarded connection unlocked the agent")
	}
	if answer := ask(&session{agent: a}, lockMessage(msgUnlock, "sesame")...); answer[0] != msgSuccess {
		t.Fatal("cannot unlock")
	}
	if count := ask(s, msgRequestIdentities)[4]; count != 0 {
		t.Errorf("%d keys are listed on a forwarded connection", count)
	}
}
