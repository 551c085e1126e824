package agent

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// ours is how a list begins for an agent of behind.
func ours(t testing.TB, a *Agent) string {
	t.Helper()
	return a.Keys(t.Context())[0].Comment
}

func TestUpstreamKeysComeAfterOurs(t *testing.T) {
	rsa := string(newKey(t, "rsa").PublicKey().Marshal())
	one := startFake(t, lists(rsa, "rsa", strange("x"), "strange"))
	two := startFake(t, lists(strange("y"), "other", rsa, "rsa again", "", "no key", strange("x"), "strange again"))
	a, signer := behind(t, one.path, two.path, one.path)
	wantComments(t, open(t, a), ours(t, a), "rsa", "strange", "other")
	if u := a.Upstreams(t.Context()); len(u) != 2 {
		t.Errorf("%d upstreams, one of them named twice", len(u))
	}
	for _, u := range a.Upstreams(t.Context()) {
		if !u.Reachable || u.LastError != "" || u.Keys < 2 {
			t.Errorf("%+v", u)
		}
	}
	if !newAttempt(a, signer).granted(t) {
		t.Error("our own key does not sign")
	}

	// A reload takes away and puts in another order, for old connections too.
	s := open(t, a)
	wantComments(t, s, ours(t, a), "rsa", "strange", "other")
	a.Set(Settings{Upstream: []string{two.path}})
	wantComments(t, s, "other", "rsa again", "strange again")
	a.Set(Settings{})
	wantComments(t, s)
	if u := a.Upstreams(t.Context()); len(u) != 0 {
		t.Errorf("%+v", u)
	}
}

// TestUpstreamsAreAskedAtOnce would take 2 s for each otherwise.
func TestUpstreamsAreAskedAtOnce(t *testing.T) {
	met := make(chan struct{}, 3)
	together := func(message []byte) []byte {
		met <- struct{}{}
		for len(met) < cap(met) {
			select {
			case <-time.After(time.Millisecond):
			case <-t.Context().Done():
				return nil
			}
		}
		return listing(strange("x"), "strange")
	}
	a, _ := behind(t, startFake(t, together).path, startFake(t, together).path, startFake(t, together).path)
	wantComments(t, open(t, a), ours(t, a), "strange")
}

// TestUpstreamThatFails has upstreams that lose their own keys, ours stay, and
// so do those of the next one.
func TestUpstreamThatFails(t *testing.T) {
	many := func(n uint32) []byte {
		b := binary.BigEndian.AppendUint32([]byte{msgIdentitiesAnswer}, n)
		for i := range n {
			b = appendString(appendString(b, strange(fmt.Sprint(i))), "")
		}
		return frame(b...)
	}
	long := listing(strange("x"), "strange")
	for _, tt := range []struct {
		name   string
		answer []byte // nil: closes; not set: never answers
		hangs  bool
		want   string // in the status
	}{
		{"fails", frame(msgFailure), false, "answered a request for its keys with message 5"},
		{"answers something else", frame(msgSuccess), false, "with message 6"},
		{"closes", nil, false, "EOF"},
		{"empty message", frame(), false, "it has 0 bytes"},
		{"huge message", []byte{0, 4, 0, 1, msgIdentitiesAnswer}, false, "it has 262145 bytes"},
		{"endless message", []byte{255, 255, 255, 255, msgIdentitiesAnswer}, false, "it has 4294967295 bytes"},
		{"no count", frame(msgIdentitiesAnswer), false, "ends early"},
		{"more keys than there are", frame(msgIdentitiesAnswer, 0, 0, 0, 1), false, "ends early"},
		{"a cut list", frame(long[4 : len(long)-2]...), false, "ends early"},
		{"bytes after the list", frame(append(slices.Clone(long[4:]), 0)...), false, "bytes follow"},
		{"too many keys", many(maxIdentities + 1), false, "it lists 2049 keys; 2048 are allowed"},
		{"too many keys, it says", frame(msgIdentitiesAnswer, 255, 255, 255, 255), false, "it lists 4294967295 keys"},
		{"HTTP", []byte("HTTP/1.1 400 Bad Request\r\n\r\n"), false, "it has 1213486160 bytes"},
		{"never answers", nil, true, "did not answer in time"},
		{"stops in the middle", long[:len(long)-3], true, "did not answer in time"},
		{"stops in the length", long[:3], true, "did not answer in time"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bad := startFake(t, func([]byte) []byte {
				if tt.hangs && tt.answer == nil {
					<-t.Context().Done()
				}
				return tt.answer
			})
			good := startFake(t, lists(strange("x"), "strange"))
			a, _ := behind(t, bad.path, good.path)
			began := time.Now()
			wantComments(t, open(t, a), ours(t, a), "strange")
			took := time.Since(began)
			if tt.hangs && (took < upstreamTime || took > upstreamTime+2*time.Second) || !tt.hangs && took > upstreamTime {
				t.Errorf("the list took %s", took)
			}
			u := a.Upstreams(t.Context())
			if u[0].Reachable || u[0].Keys != 0 || !strings.Contains(u[0].LastError, tt.want) || u[0].FailedAt.IsZero() {
				t.Errorf("%+v, want an error with %q", u[0], tt.want)
			}
			if !u[1].Reachable || u[1].LastError != "" {
				t.Errorf("%+v", u[1])
			}
		})
	}
}

func TestUpstreamThatIsNotThere(t *testing.T) {
	dir := socketDir(t)
	a, _ := behind(t, filepath.Join(dir, "none"), dir, "$NOT_SET", "relative")
	s := open(t, a)
	wantComments(t, s, ours(t, a))
	for _, u := range a.Upstreams(t.Context()) {
		if u.Reachable || !strings.Contains(u.LastError, "connecting: ") {
			t.Errorf("%+v", u)
		}
	}
	// One that comes later is found by connections that are there.
	f := &fakeAgent{path: filepath.Join(dir, "none"), answer: lists(strange("x"), "late")}
	f.start(t)
	t.Cleanup(func() { f.stop(t) })
	wantComments(t, s, ours(t, a), "late")
}

// TestUpstreamListsWhatClientsCannotRead: OpenSSH's clients take no key at all
// from a list with one that they cannot read.
func TestUpstreamListsWhatClientsCannotRead(t *testing.T) {
	ed25519 := newKey(t, "ed25519").PublicKey().Marshal()
	cert := newAuthority(t).certify(t, newKey(t, "ed25519"), time.Hour, "alice").PublicKey().Marshal()
	forged := bytes.Clone(cert)
	forged[len(forged)-1] ^= 1
	name := func(kind, rest string) string { return string(appendString(nil, kind)) + rest }
	for _, tt := range []struct {
		name, blob, comment string
		listed              bool
	}{
		{"key", string(ed25519), "key", true},
		{"certificate", string(cert), "cert", true},
		{"security key", name(ssh.KeyAlgoSKED25519, string(appendString(appendString(nil, make([]byte, 32)), "ssh:"))), "sk", true},
		{"kind nobody knows", strange("x"), "strange", true},
		{"kind nobody knows, with a blank comment", strange("x"), "", true},

		{"empty", "", "empty", false},
		{"no kind", name("", "x"), "key", false},
		{"cut in its kind", string(ed25519[:8]), "key", false},
		{"cut", string(ed25519[:len(ed25519)-1]), "key", false},
		{"bytes after it", string(ed25519) + "x", "key", false},
		{"RSA without numbers", name(ssh.KeyAlgoRSA, ""), "key", false},
		{"ECDSA off its curve", name(ssh.KeyAlgoECDSA256, string(appendString(appendString(nil, "nistp256"), make([]byte, 65)))), "key", false},
		{"certificate that nobody signed", string(forged), "cert", false},
		{"plain key that says it is a certificate", name(ssh.CertAlgoED25519v01, string(ed25519[15:])), "cert", false},
		{"comment with a NUL", strange("x"), "a\x00b", false},
	} {
		keys, err := parseIdentities(listing(tt.blob, tt.comment, strange("y"), "other")[4:])
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if listed := len(keys) == 2; listed != tt.listed {
			t.Errorf("%s: %d keys", tt.name, len(keys))
		}
	}
}

// TestFullList: what comes first stays, ours above all.
func TestFullList(t *testing.T) {
	keys := func(n, size int) func([]byte) []byte {
		var all []string
		for i := range n {
			all = append(all, strange(fmt.Sprint(n, i)+strings.Repeat("x", size)), "key")
		}
		return lists(all...)
	}
	for _, tt := range []struct{ n, size, want int }{
		{2000, 1, 2048},
		{2, 100_000, 3}, // 256 KiB in all
	} {
		one, two := startFake(t, keys(tt.n, tt.size)), startFake(t, keys(tt.n-1, tt.size))
		a, _ := behind(t, one.path, two.path)
		got := comments(t, open(t, a))
		if len(got) != tt.want || got[0] != ours(t, a) {
			t.Errorf("%d keys of %d bytes: %d are listed, the first is %q", tt.n, tt.size, len(got), got[0])
		}
	}
}

// TestLockedUpstreams: nothing reaches an upstream while the agent is locked.
func TestLockedUpstreams(t *testing.T) {
	f := startFake(t, lists(strange("x"), "strange"))
	a, _ := behind(t, f.path)
	a.Set(Settings{Upstream: []string{f.path}, AddUpstream: true})
	s := open(t, a)
	wantComments(t, s, "strange")
	f.kinds()
	a.lock.locked.Store(true)
	wantComments(t, s)
	for _, message := range [][]byte{
		relayRequest(strange("x"), "data", 0),
		appendString([]byte{msgAddIdentity}, ssh.KeyAlgoED25519),
		appendString([]byte{msgRemoveIdentity}, strange("x")),
		{msgRemoveAll},
		{msgAddCard},
		{msgRemoveCard},
		{msgAddCardConstraint},
		{msgAddConstrained},
	} {
		if answer := ask(s, message...); answer[0] != msgFailure || !strings.Contains(lastReason(a), "locked") {
			t.Errorf("message %d: answered with % x: %s", message[0], answer, lastReason(a))
		}
	}
	if u := a.Upstreams(t.Context()); u[0].Reachable {
		t.Errorf("%+v", u)
	}
	if kinds := f.kinds(); len(kinds) != 0 {
		t.Errorf("the upstream was sent % d", kinds)
	}
	a.lock.locked.Store(false)
	wantComments(t, s, "strange")
}

func FuzzUpstreamList(f *testing.F) {
	key := newKey(f, "ed25519").PublicKey().Marshal()
	cert := newAuthority(f).certify(f, newKey(f, "ecdsa"), time.Hour, "alice").PublicKey().Marshal()
	f.Add(listing()[4:])
	f.Add(listing(string(key), "key", string(cert), "cert")[4:])
	f.Add(listing(strange("x"), "", "", "\x00")[4:])
	f.Add([]byte{msgIdentitiesAnswer, 255, 255, 255, 255})
	f.Add([]byte{msgFailure})
	f.Fuzz(func(t *testing.T, answer []byte) {
		if len(answer) == 0 || len(answer) > maxMessage {
			return // readAnswer refuses these
		}
		keys, err := parseIdentities(answer)
		if err != nil {
			return
		}
		size := 0
		for _, k := range keys {
			size += len(k.entry)
			r := reader{rest: k.entry}
			if !bytes.Equal(r.string(), k.blob) {
				t.Fatalf("the entry %x has not the key %x", k.entry, k.blob)
			}
			if r.string(); r.whole() != nil {
				t.Fatalf("the entry %x is not whole", k.entry)
			}
			if !readable(k.blob) {
				t.Fatalf("%x is listed", k.blob)
			}
		}
		if size > len(answer)-5 {
			t.Fatalf("%d bytes of keys from %d", size, len(answer))
		}
	})
}
