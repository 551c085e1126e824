package signer_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sshmint/sshmint/internal/issuertest"
	"github.com/sshmint/sshmint/internal/wire"
	"github.com/sshmint/sshmint/signer"
)

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
		resumed, kept  bool
	}
	var mu sync.Mutex
	var all []seen
	server := issuertest.Serve(t, issuertest.NewServerConfig(t, s.root), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		all = append(all, seen{r.Method, r.RemoteAddr, len(r.TLS.PeerCertificates), r.TLS.DidResume, !r.Close})
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
		if c.shown != want || c.resumed || c.kept {
			t.Errorf("%s: %d certificates were shown, resumed %v, kept open %v", c.method, c.shown, c.resumed, c.kept)
		}
		remotes[c.remote] = true
	}
	if len(all) != 4 || len(remotes) != 4 {
		t.Errorf("%d requests over %d connections", len(all), len(remotes))
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
			status = http.StatusTooManyRequests // not the status decides, but the code
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
