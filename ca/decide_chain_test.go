package ca

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"testing"
	"time"

	"github.com/sshmint/sshmint/internal/testpki"
	"github.com/sshmint/sshmint/internal/wire"
)

const (
	clientAuth  = x509.ExtKeyUsageClientAuth
	serverAuth  = x509.ExtKeyUsageServerAuth
	emailProt   = x509.ExtKeyUsageEmailProtection
	codeSigning = x509.ExtKeyUsageCodeSigning
	anyUsage    = x509.ExtKeyUsageAny
)

var plain = leaf("alice")

// below is a leaf of an intermediate authority that edits make.
func below(edits ...testpki.Edit) presents {
	return func(w *world) []*x509.Certificate {
		return w.root.Intermediate(w, "Corp Issuing", edits...).Leaf(w, "alice").Chain
	}
}

// belowKey is a leaf of an intermediate authority with a key.
func belowKey(key func(testing.TB) crypto.Signer, edits ...testpki.Edit) presents {
	return func(w *world) []*x509.Certificate {
		return w.root.IntermediateFor(w, key(w), "Corp Issuing", edits...).Leaf(w, "alice").Chain
	}
}

func withKey(key func(testing.TB) crypto.Signer) presents {
	return func(w *world) []*x509.Certificate { return w.mid.LeafFor(w, key(w), "alice").Chain }
}

func usage(u x509.KeyUsage) testpki.Edit { return func(c *x509.Certificate) { c.KeyUsage = u } }

func ekuOIDs(oids ...string) testpki.Edit {
	return func(c *x509.Certificate) {
		c.ExtKeyUsage = nil
		for _, s := range oids {
			c.UnknownExtKeyUsage = append(c.UnknownExtKeyUsage, testpki.OID(s))
		}
	}
}

func algorithm(a x509.SignatureAlgorithm) testpki.Edit {
	return func(c *x509.Certificate) { c.SignatureAlgorithm = a }
}

func pathLen(n int) testpki.Edit {
	return func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = n, n == 0 }
}

func rsaKey(bits int) func(testing.TB) crypto.Signer {
	return func(t testing.TB) crypto.Signer {
		k, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
}

func curveKey(c elliptic.Curve) func(testing.TB) crypto.Signer {
	return func(t testing.TB) crypto.Signer {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
}

const (
	idSSH       = "1.3.6.1.5.5.7.3.21"
	idSmartcard = "1.3.6.1.4.1.311.20.2.2"
	smartcard   = "[[trust]]\nname = 'corp'\nroots = 'corp.pem'\neku = ['smartcardLogon']\n[[rule]]\nname = 'r'\ntrust = 'corp'\ngrant = ['user']\n"
	optionalEKU = "[[trust]]\nname = 'corp'\nroots = 'corp.pem'\nrequire_eku = false\n[[rule]]\nname = 'r'\ntrust = 'corp'\ngrant = ['user']\n"
)

// refusedUsage are leaves of a trusted root that are not meant for this, or too
// weak.
var refusedUsage = []refused{
	{"no extended key usage", wire.WrongUsage, "no extended key usage", literal, leaf("alice", testpki.EKU()), plain},
	{"wrong extended key usage", wire.WrongUsage, "none of clientAuth, secureShellClient", literal, leaf("alice", testpki.EKU(emailProt)), leaf("alice", testpki.EKU(emailProt, clientAuth))},
	{"serverAuth only", wire.WrongUsage, "none of", literal, leaf("alice", testpki.EKU(serverAuth)), leaf("alice", testpki.EKU(serverAuth, clientAuth))},
	{"codeSigning only", wire.WrongUsage, "none of", literal, leaf("alice", testpki.EKU(codeSigning)), leaf("alice", ekuOIDs(idSSH))},
	{"wrong usage where none would do", wire.WrongUsage, "none of", optionalEKU, leaf("alice", testpki.EKU(serverAuth)), leaf("alice", testpki.EKU())},
	{"any usage", wire.WrongUsage, "none of", literal, leaf("alice", testpki.EKU(anyUsage)), leaf("alice", testpki.EKU(anyUsage, clientAuth))},
	{"clientAuth where smartcardLogon is asked for", wire.WrongUsage, "none of smartcardLogon", smartcard, plain, leaf("alice", ekuOIDs(idSmartcard))},
	{"usage narrowed by the intermediate", wire.WrongUsage, "does not let it issue", literal, below(testpki.EKU(emailProt)), below(testpki.EKU(anyUsage))},
	{
		"usage narrowed by two authorities", wire.WrongUsage, "does not let it issue", literal,
		narrowed(testpki.EKU(clientAuth), ekuOIDs(idSSH)), narrowed(testpki.EKU(clientAuth), testpki.EKU(clientAuth)),
	},
	{
		"usage narrowed away though the leaf names none", wire.WrongUsage, "does not let it issue", optionalEKU,
		belowThen(testpki.EKU(serverAuth), testpki.EKU()), belowThen(testpki.EKU(clientAuth), testpki.EKU()),
	},
	{"usage narrowed by the root", wire.WrongUsage, "does not let it issue", allRoots, under(func(w *world) *testpki.CA { return w.narrow }), under(func(w *world) *testpki.CA { return w.root })},
	{"keyEncipherment only", wire.WrongUsage, "digitalSignature", literal, leaf("alice", usage(x509.KeyUsageKeyEncipherment)), leaf("alice", usage(x509.KeyUsageKeyEncipherment|x509.KeyUsageDigitalSignature))},
	{"nonRepudiation only", wire.WrongUsage, "digitalSignature", literal, leaf("alice", usage(x509.KeyUsageContentCommitment)), leaf("alice", usage(x509.KeyUsageContentCommitment|x509.KeyUsageDigitalSignature))},
	{
		"empty key usage", wire.WrongUsage, "digitalSignature", literal,
		leaf("alice", usage(0), testpki.Extension(oidKeyUsage, true, []byte{3, 2, 7, 0})), leaf("alice", usage(0)),
	},
	{"CA:TRUE leaf", wire.WrongUsage, "an authority's", literal, leaf("alice", func(c *x509.Certificate) { c.IsCA = true }), plain},
	{"the root itself", wire.WrongUsage, "an authority's", literal, func(w *world) []*x509.Certificate { return []*x509.Certificate{w.root.Cert} }, plain},
	{"RSA 1024", wire.WrongUsage, "1024 bits", literal, withKey(rsaKey(1024)), withKey(rsaKey(2048))},
	{"P-224", wire.WrongUsage, "P-256", literal, withKey(curveKey(elliptic.P224())), withKey(curveKey(elliptic.P521()))},
	{"P-224 authority", wire.WrongUsage, "P-256", literal, belowKey(curveKey(elliptic.P224())), belowKey(curveKey(elliptic.P384()))},
	{"SHA-1 signature", wire.WrongUsage, "SHA1", literal, belowRSA(algorithm(x509.SHA1WithRSA)), belowRSA(algorithm(x509.SHA256WithRSA))},
	{"SHA-1 ECDSA signature", wire.WrongUsage, "SHA1", literal, leaf("alice", algorithm(x509.ECDSAWithSHA1)), leaf("alice", algorithm(x509.ECDSAWithSHA512))},
	{"SHA-1 signature on the intermediate", wire.WrongUsage, "issuing authority", literal, below(algorithm(x509.ECDSAWithSHA1)), below(algorithm(x509.ECDSAWithSHA384))},
	{"MD5 signature", wire.WrongUsage, "MD5", literal, withMD5, belowRSA(algorithm(x509.SHA256WithRSA))},
}

// narrowed puts two authorities between.
func narrowed(upper, lower testpki.Edit) presents {
	return func(w *world) []*x509.Certificate {
		return w.root.Intermediate(w, "Upper", upper).Intermediate(w, "Lower", lower).Leaf(w, "alice", ekuOIDs(idSSH), func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{clientAuth}
		}).Chain
	}
}

func belowThen(authority, leaf testpki.Edit) presents {
	return func(w *world) []*x509.Certificate {
		return w.root.Intermediate(w, "Corp Issuing", authority).Leaf(w, "alice", leaf).Chain
	}
}

func belowRSA(leaf testpki.Edit) presents {
	return func(w *world) []*x509.Certificate {
		return w.root.IntermediateFor(w, rsaKey(2048)(w), "Corp RSA").Leaf(w, "alice", leaf).Chain
	}
}

// withMD5 signs a leaf anew, which x509 would not.
func withMD5(w *world) []*x509.Certificate {
	issuer := w.root.IntermediateFor(w, rsaKey(2048)(w), "Corp RSA")
	chain := issuer.Leaf(w, "alice", algorithm(x509.SHA256WithRSA)).Chain
	sha256, md5OID := testpki.OID("1.2.840.113549.1.1.11"), testpki.OID("1.2.840.113549.1.1.4")
	null := asn1.RawValue{Tag: asn1.TagNull}
	from, to := derOf(w, pkix.AlgorithmIdentifier{Algorithm: sha256, Parameters: null}), derOf(w, pkix.AlgorithmIdentifier{Algorithm: md5OID, Parameters: null})
	tbs := replaceOnce(w, chain[0].RawTBSCertificate, from, to)
	sum := md5.Sum(tbs)
	signature, err := issuer.Key.Sign(rand.Reader, sum[:], crypto.MD5)
	if err != nil {
		w.Fatal(err)
	}
	der := derOf(w, struct {
		TBS       asn1.RawValue
		Algorithm asn1.RawValue
		Signature asn1.BitString
	}{asn1.RawValue{FullBytes: tbs}, asn1.RawValue{FullBytes: to}, asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}})
	return append([]*x509.Certificate{parse(w, der)}, chain[1:]...)
}

// refusedChains do not lead to the root, or not now.
var refusedChains = []refused{
	{"foreign root", wire.UntrustedIssuer, "does not lead to a root", literal, foreign("Foreign Root"), plain},
	{"foreign root of the same subject", wire.UntrustedIssuer, "does not lead to a root", literal, foreign("Corp Root"), plain},
	{
		"foreign root of the same subject and key id", wire.UntrustedIssuer, "does not lead to a root", literal,
		func(w *world) []*x509.Certificate {
			return testpki.NewRoot(w, "Corp Root", func(c *x509.Certificate) { c.SubjectKeyId = w.root.Cert.SubjectKeyId }).Intermediate(w, "Corp Issuing").Leaf(w, "alice").Chain
		}, plain,
	},
	{
		"foreign leaf with the genuine chain appended", wire.UntrustedIssuer, "does not lead to a root", literal,
		func(w *world) []*x509.Certificate {
			return slices.Concat(testpki.NewRoot(w, "Foreign").Leaf(w, "alice").Chain, w.mid.Chain, []*x509.Certificate{w.root.Cert})
		},
		func(w *world) []*x509.Certificate { return append(plain(w), w.root.Cert) },
	},
	{
		"foreign leaf that claims our issuer", wire.UntrustedIssuer, "does not lead to a root", literal,
		func(w *world) []*x509.Certificate {
			return append(testpki.NewRoot(w, "Corp Issuing").Leaf(w, "alice").Chain, w.mid.Cert)
		}, plain,
	},
	{"self-signed", wire.UntrustedIssuer, "self-signed", literal, selfSigned, plain},
	{"another trust's leaf", wire.NoRule, "no rule", twoTrusts, plain, under(func(w *world) *testpki.CA { return w.other })},
	{"intermediate not sent", wire.UntrustedIssuer, "must be sent along", literal, func(w *world) []*x509.Certificate { return plain(w)[:1] }, plain},
	{"wrong intermediate sent", wire.UntrustedIssuer, "ends with", literal, func(w *world) []*x509.Certificate {
		return []*x509.Certificate{w.mid.Leaf(w, "alice").Leaf(), testpki.NewRoot(w, "X").Intermediate(w, "Other").Cert}
	}, plain},
	{"leaf issued by a leaf", wire.UntrustedIssuer, "does not lead", literal, leafOf(func(*x509.Certificate) {}), leafOf(func(c *x509.Certificate) { c.IsCA = true; c.KeyUsage |= x509.KeyUsageCertSign })},
	{"authority without keyCertSign", wire.UntrustedIssuer, "does not lead", literal, leafOf(func(c *x509.Certificate) { c.IsCA = true }), leafOf(func(c *x509.Certificate) { c.IsCA = true; c.KeyUsage |= x509.KeyUsageCertSign })},
	{"tampered leaf", wire.UntrustedIssuer, "does not lead", literal, tamperedLeaf, plain},
	{"path length", wire.UntrustedIssuer, "path length", literal, func(w *world) []*x509.Certificate {
		return w.root.Intermediate(w, "Upper", pathLen(0)).Intermediate(w, "Lower").Leaf(w, "alice").Chain
	}, func(w *world) []*x509.Certificate {
		return w.root.Intermediate(w, "Upper", pathLen(1)).Intermediate(w, "Lower").Leaf(w, "alice").Chain
	}},
	{"expired", wire.IdentityExpired, "your certificate \"CN=alice\" expired at", literal, leaf("alice", dates(-48*time.Hour, -time.Second)), leaf("alice", dates(-48*time.Hour, time.Hour))},
	{"not yet valid", wire.IdentityExpired, "not yet valid: it begins at", literal, leaf("alice", dates(time.Minute, time.Hour)), leaf("alice", dates(-time.Minute, time.Hour))},
	{"expired intermediate", wire.IdentityExpired, "issuing authority \"CN=Corp Issuing\" expired", literal, below(dates(-48*time.Hour, -time.Hour)), below(dates(-48*time.Hour, time.Hour))},
	{"intermediate not yet valid", wire.IdentityExpired, "not yet valid", literal, below(dates(time.Hour, 48*time.Hour)), below(dates(-time.Hour, 48*time.Hour))},
	{"expired root", wire.IdentityExpired, "issuing authority \"CN=Old Root\" expired", allRoots, under(func(w *world) *testpki.CA { return w.old }), plain},
	{"unknown critical extension", wire.UntrustedIssuer, "critical extension", literal, leaf("alice", testpki.Extension("1.2.3.4", true, []byte{5, 0})), leaf("alice", testpki.Extension("1.2.3.4", false, []byte{5, 0}))},
	{"unknown critical extension of the intermediate", wire.UntrustedIssuer, "critical extension", literal, below(testpki.Extension("1.2.3.4", true, []byte{5, 0})), below(testpki.Extension("1.2.3.4", false, []byte{5, 0}))},
	{
		"critical names of unknown kinds alone", wire.UntrustedIssuer, "critical extension", literal,
		leaf("alice", testpki.CriticalSAN(testpki.OtherName("1.2.3.4", testpki.Value(asn1.TagUTF8String, "x")))),
		leaf("alice", testpki.CriticalSAN(goodUPN)),
	},
	{"policy demanded and not had", wire.UntrustedIssuer, "certificate policies", literal, belowThen(explicitPolicy, func(*x509.Certificate) {}), belowThen(explicitPolicy, policy("1.2.3.5"))},
	{"policy that the authority does not stand for", wire.NoRule, "no rule", byPolicy, belowThen(policy("1.2.3.6"), policy("1.2.3.5")), belowThen(policy("1.2.3.5"), policy("1.2.3.5"))},
	{"policy that any policy stands for, where that is inhibited", wire.NoRule, "no rule", byPolicy, belowTwo(noAnyPolicy, policy("2.5.29.32.0")), belowTwo(noAnyPolicy, policy("1.2.3.5"))},
	{"policy that is mapped to another", wire.NoRule, "no rule", byPolicy, belowTwo(mapped, policy("1.2.3.5")), belowTwo(policy("1.2.3.5"), policy("1.2.3.5"))},
}

const (
	byPolicy  = trustCorp + "[[rule]]\nname = 'r'\ntrust = 'corp'\nmatch = '\"1.2.3.5\" in cert.policies'\ngrant = ['user']\n"
	twoTrusts = trustCorp + "[[trust]]\nname = 'other'\nroots = 'other.pem'\n[[rule]]\nname = 'r'\ntrust = 'other'\ngrant = ['user']\n"
	allRoots  = "[[trust]]\nname = 'corp'\nroots = 'all.pem'\n[[rule]]\nname = 'r'\ntrust = 'corp'\ngrant = ['user']\n"
)

func dates(from, to time.Duration) testpki.Edit {
	now := time.Now()
	return testpki.Dates(now.Add(from), now.Add(to))
}

func under(root func(*world) *testpki.CA) presents {
	return func(w *world) []*x509.Certificate { return root(w).Leaf(w, "alice").Chain }
}

func foreign(name string) presents {
	return func(w *world) []*x509.Certificate {
		return testpki.NewRoot(w, name).Intermediate(w, "Corp Issuing").Leaf(w, "alice").Chain
	}
}

func selfSigned(w *world) []*x509.Certificate {
	return []*x509.Certificate{testpki.NewRoot(w, "alice", func(c *x509.Certificate) {
		c.IsCA, c.KeyUsage, c.ExtKeyUsage = false, x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{clientAuth}
	}).Cert}
}

func leafOf(issuer testpki.Edit) presents {
	return func(w *world) []*x509.Certificate {
		upper := w.mid.Leaf(w, "bob", issuer)
		lower := &testpki.CA{Cert: upper.Leaf(), Key: upper.Key, Chain: upper.Chain}
		return lower.Leaf(w, "alice").Chain
	}
}

func tamperedLeaf(w *world) []*x509.Certificate {
	chain := plain(w)
	der := slices.Clone(chain[0].Raw)
	der[len(der)-1] ^= 1
	chain[0] = parse(w, der)
	return chain
}

func policy(oids ...string) testpki.Edit {
	return func(c *x509.Certificate) {
		for _, s := range oids {
			oid, err := x509.ParseOID(s)
			if err != nil {
				panic(err)
			}
			c.Policies = append(c.Policies, oid)
		}
	}
}

// explicitPolicy demands one of every certificate below: policyConstraints with
// requireExplicitPolicy 0 (RFC 5280 section 4.2.1.11).
func explicitPolicy(c *x509.Certificate) {
	policy("1.2.3.5")(c)
	testpki.Extension("2.5.29.36", true, []byte{0x30, 3, 0x80, 1, 0})(c)
}

// noAnyPolicy has inhibitAnyPolicy 0 (RFC 5280 section 4.2.1.14).
func noAnyPolicy(c *x509.Certificate) {
	policy("1.2.3.5")(c)
	testpki.Extension("2.5.29.54", true, []byte{2, 1, 0})(c)
}

// mapped maps 1.2.3.5 to 1.2.3.6 (RFC 5280 section 4.2.1.5).
func mapped(c *x509.Certificate) {
	policy("1.2.3.5")(c)
	testpki.Extension("2.5.29.33", true, []byte("\x30\x0c\x30\x0a\x06\x03\x2a\x03\x05\x06\x03\x2a\x03\x06"))(c)
}

// belowTwo is a leaf with the policy 1.2.3.5 below two authorities.
func belowTwo(upper, lower testpki.Edit) presents {
	return func(w *world) []*x509.Certificate {
		return w.root.Intermediate(w, "Upper", upper).Intermediate(w, "Lower", lower).Leaf(w, "alice", policy("1.2.3.5")).Chain
	}
}

func derOf(t testing.TB, v any) []byte {
	t.Helper()
	der, err := asn1.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func parse(t testing.TB, der []byte) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func replaceOnce(t testing.TB, in, from, to []byte) []byte {
	t.Helper()
	if n := bytes.Count(in, from); n != 1 || len(from) != len(to) {
		t.Fatalf("found %d times", n)
	}
	return bytes.Replace(in, from, to, 1)
}
