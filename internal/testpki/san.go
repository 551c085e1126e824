package testpki

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
)

// Name is one GeneralName (RFC 5280 section 4.2.1.6) in DER. Nothing is
// checked: it may well be malformed.
type Name []byte

// The kinds of names that are primitive.
const (
	TagEmail = 1
	TagDNS   = 2
	TagURI   = 6
	TagIP    = 7
)

// Plain makes a name of a primitive kind.
func Plain(tag int, value string) Name {
	return mustDER(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, Bytes: []byte(value)})
}

// EmailName makes an rfc822Name.
func EmailName(s string) Name { return Plain(TagEmail, s) }

// URIName makes a uniformResourceIdentifier.
func URIName(s string) Name { return Plain(TagURI, s) }

// UPNName makes an otherName with a Microsoft user principal name.
func UPNName(s string) Name {
	return OtherName("1.3.6.1.4.1.311.20.2.3", Value(asn1.TagUTF8String, s))
}

// Value makes a primitive value of a universal type.
func Value(tag int, value string) []byte {
	return mustDER(asn1.RawValue{Tag: tag, Bytes: []byte(value)})
}

// OtherName makes an otherName: its type, and [0] around the values, of which
// there should be one.
func OtherName(oid string, values ...[]byte) Name {
	inner := asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: slices.Concat(values...)}
	return mustDER(asn1.RawValue{
		Class: asn1.ClassContextSpecific, IsCompound: true,
		Bytes: append(mustDER(OID(oid)), mustDER(inner)...),
	})
}

// SANValue makes the value of a subjectAltName extension.
func SANValue(names ...Name) []byte {
	var all []byte
	for _, n := range names {
		all = append(all, n...)
	}
	return mustDER(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: all})
}

// SAN adds a subjectAltName extension of those names, and of no others.
func SAN(names ...Name) Edit { return Extension("2.5.29.17", false, SANValue(names...)) }

// CriticalSAN is SAN, marked critical.
func CriticalSAN(names ...Name) Edit { return Extension("2.5.29.17", true, SANValue(names...)) }

// SID adds Microsoft's security identifier extension.
func SID(sid string) Edit {
	return Extension("1.3.6.1.4.1.311.25.2", false, SANValue(OtherName("1.3.6.1.4.1.311.25.2.1", Value(asn1.TagOctetString, sid))))
}

// Extension adds one with a value that nobody looks at; it replaces what the
// template's fields would give.
func Extension(oid string, critical bool, value []byte) Edit {
	return func(c *x509.Certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: OID(oid), Critical: critical, Value: value})
	}
}

// Attribute adds an attribute to the subject, after the other kinds that are
// there: a common name given so replaces the one that a leaf is made with.
func Attribute(oid, value string) Edit {
	return func(c *x509.Certificate) {
		c.Subject.ExtraNames = append(c.Subject.ExtraNames, pkix.AttributeTypeAndValue{Type: OID(oid), Value: value})
	}
}

// OID reads the dotted form.
func OID(s string) asn1.ObjectIdentifier {
	oid, err := x509.ParseOID(s)
	if err != nil {
		panic(err)
	}
	der, err := oid.MarshalBinary()
	if err != nil {
		panic(err)
	}
	var id asn1.ObjectIdentifier
	if _, err := asn1.Unmarshal(Value(asn1.TagOID, string(der)), &id); err != nil {
		panic(err)
	}
	return id
}

func mustDER(v any) []byte {
	der, err := asn1.Marshal(v)
	if err != nil {
		panic(err)
	}
	return der
}
