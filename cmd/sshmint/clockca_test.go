//go:build unix

package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/crypto/ssh"

	"github.com/sshmint/sshmint/internal/wire"
)

// clockca VAR AHEAD VALIDITY serves a CA whose clock is AHEAD of ours (-1h:
// behind), with a certificate for alice to everybody; $VAR becomes its URL. To
// this computer that is the same as if its own clock were wrong.
func clockCA(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: clockca VAR AHEAD VALIDITY")
	}
	ahead, err := time.ParseDuration(args[1])
	ts.Check(err)
	valid, err := time.ParseDuration(args[2])
	ts.Check(err)
	cert, err := tls.LoadX509KeyPair(ts.MkAbs("impostor.pem"), ts.MkAbs("impostor.pem"))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("clock-root.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Leaf.Raw}), 0o600))
	_, key, err := ed25519.GenerateKey(rand.Reader)
	ts.Check(err)
	ca, err := ssh.NewSignerFromSigner(key)
	ts.Check(err)

	answer := func(w http.ResponseWriter, status int, body any) {
		w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+wire.PathAuthorities, func(w http.ResponseWriter, _ *http.Request) {
		line := string(ssh.MarshalAuthorizedKey(ca.PublicKey()))
		answer(w, http.StatusOK, wire.Authorities{User: []wire.Authority{{Key: line, State: wire.Current}}})
	})
	mux.HandleFunc("POST "+wire.PathUserCertificates, func(w http.ResponseWriter, r *http.Request) {
		var request wire.CertificateRequest
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
			return
		}
		public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(request.PublicKey))
		if err != nil {
			return
		}
		now := time.Now().Add(ahead)
		c := &ssh.Certificate{
			Key: public, CertType: ssh.UserCert, Serial: 1, KeyId: "alice", ValidPrincipals: []string{"alice"},
			ValidAfter: uint64(now.Add(-time.Minute).Unix()), ValidBefore: uint64(now.Add(valid).Unix()), // #nosec G115 -- the present
		}
		if err := c.SignCert(rand.Reader, ca); err != nil {
			return
		}
		answer(w, http.StatusCreated, wire.CertificateAnswer{Certificate: string(ssh.MarshalAuthorizedKey(c)), Serial: "1", Rule: "any"})
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	server := &http.Server{
		Handler:   mux,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS13},

		ReadHeaderTimeout: 10 * time.Second,
	}
	ts.Defer(func() { _ = server.Close() })
	go func() { _ = server.ServeTLS(l, "", "") }()
	ts.Setenv(args[0], "https://"+l.Addr().String())
}
