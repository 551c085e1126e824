package ca

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"github.com/sshmint/sshmint/internal/testpki"
	"github.com/sshmint/sshmint/internal/wire"
)

const staffRules = `
rate_per_identity = 1000
rate_per_address  = 100000

[[trust]]
name  = "corp"
roots = "corp-roots.pem"

[[rule]]
name       = "token"
trust      = "corp"
match      = 'cert.common_names == ["token"]'
principals = 'local(cert.emails, "corp.example.com")'
x509_key   = true

[[rule]]
name       = "staff"
trust      = "corp"
match      = 'size(local(cert.emails, "corp.example.com")) == 1'
principals = 'local(cert.emails, "corp.example.com")'
grant      = ["dev", "ops"]
validity   = "10h"
extensions = ["permit-pty", "permit-port-forwarding"]
`

// testCA is a CA's folder and the root of the people whom it trusts.
type testCA struct {
	dir  string
	root *testpki.CA
}

// newTestCA makes one whose ca.toml has rules in it.
func newTestCA(t testing.TB, rules string) *testCA {
	t.Helper()
	c := &testCA{filepath.Join(t.TempDir(), "ca"), testpki.NewRoot(t, "corp root")}
	if _, err := Init(c.dir, []string{"localhost", "127.0.0.1"}); err != nil {
		t.Fatal(err)
	}
	c.write(t, "corp-roots.pem", string(testpki.PEM(c.root.Cert)))
	c.configure(t, rules)
	return c
}

func (c *testCA) write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (c *testCA) read(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(c.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// configure replaces ca.toml.
func (c *testCA) configure(t testing.TB, rules string) {
	c.write(t, ConfigFile, "hosts = [\"localhost\", \"127.0.0.1\"]\n"+rules)
}

// entries are the lines of the audit log.
func (c *testCA) entries(t testing.TB) []Entry {
	t.Helper()
	var all []Entry
	for line := range strings.Lines(c.read(t, fileAudit)) {
		var e Entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v in line %q", err, line)
		}
		all = append(all, e)
	}
	return all
}

func (c *testCA) alice(t testing.TB) *testpki.Identity {
	return c.root.Leaf(t, "alice", testpki.Email("alice@corp.example.com"))
}

func (c *testCA) pool(t testing.TB) *x509.CertPool {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(c.read(t, fileTLSRoot))) {
		t.Fatal("no TLS root")
	}
	return pool
}

// serve starts a server on the folder, and stops it when the test ends.
func (c *testCA) serve(t testing.TB) (s *Server, address string) {
	t.Helper()
	s, err := NewServer(c.dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s, l.Addr().String()
}

// client is an HTTP client that presents the given certificates.
func (c *testCA) client(t testing.TB, id *testpki.Identity) *http.Client {
	config := &tls.Config{RootCAs: c.pool(t)}
	if id != nil {
		config.Certificates = []tls.Certificate{tlsCertificate(id)}
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: config}, Timeout: 20 * time.Second}
}

func tlsCertificate(id *testpki.Identity) tls.Certificate {
	cert := tls.Certificate{PrivateKey: id.Key}
	for _, c := range id.Chain {
		cert.Certificate = append(cert.Certificate, c.Raw)
	}
	return cert
}

func newSSHKey(t testing.TB) ssh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signerOf(t, private)
}

func signerOf(t testing.TB, private any) ssh.Signer {
	t.Helper()
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func prove(t testing.TB, key ssh.Signer, namespace string, message []byte) string {
	t.Helper()
	sig, err := sshsig.Sign(bytes.NewReader(message), key, sshsig.HashSHA512, namespace)
	if err != nil {
		t.Fatal(err)
	}
	return string(sshsig.Armor(sig))
}

// goodRequest is a request that nothing is wrong with.
func goodRequest(t testing.TB, id *testpki.Identity, key ssh.Signer) map[string]any {
	message := wire.ProofMessage(id.Leaf().Raw, key.PublicKey().Marshal())
	return map[string]any{
		"public_key": authorizedKey(key.PublicKey()),
		"proof":      prove(t, key, wire.ProofNamespace, message),
	}
}

// post sends a body and gives the answer: one of the two.
func post(t testing.TB, client *http.Client, address string, body []byte) (int, *wire.CertificateAnswer, *wire.Problem) {
	t.Helper()
	answer, err := client.Post("https://"+address+wire.PathUserCertificates, "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return readAnswer(t, answer)
}

func readAnswer(t testing.TB, r *http.Response) (int, *wire.CertificateAnswer, *wire.Problem) {
	t.Helper()
	defer func() { _ = r.Body.Close() }()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if r.StatusCode == http.StatusCreated {
		a := new(wire.CertificateAnswer)
		if err := json.Unmarshal(text, a); err != nil {
			t.Fatalf("%v in %q", err, text)
		}
		return r.StatusCode, a, nil
	}
	if got := r.Header.Get("Content-Type"); got != wire.ProblemType {
		t.Errorf("%s has type %q: %q", r.Status, got, text)
	}
	p := new(wire.Problem)
	if err := json.Unmarshal(text, p); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	if p.Status != r.StatusCode || p.Title == "" || p.Detail == "" || time.Since(p.Time).Abs() > time.Minute {
		t.Errorf("odd problem document %q with status %d", text, r.StatusCode)
	}
	return r.StatusCode, nil, p
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parseCertificate(t testing.TB, line string) *ssh.Certificate {
	t.Helper()
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	cert, ok := key.(*ssh.Certificate)
	if !ok {
		t.Fatalf("%q is no certificate", line)
	}
	return cert
}
