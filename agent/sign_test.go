package agent

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// TestSignPolicy has for each flaw a request that is refused for it, and a twin
// without the flaw that is granted.
func TestSignPolicy(t *testing.T) {
	ca := newAuthority(t)
	corpKey := newKey(t, "ed25519")
	corp := &source{current: ca.certify(t, corpKey, time.Hour, "alice")}
	ecdsaKey := ca.certify(t, newKey(t, "ecdsa"), time.Hour, "alice")
	rsaKey := ca.certify(t, newKey(t, "rsa"), time.Hour, "alice")
	a := new(Agent)
	a.Set(Settings{Profiles: []Profile{
		{Name: "corp", Source: corp},
		{Name: "curve", Source: &source{current: ecdsaKey}},
		{Name: "old", Source: &source{current: rsaKey}},
	}})
	a.Keys(context.Background())
	key := corp.Current()
	cert, ok := key.PublicKey().(*ssh.Certificate)
	if !ok {
		t.Fatal("not a certificate")
	}
	plain := cert.Key.Marshal()
	stranger := newKey(t, "ed25519")
	strangerCert := ca.certify(t, stranger, time.Hour, "alice").PublicKey().Marshal()
	// Another certificate for our key, which was never listed.
	unlisted := ca.certify(t, corpKey, time.Hour, "alice", "root").PublicKey().Marshal()
	host, otherHost := newKey(t, "ed25519"), newKey(t, "ecdsa")

	with := func(signer ssh.Signer) func(*attempt) {
		return func(at *attempt) { *at = *newAttempt(a, signer) }
	}
	asEd25519, asECDSA, asRSA := with(key), with(ecdsaKey), with(rsaKey)
	both := func(edits ...func(*attempt)) func(*attempt) {
		return func(at *attempt) {
			for _, edit := range edits {
				edit(at)
			}
		}
	}
	bindTo := func(host ssh.Signer, session []byte, forwarding bool) func(*attempt) {
		return func(at *attempt) { at.bind(t, host, session, forwarding) }
	}
	toHost := bindTo(host, sessionOne, false)
	onHost := func(host ssh.Signer) func(*attempt) {
		return func(at *attempt) {
			at.login.method = hostbound
			at.login.hostKey = host.PublicKey().Marshal()
		}
	}
	plainRSA := func(at *attempt) {
		at.login.key = rsaKey.PublicKey().(*ssh.Certificate).Key.Marshal()
		at.login.algorithm = ssh.KeyAlgoRSASHA256
	}
	plainKey := func(at *attempt) {
		at.blob, at.login.key, at.login.algorithm = plain, plain, ssh.KeyAlgoED25519
	}
	algorithm := func(name string) func(*attempt) { return func(at *attempt) { at.login.algorithm = name } }
	flags := func(f uint32) func(*attempt) { return func(at *attempt) { at.flags = f } }
	data := func(b []byte) func(*attempt) { return func(at *attempt) { at.data = b } }

	sshsig := func(namespace string) []byte {
		b := appendString([]byte("SSHSIG"), namespace)
		b = appendString(b, "")
		b = appendString(b, "sha512")
		return appendString(b, make([]byte, 64))
	}
	certificateVerify := append(bytes.Repeat([]byte{' '}, 64), "TLS 1.3, client CertificateVerify\x00................................"...)

	for _, tt := range []struct {
		name   string
		twin   func(*attempt) // on top of newAttempt
		flaw   func(*attempt) // on top of the twin
		reason string
	}{
		// What is asked for.
		{"key of a stranger", asEd25519, func(at *attempt) { at.blob = stranger.PublicKey().Marshal() }, "has no such key"},
		{"certificate of a stranger", asEd25519, func(at *attempt) { at.blob = strangerCert }, "has no such key"},
		{"certificate that was never listed", asEd25519, func(at *attempt) { at.blob = unlisted }, "has no such key"},
		{"the CA's key", asEd25519, func(at *attempt) { at.blob = ca.signer.PublicKey().Marshal() }, "has no such key"},
		{"empty key", asEd25519, func(at *attempt) { at.blob = nil }, "has no such key"},
		{"key with a byte more", asEd25519, func(at *attempt) { at.blob = append(at.blob, 0) }, "has no such key"},
		{"bytes after the request", asEd25519, func(at *attempt) { at.tail = []byte{0} }, "bytes follow the message"},
		{"another key of ours", asEd25519, func(at *attempt) { at.blob = ecdsaKey.PublicKey().Marshal() }, "is for another key"},

		// What is to be signed.
		{"nothing", asEd25519, data([]byte{}), "it ends early"},
		{"arbitrary text", asEd25519, data([]byte("I owe you")), "it ends early"},
		{"JWS input", asEd25519, data([]byte("eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhbGljZSJ9")), "it ends early"},
		{"TLS CertificateVerify", asEd25519, data(certificateVerify), "it ends early"},
		{"SSHSIG", asEd25519, data(sshsig("git")), "SSHSIG"},
		{"SSHSIG proof to a CA", asEd25519, data(sshsig("proof@sshmint")), "SSHSIG"},
		{"no session id", asEd25519, func(at *attempt) { at.login.session = nil }, "session id has 0 bytes"},
		{"long session id", asEd25519, func(at *attempt) { at.login.session = make([]byte, maxSessionID+1) }, "session id has 129 bytes"},
		{"message type 51", asEd25519, func(at *attempt) { at.login.kind = 51 }, "message type is 51"},
		{"user with a NUL", asEd25519, func(at *attempt) { at.login.user = "alice\x00" }, "user name has a NUL"},
		{"service ssh-userauth", asEd25519, func(at *attempt) { at.login.service = "ssh-userauth" }, "service is not ssh-connection"},
		{"service with a NUL", asEd25519, func(at *attempt) { at.login.service = "ssh-connection\x00" }, "service is not ssh-connection"},
		{"method hostbased", asEd25519, func(at *attempt) { at.login.method = "hostbased" }, "method is not publickey"},
		{"method hostbound of another version", asEd25519, func(at *attempt) { at.login.method = "publickey-hostbound-v01@openssh.com" }, "method is not publickey"},
		{"signature flag 0", asEd25519, func(at *attempt) { at.login.signed = 0 }, "announces no signature"},
		{"signature flag 2", asEd25519, func(at *attempt) { at.login.signed = 2 }, "announces no signature"},
		{"bytes after the login", asEd25519, func(at *attempt) { at.login.tail = []byte{0} }, "bytes follow it"},
		{"a host key after a plain login", asEd25519, func(at *attempt) { at.login.tail = appendString(nil, host.PublicKey().Marshal()) }, "bytes follow it"},
		{"hostbound without a host key", both(asEd25519, onHost(host)), func(at *attempt) { at.login.hostKey = nil }, "host key is empty"},
		{"login cut short", asEd25519, func(at *attempt) { at.data = at.login.marshal(); at.data = at.data[:len(at.data)-1] }, "it ends early"},
		{"login with another's certificate", asEd25519, func(at *attempt) { at.login.key = strangerCert }, "has no such key"},
		{"login with an unlisted certificate", asEd25519, func(at *attempt) { at.login.key = unlisted }, "has no such key"},
		{"login with another key of ours", asEd25519, func(at *attempt) {
			at.login.key, at.login.algorithm = ecdsaKey.PublicKey().Marshal(), ecdsaKey.PublicKey().Type()
		}, "is for another key"},
		{"plain key, login with another's certificate", both(asEd25519, plainKey), func(at *attempt) { at.login.key = strangerCert }, "has no such key"},

		// The algorithm.
		{"empty algorithm", asEd25519, algorithm(""), "does not fit"},
		{"plain algorithm for a certificate", asEd25519, algorithm(ssh.KeyAlgoED25519), "does not fit"},
		{"certificate algorithm for a plain key", both(asEd25519, plainKey), algorithm(ssh.CertAlgoED25519v01), "does not fit"},
		{"algorithm of another type", asEd25519, algorithm(ssh.CertAlgoECDSA256v01), "does not fit"},
		{"algorithm of another curve", asECDSA, algorithm(ssh.CertAlgoECDSA384v01), "does not fit"},
		{"SHA-1 with an RSA certificate", asRSA, algorithm(ssh.CertAlgoRSAv01), "SHA-1"},
		{"SHA-1 with a plain RSA key", both(asRSA, plainRSA), algorithm(ssh.KeyAlgoRSA), "SHA-1"},
		{"plain RSA algorithm for a certificate", asRSA, algorithm(ssh.KeyAlgoRSASHA512), "does not fit"},
		{"RSA certificate algorithm for a plain key", both(asRSA, plainRSA), algorithm(ssh.CertAlgoRSASHA256v01), "does not fit"},
		{"flag SHA-256, algorithm SHA-512", both(asRSA, flags(flagSHA512)), flags(flagSHA256), "contradict"},
		{"flag SHA-512, algorithm SHA-256", both(asRSA, algorithm(ssh.CertAlgoRSASHA256v01), flags(flagSHA256)), flags(flagSHA512), "contradict"},
		{"flag of SSHv1", asEd25519, flags(1), "not known"},
		{"flag nobody knows", both(asRSA, flags(flagSHA512)), flags(flagSHA512 | 8), "not known"},

		// The connection.
		{"bound to another session", both(asEd25519, toHost), func(at *attempt) { at.login.session = sessionTwo }, "another session"},
		{"hostbound to another host", both(asEd25519, toHost, onHost(host)), onHost(otherHost), "another host key"},
		{"forwarded", asEd25519, bindTo(host, sessionOne, true), "hidden"},
		{"forwarded, then bound", both(asEd25519, onHost(host)), both(bindTo(otherHost, sessionTwo, true), bindTo(host, sessionOne, false)), "hidden"},
		{"bind that failed", both(asEd25519, toHost), func(at *attempt) {
			if answer := ask(at.s, bindMessage(t, host, sessionTwo, false)...); answer[0] != msgExtensionFailure {
				t.Errorf("a second bind was answered with %d", answer[0])
			}
		}, "hidden"},
		{"first bind failed", both(asEd25519, onHost(host)), func(at *attempt) {
			ask(at.s, rawBind(host.PublicKey().Marshal(), sessionOne, []byte("no signature"), false)...)
			at.bind(t, host, sessionOne, false)
		}, "hidden"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			at := new(attempt)
			tt.twin(at)
			if !at.granted(t) {
				t.Fatalf("the twin is refused: %s", lastReason(a))
			}
			tt.twin(at)
			tt.flaw(at)
			if at.granted(t) {
				t.Fatal("granted")
			}
			if reason := lastReason(a); !strings.Contains(reason, tt.reason) {
				t.Errorf("refused because %q, want %q", reason, tt.reason)
			}
		})
	}

	for _, tt := range []struct {
		name string
		edit func(*attempt)
	}{
		{"plain key asked for, certificate in the login (ssh before 10.3)", both(asEd25519, func(at *attempt) { at.blob = plain })},
		{"certificate asked for, plain key in the login", both(asEd25519, func(at *attempt) { at.login.key, at.login.algorithm = plain, ssh.KeyAlgoED25519 })},
		{"bound and hostbound", both(asEd25519, toHost, onHost(host))},
		{"RSA flags for another key", both(asEd25519, flags(flagSHA512))},
		{"RSA certificate with no flag", asRSA},
		{"RSA certificate with both flags", both(asRSA, flags(flagSHA256|flagSHA512))},
		{"empty user", both(asEd25519, func(at *attempt) { at.login.user = "" })},
	} {
		t.Run(tt.name, func(t *testing.T) {
			at := new(attempt)
			tt.edit(at)
			if !at.granted(t) {
				t.Errorf("refused: %s", lastReason(a))
			}
		})
	}
}

func lastReason(a *Agent) string {
	if r := a.Refusals(); len(r) > 0 {
		return r[len(r)-1].Reason
	}
	return ""
}

// A sha1Signer makes SHA-1 signatures whatever it is asked for.
type sha1Signer struct{ ssh.Signer }

func (s sha1Signer) SignWithAlgorithm(rand io.Reader, data []byte, _ string) (*ssh.Signature, error) {
	return s.Sign(rand, data)
}

func TestSignerWithOwnMind(t *testing.T) {
	ca := newAuthority(t)
	rsa := newKey(t, "rsa")
	for name, signer := range map[string]ssh.Signer{
		"makes SHA-1 signatures":      sha1Signer{ca.certify(t, rsa, time.Hour, "alice")},
		"knows SHA-1 signatures only": struct{ ssh.Signer }{ca.certify(t, rsa, time.Hour, "alice")},
	} {
		t.Run(name, func(t *testing.T) {
			a := new(Agent)
			a.Set(Settings{Profiles: []Profile{{Name: "corp", Source: &source{current: signer}}}})
			if len(a.Keys(context.Background())) != 1 {
				t.Fatal("not listed")
			}
			if newAttempt(a, signer).granted(t) {
				t.Error("granted")
			}
			if reason := lastReason(a); !strings.Contains(reason, "ssh-rsa") {
				t.Errorf("refused because %q", reason)
			}
		})
	}
}
