package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/sshmint/sshmint/internal/ownfile"
)

// Lifetimes of the server's own X.509 certificates.
const (
	rootLifetime = 10 * 365 * 24 * time.Hour
	leafLifetime = 30 * 24 * time.Hour
	tlsBackdate  = 24 * time.Hour // for clients whose clock is slow
)

// Fingerprint is what a client pins: SHA-256 of a root's
// SubjectPublicKeyInfo, written as OpenSSH writes a key's fingerprint.
func Fingerprint(root *x509.Certificate) string {
	sum := sha256.Sum256(root.RawSubjectPublicKeyInfo)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// A serverRoot signs the certificates of the server itself. Clients know it
// by its fingerprint.
type serverRoot struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func newServerRoot(host string, now time.Time) (*serverRoot, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the TLS root's key: %w", err)
	}
	serial, err := newX509Serial()
	if err != nil {
		return nil, err
	}
	tmpl := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "sshmint-ca root of " + host},
		NotBefore:             now.Add(-tlsBackdate),
		NotAfter:              now.Add(rootLifetime),
		KeyUsage:              x509.KeyUsageCertSign,
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("making the TLS root: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("making the TLS root: %w", err)
	}
	return &serverRoot{cert, key}, nil
}

func readServerRoot(dir string) (*serverRoot, error) {
	pair, err := readKeyPair(filepath.Join(dir, fileTLSRoot), filepath.Join(dir, fileTLSRootKey))
	if err != nil {
		return nil, fmt.Errorf("reading the TLS root: %w", err)
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok || !pair.Leaf.IsCA {
		return nil, fmt.Errorf("reading the TLS root: %s is not a CA certificate", fileTLSRoot)
	}
	return &serverRoot{pair.Leaf, key}, nil
}

// leaf makes a certificate for the server, sent with the root after it: a
// client that knows the fingerprint alone finds the root there.
func (r *serverRoot) leaf(hosts []string, now time.Time) (*tls.Certificate, error) {
	now = now.Round(0) // the wall clock decides about certificates: the other one stands still while suspended
	if !now.Before(r.cert.NotAfter) {
		return nil, fmt.Errorf("making a server certificate: the TLS root expired on %s", r.cert.NotAfter.Format(time.DateOnly))
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a server key: %w", err)
	}
	serial, err := newX509Serial()
	if err != nil {
		return nil, err
	}
	tmpl := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: hosts[0]},
		NotBefore:             now.Add(-tlsBackdate),
		NotAfter:              now.Add(leafLifetime),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	if tmpl.NotAfter.After(r.cert.NotAfter) {
		tmpl.NotAfter = r.cert.NotAfter
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			tmpl.IPAddresses = append(tmpl.IPAddresses, ip)
		} else {
			tmpl.DNSNames = append(tmpl.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, r.cert, key.Public(), r.key)
	if err != nil {
		return nil, fmt.Errorf("making a server certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("making a server certificate: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{der, r.cert.Raw}, PrivateKey: key, Leaf: cert}, nil
}

func newX509Serial() (*big.Int, error) {
	b := make([]byte, 16)
	if _, err := rand.Read(b); err != nil {
		return nil, fmt.Errorf("making a serial number: %w", err)
	}
	b[0] = b[0]&0x7f | 0x40 // positive, and of one length
	return new(big.Int).SetBytes(b), nil
}

func writePEM(path, kind string, der []byte, mode os.FileMode) error {
	return ownfile.Create(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode)
}
