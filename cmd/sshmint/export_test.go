package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"
)

func newSigner(t *testing.T) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func certificateFor(t *testing.T, lifetime time.Duration) ssh.Signer {
	t.Helper()
	key := newSigner(t)
	cert := &ssh.Certificate{Key: key.PublicKey(), CertType: ssh.UserCert, ValidPrincipals: []string{"alice"}, ValidBefore: uint64(time.Now().Add(lifetime).Unix())}
	if err := cert.SignCert(rand.Reader, newSigner(t)); err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewCertSigner(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// TestExportExpires: the file goes when its certificate does.
func TestExportExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "cert.pub")
		signer := certificateFor(t, time.Hour)
		ends := time.Now().Add(time.Hour)
		e := &exporter{profile: "corp", log: slog.New(slog.DiscardHandler), current: func() ssh.Signer {
			if time.Now().Before(ends) {
				return signer
			}
			return nil
		}}
		e.set(path)
		want := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))) + " corp\n"
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Fatalf("exported %q, %v", got, err)
		}
		time.Sleep(59 * time.Minute)
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("after its end: %v", err)
		}
		e.set("")
	})
}

// TestExportable: nothing but a certificate is written over, or removed.
func TestExportable(t *testing.T) {
	cert := ssh.MarshalAuthorizedKey(certificateFor(t, time.Hour).PublicKey())
	key := ssh.MarshalAuthorizedKey(newSigner(t).PublicKey())
	for name, tt := range map[string]struct {
		content string
		want    string // "" where it may be written over
	}{
		"a certificate":     {string(cert), ""},
		"two certificates":  {string(cert) + string(cert), "not one certificate"},
		"a key":             {string(key), "a key, not a certificate"},
		"a private key":     {"-----BEGIN OPENSSH PRIVATE KEY-----\n", "not one certificate"},
		"nothing":           {"", "not one certificate"},
		"a shell's history": {"ssh db7\n", "not one certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			err := exportable(path)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			signer := certificateFor(t, time.Hour)
			e := &exporter{profile: "corp", log: slog.New(slog.DiscardHandler), current: func() ssh.Signer { return signer }}
			e.set(path)
			got, err := os.ReadFile(path)
			if err != nil || (string(got) == tt.content) != (tt.want != "") {
				t.Errorf("then there is %q, %v", got, err)
			}
			if _, fault := e.status(); (fault != "") != (tt.want != "") {
				t.Errorf("status: %q", fault)
			}
			e.set("")
			if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) != (tt.want == "") {
				t.Errorf("at the end: %v", err)
			}
		})
	}
	if err := exportable(t.TempDir()); err == nil {
		t.Error("a folder can be written over")
	}
}
