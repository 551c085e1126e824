package agent

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/binary"
	"math/big"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// keyKinds are those of the private keys that can be added.
var keyKinds = []string{"rsa", "ecdsa256", "ecdsa384", "ecdsa521", "ed25519"}

func newPrivate(t testing.TB, kind string) crypto.Signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch kind {
	case "rsa":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "rsa1024":
		key, err = rsa.GenerateKey(rand.Reader, 1024)
	case "ecdsa256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ecdsa384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ecdsa521":
		key, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "ed25519":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		t.Fatalf("no private key of kind %q", kind)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sshSigner(t testing.TB, key crypto.Signer) ssh.Signer {
	t.Helper()
	signer, err := ssh.NewSignerFromSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// An addition is an ADD_IDENTITY request in parts, so that tests can spoil one.
type addition struct {
	kind        byte
	keyType     string
	fields      [][]byte // each a string or mpint
	comment     string
	constraints []byte
	tail        []byte

	public ssh.PublicKey // what the agent then has
}

// addition of a key, with the certificate in cert if that is not nil.
func newAddition(t testing.TB, key crypto.Signer, cert *ssh.Certificate) *addition {
	t.Helper()
	a := &addition{kind: msgAddIdentity, comment: "a key", public: sshSigner(t, key).PublicKey()}
	a.keyType = a.public.Type()
	if cert != nil {
		a.public, a.keyType = cert, cert.Type()
		a.fields = append(a.fields, cert.Marshal())
	}
	number := func(x *big.Int) []byte {
		b := x.Bytes()
		if len(b) > 0 && b[0] >= 0x80 {
			b = append([]byte{0}, b...)
		}
		return b
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if cert == nil {
			a.fields = append(a.fields, number(k.N), number(big.NewInt(int64(k.E))))
		}
		k.Precompute()
		a.fields = append(a.fields, number(k.D), number(k.Precomputed.Qinv), number(k.Primes[0]), number(k.Primes[1]))
	case *ecdsa.PrivateKey:
		if cert == nil {
			point, err := k.PublicKey.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			a.fields = append(a.fields, []byte("nistp"+k.Params().Name[2:]), point)
		}
		scalar, err := k.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		a.fields = append(a.fields, number(new(big.Int).SetBytes(scalar)))
	case ed25519.PrivateKey:
		a.fields = append(a.fields, k[ed25519.SeedSize:], k)
	default:
		t.Fatalf("no addition for a %T", key)
	}
	return a
}

func (a *addition) message() []byte {
	b := appendString([]byte{a.kind}, a.keyType)
	for _, f := range a.fields {
		b = appendString(b, f)
	}
	b = appendString(b, a.comment)
	return append(append(b, a.constraints...), a.tail...)
}

// add adds a key and returns its signer.
func add(t testing.TB, a *Agent, kind string, constraints ...byte) (ssh.Signer, *addition) {
	t.Helper()
	key := newPrivate(t, kind)
	addition := newAddition(t, key, nil)
	addition.kind, addition.constraints = msgAddConstrained, constraints
	if answer := ask(&session{agent: a}, addition.message()...); answer[0] != msgSuccess {
		t.Fatalf("adding a key: answer %d: %s", answer[0], lastReason(a))
	}
	return sshSigner(t, key), addition
}

func constrainedFor(d time.Duration) []byte {
	return binary.BigEndian.AppendUint32([]byte{constrainLifetime}, uint32(d/time.Second))
}

func constrainedTo(destinations ...[]byte) []byte {
	var list []byte
	for _, d := range destinations {
		list = appendString(list, d)
	}
	return appendString(appendString([]byte{constrainExtension}, restrictDestination), list)
}

// hopOf is a hop as a constraint has it. Keys that are in a certificate's place
// are authorities.
func hopOf(user, host string, keys ...hopKey) []byte {
	b := appendString(appendString(appendString(nil, user), host), "")
	for _, k := range keys {
		b = appendString(b, k.blob)
		if k.authority {
			b = append(b, 1)
		} else {
			b = append(b, 0)
		}
	}
	return b
}

func destinationOf(from, to []byte) []byte {
	return appendString(appendString(appendString(nil, from), to), "")
}

// localHop is where the agent runs.
var localHop = hopOf("", "")

func plainHost(key ssh.Signer) hopKey { return hopKey{string(key.PublicKey().Marshal()), false} }
func caHost(key ssh.Signer) hopKey    { return hopKey{string(key.PublicKey().Marshal()), true} }

// listedBlobs asks for a list and returns the blobs in it.
func listedBlobs(t testing.TB, s *session) []string {
	t.Helper()
	answer := ask(s, msgRequestIdentities)
	r := reader{rest: answer[1:]}
	var blobs []string
	for range r.uint32() {
		blobs = append(blobs, string(r.string()))
		r.string()
	}
	if err := r.whole(); err != nil || answer[0] != msgIdentitiesAnswer {
		t.Fatalf("list: answer %d, %v", answer[0], err)
	}
	return blobs
}

// signRequest asks for a signature and returns it, or nil if that was refused.
func signRequest(t testing.TB, s *session, blob, data []byte, flags uint32) *ssh.Signature {
	t.Helper()
	request := appendString(appendString([]byte{msgSignRequest}, blob), data)
	answer := ask(s, binary.BigEndian.AppendUint32(request, flags)...)
	if answer[0] == msgFailure {
		return nil
	}
	r := reader{rest: answer[1:]}
	inner := reader{rest: r.string()}
	signature := &ssh.Signature{Format: string(inner.string()), Blob: inner.string()}
	if r.whole() != nil || inner.whole() != nil || answer[0] != msgSignResponse {
		t.Fatalf("sign: answer % x", answer)
	}
	return signature
}
