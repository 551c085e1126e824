package ca

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// parseRoots refuses a file that holds anything else: a root that was silently
// left out is as bad as one too many.
func parseRoots(data []byte) ([]*x509.Certificate, error) {
	var roots []*x509.Certificate
	for {
		var block *pem.Block
		block, data = pem.Decode(data)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("it holds a %s; only certificates belong there", block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(roots)+1, err)
		}
		if err := checkRoot(cert); err != nil {
			return nil, fmt.Errorf("certificate %d, %s: %w", len(roots)+1, nameText(cert.RawSubject), err)
		}
		roots = append(roots, cert)
	}
	if len(roots) == 0 {
		return nil, errors.New("no PEM certificate in it")
	}
	if bytes.Contains(data, []byte("-----BEGIN")) {
		return nil, fmt.Errorf("damaged PEM after certificate %d", len(roots))
	}
	return roots, nil
}

// checkRoot demands an authority; version 1 could not say whether it is one.
func checkRoot(cert *x509.Certificate) error {
	if cert.Version >= 3 && (!cert.BasicConstraintsValid || !cert.IsCA) {
		return errors.New("it is no certificate authority")
	}
	return checkKey(cert)
}
