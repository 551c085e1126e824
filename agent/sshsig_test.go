package agent

import (
	"context"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// sshsigData is what ssh-keygen -Y sign has signed, with a hash of so many
// bytes.
func sshsigData(namespace, reserved, hash string, size int) []byte {
	b := appendString([]byte(sshsigMagic), namespace)
	b = appendString(b, reserved)
	b = appendString(b, hash)
	return appendString(b, make([]byte, size))
}

// TestSSHSIGPolicy has for each flaw a message that is refused for it, and a twin
// without the flaw that is granted.
func TestSSHSIGPolicy(t *testing.T) {
	ca := newAuthority(t)
	ed25519, rsa := ca.certify(t, newKey(t, "ed25519"), time.Hour, "alice"), ca.certify(t, newKey(t, "rsa"), time.Hour, "alice")
	open := ca.certify(t, newKey(t, "ed25519"), time.Hour, "alice")
	a := new(Agent)
	settings := Settings{
		Profiles: []Profile{{Name: "corp", Source: &source{current: ed25519}}, {Name: "old", Source: &source{current: rsa}}, {Name: "open", Source: &source{current: open}, Forward: ForwardAllow}},
		SSHSIG:   []string{"git", "file", "proof@sshmint", "tab\there"},
	}
	a.Set(settings)
	a.Keys(context.Background())
	host := newKey(t, "ed25519")
	git := sshsigData("git", "", "sha512", 64)
	with := func(signer ssh.Signer, data []byte) func(*attempt) {
		return func(at *attempt) {
			*at = *newAttempt(a, signer)
			at.data = data
		}
	}
	data := func(b []byte) func(*attempt) { return func(at *attempt) { at.data = b } }
	bind := func(forwarding bool) func(*attempt) {
		return func(at *attempt) { at.bind(t, host, sessionOne, forwarding) }
	}
	bound := func(at *attempt) {
		with(ed25519, git)(at)
		bind(false)(at)
	}
	asEd25519, asRSA, asOpen := with(ed25519, git), with(rsa, git), with(open, git)
	sha256 := with(ed25519, sshsigData("file", "", "sha256", 32))

	for _, tt := range []struct {
		name   string
		twin   func(*attempt)
		flaw   func(*attempt)
		reason string
	}{
		{"namespace that is not allowed", asEd25519, data(sshsigData("email", "", "sha512", 64)), `does not allow the namespace "email"`},
		{"namespace in capitals", asEd25519, data(sshsigData("Git", "", "sha512", 64)), "does not allow"},
		{"namespace and more", asEd25519, data(sshsigData("git2", "", "sha512", 64)), "does not allow"},
		{"namespace and a NUL", asEd25519, data(sshsigData("git\x00", "", "sha512", 64)), "not printable"},
		{"namespace of a pattern", asEd25519, data(sshsigData("*", "", "sha512", 64)), "does not allow"},
		{"no namespace", asEd25519, data(sshsigData("", "", "sha512", 64)), "namespace is empty"},
		{"proof to a CA, allowed by mistake", asEd25519, data(sshsigData("proof@sshmint", "", "sha512", 64)), "proofs to a CA"},
		{"namespace with a tab, allowed by mistake", asEd25519, data(sshsigData("tab\there", "", "sha512", 64)), "not printable"},
		{"reserved field", asEd25519, data(sshsigData("git", "x", "sha512", 64)), "reserved field is not empty"},
		{"SHA-1", asEd25519, data(sshsigData("git", "", "sha1", 20)), `hash "sha1" is neither`},
		{"no hash", asEd25519, data(sshsigData("git", "", "", 0)), `hash "" is neither`},
		{"short SHA-512", asEd25519, data(sshsigData("git", "", "sha512", 63)), "sha512 hash has 63 bytes"},
		{"SHA-256 as SHA-512", sha256, data(sshsigData("file", "", "sha512", 32)), "sha512 hash has 32 bytes"},
		{"SHA-512 as SHA-256", sha256, data(sshsigData("file", "", "sha256", 64)), "sha256 hash has 64 bytes"},
		{"bytes after it", asEd25519, data(append(git[:len(git):len(git)], 0)), "bytes follow it"},
		{"cut short", asEd25519, data(git[:len(git)-1]), "it ends early"},
		{"the magic alone", asEd25519, data([]byte(sshsigMagic)), "it ends early"},
		{"the finished signature's blob", asEd25519, data(append([]byte(sshsigMagic), "\x00\x00\x00\x01\x00\x00\x00\x33"...)), "it ends early"},
		{"magic in small letters", asEd25519, data(append([]byte("sshsig"), git[len(sshsigMagic):]...)), "not an SSH authentication request"},
		{"flag of SSHv1", asEd25519, func(at *attempt) { at.flags = 1 }, "not known"},
		{"flag nobody knows", asRSA, func(at *attempt) { at.flags = 8 }, "not known"},
		{"forwarded", asEd25519, bind(true), "forwarded"},
		{"forwarded, where logins are allowed", asOpen, bind(true), "SSHSIG: the connection is forwarded"},
		{"bind failed, where logins are allowed", asOpen, func(at *attempt) {
			ask(at.s, rawBind(host.PublicKey().Marshal(), sessionOne, []byte("no signature"), false)...)
		}, "session-bind failed"},
		{"bound, then forwarded", bound, func(at *attempt) {
			ask(at.s, bindMessage(t, host, sessionTwo, true)...)
		}, "session-bind failed"},
		{"key of a stranger", asEd25519, func(at *attempt) { at.blob = host.PublicKey().Marshal() }, "has no such key"},
		{"agent locked", asEd25519, func(at *attempt) { at.s.agent = lockedAgent(t, settings) }, "locked"},
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
			if reason := lastReason(at.s.agent); !strings.Contains(reason, tt.reason) {
				t.Errorf("refused because %q, want %q", reason, tt.reason)
			}
		})
	}
	a.Set(Settings{Profiles: settings.Profiles})
	at := new(attempt)
	asEd25519(at)
	if at.granted(t) || !strings.Contains(lastReason(a), "does not allow") {
		t.Errorf("granted with no namespace allowed, or refused because %q", lastReason(a))
	}
}

func lockedAgent(t *testing.T, settings Settings) *Agent {
	a := new(Agent)
	a.Set(settings)
	a.Keys(t.Context())
	if err := a.lock.close(t.Context(), []byte("pw")); err != nil {
		t.Fatal(err)
	}
	return a
}

// TestSSHSIGAlgorithm has RSA sign with SHA-2 whatever the flags say.
func TestSSHSIGAlgorithm(t *testing.T) {
	ca := newAuthority(t)
	for _, tt := range []struct {
		kind  string
		flags uint32
		want  string
	}{
		{"rsa", 0, ssh.KeyAlgoRSASHA512},
		{"rsa", flagSHA256, ssh.KeyAlgoRSASHA256},
		{"rsa", flagSHA512, ssh.KeyAlgoRSASHA512},
		{"rsa", flagSHA256 | flagSHA512, ssh.KeyAlgoRSASHA256},
		{"ecdsa", flagSHA512, ssh.KeyAlgoECDSA256},
		{"ed25519", 0, ssh.KeyAlgoED25519},
	} {
		signer := ca.certify(t, newKey(t, tt.kind), time.Hour, "alice")
		a := new(Agent)
		a.Set(Settings{Profiles: []Profile{{Name: "corp", Source: &source{current: signer}}}, SSHSIG: []string{"git"}})
		a.Keys(t.Context())
		at := newAttempt(a, signer)
		at.data, at.flags = sshsigData("git", "", "sha512", 64), tt.flags
		answer := ask(at.s, at.request()...)
		if answer[0] != msgSignResponse {
			t.Fatalf("%s, flags %d: refused: %s", tt.kind, tt.flags, lastReason(a))
		}
		r := reader{rest: answer[1:]}
		r = reader{rest: r.string()}
		if format := string(r.string()); format != tt.want {
			t.Errorf("%s, flags %d: %s, want %s", tt.kind, tt.flags, format, tt.want)
		}
	}
}

// FuzzSSHSIG accepts nothing but what comes out the same from its fields.
func FuzzSSHSIG(f *testing.F) {
	f.Add(sshsigData("git", "", "sha512", 64))
	f.Add(sshsigData("file", "", "sha256", 32))
	f.Add(sshsigData("git", "x", "sha512", 64))
	f.Add([]byte(sshsigMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		namespace, err := parseSSHSIG(data)
		if err != nil {
			return
		}
		var q struct {
			Namespace, Reserved, Hash string
			Sum                       []byte
		}
		if err := ssh.Unmarshal(data[len(sshsigMagic):], &q); err != nil {
			t.Fatalf("accepted what does not parse: %v", err)
		}
		if size := map[string]int{"sha256": 32, "sha512": 64}[q.Hash]; size != len(q.Sum) || q.Namespace != namespace || namespace == "" || q.Reserved != "" {
			t.Fatalf("accepted %q", data)
		}
		if back := append([]byte(sshsigMagic), ssh.Marshal(q)...); string(back) != string(data) {
			t.Fatalf("accepted %q, which comes out as %q", data, back)
		}
		if _, err := parseAuthRequest(data); err == nil {
			t.Fatalf("%q is a login as well", data)
		}
	})
}
