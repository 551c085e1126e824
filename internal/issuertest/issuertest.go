// Package issuertest is the conformance suite of signer.Issuer: a CA endpoint
// that lies on purpose, over real TLS.
//
// Each lie is told to the Issuer under test as a Minter uses it. It must be
// refused in words that name it, after one request, and nothing may be served;
// then the same CA tells the truth to the same Minter, and that is served.
package issuertest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sshmint/sshmint/internal/testpki"
	"github.com/sshmint/sshmint/signer"
)

// Protocol is how one kind of endpoint is spoken to.
type Protocol struct {
	// Key gives the SSH key that a request wants certified.
	Key func(*http.Request) (ssh.PublicKey, error)
	// Answer writes a success with a certificate in authorized_keys form.
	Answer func(w http.ResponseWriter, line string)
	// Refuse writes a final refusal with a text for the person.
	Refuse func(w http.ResponseWriter, text string)
	// Before answers the paths of what comes before that request, such as a login.
	Before map[string]http.HandlerFunc
}

// CA is the endpoint. It accepts any client certificate.
type CA struct {
	URL      string
	Root     string // PEM file with the root of its TLS certificate
	Identity signer.Identity
	UserCAs  []string // fingerprints of its SSH keys

	protocol Protocol
	key, rsa ssh.Signer
	lie      atomic.Pointer[lie]
	asked    atomic.Int32 // requests for a certificate
	astray   atomic.Int32 // requests to where it redirects
	astrayTo string
}

// Run tests the Issuer that newIssuer makes for a CA.
func Run(t *testing.T, p Protocol, newIssuer func(t *testing.T, ca *CA) signer.Issuer) {
	ca := newCA(t, p)
	issuer := newIssuer(t, ca)
	for _, l := range truths {
		t.Run("true/"+l.name, func(t *testing.T) {
			ca.lie.Store(&l)
			m := ca.minter(issuer)
			s, err := m.Signer(t.Context())
			if err != nil || s != m.Current() {
				t.Errorf("refused: %v", err)
			}
		})
	}
	for _, l := range lies {
		t.Run("false/"+l.name, func(t *testing.T) {
			ca.lie.Store(&l)
			ca.asked.Store(0)
			m := ca.minter(issuer)
			if l.slow {
				m.Issuer = hurried{issuer}
			}
			_, err := m.Signer(t.Context())
			if err == nil || m.Current() != nil || m.Status().Certificate != nil {
				t.Fatalf("it was believed: %v", err)
			}
			if !strings.Contains(err.Error(), l.want) {
				t.Errorf("got %q, want %q in it", err, l.want)
			}
			if l.also != nil {
				l.also(t, err)
			}
			if n := ca.asked.Load(); n != 1 {
				t.Errorf("it was asked %d times", n)
			}
			if n := ca.astray.Load(); n != 0 {
				t.Error("a redirection was followed")
			}
			ca.lie.Store(&lie{})
			m.Issuer = issuer
			if s, err := m.Mint(t.Context()); err != nil || s != m.Current() {
				t.Errorf("the truth, afterwards: %v", err)
			}
		})
	}
}

// hurried has no time for an answer that never ends.
type hurried struct{ issuer signer.Issuer }

func (h hurried) Issue(ctx context.Context, r *signer.Request) (*ssh.Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	return h.issuer.Issue(ctx, r)
}

// wish is what every Minter of the suite asks for.
var wish = []string{"alice", "staff"}

func (ca *CA) minter(issuer signer.Issuer) *signer.Minter {
	return &signer.Minter{Profile: "test", Identity: ca.Identity, Issuer: issuer, Principals: wish, UserCAs: ca.UserCAs}
}

func newCA(t *testing.T, p Protocol) *CA {
	root := testpki.NewRoot(t, "TLS root")
	ca := &CA{
		Root:     filepath.Join(t.TempDir(), "root.pem"),
		Identity: NewIdentity(t, testpki.NewRoot(t, "People").Leaf(t, "alice")),
		protocol: p, key: newKey(t), rsa: newRSAKey(t),
	}
	ca.UserCAs = []string{ssh.FingerprintSHA256(ca.key.PublicKey()), ssh.FingerprintSHA256(ca.rsa.PublicKey())}
	if err := os.WriteFile(ca.Root, testpki.PEM(root.Cert), 0o600); err != nil {
		t.Fatal(err)
	}
	elsewhere := Serve(t, NewServerConfig(t, root), http.HandlerFunc(func(http.ResponseWriter, *http.Request) { ca.astray.Add(1) }))
	ca.astrayTo = elsewhere.URL
	ca.URL = Serve(t, NewServerConfig(t, root), ca).URL
	return ca
}

// ServeHTTP answers with the lie of the day.
func (ca *CA) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if before, ok := ca.protocol.Before[r.URL.Path]; ok {
		before(w, r)
		return
	}
	key, err := ca.protocol.Key(r)
	if err != nil || len(r.TLS.PeerCertificates) == 0 {
		http.Error(w, "the suite cannot read this request", http.StatusBadRequest)
		return
	}
	ca.asked.Add(1)
	l := ca.lie.Load()
	if l.http != nil {
		l.http(ca, w, r, ca.line(l, key))
		return
	}
	ca.protocol.Answer(w, ca.line(l, key))
}

// Identity is a signer.Identity that is in memory and asks nobody.
type Identity struct{ Pair tls.Certificate }

// NewIdentity makes one of a test PKI's.
func NewIdentity(t testing.TB, i *testpki.Identity) *Identity {
	t.Helper()
	pair := tls.Certificate{PrivateKey: i.Key, Leaf: i.Leaf()}
	for _, c := range i.Chain {
		pair.Certificate = append(pair.Certificate, c.Raw)
	}
	return &Identity{pair}
}

// Certificate gives a copy.
func (i *Identity) Certificate(context.Context) (*tls.Certificate, error) {
	pair := i.Pair
	return &pair, nil
}

// NeedsPerson is false.
func (i *Identity) NeedsPerson() bool { return false }

// NewServerConfig is that of a TLS 1.3 server on loopback, which asks for a
// client certificate and takes any. Edits change its own certificate.
func NewServerConfig(t testing.TB, ca *testpki.CA, edits ...testpki.Edit) *tls.Config {
	t.Helper()
	edits = append([]testpki.Edit{testpki.EKU(x509.ExtKeyUsageServerAuth), func(c *x509.Certificate) {
		c.DNSNames, c.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	}}, edits...)
	leaf := NewIdentity(t, ca.Leaf(t, "server", edits...))
	return &tls.Config{
		Certificates: []tls.Certificate{leaf.Pair},
		MinVersion:   tls.VersionTLS13,
		ClientAuth:   tls.RequestClientCert,
	}
}

// Serve starts a server on loopback and ends it, and what its handlers still
// do, with the test.
func Serve(t testing.TB, c *tls.Config, h http.Handler) *httptest.Server {
	t.Helper()
	over, end := context.WithCancel(context.Background())
	s := httptest.NewUnstartedServer(h)
	s.TLS = c
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that refuse it are what this is about
	s.Config.BaseContext = func(net.Listener) context.Context { return over }
	s.StartTLS()
	t.Cleanup(func() {
		end()
		s.CloseClientConnections()
		s.Close()
	})
	return s
}
