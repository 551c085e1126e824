package signer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"
)

func TestOneMintForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := newOffice(t, time.Hour)
		ca.delay = time.Second
		m := ca.minter()
		if s := m.Current(); s != nil {
			t.Fatalf("before the first mint there is %v", s)
		}
		var callers sync.WaitGroup
		got := make([]ssh.Signer, 50)
		for i := range got {
			callers.Go(func() {
				var err error
				if got[i], err = m.Signer(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if s := m.Status(); !s.Minting || s.Certificate != nil {
			t.Errorf("while it mints: %+v", s)
		}
		callers.Wait()
		for _, s := range got {
			if s != got[0] || s != m.Current() {
				t.Fatal("two callers got different signers")
			}
		}
		if n := ca.count(); n != 1 {
			t.Errorf("%d mints for 50 callers", n)
		}
		sign(t, got[0])
		if s := m.Status(); s.Minting || s.Certificate == nil || s.LastError != nil || s.Renewal.After(s.Ends) {
			t.Errorf("after it: %+v", s)
		}
	})
}

func TestCallerThatGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := newOffice(t, time.Hour)
		ca.delay = 2 * time.Second
		m := ca.minter()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := m.Signer(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "waiting for a certificate") {
			t.Fatalf("got %v", err)
		}
		if m.Current() != nil {
			t.Fatal("there is a certificate already")
		}
		time.Sleep(2 * time.Second)
		if m.Current() == nil || ca.count() != 1 {
			t.Errorf("the mint ended with its caller (%d mints)", ca.count())
		}
	})
}

func TestFailureIsRemembered(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		wait time.Duration
	}{
		"a fault":       {&Error{CA: "https://ca", Text: "the CA is down"}, 15 * time.Second},
		"final":         {&Error{CA: "https://ca", Text: "no rule matches", Final: true}, 15 * time.Second},
		"a person's no": {&Error{Text: "no", Final: true, Err: fmt.Errorf("asking for a PIN: %w", ErrDeclined)}, 60 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := newOffice(t, time.Hour)
				ca.fail(c.err)
				m := ca.minter()
				if _, err := m.Signer(t.Context()); !errors.Is(err, c.err) {
					t.Fatalf("got %v, want %v", err, c.err)
				}
				begun := time.Now()
				if s := m.Status(); !errors.Is(s.LastError, c.err) || !s.RetryAt.Equal(begun.Add(c.wait)) || !s.FailedAt.Equal(begun) {
					t.Errorf("status: %+v", s)
				}
				time.Sleep(c.wait - time.Second)
				_, err := m.Signer(t.Context())
				if !errors.Is(err, c.err) || !strings.Contains(err.Error(), "tried again in 1s") || ca.count() != 1 {
					t.Errorf("a second early: %v (%d mints)", err, ca.count())
				}
				ca.fail(nil)
				time.Sleep(time.Second)
				if _, err := m.Signer(t.Context()); err != nil || ca.count() != 2 {
					t.Errorf("afterwards: %v (%d mints)", err, ca.count())
				}
				if s := m.Status(); s.LastError != nil {
					t.Errorf("a success left the failure: %+v", s)
				}
			})
		})
	}
}

// A person who says "mint" is not answered with what was a moment ago.
func TestMintAsksAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := newOffice(t, time.Hour)
		ca.fail(errors.New("down"))
		m := ca.minter()
		if _, err := m.Signer(t.Context()); err == nil {
			t.Fatal("no error")
		}
		ca.fail(nil)
		first, err := m.Mint(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		second, err := m.Mint(t.Context())
		if err != nil || first == second || m.Current() != second || ca.count() != 3 {
			t.Errorf("a second certificate: %v (%d mints)", err, ca.count())
		}
		sign(t, first) // superseded, not dead
	})
}

func TestKeyStaysForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := newOffice(t, 8*time.Hour)
		m := ca.minter()
		begun := time.Now()
		for time.Since(begun) < 60*time.Hour {
			use(t, m)
			time.Sleep(10 * time.Minute)
		}
		born, keys := ca.asked[0], 1
		for i, at := range ca.asked[1:] {
			changed := ca.keys[i+1] != ca.keys[i]
			if old := at.Sub(born) > maxKeyAge; changed != old {
				t.Errorf("mint %d, %s after the key was made: changed %v", i+1, at.Sub(born), changed)
			}
			if changed {
				born, keys = at, keys+1
			}
		}
		if keys != 3 {
			t.Errorf("%d keys in 60 hours", keys)
		}
	})
}

func TestForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := newOffice(t, time.Hour)
		m := ca.minter()
		use(t, m)
		m.Forget()
		if m.Current() != nil {
			t.Error("the certificate is still there")
		}
		time.Sleep(2 * time.Hour)
		if ca.count() != 1 {
			t.Error("what was forgotten was renewed")
		}
		use(t, m)
		if ca.keys[0] == ca.keys[1] {
			t.Error("the key was not forgotten")
		}
		ca.fail(errors.New("down"))
		if _, err := m.Mint(t.Context()); err == nil {
			t.Fatal("no error")
		}
		ca.fail(nil)
		m.Forget()
		if s := m.Status(); s.LastError != nil {
			t.Error("the failure was not forgotten")
		}
		use(t, m)
	})
}

// forgetful has the Minter forget when it is asked, which is after a mint was
// launched and before it has a key.
type forgetful struct {
	somebody
	m *Minter
}

func (f forgetful) NeedsPerson() bool {
	f.m.Forget()
	return false
}

func TestForgetBeforeTheKeyIsMade(t *testing.T) {
	m := newOffice(t, time.Hour).minter()
	m.Identity = forgetful{m: m}
	if _, err := m.Signer(t.Context()); !errors.Is(err, ErrForgotten) {
		t.Errorf("got %v", err)
	}
	if m.key != nil || m.Current() != nil {
		t.Error("what was forgotten left a key")
	}
}

func TestForgetDuringAMint(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		t.Run(fmt.Sprintf("deaf CA %v", deaf), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := newOffice(t, time.Hour)
				ca.delay, ca.deaf = 5*time.Second, deaf
				m := ca.minter()
				begun := time.Now()
				ask := func() <-chan error {
					outcome := make(chan error, 1)
					go func() {
						_, err := m.Signer(t.Context())
						outcome <- err
					}()
					synctest.Wait()
					return outcome
				}
				first := ask()
				time.Sleep(time.Second)
				m.Forget()
				if m.Status().Minting {
					t.Error("it still mints")
				}
				ended := time.Second
				if deaf {
					ended = 5 * time.Second
				}
				// The next one does not wait for what was dropped, and is not replaced by it.
				second := ask()
				if err := <-first; !errors.Is(err, ErrForgotten) || time.Since(begun) != ended {
					t.Errorf("after %s: %v", time.Since(begun), err)
				}
				if m.Current() != nil || !m.Status().Minting || m.Status().LastError != nil {
					t.Errorf("the result that was dropped was taken: %+v", m.Status())
				}
				if err := <-second; err != nil || time.Since(begun) != 6*time.Second {
					t.Errorf("the second, after %s: %v", time.Since(begun), err)
				}
				if len(ca.keys) != 2 || ca.keys[0] == ca.keys[1] {
					t.Errorf("the key outlived Forget: %v", ca.keys)
				}
				use(t, m)
			})
		})
	}
}

func TestKeyTypes(t *testing.T) {
	for kind, want := range map[KeyType]string{
		"":      ssh.CertAlgoED25519v01,
		Ed25519: ssh.CertAlgoED25519v01,
		ECDSA:   ssh.CertAlgoECDSA256v01,
	} {
		m := newOffice(t, time.Hour).minter()
		m.KeyType = kind
		use(t, m)
		if got := m.Current().PublicKey().Type(); got != want {
			t.Errorf("%q: %s, want %s", kind, got, want)
		}
	}
	m := newOffice(t, time.Hour).minter()
	m.KeyType = "rsa"
	if _, err := m.Signer(t.Context()); err == nil || !strings.Contains(err.Error(), `there is no key type "rsa"`) {
		t.Errorf("got %v", err)
	}
}

// An Issuer that errs in its contract must not take the agent with it.
func TestIssuerThatGivesNothing(t *testing.T) {
	m := newOffice(t, time.Hour).minter()
	m.Issuer = issuerFunc(func(context.Context, *Request) (*ssh.Certificate, error) { return nil, nil })
	if _, err := m.Signer(t.Context()); err == nil || !strings.Contains(err.Error(), "there is no certificate in it") || m.Current() != nil {
		t.Errorf("got %v", err)
	}
}
