package altname

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sshmint/sshmint/internal/testpki"
)

func TestOf(t *testing.T) {
	root := testpki.NewRoot(t, "Corp Root")
	names, err := Of(root.Leaf(t, "alice", testpki.UPN("alice@a", "alice@b")).Leaf())
	if err != nil || !slices.Equal(names.UPNs, []string{"alice@a", "alice@b"}) || !names.Understood() {
		t.Errorf("%+v, %v", names, err)
	}
	names, err = Of(root.Leaf(t, "alice").Leaf())
	if err != nil || names.Understood() {
		t.Errorf("without the extension: %+v, %v", names, err)
	}
}

// FuzzSAN: nothing makes the parser panic, and where x509 reads the extension
// too, both read the same names. x509 may well accept what we refuse.
func FuzzSAN(f *testing.F) {
	for _, names := range [][]testpki.Name{
		nil,
		{testpki.EmailName("alice@corp.example.com")},
		{testpki.UPNName("alice@corp.example.com"), testpki.EmailName("a@b"), testpki.Plain(testpki.TagDNS, "h.example"), testpki.URIName("spiffe://x/y")},
		{testpki.Plain(testpki.TagIP, "\x7f\x00\x00\x01")},
		{testpki.EmailName("a\x00b")},
		slices.Repeat([]testpki.Name{testpki.Plain(testpki.TagDNS, "h")}, 65),
	} {
		f.Add(testpki.SANValue(names...))
	}
	f.Add([]byte{0x30, 0x80, 0x81, 0x01, 'a', 0, 0})
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now()}
	f.Fuzz(func(t *testing.T, value []byte) {
		names, err := Parse(value)
		if err != nil {
			return
		}
		tmpl := *template
		tmpl.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: value}}
		der, err := x509.CreateCertificate(rand.Reader, &tmpl, &tmpl, key.Public(), key)
		if err != nil {
			t.Skip()
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return // such a certificate does not come past the handshake
		}
		if !slices.Equal(names.Emails, cert.EmailAddresses) || !slices.Equal(names.DNSNames, cert.DNSNames) ||
			len(names.URIs) != len(cert.URIs) || names.IPs != len(cert.IPAddresses) {
			t.Errorf("we read %+v, x509 %q %q %v", names, cert.EmailAddresses, cert.DNSNames, cert.URIs)
		}
		for _, text := range slices.Concat(names.Emails, names.DNSNames, names.URIs, names.UPNs) {
			if text == "" || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
				t.Errorf("passed the name %q", text)
			}
		}
	})
}
