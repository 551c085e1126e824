package ca

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/sshmint/sshmint/internal/altname"
)

// Leaf is what a client certificate says of its holder, verified or not. Lists hold every value, in the
// order of the certificate; none is picked for being first.
type Leaf struct {
	// Subject and Issuer are RFC 4514 strings. Inside a value, "=" is escaped too, so that no value
	// contains what reads like another attribute.
	Subject, Issuer     string
	Serial              string // hexadecimal, lower-case, whole bytes
	CommonNames         []string
	OrganizationalUnits []string
	Emails              []string // rfc822Name; the subject's emailAddress is not one
	UPNs                []string // Microsoft's user principal names
	URIs                []string
	DNSNames            []string
	FASCNs              []string // hexadecimal
	EKU                 []string // names, or OIDs where there is none
	Policies            []string // OIDs
	SID                 string   // Microsoft's security identifier, or ""
	SPKISHA256          string   // hexadecimal, of the public key
	IssuerSHA256        string   // hexadecimal, of the issuer's name in DER
	NotBefore, NotAfter time.Time

	names altname.Names
}

// parseLeaf reads what x509.ParseCertificate leaves unread, and reads again what it is lenient about.
// Whatever is malformed is an error: a name that was skipped could be the one that matters.
func parseLeaf(cert *x509.Certificate) (*Leaf, error) {
	l := &Leaf{
		SPKISHA256:   hash(cert.RawSubjectPublicKeyInfo),
		IssuerSHA256: hash(cert.RawIssuer),
		NotBefore:    cert.NotBefore,
		NotAfter:     cert.NotAfter,
	}
	var err error
	if l.Serial, err = serial(cert); err != nil {
		return nil, err
	}
	seen := make(map[string]bool)
	for _, ext := range cert.Extensions {
		id := ext.Id.String()
		if seen[id] {
			// RFC 5280 section 4.2; readers differ in which one they take.
			return nil, fmt.Errorf("the extension %s is there twice", id)
		}
		seen[id] = true
		switch id {
		case altname.OID:
			if l.names, err = altname.Parse(ext.Value); err != nil {
				return nil, fmt.Errorf("subjectAltName: %w", err)
			}
		case oidSIDExtension:
			if l.SID, err = parseSIDExtension(ext.Value); err != nil {
				return nil, fmt.Errorf("security identifier extension: %w", err)
			}
		}
	}
	l.Emails, l.UPNs, l.URIs, l.DNSNames, l.FASCNs = l.names.Emails, l.names.UPNs, l.names.URIs, l.names.DNSNames, l.names.FASCNs
	if l.SID, err = soleSID(l.SID, l.URIs); err != nil {
		return nil, err
	}
	if err := l.readNames(cert); err != nil {
		return nil, err
	}
	usages, _, err := extKeyUsages(cert)
	if err != nil {
		return nil, fmt.Errorf("extendedKeyUsage: %w", err)
	}
	for _, oid := range usages {
		l.EKU = append(l.EKU, ekuName(oid))
	}
	for _, p := range cert.Policies {
		l.Policies = append(l.Policies, p.String())
	}
	return l, nil
}

func (l *Leaf) readNames(cert *x509.Certificate) error {
	subject, err := parseName(cert.RawSubject)
	if err != nil {
		return fmt.Errorf("subject: %w", err)
	}
	issuer, err := parseName(cert.RawIssuer)
	if err != nil {
		return fmt.Errorf("issuer: %w", err)
	}
	l.Subject, l.Issuer = subject.String(), issuer.String()
	if l.CommonNames, err = subject.values(oidCommonName); err != nil {
		return fmt.Errorf("subject: common name: %w", err)
	}
	if l.OrganizationalUnits, err = subject.values(oidOrganizationalUnit); err != nil {
		return fmt.Errorf("subject: organizational unit: %w", err)
	}
	return nil
}

// serial is at most 20 bytes (RFC 5280 section 4.1.2.2), so that it fits into a key id.
func serial(cert *x509.Certificate) (string, error) {
	if cert.SerialNumber == nil || cert.SerialNumber.Sign() < 0 {
		return "", errors.New("the serial number is negative")
	}
	b := cert.SerialNumber.Bytes()
	if len(b) > 20 {
		return "", fmt.Errorf("the serial number has %d bytes, more than 20", len(b))
	}
	if len(b) == 0 {
		b = []byte{0}
	}
	return hex.EncodeToString(b), nil
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
