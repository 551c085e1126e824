package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"

	"github.com/sshmint/sshmint/internal/ownfile"
)

// readChain reads X.509 certificates, leaf first, from a PEM or DER file. What
// else a PEM file holds, such as the key of an identity, is passed over.
func readChain(path string) ([]*x509.Certificate, error) {
	data, err := ownfile.ReadPublic(path)
	if err != nil {
		return nil, fmt.Errorf("reading the X.509 certificate: %w", err)
	}
	der := data
	if bytes.Contains(data, []byte("-----BEGIN ")) {
		der = nil
		for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
			if block.Type == "CERTIFICATE" {
				der = append(der, block.Bytes...)
			}
		}
	}
	if len(der) == 0 {
		return nil, fmt.Errorf("reading the X.509 certificate: there is none in %s", path)
	}
	chain, err := x509.ParseCertificates(der)
	if err != nil {
		return nil, fmt.Errorf("reading the X.509 certificate %s: %w", path, err)
	}
	return chain, nil
}

// urlHost is a host as it stands in a URL.
func urlHost(h string) string {
	if ip := net.ParseIP(h); ip != nil && ip.To4() == nil {
		return "[" + h + "]"
	}
	return h
}
