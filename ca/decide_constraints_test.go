package ca

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"math/big"
	"net"
	"slices"

	"github.com/sshmint/sshmint/internal/testpki"
	"github.com/sshmint/sshmint/internal/wire"
)

func onlyCorpMail(c *x509.Certificate) {
	c.PermittedDNSDomainsCritical = true
	c.PermittedEmailAddresses = []string{"corp.example.com"}
}

func noEvilMail(c *x509.Certificate) {
	c.PermittedDNSDomainsCritical = true
	c.ExcludedEmailAddresses = []string{"evil.example"}
}

func onlyCorpHosts(c *x509.Certificate) {
	c.PermittedDNSDomainsCritical = true
	c.PermittedDNSDomains = []string{"corp.example.com"}
	c.PermittedURIDomains = []string{"corp.example.com"}
	_, network, _ := net.ParseCIDR("192.0.2.0/24")
	c.PermittedIPRanges = []*net.IPNet{network}
}

// onlyOrg permits the directory names below O=Corp alone, of which Go enforces
// nothing.
func onlyOrg(critical bool) testpki.Edit {
	org := []byte("\x30\x0f\x31\x0d\x30\x0b\x06\x03\x55\x04\x0a\x0c\x04Corp")
	base := asContext(4, true, org)
	subtree := testpki.SANValue(testpki.Name(base))
	return testpki.Extension(oidNameConstraints, critical, testpki.SANValue(testpki.Name(asContext(0, true, subtree))))
}

// dept is a leaf below an authority with constraints; freely one below an
// authority without.
func dept(constraints testpki.Edit, cn string, edits ...testpki.Edit) presents {
	return func(w *world) []*x509.Certificate {
		return w.root.Intermediate(w, "Corp Dept", constraints).Leaf(w, cn, edits...).Chain
	}
}

func freely(cn string, edits ...testpki.Edit) presents {
	return dept(func(*x509.Certificate) {}, cn, edits...)
}

const (
	anyone = trustCorp + "[[rule]]\nname = 'r'\ntrust = 'corp'\ngrant = ['user']\nperson = '\"p\"'\n"
	corpCN = "[[trust]]\nname = 'corp'\nroots = 'all.pem'\n[[rule]]\nname = 'r'\ntrust = 'corp'\nprincipals = 'cert.common_names'\nperson = '\"p\"'\n"
)

// matching is a rule for those whom an expression is true of.
func matching(expression string) string {
	return trustCorp + "[[rule]]\nname = 'r'\ntrust = 'corp'\nmatch = '" + expression + "'\ngrant = ['user']\nperson = '\"p\"'\n"
}

// refusedConstraints are leaves below authorities that may not speak for all.
var refusedConstraints = []refused{
	{"e-mail address outside of the permitted", wire.UntrustedIssuer, "name constraints", anyone, dept(onlyCorpMail, "", testpki.Email("alice@evil.example")), dept(onlyCorpMail, "", testpki.Email("alice@corp.example.com"))},
	{"excluded e-mail address", wire.UntrustedIssuer, "name constraints", anyone, dept(noEvilMail, "", testpki.Email("alice@evil.example")), dept(noEvilMail, "", testpki.Email("alice@corp.example.com"))},
	{
		"second e-mail address outside of the permitted", wire.UntrustedIssuer, "name constraints", anyone,
		dept(onlyCorpMail, "", testpki.Email("alice@corp.example.com", "alice@evil.example")), dept(onlyCorpMail, "", testpki.Email("alice@corp.example.com", "bob@corp.example.com")),
	},
	{"DNS name outside of the permitted", wire.UntrustedIssuer, "name constraints", anyone, dept(onlyCorpHosts, "", testpki.SAN(dns("h.evil.example"))), dept(onlyCorpHosts, "", testpki.SAN(dns("h.corp.example.com")))},
	{"URI outside of the permitted", wire.UntrustedIssuer, "name constraints", anyone, dept(onlyCorpHosts, "", testpki.SAN(testpki.URIName("spiffe://evil.example/x"))), dept(onlyCorpHosts, "", testpki.SAN(testpki.URIName("spiffe://h.corp.example.com/x")))},
	{
		"IP address outside of the permitted", wire.UntrustedIssuer, "name constraints", anyone,
		dept(onlyCorpHosts, "", testpki.SAN(testpki.Plain(testpki.TagIP, "\xc6\x33\x64\x01"))), dept(onlyCorpHosts, "", testpki.SAN(testpki.Plain(testpki.TagIP, "\xc0\x00\x02\x01"))),
	},
	{"URI without a host under constraints of URIs", wire.UntrustedIssuer, "name constraints", anyone, dept(onlyCorpHosts, "", testpki.SAN(testpki.URIName("urn:uuid:1"))), freely("", testpki.SAN(testpki.URIName("urn:uuid:1")))},
	{
		"foreign address beside a URI without a host", wire.UntrustedIssuer, "name constraints", anyone,
		dept(onlyCorpMail, "", testpki.SAN(testpki.EmailName("a@evil.example"), testpki.URIName("urn:uuid:1"))), dept(onlyCorpMail, "", testpki.SAN(testpki.EmailName("a@corp.example.com"), testpki.URIName("urn:uuid:1"))),
	},
	{"directory names constrained, critically", wire.UntrustedIssuer, "critical extension", anyone, dept(onlyOrg(true), "", testpki.Email("a@x.example")), dept(onlyOrg(false), "", testpki.Email("a@x.example"))},

	// What Go does not hold against constraints does not count under them.
	{"common name under a constrained authority", wire.PrincipalRefused, "no principal", corpCN, dept(onlyCorpMail, "alice"), freely("alice")},
	{"common name under a constrained root", wire.PrincipalRefused, "no principal", corpCN, func(w *world) []*x509.Certificate { return w.tight.Leaf(w, "alice").Chain }, freely("alice")},
	{"common name under constraints of directory names", wire.PrincipalRefused, "no principal", corpCN, dept(onlyOrg(false), "alice"), freely("alice")},
	{
		"common name two below a constrained authority", wire.PrincipalRefused, "no principal", corpCN,
		twoBelow(onlyCorpMail), twoBelow(func(*x509.Certificate) {}),
	},
	{"UPN under a constrained authority", wire.PrincipalRefused, "no principal", byUPN, dept(onlyCorpMail, "", testpki.UPN("alice@corp.example.com")), freely("", testpki.UPN("alice@corp.example.com"))},
	{"person from a common name under a constrained authority", wire.RefusedByRule, "cannot tell whose", literal, dept(onlyCorpMail, "alice"), freely("alice")},
	{
		"OU under a constrained authority", wire.NoRule, "no rule", matching(`"admin" in cert.organizational_units`),
		dept(onlyCorpMail, "a", testpki.Attribute(oidOrganizationalUnit, "admin")), freely("a", testpki.Attribute(oidOrganizationalUnit, "admin")),
	},
	{"subject under a constrained authority", wire.NoRule, "no rule", matching(`cert.subject == "CN=alice"`), dept(onlyCorpMail, "alice"), freely("alice")},
	{"issuer that a constrained authority made up", wire.NoRule, "no rule", matching(`cert.issuer == "CN=Lower"`), twoBelow(onlyCorpMail), twoBelow(func(*x509.Certificate) {})},
	{"security identifier under a constrained authority", wire.NoRule, "no rule", matching(`cert.sid == "` + sid1 + `"`), dept(onlyCorpMail, "a", testpki.SID(sid1)), freely("a", testpki.SID(sid1))},
	{"FASC-N under a constrained authority", wire.NoRule, "no rule", matching(`size(cert.fasc_ns) == 1`), dept(onlyCorpMail, "a", testpki.SAN(fascn(25))), freely("a", testpki.SAN(fascn(25)))},
}

func dns(s string) testpki.Name { return testpki.Plain(testpki.TagDNS, s) }

func twoBelow(constraints testpki.Edit) presents {
	return func(w *world) []*x509.Certificate {
		return w.root.Intermediate(w, "Upper", constraints).Intermediate(w, "Lower").Leaf(w, "alice").Chain
	}
}

// refusedSizes are refused before anything is verified.
var refusedSizes = []refused{
	{"no certificate", wire.IdentityRequired, "no client certificate", literal, func(*world) []*x509.Certificate { return nil }, plain},
	{"9 certificates", wire.BadRequest, "at most 8", literal, padded(9), padded(8)},
	{"500 certificates", wire.BadRequest, "at most 8", literal, padded(500), padded(2)},
	{"more than 32 KiB", wire.BadRequest, "at most 32768", literal, fat(17 << 10), fat(14 << 10)},
	{"65 names", wire.BadRequest, "more than 64 names", anyone, names(65), names(64)},
	{"6,000 names", wire.BadRequest, "at most 32768", anyone, names(6000), names(64)},
	{"RSA 16384 among the authorities", wire.BadRequest, "16384 bits", literal, hugeKey(16384), hugeKey(4096)},
}

// padded sends the intermediate many times over.
func padded(n int) presents {
	return func(w *world) []*x509.Certificate {
		chain := plain(w)
		return append(chain, slices.Repeat([]*x509.Certificate{w.mid.Cert}, n-len(chain))...)
	}
}

// fat sends two certificates with an extension of that many bytes.
func fat(size int) presents {
	return func(w *world) []*x509.Certificate {
		ballast, err := asn1.Marshal(make([]byte, size))
		if err != nil {
			w.Fatal(err)
		}
		edit := testpki.Extension("1.2.3.4", false, ballast)
		return w.root.Intermediate(w, "Corp Issuing", edit).Leaf(w, "alice", edit).Chain
	}
}

func names(n int) presents {
	all := make([]testpki.Name, n)
	for i := range all {
		all[i] = dns(fmt.Sprintf("h%d.example", i))
	}
	return san(all...)
}

// hugeKey sends along an authority that is named like the leaf's issuer, so
// that a verifier would try its key.
func hugeKey(bits int) presents {
	return func(w *world) []*x509.Certificate {
		n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
		n.SetBit(n, 0, 1)
		chain := plain(w)
		huge := w.mid.LeafFor(w, publicKey{w.mid.Key, &rsa.PublicKey{N: n, E: 65537}}, "Corp Issuing", func(c *x509.Certificate) { c.IsCA = true })
		return append(chain, huge.Leaf())
	}
}
