package ca

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

const (
	oidCommonName         = "2.5.4.3"
	oidOrganizationalUnit = "2.5.4.11"
)

// attributeNames are those of RFC 4514 section 3 and a few more that
// identities live in, written as OpenSSL writes them.
var attributeNames = map[string]string{
	"2.5.4.3":                    "CN",
	"2.5.4.4":                    "SN",
	"2.5.4.5":                    "serialNumber",
	"2.5.4.6":                    "C",
	"2.5.4.7":                    "L",
	"2.5.4.8":                    "ST",
	"2.5.4.9":                    "street",
	"2.5.4.10":                   "O",
	"2.5.4.11":                   "OU",
	"2.5.4.12":                   "title",
	"2.5.4.42":                   "GN",
	"0.9.2342.19200300.100.1.1":  "UID",
	"0.9.2342.19200300.100.1.25": "DC",
	"1.2.840.113549.1.9.1":       "emailAddress",
}

// attribute is one AttributeTypeAndValue (RFC 5280 section 4.1.2.4).
type attribute struct {
	oid  string
	text string // where the value is of a string type
	der  []byte // where it is not
}

// name is a distinguished name: a sequence of sets of attributes.
type name [][]attribute

func parseName(der []byte) (name, error) {
	in := cryptobyte.String(der)
	var rdns cryptobyte.String
	if !in.ReadASN1(&rdns, asn1.SEQUENCE) || !in.Empty() {
		return nil, errors.New("malformed")
	}
	var n name
	for !rdns.Empty() {
		var set cryptobyte.String
		if !rdns.ReadASN1(&set, asn1.SET) || set.Empty() {
			return nil, errors.New("malformed")
		}
		var rdn []attribute
		for !set.Empty() {
			a, err := readAttribute(&set)
			if err != nil {
				return nil, err
			}
			rdn = append(rdn, a)
		}
		n = append(n, rdn)
	}
	return n, nil
}

func readAttribute(set *cryptobyte.String) (attribute, error) {
	var a attribute
	var in, full, value cryptobyte.String
	var tag asn1.Tag
	if !set.ReadASN1(&in, asn1.SEQUENCE) {
		return a, errors.New("malformed")
	}
	oid, ok := readOID(&in)
	if !ok || !in.ReadAnyASN1Element(&full, &tag) || !in.Empty() {
		return a, errors.New("malformed")
	}
	a.oid = oid
	element := full
	if !element.ReadAnyASN1(&value, &tag) {
		return a, errors.New("malformed")
	}
	text, known, err := decodeText(tag, value)
	if err != nil {
		return a, fmt.Errorf("attribute %s: %w", oid, err)
	}
	if known {
		a.text = text
	} else {
		a.der = full
	}
	return a, nil
}

// decodeText turns the string types of X.520 into UTF-8.
func decodeText(tag asn1.Tag, b []byte) (text string, known bool, err error) {
	switch tag {
	case asn1.UTF8String:
		if !utf8.Valid(b) {
			return "", true, errors.New("not UTF-8")
		}
		return string(b), true, nil
	case asn1.PrintableString, asn1.IA5String, asn1.Tag(18), asn1.Tag(26): // NumericString, VisibleString
		if slices.ContainsFunc(b, func(c byte) bool { return c > 0x7f }) {
			return "", true, errors.New("not ASCII")
		}
		return string(b), true, nil
	case asn1.T61String: // in practice Latin-1
		runes := make([]rune, len(b))
		for i, c := range b {
			runes[i] = rune(c)
		}
		return string(runes), true, nil
	case asn1.Tag(30): // BMPString
		if len(b)%2 != 0 {
			return "", true, errors.New("half a character")
		}
		units := make([]uint16, len(b)/2)
		for i := range units {
			units[i] = binary.BigEndian.Uint16(b[2*i:])
		}
		text := string(utf16.Decode(units))
		if strings.ContainsRune(text, utf8.RuneError) {
			return "", true, errors.New("not Unicode")
		}
		return text, true, nil
	default:
		return "", false, nil
	}
}

// values are those of all attributes of one type. A control character in one
// is an error: no issuer means it, and readers differ in what they make of it.
func (n name) values(oid string) ([]string, error) {
	var all []string
	for _, rdn := range n {
		for _, a := range rdn {
			if a.oid != oid {
				continue
			}
			if a.der != nil {
				return nil, errors.New("not text")
			}
			if strings.ContainsFunc(a.text, unicode.IsControl) {
				return nil, errors.New("it holds a control character")
			}
			all = append(all, a.text)
		}
	}
	return all, nil
}

// String is the form of RFC 4514, most specific part first.
func (n name) String() string {
	var b strings.Builder
	for i, rdn := range slices.Backward(n) {
		if i < len(n)-1 {
			b.WriteByte(',')
		}
		for j, a := range rdn {
			if j > 0 {
				b.WriteByte('+')
			}
			if short, ok := attributeNames[a.oid]; ok {
				b.WriteString(short)
			} else {
				b.WriteString(a.oid)
			}
			b.WriteByte('=')
			if a.der != nil {
				b.WriteString("#" + hex.EncodeToString(a.der))
			} else {
				writeEscaped(&b, a.text)
			}
		}
	}
	return b.String()
}

// writeEscaped escapes as RFC 4514 section 2.4 demands, and beyond that "=" and
// all that is not printable: an expression that looks for "OU=admin" in the
// whole must not find it inside of somebody's common name.
func writeEscaped(b *strings.Builder, s string) {
	for i, r := range s {
		first, last := i == 0, i+utf8.RuneLen(r) == len(s)
		switch {
		case strings.ContainsRune(`,+"\<>;=`, r), r == '#' && first, r == ' ' && (first || last):
			b.WriteByte('\\')
			b.WriteRune(r)
		case !unicode.IsPrint(r):
			for _, c := range []byte(string(r)) {
				fmt.Fprintf(b, `\%02X`, c)
			}
		default:
			b.WriteRune(r)
		}
	}
}

// nameText is the form of RFC 4514 of a name that may be malformed, for people.
func nameText(der []byte) string {
	n, err := parseName(der)
	if err != nil {
		return "a malformed name"
	}
	if s := n.String(); len(s) <= 200 {
		return `"` + s + `"`
	}
	return `"` + strings.ToValidUTF8(n.String()[:200], "") + `..."`
}
