package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sshmint/sshmint/internal/testpki"
)

func keyOf[K crypto.Signer](t testing.TB) func(K, error) crypto.Signer {
	t.Helper()
	return func(k K, err error) crypto.Signer {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
}

func rsaKey(t testing.TB, bits int) crypto.Signer {
	t.Helper()
	return keyOf[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, bits))
}

func ecKey(t testing.TB, curve elliptic.Curve) crypto.Signer {
	t.Helper()
	return keyOf[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(curve, rand.Reader))
}

func edKey(t testing.TB) crypto.Signer {
	t.Helper()
	_, k, err := ed25519.GenerateKey(rand.Reader)
	return keyOf[ed25519.PrivateKey](t)(k, err)
}

// write puts a file of mode 0600 into a folder of its own.
func write(t testing.TB, name string, parts ...[]byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	put(t, path, parts...)
	return path
}

func put(t testing.TB, path string, parts ...[]byte) {
	t.Helper()
	var all []byte
	for _, p := range parts {
		all = append(all, p...)
	}
	if err := os.WriteFile(path, all, 0o600); err != nil {
		t.Fatal(err)
	}
}

func usage(u x509.KeyUsage) testpki.Edit { return func(c *x509.Certificate) { c.KeyUsage = u } }

func unknownEKU(oids ...asn1.ObjectIdentifier) testpki.Edit {
	return func(c *x509.Certificate) { c.ExtKeyUsage, c.UnknownExtKeyUsage = nil, oids }
}

// Every flaw stands beside a twin that differs in nothing else.
func TestLeaf(t *testing.T) {
	root := testpki.NewRoot(t, "Root")
	year := 365 * 24 * time.Hour
	now := time.Now()
	for name, c := range map[string]struct {
		leaf *testpki.Identity
		want string // part of the error, or "" where the leaf is good
	}{
		"plain":                {root.Leaf(t, "alice"), ""},
		"RSA 2048":             {root.LeafFor(t, rsaKey(t, 2048), "alice"), ""},
		"RSA 1024":             {root.LeafFor(t, rsaKey(t, 1024), "alice"), "CN=alice: an RSA key of 1024 bits is too short, 2048 is the least"},
		"P-256":                {root.LeafFor(t, ecKey(t, elliptic.P256()), "alice"), ""},
		"P-384":                {root.LeafFor(t, ecKey(t, elliptic.P384()), "alice"), ""},
		"P-521":                {root.LeafFor(t, ecKey(t, elliptic.P521()), "alice"), ""},
		"P-224":                {root.LeafFor(t, ecKey(t, elliptic.P224()), "alice"), "keys on the curve P-224 are not accepted"},
		"Ed25519":              {root.LeafFor(t, edKey(t), "alice"), ""},
		"no key usage":         {root.Leaf(t, "alice", usage(0)), ""},
		"keyEncipherment too":  {root.Leaf(t, "alice", usage(x509.KeyUsageKeyEncipherment|x509.KeyUsageDigitalSignature)), ""},
		"keyEncipherment only": {root.Leaf(t, "alice", usage(x509.KeyUsageKeyEncipherment)), "CN=alice is not meant for logging in: its key usage lacks digitalSignature"},
		"nonRepudiation only":  {root.Leaf(t, "alice", usage(x509.KeyUsageContentCommitment)), "its key usage lacks digitalSignature"},
		"no EKU":               {root.Leaf(t, "alice", testpki.EKU()), ""},
		"any EKU":              {root.Leaf(t, "alice", testpki.EKU(x509.ExtKeyUsageAny)), ""},
		"serverAuth too":       {root.Leaf(t, "alice", testpki.EKU(x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth)), ""},
		"serverAuth only":      {root.Leaf(t, "alice", testpki.EKU(x509.ExtKeyUsageServerAuth)), "its extended key usage has neither clientAuth nor anything like it"},
		"e-mail only":          {root.Leaf(t, "alice", testpki.EKU(x509.ExtKeyUsageEmailProtection)), "not meant for logging in: its extended key usage"},
		"code signing only":    {root.Leaf(t, "alice", testpki.EKU(x509.ExtKeyUsageCodeSigning)), "not meant for logging in: its extended key usage"},
		"smartcardLogon":       {root.Leaf(t, "alice", unknownEKU(asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 2})), ""},
		"secureShellClient":    {root.Leaf(t, "alice", unknownEKU(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 21})), ""},
		"PIV card auth":        {root.Leaf(t, "alice", unknownEKU(oidPIVCardAuth)), "not meant for logging in: its extended key usage"},
		"CA:TRUE":              {root.Leaf(t, "alice", func(c *x509.Certificate) { c.IsCA = true }), "CN=alice is the certificate of a CA, not of a person or a machine"},
		"expired":              {root.Leaf(t, "alice", testpki.Dates(now.Add(-year), now.Add(-time.Minute))), "CN=alice expired at "},
		"not yet valid":        {root.Leaf(t, "alice", testpki.Dates(now.Add(time.Hour), now.Add(year))), "CN=alice is not yet valid: it begins at "},
		"an hour left":         {root.Leaf(t, "alice", testpki.Dates(now.Add(-year), now.Add(time.Hour))), ""},
	} {
		t.Run(name, func(t *testing.T) {
			path := c.leaf.WriteFile(t)
			got, err := (&File{CertFile: path, KeyFile: path}).Certificate(t.Context())
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "identity "+path) {
					t.Fatalf("got %v, want the path and %q", err, c.want)
				}
				if strings.Contains(c.want, "expired at") && !strings.Contains(err.Error(), "this computer's clock says") {
					t.Errorf("the clock is not named: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !got.Leaf.Equal(c.leaf.Leaf()) || len(got.Certificate) != 1 {
				t.Errorf("got %d certificates, the first for %s", len(got.Certificate), got.Leaf.Subject)
			}
			proves(t, got.Leaf, got.PrivateKey)
		})
	}
}

// proves has key sign, and verifies with the certificate.
func proves(t *testing.T, c *x509.Certificate, key crypto.PrivateKey) {
	t.Helper()
	signer, ok := key.(crypto.Signer)
	if !ok {
		t.Errorf("a key of type %T cannot sign", key)
		return
	}
	var opts crypto.SignerOpts = crypto.SHA256
	algorithm := x509.ECDSAWithSHA256
	message := []byte("it is I")
	digest := crypto.SHA256.New()
	digest.Write(message)
	input := digest.Sum(nil)
	switch signer.Public().(type) {
	case ed25519.PublicKey:
		opts, algorithm, input = crypto.Hash(0), x509.PureEd25519, message
	case *rsa.PublicKey:
		algorithm = x509.SHA256WithRSA
	}
	signature, err := signer.Sign(rand.Reader, input, opts)
	if err != nil {
		t.Error(err)
	}
	if err := c.CheckSignature(algorithm, message, signature); err != nil {
		t.Error(err)
	}
}

func TestChain(t *testing.T) {
	now := time.Now()
	root, other := testpki.NewRoot(t, "Root"), testpki.NewRoot(t, "Other")
	namesake := testpki.NewRoot(t, "Root")
	outer := root.Intermediate(t, "Outer")
	inner := outer.Intermediate(t, "Inner")
	stale := root.Intermediate(t, "Stale", testpki.Dates(now.Add(-48*time.Hour), now.Add(-time.Hour)))
	noCA := root.Intermediate(t, "NoCA", func(c *x509.Certificate) { c.IsCA, c.KeyUsage = false, x509.KeyUsageDigitalSignature })
	leaf, direct, late, odd := inner.Leaf(t, "alice"), root.Leaf(t, "direct"), stale.Leaf(t, "late"), noCA.Leaf(t, "odd")

	for name, c := range map[string]struct {
		certs []*x509.Certificate
		key   crypto.Signer
		sent  int    // certificates, where the chain is good
		want  string // part of the error
	}{
		"leaf alone":                    {certs(leaf.Leaf()), leaf.Key, 1, ""},
		"whole chain":                   {certs(leaf.Leaf(), inner.Cert, outer.Cert), leaf.Key, 3, ""},
		"root at the end":               {certs(leaf.Leaf(), inner.Cert, outer.Cert, root.Cert), leaf.Key, 3, ""},
		"leaf and root":                 {certs(direct.Leaf(), root.Cert), direct.Key, 1, ""},
		"issuers turned round":          {certs(leaf.Leaf(), outer.Cert, inner.Cert), leaf.Key, 0, "certificate 2 (CN=Outer) did not issue certificate 1 (CN=alice), whose issuer is CN=Inner: the leaf comes first, then its issuers"},
		"root first":                    {certs(root.Cert, outer.Cert, inner.Cert, leaf.Leaf()), leaf.Key, 0, "the key belongs to certificate 4 (CN=alice), not to the first (CN=Root): the leaf comes first"},
		"one missing between":           {certs(leaf.Leaf(), outer.Cert), leaf.Key, 0, "certificate 2 (CN=Outer) did not issue certificate 1 (CN=alice)"},
		"foreign root appended":         {certs(direct.Leaf(), other.Cert), direct.Key, 0, "certificate 2 (CN=Other) did not issue certificate 1 (CN=direct), whose issuer is CN=Root"},
		"another root of the same name": {certs(direct.Leaf(), namesake.Cert), direct.Key, 0, "certificate 2 (CN=Root) is named as the issuer of certificate 1 (CN=direct), but its key does not verify the signature"},
		"issuer that is no CA":          {certs(odd.Leaf(), noCA.Cert), odd.Key, 0, "certificate 2 (CN=NoCA) is named as the issuer"},
		"somebody else's key":           {certs(leaf.Leaf(), inner.Cert), direct.Key, 0, "the key does not belong to the certificate of CN=alice"},
		"expired intermediate":          {certs(late.Leaf(), stale.Cert), late.Key, 0, "CN=Stale expired at "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one := write(t, "one.pem", testpki.PEM(c.certs...), testpki.KeyPEM(t, c.key))
			pem, der := write(t, "id.crt", testpki.PEM(c.certs...)), write(t, "id.der", raw(c.certs))
			key := write(t, "id.key", testpki.KeyPEM(t, c.key))
			files := map[string]*File{
				"one file": {CertFile: one, KeyFile: one},
				"two":      {CertFile: pem, KeyFile: key},
				"DER":      {CertFile: der, KeyFile: key},
			}
			if len(c.certs) > 1 {
				files["chain option"] = &File{
					CertFile: write(t, "leaf.pem", testpki.PEM(c.certs[0])), KeyFile: key,
					ChainFile: write(t, "chain.pem", testpki.PEM(c.certs[1:]...)),
				}
			}
			for name, f := range files {
				got, err := f.Certificate(t.Context())
				switch {
				case c.want != "":
					if err == nil || !strings.Contains(err.Error(), c.want) {
						t.Errorf("%s: got %v, want %q", name, err, c.want)
					}
				case err != nil:
					t.Errorf("%s: %v", name, err)
				case len(got.Certificate) != c.sent || !got.Leaf.Equal(c.certs[0]):
					t.Errorf("%s: %d certificates are sent, want %d", name, len(got.Certificate), c.sent)
				}
			}
		})
	}
}

func certs(list ...*x509.Certificate) []*x509.Certificate { return list }

func raw(list []*x509.Certificate) []byte {
	var der []byte
	for _, c := range list {
		der = append(der, c.Raw...)
	}
	return der
}
