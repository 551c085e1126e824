package ca

import (
	"crypto/x509"
	"errors"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	encodingasn1 "encoding/asn1"
)

const (
	oidExtKeyUsage = "2.5.29.37"
	oidKeyUsage    = "2.5.29.15"
	oidAnyUsage    = "2.5.29.37.0"
)

// usageNames are the extended key usages that have a name in ca.toml and in
// expressions.
var usageNames = map[string]string{
	oidAnyUsage:               "any",
	"1.3.6.1.5.5.7.3.1":       "serverAuth",
	"1.3.6.1.5.5.7.3.2":       "clientAuth",
	"1.3.6.1.5.5.7.3.3":       "codeSigning",
	"1.3.6.1.5.5.7.3.4":       "emailProtection",
	"1.3.6.1.5.5.7.3.8":       "timeStamping",
	"1.3.6.1.5.5.7.3.9":       "OCSPSigning",
	"1.3.6.1.5.5.7.3.21":      "secureShellClient", // RFC 6187 section 2.2.2
	"1.3.6.1.5.5.7.3.22":      "secureShellServer",
	"1.3.6.1.5.2.3.4":         "pkinitKPClientAuth", // RFC 4556 section 3.2.2
	"1.3.6.1.4.1.311.20.2.2":  "smartcardLogon",
	"1.3.6.1.4.1.311.10.3.4":  "encryptedFileSystem",
	"2.16.840.1.101.3.6.8":    "pivCardAuth", // no PIN: a person who found the card has it too
	"1.3.6.1.4.1.311.10.3.12": "documentSigning",
}

var defaultEKU = []string{"clientAuth", "secureShellClient"}

func ekuName(oid string) string {
	if name, ok := usageNames[oid]; ok {
		return name
	}
	return oid
}

var oidForm = regexp.MustCompile(`^[0-2](\.(0|[1-9][0-9]*))+$`)

// ekuOID reads a name, in any case, or an OID.
func ekuOID(s string) (string, error) {
	if oidForm.MatchString(s) {
		return s, nil
	}
	var known []string
	for oid, name := range usageNames {
		if strings.EqualFold(name, s) {
			return oid, nil
		}
		known = append(known, name)
	}
	slices.Sort(known)
	return "", errors.New("no usage of that name; known are " + strings.Join(known, ", ") + ", and OIDs")
}

// extKeyUsages reads the extension into OIDs; x509 keeps known and unknown ones apart.
func extKeyUsages(cert *x509.Certificate) (oids []string, present bool, err error) {
	value, present := extension(cert, oidExtKeyUsage)
	if !present {
		return nil, false, nil
	}
	in := cryptobyte.String(value)
	var list cryptobyte.String
	if !in.ReadASN1(&list, asn1.SEQUENCE) || !in.Empty() {
		return nil, true, errors.New("malformed")
	}
	for !list.Empty() {
		oid, ok := readOID(&list)
		if !ok {
			return nil, true, errors.New("malformed")
		}
		oids = append(oids, oid)
	}
	return oids, true, nil
}

func extension(cert *x509.Certificate, oid string) (value []byte, present bool) {
	for _, ext := range cert.Extensions {
		if ext.Id.String() == oid {
			return ext.Value, true
		}
	}
	return nil, false
}

func readOID(s *cryptobyte.String) (string, bool) {
	var oid encodingasn1.ObjectIdentifier
	if !s.ReadASN1ObjectIdentifier(&oid) {
		return "", false
	}
	return oid.String(), true
}
