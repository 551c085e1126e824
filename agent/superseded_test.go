package agent

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// TestSupersededCertificate renews a certificate between a client's list and its
// signature.
func TestSupersededCertificate(t *testing.T) {
	ca := newAuthority(t)
	key := newKey(t, "ed25519")
	first := ca.certify(t, key, time.Hour, "alice")
	second := ca.certify(t, key, 2*time.Hour, "alice")
	expired := ca.certify(t, key, -time.Second, "alice")
	src := &source{current: expired}
	a := new(Agent)
	a.Set(Settings{Profiles: []Profile{{Name: "corp", Source: src}}})
	for _, signer := range []ssh.Signer{expired, first, second} {
		src.set(signer)
		a.Keys(context.Background())
	}
	keys := a.Keys(context.Background())
	if len(keys) != 1 || keys[0].Certificate != second.PublicKey() {
		t.Fatalf("listed %d certificates, want the second alone", len(keys))
	}
	if !newAttempt(a, second).granted(t) {
		t.Error("the current certificate is refused")
	}
	if !newAttempt(a, first).granted(t) {
		t.Error("a superseded certificate is refused before it expires")
	}
	// The plain key stands for the certificate that came last.
	at := newAttempt(a, second)
	at.blob = key.PublicKey().Marshal()
	if !at.granted(t) {
		t.Error("the plain key is refused")
	}
	if newAttempt(a, expired).granted(t) {
		t.Error("an expired certificate signs")
	}

	a.Forget()
	if newAttempt(a, first).granted(t) || newAttempt(a, second).granted(t) {
		t.Error("a forgotten certificate signs")
	}
}

// TestExpiredCertificate has the one certificate run out after it was listed.
func TestExpiredCertificate(t *testing.T) {
	signer := newAuthority(t).certify(t, newKey(t, "ed25519"), -time.Second, "alice")
	a := new(Agent)
	a.Set(Settings{Profiles: []Profile{{Name: "corp", Source: &source{current: signer}}}})
	if keys := a.Keys(context.Background()); len(keys) != 0 {
		t.Error("an expired certificate is listed")
	}
	if newAttempt(a, signer).granted(t) {
		t.Error("an expired certificate signs")
	}
	if reason := lastReason(a); !strings.Contains(reason, "expired") {
		t.Errorf("refused because %q", reason)
	}
}

// TestSameCertificateAgain has a source come with the certificate that it gave
// before, behind another signer: the old one may be of a token that left.
func TestSameCertificateAgain(t *testing.T) {
	old := newAuthority(t).certify(t, newKey(t, "ed25519"), time.Hour, "alice")
	again, err := ssh.ParsePublicKey(old.PublicKey().Marshal())
	if err != nil {
		t.Fatal(err)
	}
	src := &source{current: goneSigner{old}}
	a := new(Agent)
	a.Set(Settings{Profiles: []Profile{{Name: "token", Source: src}}})
	a.Keys(context.Background())
	if newAttempt(a, old).granted(t) {
		t.Fatal("a token that left signed")
	}
	src.set(againSigner{old, again})
	if n := len(a.Keys(context.Background())); n != 1 {
		t.Errorf("%d certificates are listed", n)
	}
	if !newAttempt(a, old).granted(t) {
		t.Errorf("refused: %s", lastReason(a))
	}
	if n := len(a.set().byBlob[string(again.Marshal())]); n != 1 {
		t.Errorf("the certificate is remembered %d times", n)
	}
}

type goneSigner struct{ ssh.Signer }

func (goneSigner) Sign(io.Reader, []byte) (*ssh.Signature, error) {
	return nil, errors.New("the token is gone")
}

type againSigner struct {
	ssh.Signer
	public ssh.PublicKey
}

func (s againSigner) PublicKey() ssh.PublicKey { return s.public }
