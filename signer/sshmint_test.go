package signer_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
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
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		if err := os.Unsetenv(name); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

func TestSSHMintConforms(t *testing.T) {
	issuertest.Run(t, sshmint, func(_ *testing.T, ca *issuertest.CA) signer.Issuer {
		return &signer.SSHMint{URL: ca.URL, Trust: signer.Trust{Root: ca.Root}, Identity: ca.Identity}
	})
}

// A Failover must not hide what an Issuer says.
func TestFailoverConforms(t *testing.T) {
	issuertest.Run(t, sshmint, func(_ *testing.T, ca *issuertest.CA) signer.Issuer {
		return &signer.Failover{Issuers: []signer.Issuer{
			&signer.SSHMint{URL: ca.URL, Trust: signer.Trust{Root: ca.Root}, Identity: ca.Identity},
		}}
	})
}

// Where one CA lies, the next is asked, and what it says is served.
func TestFailoverPassesOverALiar(t *testing.T) {
	s, liar := newSite(t), newSite(t)
	liar.root, liar.rootFile = s.root, s.rootFile
	one := issuertest.Serve(t, issuertest.NewServerConfig(t, s.root), liar.honest()) // with an SSH key of its own
	two := issuertest.Serve(t, issuertest.NewServerConfig(t, s.root), s.honest())
	f := &signer.Failover{Issuers: []signer.Issuer{s.issuer(one.URL), s.issuer(two.URL)}}
	m := &signer.Minter{Identity: s.identity, Issuer: f, UserCAs: s.request.UserCAs}
	if got, err := m.Signer(t.Context()); err != nil || m.Current() != got {
		t.Errorf("got %v", err)
	}
	f.Issuers = f.Issuers[:1]
	if _, err := m.Mint(t.Context()); err == nil || !strings.Contains(err.Error(), one.URL+": what the CA returned is refused") {
		t.Errorf("the liar is not named: %v", err)
	}
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

// The handshake of a GET shows nobody's certificate and so needs nobody's PIN;
// and no connection serves twice.
func TestIdentityIsShownForAMintOnly(t *testing.T) {
	s := newSite(t)
	authorities := wire.Authorities{
		User: []wire.Authority{{Key: line(s.ca.PublicKey()), State: wire.Current}, {Key: line(newKey(t).PublicKey()), State: wire.Next}},
		Host: []wire.Authority{{Key: line(newKey(t).PublicKey()), State: wire.Current}},
	}
	type seen struct {
		method, remote string
		shown          int
		resumed        bool
	}
	var mu sync.Mutex
	var all []seen
	server := issuertest.Serve(t, issuertest.NewServerConfig(t, s.root), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		all = append(all, seen{r.Method, r.RemoteAddr, len(r.TLS.PeerCertificates), r.TLS.DidResume})
		mu.Unlock()
		if r.Method == http.MethodGet {
			answer(w, http.StatusOK, "application/json", &authorities)
			return
		}
		s.honest().ServeHTTP(w, r)
	}))
	issuer := s.issuer(server.URL + "/") // a slash at the end is none of the path
	for range 2 {
		got, err := signer.FetchAuthorities(t.Context(), issuer.URL, issuer.Trust)
		if err != nil || len(got.User) != 2 || len(got.Host) != 1 || got.User[1].State != wire.Next || line(got.User[0].Key) != line(s.ca.PublicKey()) {
			t.Fatalf("got %+v, %v", got, err)
		}
		if _, err := issuer.Issue(t.Context(), s.request); err != nil {
			t.Fatal(err)
		}
	}
	remotes := map[string]bool{}
	for _, c := range all {
		want := map[string]int{http.MethodGet: 0, http.MethodPost: 1}[c.method]
		if c.shown != want || c.resumed {
			t.Errorf("%s: %d certificates were shown, resumed %v", c.method, c.shown, c.resumed)
		}
		remotes[c.remote] = true
	}
	if len(all) != 4 || len(remotes) != 4 {
		t.Errorf("%d requests over %d connections", len(all), len(remotes))
	}
}

func line(k ssh.PublicKey) string { return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k))) }

func TestAuthoritiesRefused(t *testing.T) {
	s := newSite(t)
	var cert ssh.Certificate
	cert.Key = s.ca.PublicKey()
	if err := cert.SignCert(rand.Reader, s.ca); err != nil {
		t.Fatal(err)
	}
	good := line(s.ca.PublicKey())
	for name, c := range map[string]struct {
		mediaType, body, want string
	}{
		"certificate":  {"application/json", fmt.Sprintf(`{"user":[{"key":%q}]}`, line(&cert)), "a certificate is no CA key"},
		"options":      {"application/json", fmt.Sprintf(`{"user":[{"key":%q}]}`, "cert-authority "+good), "more than a key"},
		"two keys":     {"application/json", fmt.Sprintf(`{"host":[{"key":%q}]}`, good+"\n"+good), "more than a key"},
		"no key":       {"application/json", `{"host":[{"key":"ssh-ed25519"}]}`, "reading the CA's keys"},
		"no JSON":      {"application/json", `<html>`, "reading the CA's keys"},
		"content type": {"text/html", fmt.Sprintf(`{"user":[{"key":%q}]}`, good), "content type"},
		"too much":     {"application/json", strings.Repeat(" ", wire.MaxBody) + "{}", "more than 65536 bytes"},
	} {
		server := issuertest.Serve(t, issuertest.NewServerConfig(t, s.root), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", c.mediaType)
			_, _ = io.WriteString(w, c.body)
		}))
		got, err := signer.FetchAuthorities(t.Context(), server.URL, signer.Trust{Root: s.rootFile})
		if err == nil || got != nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), server.URL) {
			t.Errorf("%s: got %v, %v, want %q", name, got, err, c.want)
		}
	}
	server := issuertest.Serve(t, issuertest.NewServerConfig(t, s.root), http.NotFoundHandler())
	if _, err := signer.FetchAuthorities(t.Context(), server.URL, signer.Trust{Root: s.rootFile}); err == nil || !strings.Contains(err.Error(), "answered 404") {
		t.Errorf("404: %v", err)
	}
}

// The wish and the proof are as docs/protocol.md has them; the proof is
// verified by OpenSSH.
func TestRequestIsProven(t *testing.T) {
	keygen, err := exec.LookPath("ssh-keygen")
	if err != nil {
		if os.Getenv("SSHMINT_REQUIRE_ALL") == "1" {
			t.Fatal(err)
		}
		t.Skip("ssh-keygen is not installed")
	}
	s := newSite(t)
	requests := make(chan *wire.CertificateRequest, 1)
	server := issuertest.Serve(t, issuertest.NewServerConfig(t, s.root), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := readRequest(r)
		if err != nil {
			t.Error(err)
		}
		requests <- body
	}))
	s.request.Principals, s.request.Validity = []string{"alice", "staff"}, 90*time.Minute
	if _, err := s.issuer(server.URL).Issue(t.Context(), s.request); err == nil {
		t.Error("an empty 200 was taken for a certificate")
	}
	got := <-requests
	if got.PublicKey != line(s.request.Key.PublicKey()) || strings.Join(got.Principals, " ") != "alice staff" || got.Validity != "1h30m0s" {
		t.Errorf("request: %+v", got)
	}
	dir := t.TempDir()
	files := map[string]string{"proof": got.Proof, "allowed": "alice namespaces=\"proof@sshmint\" " + got.PublicKey + "\n"}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	verify := func(message []byte) error {
		cmd := exec.Command(keygen, "-Y", "verify", "-f", "allowed", "-I", "alice", "-n", wire.ProofNamespace, "-s", "proof") // #nosec G204
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(string(message))
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	leaf := s.identity.Pair.Certificate[0]
	if err := verify(wire.ProofMessage(leaf, s.request.Key.PublicKey().Marshal())); err != nil {
		t.Error(err)
	}
	if verify(wire.ProofMessage(leaf, s.ca.PublicKey().Marshal())) == nil {
		t.Error("the proof fits another key too")
	}
	if verify(wire.ProofMessage([]byte("somebody else"), s.request.Key.PublicKey().Marshal())) == nil {
		t.Error("the proof fits another identity too")
	}
}

func TestRefusals(t *testing.T) {
	s := newSite(t)
	for code, final := range map[wire.Code]bool{
		wire.IdentityRequired: true, wire.UntrustedIssuer: true, wire.IdentityExpired: true, wire.IdentityRevoked: true,
		wire.WrongUsage: true, wire.NoRule: true, wire.RefusedByRule: true, wire.PrincipalRefused: true, wire.BadRequest: true,
		wire.RateLimited: false, wire.Unavailable: false,
	} {
		status := http.StatusForbidden
		if !final {
			status = http.StatusServiceUnavailable
		}
		server := issuertest.Serve(t, issuertest.NewServerConfig(t, s.root), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			answer(w, status, wire.ProblemType, &wire.Problem{Code: code, Detail: "because", Time: time.Now()})
		}))
		_, err := s.issuer(server.URL).Issue(t.Context(), s.request)
		var e *signer.Error
		if !errors.As(err, &e) || e.Code != code || e.Final != final || e.CA != server.URL || err.Error() != fmt.Sprintf("%s: because (%s)", server.URL, code) {
			t.Errorf("%s: got %v (%+v)", code, err, e)
		}
	}
}

// The clock is the CA's, not that of a proxy in front of it.
func TestClockOfTheCA(t *testing.T) {
	s := newSite(t)
	server := issuertest.Serve(t, issuertest.NewServerConfig(t, s.root), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusForbidden, wire.ProblemType, &wire.Problem{Code: wire.IdentityExpired, Detail: "expired", Time: time.Now().Add(2 * time.Hour)})
	}))
	_, err := s.issuer(server.URL).Issue(t.Context(), s.request)
	var e *signer.Error
	if !errors.As(err, &e) || (e.Skew-2*time.Hour).Abs() > time.Minute || !strings.Contains(err.Error(), "behind the CA's") {
		t.Errorf("got %v", err)
	}
}

// trouble is a key that does not sign.
type trouble struct {
	crypto.Signer
	err error
}

func (k trouble) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return nil, k.err }

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

type noIdentity struct{ err error }

func (n noIdentity) Certificate(context.Context) (*tls.Certificate, error) {
	return &tls.Certificate{}, n.err
}
func (noIdentity) NeedsPerson() bool { return false }

// What is wrong at this end is said before anything is sent.
func TestWrongAtThisEnd(t *testing.T) {
	s := newSite(t)
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	open := rootFile(t, s.root)
	if err := os.Chmod(open, 0o666); err != nil { // #nosec G302 -- that is what is tested
		t.Fatal(err)
	}
	const nowhere = "https://127.0.0.1:1"
	trust := signer.Trust{Root: s.rootFile}
	for name, c := range map[string]struct {
		issuer signer.SSHMint
		want   string
	}{
		"identity":           {signer.SSHMint{URL: nowhere, Trust: trust, Identity: noIdentity{errors.New("it expired")}}, "it expired"},
		"identity of nobody": {signer.SSHMint{URL: nowhere, Trust: trust, Identity: noIdentity{}}, "the identity holds no certificate"},
		"no root":            {signer.SSHMint{URL: nowhere, Trust: signer.Trust{Root: empty + "-none"}, Identity: s.identity}, "reading the CA's root: open " + empty + "-none"},
		"empty root":         {signer.SSHMint{URL: nowhere, Trust: signer.Trust{Root: empty}, Identity: s.identity}, "there is no certificate in " + empty},
		"root of others":     {signer.SSHMint{URL: nowhere, Trust: signer.Trust{Root: open}, Identity: s.identity}, "others can write it"},
		"http":               {signer.SSHMint{URL: "http://127.0.0.1:1", Trust: trust, Identity: s.identity}, `"http://127.0.0.1:1" is no https:// URL`},
		"no URL":             {signer.SSHMint{URL: "ca.example.com", Trust: trust, Identity: s.identity}, "is no https:// URL"},
	} {
		if cert, err := c.issuer.Issue(t.Context(), s.request); err == nil || cert != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
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
		"no such host":          {"https://ca.invalid:8443", "ca.invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			if strings.Contains(c.url, "ca.invalid") {
				t.Setenv("NO_PROXY", "ca.invalid")
			}
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

// The limit is the Minter's own: no caller has to bring one.
func TestBlackHoleEndsWithinTenSeconds(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	over := make(chan struct{})
	silent := listen(t, func(net.Conn) { <-over })
	t.Cleanup(func() { close(over) })
	m := &signer.Minter{Identity: s.identity, Issuer: s.issuer("https://" + silent), UserCAs: s.request.UserCAs}
	begun := time.Now()
	_, err := m.Signer(t.Context())
	if d := time.Since(begun); err == nil || !strings.Contains(err.Error(), "the CA did not answer in time") || d > 15*time.Second {
		t.Errorf("after %s: %v", d, err)
	}
}
