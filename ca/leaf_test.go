package ca

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sshmint/sshmint/internal/testpki"
)

func TestLeaf(t *testing.T) {
	root := testpki.NewRoot(t, "Corp Root")
	id := root.Leaf(t, "Smith, John",
		testpki.Attribute(oidOrganizationalUnit, "Ops"), testpki.Attribute(oidOrganizationalUnit, "Dev+Sec"),
		testpki.SAN(testpki.EmailName("j@x.example"), goodUPN, testpki.EmailName("john@x.example"), dns("h.x.example"),
			testpki.URIName("urn:uuid:1"), fascn(25), testpki.Plain(testpki.TagIP, "\x7f\x00\x00\x01"),
			asContext(4, true, []byte("\x30\x00")), testpki.OtherName("1.3.6.1.5.2.2", testpki.Value(asn1.TagUTF8String, "x"))),
		testpki.SID(sid1), policy("2.16.840.1.101.3.2.1.3.13"), ekuOIDs(idSSH, "1.2.3.4"),
		func(c *x509.Certificate) { c.SerialNumber = big.NewInt(0xabc) })
	l, err := parseLeaf(id.Leaf())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ what, got, want string }{
		{"subject", l.Subject, `OU=Dev\+Sec,OU=Ops,CN=Smith\, John`},
		{"issuer", l.Issuer, "CN=Corp Root"},
		{"serial", l.Serial, "0abc"},
		{"common names", strings.Join(l.CommonNames, "|"), "Smith, John"},
		{"organizational units", strings.Join(l.OrganizationalUnits, "|"), "Ops|Dev+Sec"},
		{"emails", strings.Join(l.Emails, "|"), "j@x.example|john@x.example"},
		{"UPNs", strings.Join(l.UPNs, "|"), "alice@corp.example.com"},
		{"URIs", strings.Join(l.URIs, "|"), "urn:uuid:1"},
		{"DNS names", strings.Join(l.DNSNames, "|"), "h.x.example"},
		{"FASC-Ns", strings.Join(l.FASCNs, "|"), strings.Repeat("01", 25)},
		{"usages", strings.Join(l.EKU, "|"), "secureShellClient|1.2.3.4"},
		{"policies", strings.Join(l.Policies, "|"), "2.16.840.1.101.3.2.1.3.13"},
		{"SID", l.SID, sid1},
		{"SPKI", l.SPKISHA256, hash(id.Leaf().RawSubjectPublicKeyInfo)},
		{"issuer hash", l.IssuerSHA256, hash(root.Cert.RawSubject)},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %s, want %s", c.what, c.got, c.want)
		}
	}
}

// x509.ParseCertificate refuses these, so that they are made by hand.
func TestLeafThatX509WouldNotPass(t *testing.T) {
	good := testpki.NewRoot(t, "R").Leaf(t, "alice").Leaf()
	twice := pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: []byte{5, 0}}
	for _, c := range []struct {
		says string
		edit testpki.Edit
	}{
		{"twice", func(c *x509.Certificate) { c.Extensions = append(slices.Clone(c.Extensions), twice, twice) }},
		{"negative", func(c *x509.Certificate) { c.SerialNumber = big.NewInt(-1) }},
		{"21 bytes", func(c *x509.Certificate) { c.SerialNumber = new(big.Int).Lsh(big.NewInt(1), 160) }},
		{"subject: malformed", func(c *x509.Certificate) { c.RawSubject = c.RawSubject[1:] }},
		{"issuer: malformed", func(c *x509.Certificate) { c.RawIssuer = append(slices.Clone(c.RawIssuer), 0) }},
		{"not UTF-8", func(c *x509.Certificate) { c.RawSubject = rdn(asn1.TagUTF8String, "\xff") }},
		{"not ASCII", func(c *x509.Certificate) { c.RawSubject = rdn(asn1.TagPrintableString, "\xe9") }},
		{"half a character", func(c *x509.Certificate) { c.RawSubject = rdn(asn1.TagBMPString, "a") }},
		{"not Unicode", func(c *x509.Certificate) { c.RawSubject = rdn(asn1.TagBMPString, "\xd8\x00") }},
		{"not text", func(c *x509.Certificate) { c.RawSubject = rdn(asn1.TagInteger, "\x01") }},
	} {
		bad := *good
		c.edit(&bad)
		if _, err := parseLeaf(&bad); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("got %v, want %q", err, c.says)
		}
	}
	if _, err := parseLeaf(good); err != nil {
		t.Errorf("without a flaw: %v", err)
	}
}

// rdn is a name of one common name.
func rdn(tag int, value string) []byte {
	wrap := func(tag int, parts ...[]byte) []byte {
		der, err := asn1.Marshal(asn1.RawValue{Tag: tag, IsCompound: true, Bytes: slices.Concat(parts...)})
		if err != nil {
			panic(err)
		}
		return der
	}
	oid := testpki.Value(asn1.TagOID, "\x55\x04\x03")
	return wrap(asn1.TagSequence, wrap(asn1.TagSet, wrap(asn1.TagSequence, oid, testpki.Value(tag, value))))
}

func TestStringTypes(t *testing.T) {
	for _, c := range []struct {
		tag         int
		value, want string
	}{
		{asn1.TagUTF8String, "J\u00f6rg", "CN=J\u00f6rg"},
		{asn1.TagT61String, "J\xf6rg", "CN=J\u00f6rg"},
		{asn1.TagBMPString, "\x00J\x00\xf6", "CN=J\u00f6"},
		{asn1.TagNumericString, "42", "CN=42"},
		{asn1.TagInteger, "\x01", "CN=#020101"},
		{asn1.TagUTF8String, " #a ", `CN=\ #a\ `},
		{asn1.TagUTF8String, "#a", `CN=\#a`},
		{asn1.TagUTF8String, " ", `CN=\ `},
		{asn1.TagUTF8String, "a<b>;\"\\", `CN=a\<b\>\;\"\\`},
		{asn1.TagUTF8String, "a\n\u202eb", `CN=a\0A\E2\80\AEb`},
	} {
		n, err := parseName(rdn(c.tag, c.value))
		if err != nil || n.String() != c.want {
			t.Errorf("%d %q: got %s, %v, want %s", c.tag, c.value, n, err, c.want)
		}
	}
}

// TestSubjectAsOpenSSL holds subjects against a reader that is not ours.
func TestSubjectAsOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("SSHMINT_REQUIRE_ALL") == "1" {
			t.Fatal(err)
		}
		t.Skip("openssl is not installed")
	}
	root := testpki.NewRoot(t, "Corp Root")
	for _, cn := range []string{"alice", "Smith, John", `a+b"c\d<e>f;g`, "#x", " x ", "J\u00f6rg", "a,OU"} {
		leaf := root.Leaf(t, "", testpki.Attribute("2.5.4.6", "DE"), testpki.Attribute("0.9.2342.19200300.100.1.25", "x"),
			testpki.Attribute(oidEmailAttribute, "a@x"), testpki.Attribute("2.5.4.5", "7"), testpki.Attribute(oidCommonName, cn)).Leaf()
		path := filepath.Join(t.TempDir(), "leaf.pem")
		if err := os.WriteFile(path, testpki.PEM(leaf), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(openssl, "x509", "-in", path, "-noout", "-subject", "-nameopt", "RFC2253,-esc_msb").Output()
		if err != nil {
			t.Fatal(err)
		}
		want := strings.TrimSuffix(strings.TrimPrefix(string(out), "subject="), "\n")
		l, err := parseLeaf(leaf)
		if err != nil {
			t.Fatal(err)
		}
		if l.Subject != want {
			t.Errorf("got %s, openssl says %s", l.Subject, want)
		}
	}
}

// FuzzName: nothing makes the parser of names panic, and the text that it makes
// never has more attributes than the name.
func FuzzName(f *testing.F) {
	f.Add(rdn(asn1.TagUTF8String, "a,OU=b"))
	f.Add(rdn(asn1.TagBMPString, "\x00a"))
	f.Add(rdn(asn1.TagInteger, "\x01"))
	f.Fuzz(func(t *testing.T, der []byte) {
		n, err := parseName(der)
		if err != nil {
			return
		}
		attributes := 0
		for _, rdn := range n {
			attributes += len(rdn)
		}
		text := n.String()
		if got := strings.Count(text, "=") - strings.Count(text, `\=`); got != attributes {
			t.Errorf("%q has %d attributes and reads like %d", text, attributes, got)
		}
	})
}
