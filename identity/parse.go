package identity

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// maxCertificates bounds what one file may hold; a chain has a handful.
const maxCertificates = 64

// ParseCertificates reads certificates in PEM, among which other blocks may
// stand, or in DER, one after the other.
func ParseCertificates(data []byte) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	sawPEM := false
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		sawPEM = true
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(chain)+1, err)
		}
		if chain = append(chain, c); len(chain) > maxCertificates {
			return nil, fmt.Errorf("more than %d certificates", maxCertificates)
		}
	}
	switch {
	case len(chain) < bytes.Count(data, []byte("-----BEGIN CERTIFICATE-----")):
		// Decode passes over a block that is damaged or cut off.
		return nil, fmt.Errorf("one of its certificates is damaged or cut off: %d can be read", len(chain))
	case len(chain) > 0:
		return chain, nil
	case sawPEM:
		return nil, errors.New("there is no certificate in it")
	case len(bytes.TrimSpace(data)) == 0:
		return nil, errEmpty
	}
	chain, err := x509.ParseCertificates(data)
	switch {
	case err != nil && isPKCS12(data):
		return nil, errPKCS12
	case err != nil:
		return nil, fmt.Errorf("it is neither PEM nor a certificate in DER: %w", err)
	case len(chain) == 0:
		return nil, errors.New("there is no certificate in it")
	case len(chain) > maxCertificates:
		return nil, fmt.Errorf("more than %d certificates", maxCertificates)
	}
	return chain, nil
}

// ParseKey reads the first private key of PEM text, or a key in DER: PKCS#8
// (RFC 5958), SEC 1 (RFC 5915) or PKCS#1 (RFC 8017).
func ParseKey(data []byte) (crypto.Signer, error) {
	var sawPEM bool
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		sawPEM = true
		switch block.Type {
		case "PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY":
			if block.Headers["DEK-Info"] != "" {
				return nil, errEncrypted
			}
			return parseKeyDER(block.Type, block.Bytes)
		case "ENCRYPTED PRIVATE KEY":
			return nil, errEncrypted
		case "OPENSSH PRIVATE KEY":
			return nil, errors.New("the key is in OpenSSH's format: convert a copy with ssh-keygen -p -m PKCS8 -f FILE")
		}
	}
	switch {
	case sawPEM:
		return nil, errors.New("there is no private key in it; if it is in a file of its own, name that with ?key=FILE")
	case bytes.Contains(data, []byte("-----BEGIN ")):
		return nil, errors.New("its PEM text is damaged or cut off")
	case len(bytes.TrimSpace(data)) == 0:
		return nil, errEmpty
	case isPKCS12(data):
		return nil, errPKCS12
	}
	return parseKeyDER("", data)
}

var errEncrypted = errors.New("the key is encrypted, and an agent that works unattended cannot ask for its passphrase: " +
	"keep it in a file of mode 600 without one (openssl pkey -in FILE -out identity.key)")

var errPKCS12 = errors.New("it is PKCS#12: convert it with openssl pkcs12 -in FILE -nodes -out identity.pem")

// parseKeyDER reads what the type of a PEM block says, or whatever fits where
// there is none.
func parseKeyDER(block string, der []byte) (crypto.Signer, error) {
	var key any
	var err error
	switch block {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(der)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(der)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(der)
	default:
		for _, form := range []string{"PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"} {
			if signer, err := parseKeyDER(form, der); err == nil {
				return signer, nil
			}
		}
		return nil, errors.New("there is no private key in PKCS#8, SEC 1 or PKCS#1 form in it")
	}
	if err != nil {
		return nil, fmt.Errorf("reading the private key: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a key of type %T cannot sign", key)
	}
	return signer, nil
}

// isPKCS12 looks for PFX ::= SEQUENCE { version INTEGER (3), ... } (RFC 7292).
func isPKCS12(der []byte) bool {
	return len(der) > 8 && der[0] == 0x30 && bytes.Contains(der[:8], []byte{2, 1, 3})
}
