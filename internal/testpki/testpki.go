// Package testpki makes small X.509 hierarchies for tests.
package testpki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// CA is an authority: a certificate and its key.
type CA struct {
	Cert *x509.Certificate
	Key  crypto.Signer
	// Chain is what a leaf of this CA is sent with: this CA's certificate and
	// those above it, without the root.
	Chain []*x509.Certificate
}

// Identity is a leaf with its key and chain, leaf first, without the root.
type Identity struct {
	Chain []*x509.Certificate
	Key   crypto.Signer
}

// Leaf is the first certificate of the chain.
func (i *Identity) Leaf() *x509.Certificate { return i.Chain[0] }

// Edit changes a template before it is signed.
type Edit func(*x509.Certificate)

// NewKey makes a P-256 key.
func NewKey(t testing.TB) crypto.Signer {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// NewRoot makes a self-signed root, valid from a day ago for ten years.
func NewRoot(t testing.TB, name string, edits ...Edit) *CA {
	t.Helper()
	return NewRootFor(t, NewKey(t), name, edits...)
}

// NewRootFor is NewRoot for a key that is already there.
func NewRootFor(t testing.TB, key crypto.Signer, name string, edits ...Edit) *CA {
	t.Helper()
	tmpl := caTemplate(t, name, edits)
	return &CA{Cert: sign(t, tmpl, tmpl, key.Public(), key), Key: key}
}

// Intermediate makes an authority below ca.
func (ca *CA) Intermediate(t testing.TB, name string, edits ...Edit) *CA {
	t.Helper()
	return ca.IntermediateFor(t, NewKey(t), name, edits...)
}

// IntermediateFor is Intermediate for a key that is already there.
func (ca *CA) IntermediateFor(t testing.TB, key crypto.Signer, name string, edits ...Edit) *CA {
	t.Helper()
	cert := sign(t, caTemplate(t, name, edits), ca.Cert, key.Public(), ca.Key)
	return &CA{Cert: cert, Key: key, Chain: append([]*x509.Certificate{cert}, ca.Chain...)}
}

// Leaf makes a client certificate with digitalSignature and clientAuth, valid
// from an hour ago for 30 days.
func (ca *CA) Leaf(t testing.TB, name string, edits ...Edit) *Identity {
	t.Helper()
	return ca.LeafFor(t, NewKey(t), name, edits...)
}

// LeafFor is Leaf for a key that is already there.
func (ca *CA) LeafFor(t testing.TB, key crypto.Signer, name string, edits ...Edit) *Identity {
	t.Helper()
	now := time.Now()
	tmpl := &x509.Certificate{
		SerialNumber:          serial(t),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(30 * 24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	for _, edit := range edits {
		edit(tmpl)
	}
	cert := sign(t, tmpl, ca.Cert, key.Public(), ca.Key)
	return &Identity{Chain: append([]*x509.Certificate{cert}, ca.Chain...), Key: key}
}

func caTemplate(t testing.TB, name string, edits []Edit) *x509.Certificate {
	now := time.Now()
	tmpl := &x509.Certificate{
		SerialNumber:          serial(t),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-24 * time.Hour),
		NotAfter:              now.AddDate(10, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	for _, edit := range edits {
		edit(tmpl)
	}
	return tmpl
}

func serial(t testing.TB) *big.Int {
	t.Helper()
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		t.Fatal(err)
	}
	return n.Add(n, big.NewInt(1))
}

func sign(t testing.TB, tmpl, parent *x509.Certificate, pub crypto.PublicKey, key crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, pub, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// Email adds rfc822 names.
func Email(addresses ...string) Edit {
	return func(c *x509.Certificate) { c.EmailAddresses = append(c.EmailAddresses, addresses...) }
}

// Dates sets the validity.
func Dates(notBefore, notAfter time.Time) Edit {
	return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = notBefore, notAfter }
}

// EKU replaces the extended key usages.
func EKU(usages ...x509.ExtKeyUsage) Edit {
	return func(c *x509.Certificate) { c.ExtKeyUsage = usages }
}

// UPN adds a subjectAltName extension that holds nothing but Microsoft user
// principal names (otherName 1.3.6.1.4.1.311.20.2.3).
func UPN(names ...string) Edit {
	var san []Name
	for _, n := range names {
		san = append(san, UPNName(n))
	}
	return SAN(san...)
}

// PEM encodes certificates.
func PEM(certs ...*x509.Certificate) []byte {
	var b bytes.Buffer
	for _, c := range certs {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return b.Bytes()
}

// KeyPEM encodes a key as PKCS#8.
func KeyPEM(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// WriteFile puts the identity, chain and key, into one PEM file of mode 0600
// in a folder of its own and gives its path.
func (i *Identity) WriteFile(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "identity.pem")
	if err := os.WriteFile(path, append(PEM(i.Chain...), KeyPEM(t, i.Key)...), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
