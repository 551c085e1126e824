package agent

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// hostCertificate returns a signer for a host key whose public key is a
// certificate by ca.
func hostCertificate(t testing.TB, ca *authority, host ssh.Signer) ssh.Signer {
	t.Helper()
	return ca.sign(t, &ssh.Certificate{
		Key:             host.PublicKey(),
		CertType:        ssh.HostCert,
		ValidPrincipals: []string{"db7.example.com"},
		ValidBefore:     uint64(time.Now().Add(time.Hour).Unix()),
	}, host)
}

func TestBind(t *testing.T) {
	a, signer := warm(t)
	host, other := newKey(t, "ed25519"), newKey(t, "rsa")
	certified := hostCertificate(t, newAuthority(t), newKey(t, "ecdsa"))
	hostKey := host.PublicKey().Marshal()
	signature := func(signer ssh.Signer, data []byte) []byte {
		s, err := signer.Sign(rand.Reader, data)
		if err != nil {
			t.Fatal(err)
		}
		return ssh.Marshal(s)
	}
	good := bindMessage(t, host, sessionOne, false)
	forward := func(host ssh.Signer, session []byte) []byte { return bindMessage(t, host, session, true) }
	forgedCert := certified.PublicKey().Marshal()
	forgedCert[len(forgedCert)-1] ^= 1 // of the authority's signature
	hops := func(n int) (messages [][]byte) {
		for i := range n {
			messages = append(messages, forward(host, fmt.Appendf(nil, "session %d", i)))
		}
		return messages
	}

	for _, tt := range []struct {
		name   string
		before [][]byte // binds that succeed
		bind   []byte
		want   connectionKind
		reason string // of a refusal
	}{
		{"bound", nil, good, bound, ""},
		{"RSA host key", nil, bindMessage(t, other, sessionOne, false), bound, ""},
		{"host certificate", nil, bindMessage(t, certified, sessionOne, false), bound, ""},
		{"fields of a later version", nil, append(bindMessage(t, host, sessionOne, false), "more"...), bound, ""},
		{"forwarded", nil, forward(host, sessionOne), forwarded, ""},
		{"flag other than 0 and 1", nil, append(good[:len(good)-1:len(good)-1], 7), forwarded, ""},
		{"forwarded, then bound", hops(1), bindMessage(t, other, sessionTwo, false), forwarded, ""},
		{"forwarded twice over one session", hops(1), hops(1)[0], forwarded, ""},
		{"forwarded over two sessions of one host", hops(1), forward(host, sessionTwo), forwarded, ""},
		{"session id of 128 bytes", nil, bindMessage(t, host, make([]byte, 128), false), bound, ""},
		{"16 hops", hops(15), bindMessage(t, host, sessionOne, false), forwarded, ""},

		{"17 hops", hops(16), bindMessage(t, host, sessionOne, false), forwarded, "more than 16"},
		{"session id of 129 bytes", nil, bindMessage(t, host, make([]byte, 129), false), forwarded, "129 bytes"},
		{"no session id", nil, bindMessage(t, host, nil, false), forwarded, "0 bytes"},
		{"same session, other key", [][]byte{forward(host, sessionOne)}, forward(other, sessionOne), forwarded, "another host key"},
		{"bind after an authentication", [][]byte{good}, bindMessage(t, other, sessionTwo, false), forwarded, "already bound"},
		{"the same bind after an authentication", [][]byte{good}, good, forwarded, "already bound"},
		{"forwarding after an authentication", [][]byte{good}, forward(other, sessionTwo), forwarded, "already bound"},
		{"signature over another session", nil, rawBind(hostKey, sessionOne, signature(host, sessionTwo), false), forwarded, "verifying the signature"},
		{"signature of another key", nil, rawBind(hostKey, sessionOne, signature(newKey(t, "ed25519"), sessionOne), false), forwarded, "verifying the signature"},
		{"no signature", nil, rawBind(hostKey, sessionOne, nil, false), forwarded, "ends early"},
		{"bytes after the signature", nil, rawBind(hostKey, sessionOne, append(signature(host, sessionOne), 0), false), forwarded, "bytes follow"},
		{"no host key", nil, rawBind(nil, sessionOne, signature(host, sessionOne), false), forwarded, "reading the host key"},
		{"host key of a type nobody knows", nil, rawBind(appendString(nil, "ssh-none"), sessionOne, signature(host, sessionOne), false), forwarded, "reading the host key"},
		{"host certificate that its authority did not sign", nil, rawBind(forgedCert, sessionOne, signature(certified, sessionOne), false), forwarded, "verifying the host certificate"},
		{"message without its flag", nil, good[:len(good)-1], forwarded, "ends early"},
		{"empty message", nil, appendString([]byte{msgExtension}, sessionBind), forwarded, "ends early"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &session{agent: a}
			for _, b := range tt.before {
				if answer := ask(s, b...); answer[0] != msgSuccess {
					t.Fatalf("an earlier bind was answered with %d: %s", answer[0], lastReason(a))
				}
			}
			answer := ask(s, tt.bind...)
			if want := byte(msgSuccess); tt.reason == "" && answer[0] != want {
				t.Fatalf("answered with %d: %s", answer[0], lastReason(a))
			}
			if tt.reason != "" && (answer[0] != msgExtensionFailure || !strings.Contains(lastReason(a), tt.reason)) {
				t.Fatalf("answered with %d because %q, want %q", answer[0], lastReason(a), tt.reason)
			}
			if got := s.binds.kind(); got != tt.want {
				t.Fatalf("the connection is of kind %d, want %d", got, tt.want)
			}
			// The list and everything else follow the kind.
			count := ask(s, msgRequestIdentities)[4]
			if want := tt.want != forwarded; (count == 1) != want {
				t.Errorf("%d keys are listed on a connection of kind %d", count, tt.want)
			}
			if tt.want != forwarded {
				return
			}
			blob := signer.PublicKey().Marshal()
			for name, message := range map[string][]byte{
				"remove":     appendString([]byte{msgRemoveIdentity}, blob),
				"remove all": {msgRemoveAll},
				"remove v1":  {msgRemoveAllV1},
				"lock":       appendString([]byte{msgLock}, "sesame"),
				"unlock":     appendString([]byte{msgUnlock}, "sesame"),
			} {
				if answer := ask(s, message...); len(answer) != 1 || answer[0] != msgFailure {
					t.Errorf("%s was answered with %d", name, answer)
				}
			}
			if a.Locked() || !newAttempt(a, signer).granted(t) {
				t.Fatal("a forwarded connection changed the agent")
			}
		})
	}
}

// TestBindingsCheck has what a connection may sign, of those too on which every
// key is hidden anyway.
func TestBindingsCheck(t *testing.T) {
	hop := func(host, session string, forwarding bool) binding { return binding{host, session, forwarding} }
	onward := []binding{hop("jump", "one", true), hop("db7", "two", false)}
	for _, tt := range []struct {
		name  string
		binds bindings
		q     authRequest
		ok    bool
	}{
		{"unbound", bindings{}, authRequest{session: []byte("one")}, true},
		{"unbound, hostbound", bindings{}, authRequest{session: []byte("one"), hostKey: []byte("db7")}, true},
		{"failed", bindings{failed: true}, authRequest{session: []byte("one")}, false},
		{"failed after a bind", bindings{hops: onward[1:], failed: true}, authRequest{session: []byte("two")}, false},
		{"bound", bindings{hops: onward[1:]}, authRequest{session: []byte("two")}, true},
		{"bound, other session", bindings{hops: onward[1:]}, authRequest{session: []byte("one")}, false},
		{"bound, hostbound", bindings{hops: onward[1:]}, authRequest{session: []byte("two"), hostKey: []byte("db7")}, true},
		{"bound, other host", bindings{hops: onward[1:]}, authRequest{session: []byte("two"), hostKey: []byte("jump")}, false},
		{"last is forwarding", bindings{hops: onward[:1]}, authRequest{session: []byte("one"), hostKey: []byte("jump")}, false},
		{"two hops, not hostbound", bindings{hops: onward}, authRequest{session: []byte("two")}, false},
		{"two hops, hostbound", bindings{hops: onward}, authRequest{session: []byte("two"), hostKey: []byte("db7")}, true},
		{"two hops, the first one's host", bindings{hops: onward}, authRequest{session: []byte("two"), hostKey: []byte("jump")}, false},
		{"two hops, the first one's session", bindings{hops: onward}, authRequest{session: []byte("one"), hostKey: []byte("db7")}, false},
	} {
		if err := tt.binds.check(tt.q); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
