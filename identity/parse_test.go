package identity

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sshmint/sshmint/internal/testpki"
)

// program gives the path of a program, without which the test is skipped, or
// fails where everything is required.
func program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
		return path
	case os.Getenv("SSHMINT_REQUIRE_ALL") == "1":
		t.Fatalf("%s is required: %v", name, err)
	default:
		t.Skipf("%s is not installed", name)
	}
	return ""
}

func run(t testing.TB, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(program(t, name), args...) // #nosec G204 -- a test's own arguments
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// opensslKeys has openssl write keys in every form that it knows.
func opensslKeys(t testing.TB, dir string) {
	t.Helper()
	for _, args := range []string{
		"genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.p8",
		"rsa -in rsa.p8 -traditional -out rsa.p1",
		"rsa -in rsa.p8 -outform DER -out rsa.p8.der",
		"rsa -in rsa.p8 -traditional -outform DER -out rsa.p1.der",
		"genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out p256.p8",
		"ecparam -name secp384r1 -genkey -out p384.params", // EC PARAMETERS before the key
		"ec -in p256.p8 -out p256.sec1",
		"ec -in p256.p8 -outform DER -out p256.sec1.der",
		"pkcs8 -topk8 -nocrypt -in p256.sec1 -outform DER -out p256.p8.der",
		"genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out p521.p8",
		"genpkey -algorithm ED25519 -out ed25519.p8",
		"pkey -in ed25519.p8 -outform DER -out ed25519.p8.der",
		"pkcs8 -topk8 -in p256.p8 -passout pass:secret -out encrypted.p8",
		"rsa -in rsa.p8 -traditional -aes128 -passout pass:secret -out encrypted.p1",
		"ec -in p256.p8 -aes128 -passout pass:secret -out encrypted.sec1",
		"genpkey -algorithm X25519 -out x25519.p8",
		"genpkey -algorithm ED448 -out ed448.p8",
		"ecparam -name secp256k1 -genkey -noout -out k256.sec1",
		"req -x509 -new -key p256.p8 -subj /CN=alice -days 30 -out cert.pem",
		"x509 -in cert.pem -text -out text.pem",
		"x509 -in cert.pem -outform DER -out cert.der",
		"pkcs12 -export -inkey p256.p8 -in cert.pem -passout pass:secret -out id.p12",
		"crl2pkcs7 -nocrl -certfile cert.pem -out id.p7b",
	} {
		run(t, dir, "openssl", strings.Fields(args)...)
	}
}

func TestParseKey(t *testing.T) {
	dir := t.TempDir()
	opensslKeys(t, dir)
	run(t, dir, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "ssh")
	for name, want := range map[string]string{ // part of the error, or the file whose key it is
		"rsa.p8": "=rsa.p8", "rsa.p1": "=rsa.p8", "rsa.p8.der": "=rsa.p8", "rsa.p1.der": "=rsa.p8",
		"p256.p8": "=p256.p8", "p256.sec1": "=p256.p8", "p256.sec1.der": "=p256.p8", "p256.p8.der": "=p256.p8",
		"p384.params": "=p384.params", "p521.p8": "=p521.p8",
		"ed25519.p8": "=ed25519.p8", "ed25519.p8.der": "=ed25519.p8",
		"encrypted.p8":   "the key is encrypted",
		"encrypted.p1":   "the key is encrypted",
		"encrypted.sec1": "the key is encrypted",
		"x25519.p8":      "cannot sign",
		"ed448.p8":       "unknown algorithm: 1.3.101.113",
		"k256.sec1":      "unknown elliptic curve",
		"cert.pem":       "there is no private key in it; if it is in a file of its own, name that with ?key=FILE",
		"cert.der":       "no private key in PKCS#8, SEC 1 or PKCS#1 form",
		"id.p12":         "it is PKCS#12: convert it",
		"ssh":            "the key is in OpenSSH's format",
		"ssh.pub":        "no private key in PKCS#8",
	} {
		key, err := ParseKey(read(t, dir, name))
		twin, ok := strings.CutPrefix(want, "=")
		if !ok {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %q", name, err, want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		run(t, dir, "openssl", "pkey", "-in", twin, "-pubout", "-outform", "DER", "-out", "public.der")
		public, err := x509.MarshalPKIXPublicKey(key.Public())
		if err != nil || !bytes.Equal(public, read(t, dir, "public.der")) {
			t.Errorf("%s: it is not the key of %s (%v)", name, twin, err)
		}
	}
	whole := read(t, dir, "p256.p8")
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty":      {nil, "it is empty"},
		"blank":      {[]byte("\n \n"), "it is empty"},
		"cut off":    {whole[:len(whole)/2], "damaged or cut off"},
		"wrong type": {bytes.ReplaceAll(whole, []byte(" PRIVATE"), []byte(" RSA PRIVATE")), "reading the private key: x509:"},
		"garbage":    {[]byte("garbage"), "no private key in PKCS#8"},
	} {
		if _, err := ParseKey(c.data); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func TestParseCertificates(t *testing.T) {
	dir := t.TempDir()
	opensslKeys(t, dir)
	one := read(t, dir, "cert.pem")
	der := read(t, dir, "cert.der")
	key := read(t, dir, "p256.p8")
	for name, c := range map[string]struct {
		data []byte
		n    int
		want string
	}{
		"PEM":               {one, 1, ""},
		"PEM with text":     {read(t, dir, "text.pem"), 1, ""},
		"PEM, CRLF":         {bytes.ReplaceAll(one, []byte("\n"), []byte("\r\n")), 1, ""},
		"key first":         {join(key, one), 1, ""},
		"two":               {join(one, key, one), 2, ""},
		"DER":               {der, 1, ""},
		"DER, two":          {join(der, der), 2, ""},
		"64":                {bytes.Repeat(one, maxCertificates), maxCertificates, ""},
		"65":                {bytes.Repeat(one, maxCertificates+1), 0, "more than 64 certificates"},
		"DER, 65":           {bytes.Repeat(der, maxCertificates+1), 0, "more than 64 certificates"},
		"empty":             {nil, 0, "it is empty"},
		"blank":             {[]byte(" \n"), 0, "it is empty"},
		"key only":          {key, 0, "there is no certificate in it"},
		"PKCS#7":            {read(t, dir, "id.p7b"), 0, "there is no certificate in it"},
		"PKCS#12":           {read(t, dir, "id.p12"), 0, "it is PKCS#12: convert it with openssl pkcs12"},
		"key in DER":        {read(t, dir, "p256.p8.der"), 0, "it is neither PEM nor a certificate in DER"},
		"garbage":           {[]byte("garbage"), 0, "it is neither PEM nor a certificate in DER"},
		"DER and a rest":    {join(der, []byte{0}), 0, "neither PEM nor a certificate in DER"},
		"second cut off":    {join(one, one[:len(one)/2]), 0, "one of its certificates is damaged or cut off: 1 can be read"},
		"first damaged":     {join(bytes.Replace(one, []byte("MII"), []byte("M*I"), 1), one), 0, "damaged or cut off: 1 can be read"},
		"not a certificate": {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{0x30, 0}}), 0, "certificate 1: x509:"},
	} {
		got, err := ParseCertificates(c.data)
		switch {
		case c.want != "":
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %v, want %q", name, err, c.want)
			}
		case err != nil || len(got) != c.n:
			t.Errorf("%s: %d certificates, %v", name, len(got), err)
		}
	}
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func read(t testing.TB, dir, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name)) // #nosec G304 -- a test's own file
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// seeds are what openssl writes, and what this package is given by mistake.
func seeds(f *testing.F) {
	dir := f.TempDir()
	opensslKeys(f, dir)
	list, err := os.ReadDir(dir)
	if err != nil {
		f.Fatal(err)
	}
	for _, e := range list {
		b := read(f, dir, e.Name())
		f.Add(b)
		f.Add(b[:len(b)*2/3])
	}
	root := testpki.NewRoot(f, "Root")
	leaf := root.Intermediate(f, "Inner").Leaf(f, "alice")
	f.Add(append(testpki.PEM(leaf.Chain...), testpki.KeyPEM(f, leaf.Key)...))
	f.Add(raw(leaf.Chain))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"))
	f.Add([]byte{0x30, 0x80, 2, 1, 3, 0, 0, 0, 0})
}

// What is accepted is accepted again, and is the same, when it is written out.
func FuzzParseCertificates(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		chain, err := ParseCertificates(data)
		if err != nil {
			if chain != nil {
				t.Errorf("certificates beside %v", err)
			}
			return
		}
		if len(chain) == 0 || len(chain) > maxCertificates {
			t.Fatalf("%d certificates", len(chain))
		}
		for name, form := range map[string][]byte{"PEM": testpki.PEM(chain...), "DER": raw(chain)} {
			again, err := ParseCertificates(form)
			if err != nil || !bytes.Equal(raw(again), raw(chain)) {
				t.Errorf("written as %s: %v", name, err)
			}
		}
	})
}

func FuzzParseKey(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		key, err := ParseKey(data)
		if err != nil {
			if key != nil {
				t.Errorf("a key beside %v", err)
			}
			return
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatalf("a key of type %T: %v", key, err)
		}
		again, err := ParseKey(der)
		if err != nil {
			t.Fatalf("written as PKCS#8: %v", err)
		}
		if pub, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !pub.Equal(again.Public()) {
			t.Error("written as PKCS#8 it is another key")
		}
	})
}
