package signer_test

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sshmint/sshmint/internal/issuertest"
	"github.com/sshmint/sshmint/internal/testpki"
	"github.com/sshmint/sshmint/signer"
)

// trouble is a key that does not sign.
type trouble struct {
	crypto.Signer
	err error
}

func (k trouble) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return nil, k.err }

type neverAsked struct{ asked atomic.Bool }

func (n *neverAsked) Issue(context.Context, *signer.Request) (*ssh.Certificate, error) {
	n.asked.Store(true)
	return nil, errors.New("it should not have been asked")
}

// stuck is a key that waits for a person who is not there.
type stuck struct {
	crypto.Signer
	over <-chan struct{}
}

func (k stuck) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	<-k.over
	return nil, errors.New("interrupted")
}

func TestNobodyTypesThePIN(t *testing.T) {
	s := newSite(t)
	server := issuertest.Serve(t, issuertest.NewServerConfig(t, s.root), s.honest())
	over := make(chan struct{})
	defer close(over)
	s.identity.Pair.PrivateKey = stuck{testpki.NewKey(t), over}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := s.issuer(server.URL).Issue(ctx, s.request)
	if err == nil || !strings.Contains(err.Error(), "a PIN or a touch was waited for, and none came in time") || strings.Contains(err.Error(), server.URL) {
		t.Errorf("the CA is blamed: %v", err)
	}
}

// unhurried takes as long as a person does, to open the identity and to sign.
type unhurried struct {
	crypto.Signer
	identity    *issuertest.Identity
	open, touch time.Duration
}

func (u *unhurried) Certificate(context.Context) (*tls.Certificate, error) {
	time.Sleep(u.open)
	pair := u.identity.Pair
	pair.PrivateKey = u
	return &pair, nil
}

func (u *unhurried) NeedsPerson() bool { return true }

func (u *unhurried) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	time.Sleep(u.touch)
	return u.Signer.Sign(r, digest, opts)
}

// While a person looks for the card no other CA is asked, which would prompt
// for the same PIN again.
func TestAPersonsTimeIsNotTheCAs(t *testing.T) {
	s := newSite(t)
	key, ok := s.identity.Pair.PrivateKey.(crypto.Signer)
	if !ok {
		t.Fatal("the identity has no key")
	}
	server := issuertest.Serve(t, issuertest.NewServerConfig(t, s.root), s.honest())
	for name, person := range map[string]*unhurried{
		"opening": {key, s.identity, 2 * time.Second, 0},
		"signing": {key, s.identity, 0, 2 * time.Second},
	} {
		one := s.issuer(server.URL)
		one.Identity = person
		second := &neverAsked{}
		f := &signer.Failover{Issuers: []signer.Issuer{one, second}, Patience: time.Second}
		if _, err := f.Issue(t.Context(), s.request); err != nil || second.asked.Load() {
			t.Errorf("%s: %v, and the second CA was asked: %v", name, err, second.asked.Load())
		}
	}
}

// What the key said comes through the handshake as it was said, and ends the
// search: another CA would only ask the same person again.
func TestKeyThatDoesNotSign(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		s := newSite(t)
		config := issuertest.NewServerConfig(t, s.root)
		config.MinVersion, config.MaxVersion = version, version
		server := issuertest.Serve(t, config, s.honest())
		asked := 0
		second := issuertest.NewServerConfig(t, s.root)
		second.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { asked++; return nil, nil }
		other := issuertest.Serve(t, second, s.honest())

		s.identity.Pair.PrivateKey = trouble{testpki.NewKey(t), fmt.Errorf("asking for the PIN: %w", signer.ErrDeclined)}
		one, two := s.issuer(server.URL), s.issuer(other.URL)
		one.Trust.MinTLS = tls.VersionTLS12
		_, err := (&signer.Failover{Issuers: []signer.Issuer{one, two}}).Issue(t.Context(), s.request)
		if !errors.Is(err, signer.ErrDeclined) || asked != 0 {
			t.Errorf("TLS %x: got %v, and another CA was asked %d times", version, err, asked)
		}
		if err != nil && strings.Contains(err.Error(), server.URL) {
			t.Errorf("the CA is blamed: %v", err)
		}
	}
}

func TestWrongAtTheOtherEnd(t *testing.T) {
	s := newSite(t)
	now := time.Now()
	serve := func(ca *testpki.CA, edits ...testpki.Edit) string {
		return issuertest.Serve(t, issuertest.NewServerConfig(t, ca, edits...), s.honest()).URL
	}
	tls12 := issuertest.NewServerConfig(t, s.root)
	tls12.MinVersion, tls12.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	picky := issuertest.NewServerConfig(t, s.root)
	picky.ClientAuth, picky.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
	good := serve(s.root)
	for name, c := range map[string]struct{ url, want string }{
		"right":                 {good, ""},
		"TLS 1.2":               {issuertest.Serve(t, tls12, s.honest()).URL, `the CA does not speak TLS 1.3; ca.min_tls = "1.2" allows`},
		"another name":          {serve(s.root, func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{"ca.example.com"}, nil }), "is for another name: ca.example.com; use one of these in ca.urls"},
		"no name":               {serve(s.root, func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = nil, nil }), "is for another name: it names no host"},
		"another root":          {serve(testpki.NewRoot(t, "Other")), "not signed by a root that this profile trusts (ca.root)"},
		"root of the same name": {serve(testpki.NewRoot(t, "TLS root")), "not signed by a root that this profile trusts (ca.root)"},
		"expired":               {serve(s.root, testpki.Dates(now.Add(-time.Hour), now.Add(-time.Minute))), "expired or not yet valid, or this computer's clock is wrong"},
		"not yet valid":         {serve(s.root, testpki.Dates(now.Add(time.Minute), now.Add(time.Hour))), "expired or not yet valid, or this computer's clock is wrong"},
		"clientAuth only":       {serve(s.root, testpki.EKU(x509.ExtKeyUsageClientAuth)), "incompatible key usage"},
		"wants another client":  {issuertest.Serve(t, picky, s.honest()).URL, "the CA ended the TLS handshake: "},
		"not TLS":               {"https://" + listen(t, func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-OpenSSH_9.2\r\n") }), "does not speak TLS"},
		"hangs up":              {"https://" + listen(t, func(net.Conn) {}), "closed the connection before its answer was complete"},
		"nobody there":          {"https://" + closed(t), "nothing is listening there: the CA is down, or the port is wrong"},
		"no such host":          {"https://ca.invalid:8443", " ca.invalid"}, // beside the URL, whatever the resolver says
		"proxy down":            {"https://ca.example.com:8443", "the proxy that the environment names for it (HTTPS_PROXY) cannot be reached: dial tcp 127.0.0.1:1: "},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			_, err := s.issuer(c.url).Issue(ctx, s.request)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.url) {
				t.Fatalf("got %v, want the URL and %q", err, c.want)
			}
			var e *signer.Error
			if !errors.As(err, &e) || e.Final {
				t.Errorf("another CA is not asked: %+v", e)
			}
		})
	}
	issuer := s.issuer(issuertest.Serve(t, tls12, s.honest()).URL)
	issuer.Trust.MinTLS = tls.VersionTLS12
	if _, err := issuer.Issue(t.Context(), s.request); err != nil {
		t.Errorf("TLS 1.2, allowed: %v", err)
	}
}

// A CA that takes a connection, or does not even do that, and then is silent.
func TestBlackHole(t *testing.T) {
	s := newSite(t)
	never, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer never.Close() //nolint:errcheck // a test's listener
	over := make(chan struct{})
	silent := listen(t, func(net.Conn) { <-over })
	defer close(over)
	mute := issuertest.Serve(t, issuertest.NewServerConfig(t, s.root), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	good := issuertest.Serve(t, issuertest.NewServerConfig(t, s.root), s.honest())
	for name, url := range map[string]string{"never accepts": "https://" + never.Addr().String(), "silent": "https://" + silent, "silent after the handshake": mute.URL} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			begun := time.Now()
			_, err := s.issuer(url).Issue(ctx, s.request)
			if err == nil || !strings.Contains(err.Error(), "the CA did not answer in time") {
				t.Errorf("got %v", err)
			}
			if _, err := signer.FetchAuthorities(ctx, url, signer.Trust{Root: s.rootFile}); err == nil {
				t.Error("a black hole has authorities")
			}
			if d := time.Since(begun); d > 5*time.Second {
				t.Errorf("it took %s", d)
			}
			f := &signer.Failover{Issuers: []signer.Issuer{s.issuer(url), s.issuer(good.URL)}, Patience: 100 * time.Millisecond}
			if _, err := f.Issue(t.Context(), s.request); err != nil {
				t.Errorf("with a second CA: %v", err)
			}
		})
	}
}

// The limit is the Minter's own: no caller has to bring one. It holds for the
// network also where a person has more time.
func TestBlackHoleEndsWithinTenSeconds(t *testing.T) {
	s := newSite(t)
	over := make(chan struct{})
	silent := listen(t, func(net.Conn) { <-over })
	t.Cleanup(func() { close(over) })
	var mints sync.WaitGroup
	for name, identity := range map[string]signer.Identity{"file": s.identity, "token": &unhurried{identity: s.identity}} {
		mints.Go(func() {
			issuer := s.issuer("https://" + silent)
			issuer.Identity = identity
			m := &signer.Minter{Identity: identity, Issuer: issuer, UserCAs: s.request.UserCAs}
			begun := time.Now()
			_, err := m.Signer(t.Context())
			if d := time.Since(begun); err == nil || !strings.Contains(err.Error(), "the CA did not answer in time") || d > 15*time.Second {
				t.Errorf("%s: after %s: %v", name, d, err)
			}
		})
	}
	mints.Wait()
}
