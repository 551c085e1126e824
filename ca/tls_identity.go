package ca

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sshmint/sshmint/internal/ownfile"
)

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

// notAfter is when clients stop to believe us, unless somebody acts.
func (s *serverIdentity) notAfter() time.Time {
	if s.root != nil {
		return s.root.cert.NotAfter
	}
	return s.current.Load().Leaf.NotAfter
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
