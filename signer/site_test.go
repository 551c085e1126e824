package signer_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sshmint/sshmint/internal/issuertest"
	"github.com/sshmint/sshmint/internal/testpki"
	"github.com/sshmint/sshmint/internal/wire"
	"github.com/sshmint/sshmint/signer"
)

// No test must go by way of the proxies of its environment: all servers are on
// loopback, and nothing answers at this one.
func TestMain(m *testing.M) {
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"} {
		if err := os.Setenv(name, "http://127.0.0.1:1"); err != nil {
			panic(err)
		}
	}
	for _, name := range []string{"NO_PROXY", "no_proxy"} { // read once, by the first request
		if err := os.Setenv(name, "ca.invalid"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// sshmint is the protocol of docs/protocol.md, from the CA's side.
var sshmint = issuertest.Protocol{
	Key: func(r *http.Request) (ssh.PublicKey, error) {
		body, err := readRequest(r)
		if err != nil {
			return nil, err
		}
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(body.PublicKey))
		return key, err
	},
	Answer: func(w http.ResponseWriter, line string) {
		answer(w, http.StatusCreated, "application/json", &wire.CertificateAnswer{Certificate: line, Serial: "7", Rule: "staff"})
	},
	Refuse: func(w http.ResponseWriter, text string) {
		answer(w, http.StatusForbidden, wire.ProblemType, &wire.Problem{Title: "Forbidden", Status: 403, Code: wire.NoRule, Detail: text})
	},
}

func readRequest(r *http.Request) (*wire.CertificateRequest, error) {
	if r.Method != http.MethodPost || r.URL.Path != wire.PathUserCertificates || r.Header.Get("Content-Type") != "application/json" {
		return nil, fmt.Errorf("%s %s with %s", r.Method, r.URL.Path, r.Header.Get("Content-Type"))
	}
	var body wire.CertificateRequest
	return &body, json.NewDecoder(io.LimitReader(r.Body, wire.MaxBody)).Decode(&body)
}

func answer(w http.ResponseWriter, status int, mediaType string, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", mediaType)
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// site is where a test's CA is: its TLS root, who asks, and what is asked.
type site struct {
	root     *testpki.CA
	rootFile string
	identity *issuertest.Identity
	request  *signer.Request
	ca       ssh.Signer
}

func newSite(t testing.TB) *site {
	t.Helper()
	root := testpki.NewRoot(t, "TLS root")
	s := &site{
		root:     root,
		rootFile: rootFile(t, root),
		identity: issuertest.NewIdentity(t, testpki.NewRoot(t, "People").Leaf(t, "alice")),
		ca:       newKey(t),
	}
	s.request = &signer.Request{Key: newKey(t), UserCAs: []string{ssh.FingerprintSHA256(s.ca.PublicKey())}}
	return s
}

func rootFile(t testing.TB, root *testpki.CA) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "root.pem")
	if err := os.WriteFile(path, testpki.PEM(root.Cert), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func newKey(t testing.TB) ssh.Signer {
	t.Helper()
	s, err := ssh.NewSignerFromSigner(testpki.NewKey(t))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) issuer(url string) *signer.SSHMint {
	return &signer.SSHMint{URL: url, Trust: signer.Trust{Root: s.rootFile}, Identity: s.identity}
}

// honest certifies what it is asked for.
func (s *site) honest() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, err := sshmint.Key(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		now := time.Now().Unix()
		cert := &ssh.Certificate{
			Key: key, CertType: ssh.UserCert, KeyId: "alice", ValidPrincipals: []string{"alice"},
			ValidAfter: uint64(now - 60), ValidBefore: uint64(now + 3600), // #nosec G115 -- the present
		}
		if err := cert.SignCert(rand.Reader, s.ca); err != nil {
			panic(err)
		}
		sshmint.Answer(w, string(ssh.MarshalAuthorizedKey(cert)))
	})
}

func line(k ssh.PublicKey) string { return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k))) }

// listen serves each connection with f and then closes it.
func listen(t testing.TB, f func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer c.Close() //nolint:errcheck // a test's connection
				f(c)
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); serving.Wait() })
	return l.Addr().String()
}

// closed is an address on which nothing listens.
func closed(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // a test's listener
	return l.Addr().String()
}
