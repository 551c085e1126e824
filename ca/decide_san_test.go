package ca

import (
	"encoding/asn1"
	"slices"
	"strings"

	"github.com/sshmint/sshmint/internal/testpki"
	"github.com/sshmint/sshmint/internal/wire"
)

var (
	goodMail = testpki.EmailName("alice@corp.example.com")
	goodUPN  = testpki.UPNName("alice@corp.example.com")
)

const typeUPN = "1.3.6.1.4.1.311.20.2.3"

// beside puts a name beside the good one.
func beside(n testpki.Name) presents { return san(goodMail, n) }

// refusedSAN are names that are malformed. All are refused as a whole, though
// the rule needs nothing but the e-mail address, which is well.
var refusedSAN = []refused{
	{"empty e-mail address", wire.BadRequest, "is empty", literalSAN, beside(testpki.EmailName("")), beside(testpki.EmailName("a@x.example"))},
	{"empty DNS name", wire.BadRequest, "is empty", literalSAN, beside(testpki.Plain(testpki.TagDNS, "")), beside(testpki.Plain(testpki.TagDNS, "x.example"))},
	{"empty URI", wire.BadRequest, "is empty", literalSAN, beside(testpki.URIName("")), beside(testpki.URIName("urn:x:y"))},
	{"empty UPN", wire.BadRequest, "is empty", literalSAN, beside(testpki.UPNName("")), beside(testpki.UPNName("a@x.example"))},
	{"NUL in an e-mail address", wire.BadRequest, "byte 0x00", literalSAN, beside(testpki.EmailName("a\x00@x.example")), beside(testpki.EmailName("a@x.example"))},
	{"newline in an e-mail address", wire.BadRequest, "byte 0x0a", literalSAN, beside(testpki.EmailName("a\n@x.example")), beside(testpki.EmailName("a@x.example"))},
	{"NUL in a DNS name", wire.BadRequest, "byte 0x00", literalSAN, beside(testpki.Plain(testpki.TagDNS, "x\x00.example")), beside(testpki.Plain(testpki.TagDNS, "x.example"))},
	{"DEL in a DNS name", wire.BadRequest, "byte 0x7f", literalSAN, beside(testpki.Plain(testpki.TagDNS, "x\x7f.example")), beside(testpki.Plain(testpki.TagDNS, "x.example"))},
	{"NUL in a UPN", wire.BadRequest, "control character", literalSAN, beside(testpki.UPNName("a\x00@x.example")), beside(testpki.UPNName("a@x.example"))},
	{"C1 control in a UPN", wire.BadRequest, "control character", literalSAN, beside(testpki.UPNName("a\u0085@x.example")), beside(testpki.UPNName("a@x.example"))},
	{"UPN that is not UTF-8", wire.BadRequest, "not UTF-8", literalSAN, beside(testpki.UPNName("a\xff@x.example")), beside(testpki.UPNName("a@x.example"))},
	{"over-long UTF-8", wire.BadRequest, "not UTF-8", literalSAN, beside(testpki.UPNName("a\xc0\x80@x.example")), beside(testpki.UPNName("a@x.example"))},
	{"UPN as IA5String", wire.BadRequest, "UTF8String", literalSAN, other(testpki.Value(asn1.TagIA5String, "a@x.example")), other(testpki.Value(asn1.TagUTF8String, "a@x.example"))},
	{
		"two values in one UPN", wire.BadRequest, "malformed value", literalSAN,
		other(testpki.Value(asn1.TagUTF8String, "a@x.example"), testpki.Value(asn1.TagUTF8String, "root@x.example")), other(testpki.Value(asn1.TagUTF8String, "a@x.example")),
	},
	{"UPN without a value", wire.BadRequest, "malformed value", literalSAN, other(), other(testpki.Value(asn1.TagUTF8String, "a@x.example"))},
	{
		"UPN without its type", wire.BadRequest, "malformed otherName", literalSAN,
		beside(asContext(0, true, testpki.Value(asn1.TagUTF8String, "a@x.example"))), beside(testpki.UPNName("a@x.example")),
	},
	{
		"bytes after a UPN's value", wire.BadRequest, "malformed otherName", literalSAN,
		beside(asContext(0, true, slices.Concat(body(goodUPN), testpki.Value(asn1.TagUTF8String, "x")))), beside(asContext(0, true, body(goodUPN))),
	},
	{
		"bytes after the names", wire.BadRequest, "after its end", literalSAN,
		nameless(rawSAN(append(testpki.SANValue(goodMail), 5, 0))), nameless(rawSAN(testpki.SANValue(goodMail))),
	},
	{"no names at all", wire.BadRequest, "no names", literal, leaf("alice", testpki.SAN()), leaf("alice", testpki.SAN(goodMail))},
	{"unknown kind of name", wire.BadRequest, "unknown kind", literalSAN, beside(testpki.Plain(9, "x")), beside(testpki.Plain(8, "\x2a\x03"))},
	{"e-mail address of a constructed tag", wire.BadRequest, "unknown kind", literalSAN, beside(asContext(1, true, []byte("\x16\x01a"))), beside(testpki.EmailName("a@x.example"))},
	{"short FASC-N", wire.BadRequest, "25 bytes", literalSAN, beside(fascn(24)), beside(fascn(25))},
	{"malformed security identifier", wire.BadRequest, "security identifier", literal, leaf("alice", testpki.SID("S-1-5-21-1-2-3-1107;x")), leaf("alice", testpki.SID(sid1))},
	{"malformed security identifier in a URI", wire.BadRequest, "security identifier", literalSAN, beside(testpki.URIName(sidURIPrefix + "x")), beside(testpki.URIName(sidURIPrefix + sid1))},
	{
		"two security identifiers", wire.BadRequest, "two different", literalSAN,
		san(goodMail, testpki.URIName(sidURIPrefix+sid1), testpki.URIName(sidURIPrefix+sid2)), san(goodMail, testpki.URIName(sidURIPrefix+sid1), testpki.URIName(sidURIPrefix+sid1)),
	},
	{
		"security identifiers that differ", wire.BadRequest, "two different", literalSAN,
		nameless(testpki.SID(sid1), testpki.SAN(goodMail, testpki.URIName(sidURIPrefix+sid2))), nameless(testpki.SID(sid1), testpki.SAN(goodMail, testpki.URIName(sidURIPrefix+sid1))),
	},
	{"a name of 1025 bytes", wire.BadRequest, "more than 1024", literalSAN, beside(testpki.URIName("urn:" + strings.Repeat("x", 1021))), beside(testpki.URIName("urn:" + strings.Repeat("x", 1020)))},
}

// literalSAN asks for an e-mail address, so that the row is about a certificate
// that the rule does match.
const literalSAN = trustCorp + "[[rule]]\nname = 'r'\ntrust = 'corp'\nmatch = '\"alice@corp.example.com\" in cert.emails'\ngrant = ['user']\nperson = '\"p\"'\n"

func other(values ...[]byte) presents { return beside(testpki.OtherName(typeUPN, values...)) }

func fascn(size int) testpki.Name {
	return testpki.OtherName("2.16.840.1.101.3.6.6", testpki.Value(asn1.TagOctetString, strings.Repeat("\x01", size)))
}

func rawSAN(value []byte) testpki.Edit { return testpki.Extension("2.5.29.17", false, value) }

func asContext(tag int, constructed bool, content []byte) testpki.Name {
	der, err := asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, IsCompound: constructed, Bytes: content})
	if err != nil {
		panic(err)
	}
	return der
}

// body is what is inside of a name's own tag.
func body(n testpki.Name) []byte {
	var v asn1.RawValue
	if _, err := asn1.Unmarshal(n, &v); err != nil {
		panic(err)
	}
	return v.Bytes
}
