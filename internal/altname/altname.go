// Package altname reads the subjectAltName extension in full: x509.Certificate
// leaves out otherNames, where smartcards and Active Directory keep who their
// holder is. Nothing is skipped or mended: a name that was passed over could be
// the one that matters.
package altname

import (
	"crypto/x509"
	encodingasn1 "encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/sshmint/sshmint/internal/wire"
)

// OID is that of the extension.
const OID = "2.5.29.17"

const (
	oidUPN   = "1.3.6.1.4.1.311.20.2.3"
	oidFASCN = "2.16.840.1.101.3.6.6"
)

// MaxName bounds one name, in bytes: four times what a mailbox or a host may have.
const MaxName = 1024

// Names are those of one subjectAltName extension (RFC 5280 section 4.2.1.6), of
// each kind every one, in the order of the certificate.
type Names struct {
	Emails   []string // rfc822Name
	UPNs     []string // Microsoft's user principal names
	URIs     []string
	DNSNames []string
	FASCNs   []string // the number of a US federal card, in hexadecimal
	IPs      int      // how many addresses
}

// Understood tells whether there is a name of a kind that something is done with.
func (n *Names) Understood() bool {
	return len(n.Emails)+len(n.UPNs)+len(n.URIs)+len(n.DNSNames)+len(n.FASCNs)+n.IPs > 0
}

// Of gives the names of a certificate, none if it has no such extension.
func Of(cert *x509.Certificate) (Names, error) {
	for _, ext := range cert.Extensions {
		if ext.Id.String() == OID {
			return Parse(ext.Value)
		}
	}
	return Names{}, nil
}

// Parse reads the extension's value. Kinds of names that are not used are
// passed over if they are well-formed; anything malformed fails the whole.
func Parse(der []byte) (Names, error) {
	var n Names
	in := cryptobyte.String(der)
	var list cryptobyte.String
	if !in.ReadASN1(&list, asn1.SEQUENCE) {
		return n, errors.New("not a sequence")
	}
	if !in.Empty() {
		return n, errors.New("bytes after its end")
	}
	if list.Empty() {
		return n, errors.New("no names in it")
	}
	for count := 1; !list.Empty(); count++ {
		if count > wire.MaxNames {
			return n, fmt.Errorf("more than %d names", wire.MaxNames)
		}
		var value cryptobyte.String
		var tag asn1.Tag
		if !list.ReadAnyASN1(&value, &tag) {
			return n, fmt.Errorf("name %d is cut off or not DER", count)
		}
		if err := n.add(tag, value); err != nil {
			return n, fmt.Errorf("name %d: %w", count, err)
		}
	}
	return n, nil
}

func contextTag(n uint8) asn1.Tag { return asn1.Tag(n).ContextSpecific() }

func (n *Names) add(tag asn1.Tag, value cryptobyte.String) error {
	switch tag {
	case contextTag(0).Constructed():
		return n.addOther(value)
	case contextTag(1):
		return addIA5(&n.Emails, value, "e-mail address")
	case contextTag(2):
		return addIA5(&n.DNSNames, value, "DNS name")
	case contextTag(6):
		return addIA5(&n.URIs, value, "URI")
	case contextTag(7):
		if len(value) != 4 && len(value) != 16 {
			return fmt.Errorf("an IP address of %d bytes", len(value))
		}
		n.IPs++
		return nil
	case contextTag(3).Constructed(), contextTag(4).Constructed(), contextTag(5).Constructed(), contextTag(8):
		if value.Empty() {
			return errors.New("empty")
		}
		return nil // x400Address, directoryName, ediPartyName, registeredID: no rule can see them
	default:
		return fmt.Errorf("unknown kind (tag %#02x)", uint8(tag))
	}
}

func addIA5(list *[]string, value cryptobyte.String, kind string) error {
	for _, c := range []byte(value) {
		if c < 0x20 || c > 0x7e {
			return fmt.Errorf("the %s holds byte %#02x", kind, c)
		}
	}
	return addText(list, string(value), kind)
}

func addText(list *[]string, value, kind string) error {
	switch {
	case value == "":
		return fmt.Errorf("the %s is empty", kind)
	case len(value) > MaxName:
		return fmt.Errorf("the %s has more than %d bytes", kind, MaxName)
	case !utf8.ValidString(value):
		return fmt.Errorf("the %s is not UTF-8", kind)
	case strings.ContainsFunc(value, unicode.IsControl):
		return fmt.Errorf("the %s holds a control character", kind)
	}
	*list = append(*list, value)
	return nil
}

// addOther reads an otherName: SEQUENCE { type-id, [0] EXPLICIT ANY }, its own
// tag already taken off.
func (n *Names) addOther(in cryptobyte.String) error {
	var id encodingasn1.ObjectIdentifier
	var value cryptobyte.String
	if !in.ReadASN1ObjectIdentifier(&id) || !in.ReadASN1(&value, contextTag(0).Constructed()) || !in.Empty() {
		return errors.New("malformed otherName")
	}
	oid := id.String()
	var content cryptobyte.String
	var tag asn1.Tag
	if !value.ReadAnyASN1(&content, &tag) || !value.Empty() {
		return fmt.Errorf("otherName %s: malformed value", oid)
	}
	switch oid {
	case oidUPN:
		if tag != asn1.UTF8String {
			return errors.New("the user principal name is not a UTF8String")
		}
		return addText(&n.UPNs, string(content), "user principal name")
	case oidFASCN:
		// FIPS 201-3 section 4.2.1: 25 bytes.
		if tag != asn1.OCTET_STRING || len(content) != 25 {
			return errors.New("the FASC-N is not 25 bytes")
		}
		n.FASCNs = append(n.FASCNs, hex.EncodeToString(content))
	}
	return nil
}
