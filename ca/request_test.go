package ca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/sshmint/sshmint/internal/wire"
)

// FuzzRequest feeds bodies: whatever is taken has a key that may be certified,
// in its one form, and wishes that make sense.
func FuzzRequest(f *testing.F) {
	key := "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJlVvsY0WQPjhvL2N2KdUWAaWn1VSxrPXqxHvFhVLR3O"
	for _, seed := range []string{
		`{}`, `[]`, `null`, `{"public_key":null}`, `{"public_key":"` + key + `"}`,
		`{"public_key":"` + key + ` comment\n","principals":["a"],"validity":"8h","proof":"x"}`,
		`{"public_key":"` + key + `","principals":[null,"\ud800"],"validity":"1h30m"}`,
		`{"public_key":"no-pty ` + key + `"}`, `{"public_key":"` + key + `"}{}`,
		`{"Public_Key":"` + key + `"}`, `{"public_key":"` + key + `","public_key":"` + key + `"}`,
		`{"public_key":"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ=="}`,
		`{"public_key":"ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBA=="}`,
		`{"validity":"-1h","public_key":"` + key + `"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > wire.MaxBody {
			return
		}
		r, err := parseRequest(body)
		if err != nil {
			if got := refusal(t, err); got.Code != wire.BadRequest || got.Detail == "" || len(got.Detail) > 1000 {
				t.Errorf("refused with %+v", got)
			}
			return
		}
		if _, ok := r.PublicKey.(*ssh.Certificate); ok || strings.HasPrefix(r.PublicKey.Type(), "sk-") {
			t.Errorf("took a %T", r.PublicKey)
		}
		again, err := ParsePublicKey(authorizedKey(r.PublicKey))
		if err != nil || string(again.Marshal()) != string(r.PublicKey.Marshal()) {
			t.Errorf("took a key that it would not take again: %v", err)
		}
		if bits := rsaBits(r.PublicKey); bits != 0 && bits < minRSABits {
			t.Errorf("took RSA of %d bits", bits)
		}
		if r.Validity != 0 && r.Validity < minValidity {
			t.Errorf("took a validity of %s", r.Validity)
		}
		// Anything that is no proof must be refused, and never panic.
		g := &Grant{Rule: "r", Leaf: &Leaf{}, Chain: fuzzChain()}
		if err := checkPossession(g, r); err == nil {
			t.Errorf("took %q for a proof", r.Proof)
		}
	})
}

// fuzzChain is a leaf that no proof in a corpus is for.
var fuzzChain = sync.OnceValue(func() []*x509.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return []*x509.Certificate{cert}
})

func TestPrivateKeyInsteadOfPublic(t *testing.T) {
	c := newTestCA(t, "")
	if _, err := ParsePublicKey(c.read(t, fileUserCA)); err == nil || !strings.Contains(err.Error(), "perhaps the private key") {
		t.Errorf("got %v", err)
	}
}
