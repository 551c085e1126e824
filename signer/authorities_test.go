package signer_test

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sshmint/sshmint/internal/issuertest"
	"github.com/sshmint/sshmint/internal/wire"
	"github.com/sshmint/sshmint/signer"
)

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
		"an escape":    {"application/json", `{"user":[{"key":"ssh-ed25519 AAAABBtbMzFt"}]}`, "unknown key algorithm: [31"},
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
