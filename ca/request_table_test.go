package ca

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sshmint/sshmint/internal/testpki"
	"github.com/sshmint/sshmint/internal/wire"
)

// A draft is a request that a row of the table spoils.
type draft struct {
	t    *testing.T
	ca   *testCA
	id   *testpki.Identity // presented to TLS; nil: none
	key  ssh.Signer
	body map[string]any
	raw  []byte // sent instead of body
	kind string // Content-Type
}

func newDraft(t *testing.T, c *testCA) *draft {
	d := &draft{t: t, ca: c, id: c.alice(t), key: newSSHKey(t), kind: "application/json"}
	d.body = goodRequest(t, d.id, d.key)
	return d
}

// rekey makes the draft about another key.
func (d *draft) rekey(private any) {
	d.key = signerOf(d.t, private)
	d.body = goodRequest(d.t, d.id, d.key)
}

// prove replaces the proof.
func (d *draft) prove(key ssh.Signer, namespace string, leaf, blob []byte) {
	d.body["proof"] = prove(d.t, key, namespace, wire.ProofMessage(leaf, blob))
}

func (d *draft) blob() []byte { return d.key.PublicKey().Marshal() }

func (d *draft) send(address string) (int, *wire.CertificateAnswer, *wire.Problem) {
	d.t.Helper()
	body := d.raw
	if body == nil {
		body = marshal(d.t, d.body)
	}
	r, err := http.NewRequest(http.MethodPost, "https://"+address+wire.PathUserCertificates, bytes.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	if d.kind != "" {
		r.Header.Set("Content-Type", d.kind)
	}
	answer, err := d.ca.client(d.t, d.id).Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	return readAnswer(d.t, answer)
}

// set changes one field of the body.
func set(field string, value any) func(*draft) {
	return func(d *draft) { d.body[field] = value }
}

// line changes the public key line, and leaves the proof as it is.
func line(change func(*draft, string) string) func(*draft) {
	return func(d *draft) { d.body["public_key"] = change(d, authorizedKey(d.key.PublicKey())) }
}

// raw changes the text of the body.
func raw(change func(string) string) func(*draft) {
	return func(d *draft) { d.raw = []byte(change(string(marshal(d.t, d.body)))) }
}

// keyOfType is a line whose blob is of another form than a plain key's.
func keyOfType(kind string, blob []byte) string {
	return kind + " " + base64.StdEncoding.EncodeToString(blob)
}

func withRSA(bits int) func(*draft) {
	return func(d *draft) {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			d.t.Fatal(err)
		}
		d.rekey(key)
	}
}

func withECDSA(curve elliptic.Curve) func(*draft) {
	return func(d *draft) {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			d.t.Fatal(err)
		}
		d.rekey(key)
	}
}

// paddedRSA encodes the key's modulus with a zero octet too many.
func paddedRSA(d *draft, _ string) string {
	var k struct {
		Name string
		E, N *big.Int
	}
	if err := ssh.Unmarshal(d.blob(), &k); err != nil {
		d.t.Fatal(err)
	}
	loose := struct {
		Name string
		E    *big.Int
		N    []byte
	}{k.Name, k.E, append([]byte{0, 0}, k.N.Bytes()...)}
	return keyOfType(k.Name, ssh.Marshal(loose))
}

// chainOf presents n certificates, the leaf and others that do not matter.
func chainOf(n int) func(*draft) {
	return func(d *draft) {
		for len(d.id.Chain) < n {
			d.id.Chain = append(d.id.Chain, testpki.NewRoot(d.t, "another").Cert)
		}
	}
}

func certificateAsKey(d *draft, _ string) string {
	cert := &ssh.Certificate{Key: d.key.PublicKey(), CertType: ssh.UserCert, ValidPrincipals: []string{"alice"}, ValidBefore: ssh.CertTimeInfinity}
	if err := cert.SignCert(rand.Reader, d.key); err != nil {
		d.t.Fatal(err)
	}
	return authorizedKey(cert)
}

// x509Key asks for the leaf's own key, as somebody named cn.
func x509Key(cn string) func(*draft) {
	return func(d *draft) {
		d.id = d.ca.root.Leaf(d.t, cn, testpki.Email("alice@corp.example.com"))
		d.rekey(d.id.Key)
		delete(d.body, "proof")
	}
}

func good(*draft) {}

// TestRequestsThatMustNotBeGranted sends, for each row, a request with a flaw and its twin,
// which differs in the flaw alone.
func TestRequestsThatMustNotBeGranted(t *testing.T) {
	c := newTestCA(t, staffRules)
	_, address := c.serve(t)
	sk := ssh.Marshal(struct {
		Name        string
		Key         []byte
		Application string
	}{ssh.KeyAlgoSKED25519, make([]byte, 32), "ssh:"})
	wish := func(principals ...string) func(*draft) { return set("principals", principals) }
	rows := []struct {
		name      string
		bad, twin func(*draft)
		code      wire.Code
		status    int // 0: that of the code
		says      string
	}{
		{"no client certificate", func(d *draft) { d.id = nil }, good, wire.IdentityRequired, 0, "client certificate"},
		{"9 certificates", chainOf(9), chainOf(8), wire.BadRequest, 0, "9 certificates"},
		{"foreign root", func(d *draft) {
			d.id = testpki.NewRoot(t, "corp root").Leaf(t, "alice", testpki.Email("alice@corp.example.com"))
			d.body = goodRequest(t, d.id, d.key)
		}, good, wire.UntrustedIssuer, 0, ""},

		{"wish outside the grant", wish("bob"), wish("alice"), wire.PrincipalRefused, 0, `"bob"`},
		{"wish partly outside the grant", wish("alice", "bob"), wish("alice", "ops"), wire.PrincipalRefused, 0, "alice, dev, ops"},
		{"wish for root", wish("root"), wish("dev"), wire.PrincipalRefused, 0, `"root"`},
		{"wish with newline", wish("alice\nroot"), wish("alice"), wire.PrincipalRefused, 0, `"alice\nroot"`},
		{"wish with NUL", wish("alice\x00"), wish("alice"), wire.PrincipalRefused, 0, `"alice\x00"`},
		{"wish with comma", wish("alice,dev"), wish("alice", "dev"), wire.PrincipalRefused, 0, ""},
		{"wish with blank", wish(" alice"), wish("alice"), wire.PrincipalRefused, 0, ""},
		{"wish for the empty name", wish(""), wish(), wire.PrincipalRefused, 0, `""`},
		{"wish in upper case", wish("Alice"), wish("alice"), wire.PrincipalRefused, 0, ""},
		{"wish in Cyrillic", wish("\u0430lice"), wish("alice"), wire.PrincipalRefused, 0, ""},
		{"wish not a list", set("principals", "alice"), wish("alice"), wire.BadRequest, 0, `"principals"`},
		{"wish of numbers", set("principals", []int{0}), wish("alice"), wire.BadRequest, 0, ""},

		{"no proof", func(d *draft) { delete(d.body, "proof") }, good, wire.BadRequest, 0, "missing"},
		{"empty proof", set("proof", ""), good, wire.BadRequest, 0, "missing"},
		{"proof by another key", func(d *draft) {
			d.prove(newSSHKey(t), wire.ProofNamespace, d.id.Leaf().Raw, d.blob())
		}, func(d *draft) { d.prove(d.key, wire.ProofNamespace, d.id.Leaf().Raw, d.blob()) }, wire.BadRequest, 0, "another key"},
		{"somebody else's key, proved by mine", func(d *draft) {
			d.body["public_key"] = authorizedKey(newSSHKey(t).PublicKey())
		}, good, wire.BadRequest, 0, "another key"},
		{"proof over another leaf", func(d *draft) {
			d.prove(d.key, wire.ProofNamespace, c.alice(t).Leaf().Raw, d.blob())
		}, good, wire.BadRequest, 0, "does not fit"},
		{"somebody else's proof, sent with my leaf", func(d *draft) { d.id = c.alice(t) }, good, wire.BadRequest, 0, "does not fit"},
		{"proof over another key", func(d *draft) {
			d.prove(d.key, wire.ProofNamespace, d.id.Leaf().Raw, newSSHKey(t).PublicKey().Marshal())
		}, good, wire.BadRequest, 0, "does not fit"},
		{"proof in another namespace", func(d *draft) { d.prove(d.key, "file", d.id.Leaf().Raw, d.blob()) }, good, wire.BadRequest, 0, `"file"`},
		{"proof in a longer namespace", func(d *draft) { d.prove(d.key, wire.ProofNamespace+"x", d.id.Leaf().Raw, d.blob()) }, good, wire.BadRequest, 0, "namespace"},
		{"proof tamperedProof with", tamperedProof, good, wire.BadRequest, 0, "proof"},
		{"proof not armored", set("proof", "U1NIU0lH"), good, wire.BadRequest, 0, "SSHSIG"},
		{"proof in other armor", func(d *draft) {
			d.body["proof"] = strings.ReplaceAll(d.body["proof"].(string), "SSH SIGNATURE", "PGP SIGNATURE") //nolint:forcetypeassert // ours
		}, good, wire.BadRequest, 0, "SSHSIG"},
		{"proof too long", set("proof", strings.Repeat("A", maxProof+1)), good, wire.BadRequest, 0, "longer"},

		{"no public key", func(d *draft) { delete(d.body, "public_key") }, good, wire.BadRequest, 0, "missing"},
		{"public key with an option", line(func(_ *draft, s string) string { return "no-pty " + s }), good, wire.BadRequest, 0, "options"},
		{"public key with a command", line(func(_ *draft, s string) string { return `command="id" ` + s }), good, wire.BadRequest, 0, "options"},
		{"public key with cert-authority", line(func(_ *draft, s string) string { return "cert-authority " + s }), good, wire.BadRequest, 0, "options"},
		{"certificate as public key", line(certificateAsKey), good, wire.BadRequest, 0, "certificate"},
		{"certificate under a plain name", line(func(d *draft, s string) string {
			_, blob, _ := strings.Cut(certificateAsKey(d, s), " ")
			return ssh.KeyAlgoED25519 + " " + blob
		}), good, wire.BadRequest, 0, "another type"},
		{"sk key", line(func(*draft, string) string { return keyOfType(ssh.KeyAlgoSKED25519, sk) }), good, wire.BadRequest, 0, "sk-ssh-ed25519"},
		{"sk key under a plain name", line(func(*draft, string) string { return keyOfType(ssh.KeyAlgoED25519, sk) }), good, wire.BadRequest, 0, "another type"},
		{"DSA key", line(func(*draft, string) string { return keyOfType("ssh-dss", []byte("ssh-dss")) }), good, wire.BadRequest, 0, "DSA"},
		{"unknown key type", line(func(*draft, string) string { return keyOfType("ssh-ed448", make([]byte, 57)) }), good, wire.BadRequest, 0, "ssh-ed448"},
		{"RSA 1024", withRSA(1024), withRSA(2048), wire.BadRequest, 0, "1024 bits"},
		{"RSA encoded loosely", func(d *draft) { withRSA(2048)(d); line(paddedRSA)(d) }, withRSA(2048), wire.BadRequest, 0, "public_key"},
		{"type that is not the key's", line(func(d *draft, _ string) string {
			return keyOfType(ssh.KeyAlgoECDSA256, d.blob())
		}), withECDSA(elliptic.P256()), wire.BadRequest, 0, "another type"},
		{"ECDSA of another curve than named", func(d *draft) {
			withECDSA(elliptic.P384())(d)
			line(func(_ *draft, s string) string { return strings.Replace(s, "nistp384", "nistp256", 1) })(d)
		}, withECDSA(elliptic.P384()), wire.BadRequest, 0, "public_key"},
		{"bytes after the key", line(func(d *draft, _ string) string {
			return keyOfType(ssh.KeyAlgoED25519, append(slices.Clone(d.blob()), 0))
		}), good, wire.BadRequest, 0, "public_key"},
		{"not base64", line(func(_ *draft, s string) string { return s + "=" }), good, wire.BadRequest, 0, "base64"},
		{"two keys", line(func(_ *draft, s string) string { return s + "\n" + s }), line(func(_ *draft, s string) string { return s + " a comment\n" }), wire.BadRequest, 0, "one line"},
		{"two keys, by carriage return", line(func(_ *draft, s string) string { return s + "\r" + s }), good, wire.BadRequest, 0, "one line"},
		{"NUL in the key's comment", line(func(_ *draft, s string) string { return s + " a\x00b" }), line(func(_ *draft, s string) string { return s + " ab" }), wire.BadRequest, 0, "one line"},
		{"the leaf's own key", x509Key("alice"), x509Key("token"), wire.RefusedByRule, 0, `"staff"`},
		{"no proof for a key that is not the leaf's", func(d *draft) {
			x509Key("token")(d)
			d.body["public_key"] = authorizedKey(newSSHKey(t).PublicKey())
		}, x509Key("token"), wire.BadRequest, 0, "missing"},

		{"negative validity", set("validity", "-8h"), set("validity", "8h"), wire.BadRequest, 0, "less than"},
		{"zero validity", set("validity", "0s"), set("validity", "1s"), wire.BadRequest, 0, "less than"},
		{"validity of a millisecond", set("validity", "1ms"), set("validity", "1000ms"), wire.BadRequest, 0, "less than"},
		{"validity without unit", set("validity", "28800"), set("validity", "28800s"), wire.BadRequest, 0, "duration"},
		{"validity that overflows", set("validity", "9999999h"), set("validity", "999999h"), wire.BadRequest, 0, "duration"},
		{"validity in words", set("validity", "forever"), set("validity", ""), wire.BadRequest, 0, `"forever"`},
		{"validity as a number", set("validity", 28800), good, wire.BadRequest, 0, `"validity"`},

		{"unknown field", set("principal", "alice"), good, wire.BadRequest, 0, `"principal"`},
		{"field in upper case", raw(func(s string) string { return strings.Replace(s, "public_key", "PUBLIC_KEY", 1) }), good, wire.BadRequest, 0, `"PUBLIC_KEY"`},
		{"field twice", raw(func(s string) string { return `{"validity":"1h",` + s[1:len(s)-1] + `,"validity":"9h"}` }), raw(func(s string) string { return `{"validity":"1h",` + s[1:] }), wire.BadRequest, 0, "twice"},
		{"JSON after JSON", raw(func(s string) string { return s + "{}" }), raw(func(s string) string { return s + "\n" }), wire.BadRequest, 0, "follows"},
		{"half of the JSON", raw(func(s string) string { return s[:len(s)-1] }), good, wire.BadRequest, 0, "JSON"},
		{"a list of requests", raw(func(s string) string { return "[" + s + "]" }), good, wire.BadRequest, 0, "object"},
		{"nothing", raw(func(string) string { return "" }), good, wire.BadRequest, 0, "object"},
		{"not UTF-8", raw(func(s string) string { return strings.Replace(s, "ssh-ed25519", "ssh-ed25519\xff", 1) }), good, wire.BadRequest, 0, "UTF-8"},
		{"64 KiB and a byte", raw(func(s string) string { return s + strings.Repeat(" ", wire.MaxBody+1-len(s)) }), raw(func(s string) string { return s + strings.Repeat(" ", wire.MaxBody-len(s)) }), wire.BadRequest, http.StatusRequestEntityTooLarge, "65536"},
		{"JSON as plain text", func(d *draft) { d.kind = "text/plain" }, func(d *draft) { d.kind = "application/json; charset=utf-8" }, wire.BadRequest, http.StatusUnsupportedMediaType, "application/json"},
		{"JSON as nothing", func(d *draft) { d.kind = "" }, good, wire.BadRequest, http.StatusUnsupportedMediaType, "application/json"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			before := len(c.entries(t))
			bad := newDraft(t, c)
			row.bad(bad)
			if row.status == 0 {
				row.status = status(row.code)
			}
			httpStatus, answer, p := bad.send(address)
			if answer != nil {
				t.Fatalf("issued: %+v", answer)
			}
			if p.Code != row.code || httpStatus != row.status || !strings.Contains(p.Detail, row.says) {
				t.Errorf("%d %s %q; want %d %s, with %q", httpStatus, p.Code, p.Detail, row.status, row.code, row.says)
			}
			twin := newDraft(t, c)
			row.twin(twin)
			httpStatus, answer, p = twin.send(address)
			if answer == nil {
				t.Fatalf("the twin is refused: %d %s %q", httpStatus, p.Code, p.Detail)
			}
			checkTwin(t, twin, answer)
			e := c.entries(t)[before:]
			if len(e) != 2 || e[0].Decision != Refused || e[0].Code != string(row.code) || e[0].Serial != "" || e[1].Decision != Granted {
				t.Errorf("audit lines %+v", e)
			}
		})
	}
}

// checkTwin looks whether what was issued is what was asked for.
func checkTwin(t *testing.T, d *draft, answer *wire.CertificateAnswer) {
	t.Helper()
	cert := parseCertificate(t, answer.Certificate)
	if !bytes.Equal(cert.Key.Marshal(), d.blob()) {
		t.Error("the certificate is for another key")
	}
	for _, p := range cert.ValidPrincipals {
		if !slices.Contains([]string{"alice", "dev", "ops"}, p) {
			t.Errorf("the certificate has principal %q", p)
		}
	}
	if lifetime := cert.ValidBefore - cert.ValidAfter; lifetime > uint64((wire.MaxValidity + backdate).Seconds()) {
		t.Errorf("the certificate lives %d s", lifetime)
	}
}

// tamperedProof changes one bit of the signature in the proof.
func tamperedProof(d *draft) {
	text, ok := d.body["proof"].(string)
	if !ok {
		d.t.Fatal("no proof")
	}
	block, _ := pem.Decode([]byte(text))
	block.Bytes[len(block.Bytes)-5] ^= 1
	d.body["proof"] = string(pem.EncodeToMemory(block))
}
