//go:build unix

package main

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sshmint/sshmint/internal/testpki"
)

// writeIdentities puts a small PKI into the script's folder: the root of a
// company, and identities right and wrong.
func writeIdentities(env *testscript.Env) error {
	t, ok := env.T().(testing.TB)
	if !ok {
		return errors.New("testscript no longer runs on a testing.T")
	}
	now := time.Now()
	corp, foreign := testpki.NewRoot(t, "Corp Root"), testpki.NewRoot(t, "Corp Root")
	upn := testpki.UPN("alice@corp.example.com")
	mismatch := corp.Leaf(t, "Alice", upn)
	mismatch.Key = testpki.NewKey(t)
	identities := map[string]*testpki.Identity{
		"alice.pem":    corp.Intermediate(t, "Corp Issuing").Leaf(t, "Alice", upn),
		"bob.pem":      corp.Leaf(t, "Bob", testpki.UPN("bob@corp.example.com")),
		"root.pem":     corp.Leaf(t, "Root", testpki.UPN("root@corp.example.com")),
		"norule.pem":   corp.Leaf(t, "Mallory", testpki.UPN("mallory@elsewhere.example.com")),
		"soon.pem":     corp.Leaf(t, "Alice", upn, testpki.Dates(now.Add(-time.Hour), now.Add(3*24*time.Hour+time.Hour))),
		"foreign.pem":  foreign.Leaf(t, "Alice", upn),
		"expired.pem":  corp.Leaf(t, "Alice", upn, testpki.Dates(now.Add(-48*time.Hour), now.Add(-24*time.Hour))),
		"future.pem":   corp.Leaf(t, "Alice", upn, testpki.Dates(now.Add(24*time.Hour), now.Add(48*time.Hour))),
		"server.pem":   corp.Leaf(t, "Alice", upn, testpki.EKU(x509.ExtKeyUsageServerAuth)),
		"mismatch.pem": mismatch,
		"impostor.pem": foreign.Leaf(t, "impostor", testpki.EKU(x509.ExtKeyUsageServerAuth), func(c *x509.Certificate) {
			c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
		}),
	}
	for name, id := range identities {
		text := append(testpki.PEM(id.Chain...), testpki.KeyPEM(t, id.Key)...)
		if err := os.WriteFile(filepath.Join(env.WorkDir, name), text, 0o600); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(env.WorkDir, "corp.pem"), testpki.PEM(corp.Cert), 0o600)
}

// certificates gives the DER of what is in PEM text.
func certificates(text string) [][]byte {
	var der [][]byte
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return der
		}
		der = append(der, block.Bytes)
	}
}
