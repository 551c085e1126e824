package signer_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sshmint/sshmint/internal/issuertest"
	"github.com/sshmint/sshmint/internal/testpki"
	"github.com/sshmint/sshmint/signer"
)

func TestFetchRoot(t *testing.T) {
	genuine, foreign := testpki.NewRoot(t, "CA root"), testpki.NewRoot(t, "CA root")
	between := genuine.Intermediate(t, "Between")
	now := time.Now()
	fingerprint := signer.Fingerprint(genuine.Cert)

	// serve sends a leaf of ca, and then more.
	serve := func(ca *testpki.CA, more []*x509.Certificate, edits ...testpki.Edit) *httptest.Server {
		c := issuertest.NewServerConfig(t, ca, edits...)
		for _, m := range more {
			c.Certificates[0].Certificate = append(c.Certificates[0].Certificate, m.Raw)
		}
		return issuertest.Serve(t, c, http.NotFoundHandler())
	}
	list := func(c ...*x509.Certificate) []*x509.Certificate { return c }
	anotherName := func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{"ca.example.com"}, nil }
	for name, c := range map[string]struct {
		server *httptest.Server
		want   string // part of the error, or "" where the root is given
	}{
		"right":                         {serve(genuine, list(genuine.Cert)), ""},
		"with an intermediate":          {serve(between, list(genuine.Cert)), ""},
		"with a foreign root beside it": {serve(genuine, list(foreign.Cert, genuine.Cert)), ""},
		"foreign root":                  {serve(foreign, list(foreign.Cert)), "the fingerprint is not that of this CA, whose root has " + signer.Fingerprint(foreign.Cert)},
		"root not sent":                 {serve(genuine, nil), "the CA does not send its root, so the fingerprint cannot be checked"},
		"foreign leaf, genuine root":    {serve(foreign, list(genuine.Cert)), "the root with that fingerprint did not issue the certificate that the CA shows: somebody may be posing as the CA"},
		"foreign leaf, both roots":      {serve(foreign, list(foreign.Cert, genuine.Cert)), "somebody may be posing as the CA"},
		"genuine key in a forged root":  {serve(genuine, list(forged(t, genuine, foreign))), "the CA does not send its root"},
		"another name":                  {serve(genuine, list(genuine.Cert), anotherName), "is for another name: ca.example.com"},
		"expired":                       {serve(genuine, list(genuine.Cert), testpki.Dates(now.Add(-time.Hour), now.Add(-time.Minute))), "expired or not yet valid"},
		"client certificate":            {serve(genuine, list(genuine.Cert), testpki.EKU(x509.ExtKeyUsageClientAuth)), "incompatible key usage"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := signer.FetchRoot(t.Context(), c.server.URL, fingerprint)
			if c.want == "" {
				if err != nil || !got.Equal(genuine.Cert) {
					t.Errorf("got %v", err)
				}
				return
			}
			if err == nil || got != nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.server.URL) {
				t.Errorf("got %v, want the URL and %q", err, c.want)
			}
		})
	}

	t.Run("TLS 1.2", func(t *testing.T) {
		config := issuertest.NewServerConfig(t, genuine)
		config.Certificates[0].Certificate = append(config.Certificates[0].Certificate, genuine.Cert.Raw)
		config.MinVersion, config.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
		if _, err := signer.FetchRoot(t.Context(), issuertest.Serve(t, config, nil).URL, fingerprint); err != nil {
			t.Error(err)
		}
	})
}

// forged has the name and the key of a root, and other contents; only the root
// itself could have signed it.
func forged(t *testing.T, root, by *testpki.CA) *x509.Certificate {
	t.Helper()
	template := *root.Cert
	template.NotAfter = template.NotAfter.AddDate(10, 0, 0)
	der, err := x509.CreateCertificate(rand.Reader, &template, by.Cert, root.Key.Public(), by.Key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil || signer.Fingerprint(c) != signer.Fingerprint(root.Cert) {
		t.Fatalf("it is no forgery: %v", err)
	}
	return c
}

func TestFetchRootArguments(t *testing.T) {
	good := signer.Fingerprint(testpki.NewRoot(t, "Root").Cert)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, c := range []struct{ url, fingerprint, want string }{
		{"https://127.0.0.1:1", good, "nothing is listening there"},
		{"https://ca.example.com", good, "the proxy that the environment names"}, // as with every other request
		{"http://127.0.0.1:1", good, "is no https:// URL"},
		{"127.0.0.1:1", good, "is no https:// URL"},
		{"https://127.0.0.1:1", "", "is no fingerprint"},
		{"https://127.0.0.1:1", strings.TrimPrefix(good, "SHA256:"), "is no fingerprint"},
		{"https://127.0.0.1:1", good[:len(good)-1], "is no fingerprint"},
		{"https://127.0.0.1:1", "MD5:" + good, "is no fingerprint"},
		{"https://127.0.0.1:1", good + "AA", "is no fingerprint"},
	} {
		if _, err := signer.FetchRoot(ctx, c.url, c.fingerprint); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s, %s: got %v, want %q", c.url, c.fingerprint, err, c.want)
		}
	}
}
