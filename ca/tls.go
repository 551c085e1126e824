package ca

import (
	"bytes"
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
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
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

// readKeyPair reads a certificate chain and its key, which only we may read.
func readKeyPair(certFile, keyFile string) (*tls.Certificate, error) {
	certPEM, err := ownfile.ReadPublic(certFile)
	if err != nil {
		return nil, err
	}
	keyPEM, err := ownfile.ReadSecret(keyFile)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("%s and %s: %s", certFile, keyFile, strings.TrimPrefix(err.Error(), "tls: "))
	}
	return &pair, nil
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

// serverIdentity is the server's certificate for handshakes: a fixed one, or
// one of our root's that is replaced when 2/3 of its life are over.
type serverIdentity struct {
	root    *serverRoot // nil where the certificate comes from elsewhere
	hosts   []string
	current atomic.Pointer[tls.Certificate]
}

func openServerIdentity(dir string, c *Config, now time.Time) (*serverIdentity, error) {
	if c.TLSCert != "" {
		pair, err := readKeyPair(c.TLSCert, c.TLSKey)
		if err != nil {
			return nil, fmt.Errorf("reading tls_cert and tls_key: %w", err)
		}
		id := &serverIdentity{}
		id.current.Store(pair)
		return id, nil
	}
	root, err := readServerRoot(dir)
	if err != nil {
		return nil, err
	}
	if len(c.Hosts) == 0 {
		return nil, errors.New("no name for the server: ca.toml has neither hosts nor tls_cert")
	}
	id := &serverIdentity{root: root, hosts: c.Hosts}
	_, err = id.certificate(now)
	return id, err
}

// certificate is what to present at now. Two handshakes may both renew, which
// costs a signature; neither waits for the other.
func (s *serverIdentity) certificate(now time.Time) (*tls.Certificate, error) {
	have := s.current.Load()
	if s.root == nil || have != nil && now.Before(have.Leaf.NotAfter.Add(-leafLifetime/3)) {
		return have, nil
	}
	fresh, err := s.root.leaf(s.hosts, now)
	if err != nil {
		return nil, err
	}
	s.current.Store(fresh)
	return fresh, nil
}

// fingerprint is what a client pins, or "" where the chain that is sent ends
// before its root.
func (s *serverIdentity) fingerprint() string {
	chain := s.current.Load().Certificate
	last, err := x509.ParseCertificate(chain[len(chain)-1])
	if err != nil || !bytes.Equal(last.RawIssuer, last.RawSubject) {
		return ""
	}
	return Fingerprint(last)
}

// names are the hosts that the certificate is good for.
func (s *serverIdentity) names() []string {
	leaf := s.current.Load().Leaf
	names := slices.Clone(leaf.DNSNames)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	return names
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
