package signer

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

func newSSHKey(t testing.TB) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// certify makes a genuine certificate, for alice, after edit has had its way.
func certify(ca ssh.Signer, key ssh.PublicKey, begins, ends time.Time, edits ...func(*ssh.Certificate)) (*ssh.Certificate, error) {
	cert := &ssh.Certificate{
		Key:             key,
		Serial:          1,
		CertType:        ssh.UserCert,
		KeyId:           "alice",
		ValidPrincipals: []string{"alice"},
		ValidAfter:      uint64(begins.Unix()), // #nosec G115 -- a test's own dates
		ValidBefore:     uint64(ends.Unix()),   // #nosec G115
		Permissions:     ssh.Permissions{Extensions: map[string]string{"permit-pty": ""}},
	}
	for _, edit := range edits {
		edit(cert)
	}
	return cert, cert.SignCert(rand.Reader, ca)
}

// office is a CA without a network: it certifies what it is asked for.
type office struct {
	key   ssh.Signer
	life  time.Duration
	clock time.Duration // its clock minus ours
	delay time.Duration // before it answers
	deaf  bool          // does not notice that its context ends

	mu    sync.Mutex
	err   error
	asked []time.Time
	keys  []string // that it was asked to certify
}

func newOffice(t testing.TB, life time.Duration) *office {
	t.Helper()
	return &office{key: newSSHKey(t), life: life}
}

func (o *office) Issue(ctx context.Context, r *Request) (*ssh.Certificate, error) {
	o.mu.Lock()
	o.asked = append(o.asked, time.Now())
	o.keys = append(o.keys, ssh.FingerprintSHA256(r.Key.PublicKey()))
	err := o.err
	o.mu.Unlock()
	done := ctx.Done()
	if o.deaf {
		done = nil
	}
	select {
	case <-time.After(o.delay):
	case <-done:
		return nil, &Error{Text: "the CA did not answer in time", Err: context.Cause(ctx)}
	}
	if err != nil {
		return nil, err
	}
	begins := time.Now().Add(o.clock - time.Minute)
	return certify(o.key, r.Key.PublicKey(), begins, begins.Add(time.Minute+o.life))
}

func (o *office) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.err = err
}

func (o *office) times() []time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]time.Time(nil), o.asked...)
}

func (o *office) count() int { return len(o.times()) }

// somebody is an Identity that no office looks at.
type somebody struct{ needsPerson bool }

func (somebody) Certificate(context.Context) (*tls.Certificate, error) {
	return nil, errors.New("an office does not ask who you are")
}

func (s somebody) NeedsPerson() bool { return s.needsPerson }

func (o *office) minter() *Minter {
	return &Minter{Profile: "test", Identity: somebody{}, Issuer: o, UserCAs: []string{ssh.FingerprintSHA256(o.key.PublicKey())}}
}

// use signs with what is valid now, as a login does.
func use(t testing.TB, m *Minter) {
	t.Helper()
	s, err := m.Signer(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	sign(t, s)
}

func sign(t testing.TB, s ssh.Signer) {
	t.Helper()
	data := []byte("data")
	signature, err := s.Sign(rand.Reader, data)
	if err != nil {
		t.Fatal(err)
	}
	cert, ok := s.PublicKey().(*ssh.Certificate)
	if !ok {
		t.Fatalf("a public key of type %s, not a certificate", s.PublicKey().Type())
	}
	if err := cert.Key.Verify(data, signature); err != nil {
		t.Fatal(err)
	}
}
