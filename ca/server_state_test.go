package ca

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sshmint/sshmint/internal/testpki"
	"github.com/sshmint/sshmint/internal/wire"
)

func TestEleventhMintInAMinute(t *testing.T) {
	c := newTestCA(t, strings.Replace(staffRules, "rate_per_identity = 1000", "", 1))
	_, address := c.serve(t)
	alice, key := c.alice(t), newSSHKey(t)
	body := marshal(t, goodRequest(t, alice, key))
	for i := range 10 {
		if httpStatus, _, p := post(t, c.client(t, alice), address, body); httpStatus != http.StatusCreated {
			t.Fatalf("mint %d: %d %+v", i+1, httpStatus, p)
		}
	}
	r, err := http.NewRequest(http.MethodPost, "https://"+address+wire.PathUserCertificates, strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := c.client(t, alice).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	after, err := strconv.Atoi(answer.Header.Get("Retry-After"))
	if err != nil || after < 1 || after > 6 {
		t.Errorf("Retry-After %q", answer.Header.Get("Retry-After"))
	}
	if httpStatus, _, p := readAnswer(t, answer); httpStatus != http.StatusTooManyRequests || p == nil || p.Code != wire.RateLimited {
		t.Errorf("the 11th: %d %+v", httpStatus, p)
	}
	if n := len(c.entries(t)); n != 10 {
		t.Errorf("%d audit lines; a flood must not fill the disk", n)
	}
	// Another certificate of hers is another matter.
	second := c.alice(t)
	if httpStatus, _, p := post(t, c.client(t, second), address, marshal(t, goodRequest(t, second, key))); httpStatus != http.StatusCreated {
		t.Errorf("another leaf: %d %+v", httpStatus, p)
	}
}

func TestTooManyRequestsOfOneAddress(t *testing.T) {
	c := newTestCA(t, strings.Replace(staffRules, "100000", "3", 1))
	_, address := c.serve(t)
	get := func(path string) int {
		answer, err := c.client(t, nil).Get("https://" + address + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		return answer.StatusCode
	}
	for range 3 {
		if s := get(wire.PathAuthorities); s != http.StatusOK {
			t.Fatal(s)
		}
	}
	if s := get(wire.PathAuthorities); s != http.StatusTooManyRequests {
		t.Errorf("the fourth request: %d", s)
	}
	if s := get(wire.PathHealth); s != http.StatusOK {
		t.Errorf("health is not counted, and yet %d", s)
	}
}

func TestReload(t *testing.T) {
	c := newTestCA(t, staffRules)
	s, address := c.serve(t)
	id, key := c.alice(t), newSSHKey(t)
	body := marshal(t, goodRequest(t, id, key))
	mint := func(want wire.Code) {
		t.Helper()
		httpStatus, answer, p := post(t, c.client(t, id), address, body)
		switch {
		case want == "" && answer == nil:
			t.Errorf("refused: %d %+v", httpStatus, p)
		case want != "" && (p == nil || p.Code != want):
			t.Errorf("%d %+v, want %s", httpStatus, p, want)
		}
	}
	mint("")
	for _, broken := range []string{
		"nonsense = 1\n" + staffRules,
		strings.Replace(staffRules, "cert.emails", "cert.email", 1),
		strings.Replace(staffRules, "corp-roots.pem", "missing.pem", 1),
	} {
		c.configure(t, broken)
		if err := s.Reload(); err == nil {
			t.Errorf("%q was taken", broken)
		}
		mint("")
	}
	c.configure(t, "")
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	mint(wire.NoRule)
	c.configure(t, staffRules)
	if err := os.Rename(filepath.Join(c.dir, fileAudit), filepath.Join(c.dir, "audit.1")); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	mint("")
	if n := len(c.entries(t)); n != 1 {
		t.Errorf("the new audit log has %d lines, want 1", n)
	}
}

func TestReloadGivesNoNewAllowance(t *testing.T) {
	c := newTestCA(t, strings.Replace(staffRules, "1000", "1", 1))
	s, address := c.serve(t)
	id, key := c.alice(t), newSSHKey(t)
	body := marshal(t, goodRequest(t, id, key))
	if httpStatus, _, p := post(t, c.client(t, id), address, body); httpStatus != http.StatusCreated {
		t.Fatalf("%d %+v", httpStatus, p)
	}
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if httpStatus, _, _ := post(t, c.client(t, id), address, body); httpStatus != http.StatusTooManyRequests {
		t.Errorf("after a reload: %d", httpStatus)
	}
}

// Where the line cannot be written, nothing leaves.
func TestNoAuditNoCertificate(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full here")
	}
	c := newTestCA(t, staffRules)
	s, address := c.serve(t)
	id, key := c.alice(t), newSSHKey(t)
	body := marshal(t, goodRequest(t, id, key))
	audit := filepath.Join(c.dir, fileAudit)
	for _, broken := range []struct {
		name  string
		spoil func() error
	}{
		{"a full disk", func() error { return os.Symlink("/dev/full", audit) }},
		{"a device that cannot flush", func() error { return os.Symlink("/dev/null", audit) }},
		{"a folder in its place", func() error { return os.Mkdir(audit, 0o700) }},
	} {
		if err := os.Remove(audit); err != nil {
			t.Fatal(err)
		}
		if err := broken.spoil(); err != nil {
			t.Fatal(err)
		}
		if err := s.audit.Close(); err != nil {
			t.Fatal(err)
		}
		httpStatus, answer, p := post(t, c.client(t, id), address, body)
		if answer != nil {
			t.Errorf("%s: issued", broken.name)
		} else if httpStatus != http.StatusServiceUnavailable || p.Code != wire.Unavailable || strings.Contains(p.Detail, c.dir) {
			t.Errorf("%s: %d %+v", broken.name, httpStatus, p)
		}
	}
	if err := os.Remove(audit); err != nil {
		t.Fatal(err)
	}
	if httpStatus, _, p := post(t, c.client(t, id), address, body); httpStatus != http.StatusCreated {
		t.Errorf("the disk is there again, and still %d %+v", httpStatus, p)
	}
}

func TestNoServerWithoutAudit(t *testing.T) {
	c := newTestCA(t, staffRules)
	if err := os.Remove(filepath.Join(c.dir, fileAudit)); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(c.dir, fileAudit), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := NewServer(c.dir, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "audit") {
		t.Errorf("got %v", err)
	}
}

func TestTLS(t *testing.T) {
	c := newTestCA(t, staffRules)
	s, address := c.serve(t)
	dialTLS := func(config *tls.Config) (*tls.ConnectionState, error) {
		conn, err := tls.Dial("tcp", address, config)
		if err != nil {
			return nil, err
		}
		defer func() { _ = conn.Close() }()
		if _, err := conn.Write([]byte("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")); err != nil {
			return nil, err
		}
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			return nil, err
		}
		state := conn.ConnectionState()
		return &state, nil
	}
	if _, err := dialTLS(&tls.Config{}); err == nil {
		t.Error("a client that does not know our root trusts us")
	}
	if _, err := dialTLS(&tls.Config{RootCAs: c.pool(t), ServerName: "other.example"}); err == nil {
		t.Error("our certificate is good for another name")
	}
	if _, err := dialTLS(&tls.Config{RootCAs: c.pool(t), MaxVersion: tls.VersionTLS12}); err == nil {
		t.Error("TLS 1.2 is spoken")
	}
	state, err := dialTLS(&tls.Config{RootCAs: c.pool(t), NextProtos: []string{"h2", "http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	if state.NegotiatedProtocol != "http/1.1" {
		t.Errorf("protocol %q", state.NegotiatedProtocol)
	}
	if n := len(state.PeerCertificates); n != 2 || Fingerprint(state.PeerCertificates[1]) != s.Fingerprint() {
		t.Errorf("%d certificates are sent; the last should be the root %s", n, s.Fingerprint())
	}

	c.configure(t, "min_tls = \"1.2\"\n"+staffRules)
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	cache := tls.NewLRUClientSessionCache(1)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for range 2 {
			state, err := dialTLS(&tls.Config{RootCAs: c.pool(t), MaxVersion: version, ClientSessionCache: cache})
			if err != nil {
				t.Fatal(err)
			}
			if state.Version != version || state.DidResume {
				t.Errorf("version %x, resumed %v", state.Version, state.DidResume)
			}
		}
	}
}

func TestServerCertificateFromElsewhere(t *testing.T) {
	c := newTestCA(t, "")
	public := testpki.NewRoot(t, "public root")
	id := public.Leaf(t, "ca.example.com", func(cert *x509.Certificate) {
		cert.DNSNames = []string{"ca.example.com"}
		cert.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	c.write(t, "server.pem", string(testpki.PEM(id.Chain...)))
	c.write(t, "server.key", string(testpki.KeyPEM(t, id.Key)))
	c.write(t, ConfigFile, "tls_cert = \"server.pem\"\ntls_key = \"server.key\"\n")
	summary, err := Check(c.dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if len(summary.Hosts) != 1 || summary.Hosts[0] != "ca.example.com" || summary.Fingerprint != "" {
		t.Errorf("%+v", summary)
	}
	c.write(t, "server.pem", string(testpki.PEM(append(id.Chain, public.Cert)...)))
	if summary, err = Check(c.dir, slog.New(slog.DiscardHandler)); err != nil || summary.Fingerprint != Fingerprint(public.Cert) {
		t.Errorf("%+v, %v", summary, err)
	}
	if err := os.Chmod(filepath.Join(c.dir, "server.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err = Check(c.dir, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that others can read: %v", err)
	}
}

func TestWarnsOfTheEndOfItsCertificate(t *testing.T) {
	c := newTestCA(t, "")
	for _, row := range []struct {
		left time.Duration
		warn bool
	}{{warnBefore - time.Hour, true}, {warnBefore + time.Hour, false}} {
		id := testpki.NewRoot(t, "public root").Leaf(t, "ca.example.com",
			testpki.Dates(time.Now().Add(-time.Hour), time.Now().Add(row.left)), testpki.EKU(x509.ExtKeyUsageServerAuth))
		c.write(t, "server.pem", string(testpki.PEM(id.Chain...)))
		c.write(t, "server.key", string(testpki.KeyPEM(t, id.Key)))
		c.write(t, ConfigFile, "tls_cert = \"server.pem\"\ntls_key = \"server.key\"\n")
		var log bytes.Buffer
		s, err := NewServer(c.dir, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.audit.Close(); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(log.String(), "level=WARN"); got != row.warn {
			t.Errorf("%s before its end: %q", row.left, log.String())
		}
	}
}

// Nobody gets a new allowance by a reload, unless the allowance is another.
func TestReloadKeepsAllowances(t *testing.T) {
	c := newTestCA(t, "rate_per_address = 2\nrate_per_identity = 3\n")
	s, _ := c.serve(t)
	for _, row := range []struct {
		config                string
		addresses, identities bool // kept
	}{
		{"rate_per_address = 2\nrate_per_identity = 3\n", true, true},
		{"rate_per_address = 4\nrate_per_identity = 3\n", false, true},
		{"rate_per_address = 4\nrate_per_identity = 5\n", true, false},
	} {
		before := s.current.Load()
		c.configure(t, row.config)
		if err := s.Reload(); err != nil {
			t.Fatal(err)
		}
		after := s.current.Load()
		if (before.addresses == after.addresses) != row.addresses || (before.identities == after.identities) != row.identities {
			t.Errorf("%q: another limiter", row.config)
		}
	}
}
