package agent

import (
	"bytes"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// TestAdd adds a key of each kind, alone and with a certificate, lists it and
// has it sign.
func TestAdd(t *testing.T) {
	ca := newAuthority(t)
	for _, kind := range append(slices.Clone(keyKinds), "rsa1024") {
		t.Run(kind, func(t *testing.T) {
			a := new(Agent)
			s := &session{agent: a}
			key := newPrivate(t, kind)
			signer := sshSigner(t, key)
			cert, ok := ca.certify(t, signer, time.Hour, "alice").PublicKey().(*ssh.Certificate)
			if !ok {
				t.Fatal("not a certificate")
			}
			var want []string
			for _, addition := range []*addition{newAddition(t, key, nil), newAddition(t, key, cert)} {
				if answer := ask(s, addition.message()...); !bytes.Equal(answer, []byte{msgSuccess}) {
					t.Fatalf("adding %s: answer % x: %s", addition.keyType, answer, lastReason(a))
				}
				want = append(want, string(addition.public.Marshal()))
				if got := listedBlobs(t, s); !slices.Equal(got, want) {
					t.Fatalf("listed %q, want %q", got, want)
				}
				data := []byte("whatever it is")
				signature := signRequest(t, s, addition.public.Marshal(), data, flagSHA512)
				if signature == nil {
					t.Fatalf("%s does not sign: %s", addition.keyType, lastReason(a))
				}
				if err := signer.PublicKey().Verify(data, signature); err != nil {
					t.Errorf("%s: %v", addition.keyType, err)
				}
			}
		})
	}
}

// TestAddRefused spoils one thing in a request that is granted otherwise.
func TestAddRefused(t *testing.T) {
	ca := newAuthority(t)
	rsaKey, ecdsaKey, edKey := newPrivate(t, "rsa"), newPrivate(t, "ecdsa256"), newPrivate(t, "ed25519")
	otherRSA, otherECDSA, otherEd := newPrivate(t, "rsa"), newPrivate(t, "ecdsa256"), newPrivate(t, "ed25519")
	private, otherPublic := newAddition(t, edKey, nil).fields[1], newAddition(t, otherEd, nil).fields[0]
	certOf := func(signer ssh.Signer) *ssh.Certificate {
		cert, ok := ca.certify(t, signer, time.Hour, "alice").PublicKey().(*ssh.Certificate)
		if !ok {
			t.Fatal("not a certificate")
		}
		return cert
	}
	edCert, rsaCert, ecdsaCert := certOf(sshSigner(t, edKey)), certOf(sshSigner(t, rsaKey)), certOf(sshSigner(t, ecdsaKey))
	plain := func() *addition { return newAddition(t, edKey, nil) }
	asRSA := func() *addition { return newAddition(t, rsaKey, nil) }
	asECDSA := func() *addition { return newAddition(t, ecdsaKey, nil) }
	certified := func() *addition { return newAddition(t, edKey, edCert) }
	certifiedRSA := func() *addition { return newAddition(t, rsaKey, rsaCert) }
	certifiedECDSA := func() *addition { return newAddition(t, ecdsaKey, ecdsaCert) }
	field := func(i int, value []byte) func(*addition) { return func(a *addition) { a.fields[i] = value } }
	keyType := func(name string) func(*addition) { return func(a *addition) { a.keyType = name } }
	constraints := func(parts ...[]byte) func(*addition) {
		return func(a *addition) { a.kind, a.constraints = msgAddConstrained, slices.Concat(parts...) }
	}
	host := newKey(t, "ed25519")
	to := func(user string) []byte { return destinationOf(localHop, hopOf(user, "db7", plainHost(host))) }
	dest := func(from, to []byte) func(*addition) { return constraints(constrainedTo(destinationOf(from, to))) }
	many := make([][]byte, maxDestinations)
	for i := range many {
		many[i] = destinationOf(localHop, hopOf("", "db7", plainHost(host)))
	}
	minute := constrainedFor(time.Minute)
	extension := func(name string, value ...byte) []byte {
		return append(appendString([]byte{constrainExtension}, name), value...)
	}
	forged := *edCert
	forged.KeyId = "root"

	for _, tt := range []struct {
		name   string
		base   func() *addition
		twin   func(*addition) // what is granted; nil: base
		flaw   func(*addition) // what is not
		reason string
	}{
		// The key.
		{"no key type", plain, nil, keyType(""), "not known"},
		{"DSA", plain, nil, keyType(ssh.InsecureKeyAlgoDSA), "not known"},
		{"type of an algorithm", asRSA, nil, keyType(ssh.KeyAlgoRSASHA512), "not known"},
		{"security key", plain, nil, keyType(ssh.KeyAlgoSKED25519), "agent.upstream"},
		{"security key with certificate", plain, nil, keyType(ssh.CertAlgoSKECDSA256v01), "agent.upstream"},
		{"cut short", plain, nil, func(a *addition) { a.fields = nil }, "ends early"},
		{"Ed25519 of another public key", plain, nil, field(0, otherPublic), "do not belong together"},
		{"Ed25519 short", plain, nil, field(1, private[:32]), "Ed25519 key of 32 bytes"},
		{"Ed25519 that contradicts itself", plain, nil, field(1, slices.Concat(private[:32], otherPublic)), "do not belong together"},
		{"RSA too small", asRSA, nil, func(a *addition) { a.fields[0] = a.fields[0][:120] }, "RSA key of"},
		{"RSA too large", asRSA, nil, field(0, append([]byte{1}, make([]byte, maxRSABits/8)...)), "RSA key of 16385 bits"},
		{"RSA number without end", asRSA, nil, field(2, append([]byte{0, 1}, make([]byte, maxRSABits/8)...)), "too large"},
		{"RSA number that is negative", asRSA, nil, field(2, []byte{0x80}), "negative"},
		{"RSA modulus of another", asRSA, nil, func(a *addition) { a.fields[0] = newAddition(t, otherRSA, nil).fields[0] }, "do not belong together"},
		{"RSA exponent of another", asRSA, nil, func(a *addition) { a.fields[2] = newAddition(t, otherRSA, nil).fields[2] }, "do not belong together"},
		{"RSA with a prime of 1", asRSA, nil, field(4, []byte{1}), "do not belong together"},
		{"RSA with no primes", asRSA, nil, func(a *addition) { a.fields[4], a.fields[5] = nil, nil }, "do not belong together"},
		{"RSA with a wrong inverse of q", asRSA, nil, field(3, []byte{2}), "do not belong together"},
		{"RSA public exponent 1", asRSA, nil, field(1, []byte{1}), "do not belong together"},
		{"RSA public exponent too large", asRSA, nil, field(1, []byte{1, 0, 0, 0, 1}), "exponent of more than 31 bits"},
		{"ECDSA with the name of another curve", asECDSA, nil, field(0, []byte("nistp384")), "curve"},
		{"ECDSA as of another curve", asECDSA, nil, keyType(ssh.KeyAlgoECDSA384), "curve"},
		{"ECDSA point of another", asECDSA, nil, func(a *addition) { a.fields[1] = newAddition(t, otherECDSA, nil).fields[1] }, "do not belong together"},
		{"ECDSA scalar 0", asECDSA, nil, field(2, nil), "do not belong together"},
		{"ECDSA scalar too large", asECDSA, nil, field(2, append([]byte{1}, make([]byte, 32)...)), "do not belong together"},
		{"ECDSA scalar beyond the order", asECDSA, nil, field(2, append([]byte{0}, bytes.Repeat([]byte{0xff}, 32)...)), "do not belong together"},
		// The certificate.
		{"certificate of another type", certified, nil, field(0, rsaCert.Marshal()), "is announced"},
		{"plain key for a certificate", certified, nil, field(0, edCert.Key.Marshal()), "is announced"},
		{"certificate cut short", certified, nil, field(0, edCert.Marshal()[:100]), "reading the certificate"},
		{"certificate that its authority did not sign", certified, nil, field(0, forged.Marshal()), "verifying the certificate"},
		{"certificate for another Ed25519 key", certified, nil, field(0, certOf(sshSigner(t, otherEd)).Marshal()), "another key"},
		{"certificate for another RSA key", certifiedRSA, nil, field(0, certOf(sshSigner(t, otherRSA)).Marshal()), "do not belong together"},
		{"certificate for another ECDSA key", certifiedECDSA, nil, field(0, certOf(sshSigner(t, otherECDSA)).Marshal()), "another key"},
		// The comment.
		{"comment with a NUL", plain, nil, func(a *addition) { a.comment = "a\x00b" }, "NUL"},
		{"no comment", plain, func(a *addition) { a.comment = "" }, func(a *addition) {
			a.fields[1] = appendString(nil, "")
			a.comment = ""
		}, "Ed25519 key of 4 bytes"},
		// Constraints.
		{"unknown constraint", plain, constraints(minute), constraints(minute, []byte{3}), "constraint 3 is not known"},
		{"unknown extension", plain, constraints(minute), constraints(minute, extension("none@example.com")), "none@example.com"},
		{"sk-provider for a key in software", plain, constraints(minute), constraints(extension("sk-provider@openssh.com", appendString(nil, "internal")...)), "sk-provider"},
		{"associated-certs without a token", plain, constraints(minute), constraints(extension("associated-certs-v00@openssh.com", 0, 0, 0, 0, 0)), "associated-certs"},
		{"lifetime twice", plain, constraints(minute), constraints(minute, minute), "lifetime given twice"},
		{"lifetime 0, then another", plain, constraints(minute), constraints(constrainedFor(0), minute), "lifetime given twice"},
		{"lifetime cut short", plain, constraints(minute), constraints(minute[:3]), "ends early"},
		{"confirmation twice", plain, constraints([]byte{constrainConfirm}), constraints([]byte{constrainConfirm, constrainConfirm}), "twice"},
		{"extension without a name", plain, constraints(minute), constraints([]byte{constrainExtension}), "ends early"},
		{"constraints cut short in a message for none", plain, func(a *addition) { a.constraints = minute }, func(a *addition) { a.constraints = minute[:2] }, "ends early"},
		// Destinations.
		{"destinations twice", plain, constraints(constrainedTo(to(""))), constraints(constrainedTo(to("")), constrainedTo(to(""))), "twice"},
		{"no destination", plain, constraints(constrainedTo(to(""))), constraints(constrainedTo()), "there are none"},
		{"too many destinations", plain, constraints(constrainedTo(many...)), constraints(constrainedTo(append(many, to(""))...)), "more than 1024"},
		{"destinations cut short", plain, constraints(constrainedTo(to(""))), constraints(constrainedTo(to(""))[:60]), "ends early"},
		{"destination cut short", plain, constraints(constrainedTo(to(""))), constraints(constrainedTo(localHop)), "ends early"},
		{"destination with extensions", plain, dest(localHop, hopOf("", "db7", plainHost(host))), constraints(constrainedTo(appendString(appendString(appendString(nil, localHop), hopOf("", "db7", plainHost(host))), "x"))), "extensions"},
		{"hop with extensions", plain, dest(localHop, hopOf("", "db7", plainHost(host))), dest(localHop, appendString(appendString(appendString(nil, ""), "db7"), "x")), "extensions"},
		{"hop cut short", plain, dest(localHop, hopOf("", "db7", plainHost(host))), dest(localHop, hopOf("", "db7", plainHost(host))[:40]), "ends early"},
		{"from a user", plain, dest(hopOf("", "jump", plainHost(host)), hopOf("", "db7", plainHost(host))), dest(hopOf("bob", "jump", plainHost(host)), hopOf("", "db7", plainHost(host))), "user to come from"},
		{"from a host without keys", plain, dest(hopOf("", "jump", plainHost(host)), hopOf("", "db7", plainHost(host))), dest(hopOf("", "jump"), hopOf("", "db7", plainHost(host))), "come from needs both"},
		{"from keys without a host", plain, dest(hopOf("", "jump", plainHost(host)), hopOf("", "db7", plainHost(host))), dest(hopOf("", "", plainHost(host)), hopOf("", "db7", plainHost(host))), "come from needs both"},
		{"to nowhere", plain, dest(localHop, hopOf("", "db7", plainHost(host))), dest(localHop, hopOf("", "", plainHost(host))), "go to needs both"},
		{"to a host without keys", plain, dest(localHop, hopOf("", "db7", plainHost(host))), dest(localHop, hopOf("", "db7")), "go to needs both"},
		{"user pattern too long", plain, constraints(constrainedTo(to(strings.Repeat("*", maxUserPattern)))), constraints(constrainedTo(to(strings.Repeat("*", maxUserPattern+1)))), "user pattern of 257 bytes"},
		{"user pattern with a NUL", plain, constraints(constrainedTo(to("a*"))), constraints(constrainedTo(to("a\x00"))), "NUL"},
		{"host key that cannot be read", plain, constraints(constrainedTo(to(""))), dest(localHop, hopOf("", "db7", hopKey{string(appendString(nil, ssh.KeyAlgoED25519)), false})), "reading a host key"},
		{"host key without a type", plain, dest(localHop, hopOf("", "db7", hopKey{string(appendString(nil, "ssh-new@example.com")), false})), dest(localHop, hopOf("", "db7", hopKey{string(appendString(nil, "")), false})), "no type"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := new(Agent)
			twin := tt.base()
			if tt.twin != nil {
				tt.twin(twin)
			}
			if answer := ask(&session{agent: a}, twin.message()...); answer[0] != msgSuccess {
				t.Fatalf("the twin was refused: %s", lastReason(a))
			}
			a = new(Agent)
			flawed := tt.base()
			tt.flaw(flawed)
			if answer := ask(&session{agent: a}, flawed.message()...); !bytes.Equal(answer, []byte{msgFailure}) {
				t.Errorf("answered with % x", answer)
			}
			if !strings.Contains(lastReason(a), tt.reason) {
				t.Errorf("refused because %q, want %q", lastReason(a), tt.reason)
			}
			if n := len(a.added.all()); n != 0 {
				t.Errorf("%d keys were kept", n)
			}
		})
	}
}

// TestAddedAlgorithm has the algorithm that OpenSSH's agent chooses for the
// flags.
func TestAddedAlgorithm(t *testing.T) {
	a := new(Agent)
	rsaKey, _ := add(t, a, "rsa")
	edKey, _ := add(t, a, "ed25519")
	for _, tt := range []struct {
		key   ssh.Signer
		flags uint32
		want  string
	}{
		{rsaKey, 0, ssh.KeyAlgoRSA},
		{rsaKey, flagSHA256, ssh.KeyAlgoRSASHA256},
		{rsaKey, flagSHA512, ssh.KeyAlgoRSASHA512},
		{rsaKey, flagSHA256 | flagSHA512, ssh.KeyAlgoRSASHA256},
		{rsaKey, flagSHA512 | 1 | 1<<31, ssh.KeyAlgoRSASHA512},
		{edKey, 0, ssh.KeyAlgoED25519},
		{edKey, flagSHA256 | 8, ssh.KeyAlgoED25519},
	} {
		signature := signRequest(t, &session{agent: a}, tt.key.PublicKey().Marshal(), []byte("data"), tt.flags)
		if signature == nil || signature.Format != tt.want {
			t.Errorf("flags %#x: signature %v, want %s", tt.flags, signature, tt.want)
			continue
		}
		if err := tt.key.PublicKey().Verify([]byte("data"), signature); err != nil {
			t.Error(err)
		}
	}
}

// TestAddedAlgorithmOfALogin: without flags the data decides, if it is a login
// with that key, since a signature with SHA-1 would contradict it.
func TestAddedAlgorithmOfALogin(t *testing.T) {
	a := new(Agent)
	key, _ := add(t, a, "rsa")
	other, _ := add(t, a, "rsa")
	for _, tt := range []struct {
		named string
		key   ssh.Signer // in the data
		flags uint32
		want  string
	}{
		{ssh.KeyAlgoRSASHA512, key, 0, ssh.KeyAlgoRSASHA512},
		{ssh.KeyAlgoRSASHA256, key, 0, ssh.KeyAlgoRSASHA256},
		{ssh.KeyAlgoRSASHA256, key, flagSHA512, ssh.KeyAlgoRSASHA512},
		{ssh.KeyAlgoRSA, key, 0, ssh.KeyAlgoRSA},
		{ssh.CertAlgoRSASHA512v01, key, 0, ssh.KeyAlgoRSA},
		{ssh.KeyAlgoRSASHA512, other, 0, ssh.KeyAlgoRSA},
	} {
		data := ssh.Marshal(struct {
			Session               string
			Kind                  byte
			User, Service, Method string
			Signed                bool
			Algorithm             string
			Key                   []byte
		}{"session", 50, "alice", "ssh-connection", "publickey", true, tt.named, tt.key.PublicKey().Marshal()})
		signature := signRequest(t, &session{agent: a}, key.PublicKey().Marshal(), data, tt.flags)
		if signature == nil || signature.Format != tt.want {
			t.Errorf("%s, flags %#x: signature %v, want %s", tt.named, tt.flags, signature, tt.want)
		}
	}
}

// TestLargestKey adds the largest RSA key in a time that a client waits for.
func TestLargestKey(t *testing.T) {
	// Of primes in number only: that they are primes is not looked at, and to
	// find such takes minutes.
	one := big.NewInt(1)
	p := new(big.Int).Lsh(one, maxRSABits/2)
	p.Sub(p, one)
	n := new(big.Int).Mul(p, p)
	addition := newAddition(t, newPrivate(t, "rsa"), nil)
	addition.fields[0] = append([]byte{0}, n.Bytes()...)
	for i := 2; i < 6; i++ {
		addition.fields[i] = append([]byte{0}, p.Bytes()...)
	}
	start := time.Now()
	ask(&session{agent: new(Agent)}, addition.message()...)
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("a key of %d bits took %s", maxRSABits, d)
	}
}
