package agent

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"
)

// TestAddedOrder keeps the order in which keys came, through additions anew and
// removals.
func TestAddedOrder(t *testing.T) {
	a := new(Agent)
	s := &session{agent: a}
	var blobs []string
	var additions []*addition
	for range 5 {
		key, addition := add(t, a, "ed25519")
		blobs = append(blobs, string(key.PublicKey().Marshal()))
		additions = append(additions, addition)
	}
	check := func(want ...int) {
		t.Helper()
		var blob []string
		for _, i := range want {
			blob = append(blob, blobs[i])
		}
		if got := listedBlobs(t, s); !slices.Equal(got, blob) {
			t.Fatalf("the list is not that of the keys %d", want)
		}
	}
	check(0, 1, 2, 3, 4)
	old := a.added.find([]byte(blobs[2]))
	again := *additions[2]
	again.comment, again.constraints = "another comment", []byte{constrainConfirm}
	if answer := ask(s, again.message()...); answer[0] != msgSuccess {
		t.Fatal(lastReason(a))
	}
	check(0, 1, 2, 3, 4)
	if k := a.added.find([]byte(blobs[2])); k.comment != "another comment" || !k.confirm {
		t.Errorf("adding a key anew did not replace it: %q, %t", k.comment, k.confirm)
	}
	if old.hold() {
		t.Error("the key that was replaced is still there")
	}
	if answer := ask(s, appendString([]byte{msgRemoveIdentity}, blobs[1])...); answer[0] != msgSuccess {
		t.Fatal(lastReason(a))
	}
	check(0, 2, 3, 4)
	if answer := ask(s, appendString([]byte{msgRemoveIdentity}, blobs[1])...); answer[0] != msgFailure {
		t.Error("removed a key twice")
	}
	if signRequest(t, s, []byte(blobs[1]), []byte("data"), 0) != nil {
		t.Error("a key that was removed signs")
	}
	ask(s, additions[1].message()...)
	check(0, 2, 3, 4, 1)
	if answer := ask(s, msgRemoveAll); answer[0] != msgSuccess {
		t.Fatal(lastReason(a))
	}
	check()
}

// TestAddedAfterMinted lists and removes both kinds.
func TestAddedAfterMinted(t *testing.T) {
	a, minted := warm(t)
	key, _ := add(t, a, "ed25519")
	s := &session{agent: a}
	want := []string{string(minted.PublicKey().Marshal()), string(key.PublicKey().Marshal())}
	if got := listedBlobs(t, s); !slices.Equal(got, want) {
		t.Fatal("the minted certificate does not come first, or not with the added key")
	}
	a.Forget()
	if got := listedBlobs(t, s); !slices.Equal(got, want[1:]) {
		t.Error("Forget is about what was minted")
	}
	a.RemoveAdded()
	if got := listedBlobs(t, s); len(got) != 0 {
		t.Error("RemoveAdded kept a key")
	}
}

// TestAddedForwarded has what a forwarded connection may do with keys that are
// not restricted: all that OpenSSH's agent lets it.
func TestAddedForwarded(t *testing.T) {
	a, minted := warm(t)
	first, _ := add(t, a, "ed25519")
	second, _ := add(t, a, "ed25519")
	s := &session{agent: a}
	ask(s, bindMessage(t, newKey(t, "ed25519"), sessionOne, true)...)
	firstBlob, secondBlob := first.PublicKey().Marshal(), second.PublicKey().Marshal()
	if got := listedBlobs(t, s); !slices.Equal(got, []string{string(firstBlob), string(secondBlob)}) {
		t.Errorf("%d keys are listed, want the two that were added", len(got))
	}
	if signRequest(t, s, firstBlob, []byte("data"), 0) == nil {
		t.Errorf("an added key does not sign: %s", lastReason(a))
	}
	if answer := ask(s, appendString([]byte{msgRemoveIdentity}, firstBlob)...); answer[0] != msgSuccess {
		t.Errorf("an added key cannot be removed: %s", lastReason(a))
	}
	third := newAddition(t, newPrivate(t, "ed25519"), nil)
	if answer := ask(s, third.message()...); answer[0] != msgSuccess {
		t.Errorf("a key cannot be added: %s", lastReason(a))
	}
	if answer := ask(s, msgRemoveAll); answer[0] != msgSuccess {
		t.Errorf("the added keys cannot be removed: %s", lastReason(a))
	}
	if got := listedBlobs(t, s); len(got) != 0 {
		t.Errorf("%d keys are left", len(got))
	}
	if !newAttempt(a, minted).granted(t) {
		t.Error("what was minted is gone")
	}
	if answer := ask(s, msgRemoveAll); answer[0] != msgFailure {
		t.Error("there was nothing that it could remove, and it was told otherwise")
	}
}

// TestAddedProfileSocket has a profile's own socket know nothing of added keys.
func TestAddedProfileSocket(t *testing.T) {
	a, minted := warm(t)
	key, addition := add(t, a, "ed25519")
	blob := key.PublicKey().Marshal()
	own, other := a.session(peer{}, "corp"), a.session(peer{}, "")
	if got := listedBlobs(t, own); !slices.Equal(got, []string{string(minted.PublicKey().Marshal())}) {
		t.Errorf("%d keys are listed, want the profile's", len(got))
	}
	if signRequest(t, own, blob, []byte("data"), 0) != nil || signRequest(t, other, blob, []byte("data"), 0) == nil {
		t.Errorf("an added key signs there, or not elsewhere: %s", lastReason(a))
	}
	if answer := ask(own, addition.message()...); answer[0] != msgFailure || !strings.Contains(lastReason(a), "of profile corp alone") {
		t.Errorf("adding a key was answered with %d: %s", answer[0], lastReason(a))
	}
	for name, message := range map[string][]byte{"remove": appendString([]byte{msgRemoveIdentity}, blob), "remove all": {msgRemoveAll}} {
		ask(own, message...)
		if a.added.find(blob) == nil {
			t.Fatalf("%s removed an added key", name)
		}
	}
}

// TestAddedHidesUpstream has a key that is restricted here stay hidden although
// an agent behind this one lists it as well.
func TestAddedHidesUpstream(t *testing.T) {
	host, other := newKey(t, "ed25519"), newKey(t, "ed25519")
	key := newPrivate(t, "ed25519")
	restricted := newAddition(t, key, nil)
	restricted.kind, restricted.constraints = msgAddConstrained, constrainedTo(destinationOf(localHop, hopOf("", "db7", plainHost(host))))
	blob := restricted.public.Marshal()
	f := startFake(t, lists(string(blob), "the same key", strange("x"), "strange"))
	a, _ := behind(t, f.path)
	s := open(t, a)
	if got := listedBlobs(t, s); !slices.Contains(got, string(blob)) {
		t.Fatal("the upstream's key is not listed")
	}
	if answer := ask(s, restricted.message()...); answer[0] != msgSuccess {
		t.Fatal(lastReason(a))
	}
	for _, tt := range []struct {
		host ssh.Signer
		want bool
	}{{host, true}, {other, false}} {
		s := open(t, a)
		ask(s, bindMessage(t, tt.host, sessionOne, false)...)
		got := listedBlobs(t, s)
		if slices.Contains(got, string(blob)) != tt.want || !slices.Contains(got, strange("x")) {
			t.Errorf("listed %q", got)
		}
		f.kinds()
		if signRequest(t, s, blob, []byte("data"), 0) != nil || slices.Contains(f.kinds(), byte(msgSignRequest)) {
			t.Error("the upstream was asked to sign")
		}
	}
}

// TestAddedLocked locks the agent while it holds keys.
func TestAddedLocked(t *testing.T) {
	a := new(Agent)
	key, addition := add(t, a, "ed25519")
	s := &session{agent: a}
	ask(s, lockMessage(msgLock, "sesame")...)
	blob := key.PublicKey().Marshal()
	if got := listedBlobs(t, s); len(got) != 0 {
		t.Error("listed while locked")
	}
	if signRequest(t, s, blob, []byte("data"), 0) != nil {
		t.Error("signed while locked")
	}
	for name, message := range map[string][]byte{
		"add": addition.message(), "remove": appendString([]byte{msgRemoveIdentity}, blob), "remove all": {msgRemoveAll},
	} {
		if answer := ask(s, message...); answer[0] != msgFailure {
			t.Errorf("%s while locked was answered with %d", name, answer[0])
		}
	}
	ask(s, lockMessage(msgUnlock, "sesame")...)
	if got := listedBlobs(t, s); len(got) != 1 || signRequest(t, s, blob, []byte("data"), 0) == nil {
		t.Error("the key did not outlast the lock")
	}
}

// A lockingSigner has the agent locked while it signs.
type lockingSigner struct {
	ssh.AlgorithmSigner
	agent *Agent
}

func (s lockingSigner) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	ask(&session{agent: s.agent}, lockMessage(msgLock, "sesame")...)
	return s.AlgorithmSigner.SignWithAlgorithm(rand, data, algorithm)
}

// TestLockedWhileSigning has no signature come out of an agent that was locked
// meanwhile.
func TestLockedWhileSigning(t *testing.T) {
	a := new(Agent)
	key, _ := add(t, a, "ed25519")
	blob := key.PublicKey().Marshal()
	k := a.added.find(blob)
	k.private.signer = lockingSigner{k.private.signer, a}
	if signRequest(t, &session{agent: a}, blob, []byte("data"), 0) != nil {
		t.Error("signed while locked")
	}
	if !a.Locked() {
		t.Error("not locked")
	}
}

// TestLifetime has keys end on time in an agent that nobody asks.
func TestLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &Agent{AddedLifetime: time.Hour}
		s := &session{agent: a}
		short, _ := add(t, a, "ed25519", constrainedFor(10*time.Second)...)
		long, again := add(t, a, "ed25519", constrainedFor(3*time.Hour)...)
		def, _ := add(t, a, "ed25519")
		keys := a.added.all()
		check := func(want int, gone ...int) {
			t.Helper()
			synctest.Wait()
			if n := len(a.added.all()); n != want { // whether or not anybody asks
				t.Errorf("after %s there are %d keys, want %d", time.Since(keys[0].life.from), n, want)
			}
			for _, i := range gone {
				if keys[i].holds.Load() != 0 {
					t.Errorf("key %d was not wiped", i)
				}
			}
		}
		time.Sleep(10*time.Second - time.Nanosecond)
		check(3)
		if signRequest(t, s, short.PublicKey().Marshal(), []byte("data"), 0) == nil {
			t.Error("refused in time")
		}
		time.Sleep(time.Nanosecond)
		check(2, 0)
		if signRequest(t, s, short.PublicKey().Marshal(), []byte("data"), 0) != nil {
			t.Error("signed after its time")
		}
		time.Sleep(time.Hour)
		check(1, 0, 2)
		if signRequest(t, s, def.PublicKey().Marshal(), []byte("data"), 0) != nil {
			t.Error("the default lifetime was not kept")
		}
		// Adding it anew begins anew.
		again.constraints = constrainedFor(2 * time.Hour)
		ask(s, again.message()...)
		time.Sleep(2*time.Hour - time.Second)
		check(1)
		if signRequest(t, s, long.PublicKey().Marshal(), []byte("data"), 0) == nil {
			t.Error("refused in time")
		}
		time.Sleep(time.Second)
		check(0, 0, 1, 2)
		// A lifetime of none is over at once.
		add(t, a, "ed25519", constrainedFor(0)...)
		if got := listedBlobs(t, s); len(got) != 0 {
			t.Error("a key with no time is listed")
		}
		check(0)
	})
}

// TestLife looks at a life with clocks that do not go alike.
func TestLife(t *testing.T) {
	start := time.Now()
	l := life{from: start, limit: time.Hour, limited: true}
	wall := func(d time.Duration) time.Time { return start.Round(0).Add(d) } // no monotonic clock
	for _, tt := range []struct {
		name string
		life life
		now  time.Time
		over bool
	}{
		{"for ever", life{from: start}, start.Add(1 << 60), false},
		{"an hour but for a moment", l, start.Add(time.Hour - 1), false},
		{"an hour", l, start.Add(time.Hour), true},
		{"an hour by the wall clock, as in suspend", l, wall(time.Hour), true},
		{"the wall clock was set back", l, wall(-time.Hour), false},
	} {
		if over := tt.life.over(tt.now); over != tt.over {
			t.Errorf("%s: over is %t", tt.name, over)
		}
	}
}

// TestLifeEndsWhileAsked has a key's time end before the person says yes, on a
// machine whose timers stood still meanwhile.
func TestLifeEndsWhileAsked(t *testing.T) {
	a := new(Agent)
	key, addition := add(t, a, "ed25519", append(constrainedFor(time.Hour), constrainConfirm)...)
	blob := key.PublicKey().Marshal()
	for _, slept := range []time.Duration{0, time.Hour} {
		ask(&session{agent: a}, addition.message()...)
		k := a.added.find(blob)
		a.Confirmer = &person{answer: func(context.Context) error {
			k.life.from = k.life.from.Add(-slept)
			return nil
		}}
		if signed := signRequest(t, &session{agent: a}, blob, []byte("data"), 0) != nil; signed != (slept == 0) {
			t.Errorf("after %s: signed %t: %s", slept, signed, lastReason(a))
		}
	}
}

// TestAddedConfirm asks a person for each signature, and signs for a yes alone.
func TestAddedConfirm(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer func(context.Context) error // nil: no Confirmer
		reason string
	}{
		{"yes", yes, ""},
		{"no", no, "the person declined"},
		{"no way to ask", nil, "there is no way to ask anybody"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := &person{answer: tt.answer}
			a := new(Agent)
			if tt.answer != nil {
				a.Confirmer = p
			}
			key, _ := add(t, a, "ed25519", constrainConfirm)
			signature := signRequest(t, &session{agent: a}, key.PublicKey().Marshal(), []byte("data"), 0)
			if (signature != nil) != (tt.reason == "") || !strings.Contains(lastReason(a), tt.reason) {
				t.Errorf("signature %v, because %q", signature, lastReason(a))
			}
			if tt.answer != nil && (len(p.asked) != 1 || p.asked[0].Use != UseData || p.asked[0].Comment != "a key") {
				t.Errorf("asked %+v", p.asked)
			}
		})
	}
}

// TestAddedConfirmQuestion tells a login from other data, and names the server
// only if the data is for the session that the connection was bound to.
func TestAddedConfirmQuestion(t *testing.T) {
	p := &person{answer: yes}
	a := &Agent{Confirmer: p}
	key, _ := add(t, a, "ed25519", constrainConfirm)
	for _, tt := range []struct {
		session []byte
		named   bool
	}{{sessionOne, true}, {sessionTwo, false}} {
		at := newAttempt(a, key)
		at.bind(t, newKey(t, "ed25519"), sessionOne, false)
		at.login.session = tt.session
		if !at.granted(t) {
			t.Fatal(lastReason(a))
		}
		q := p.asked[len(p.asked)-1]
		if q.Use != UseLogin || q.User != "alice" || (q.Host != "") != tt.named {
			t.Errorf("asked %+v", q)
		}
	}
}

// TestRemovedWhileAsked removes a key while a person is asked about it.
func TestRemovedWhileAsked(t *testing.T) {
	a := new(Agent)
	a.Confirmer = &person{answer: func(context.Context) error {
		a.RemoveAdded()
		return nil
	}}
	key, _ := add(t, a, "ed25519", constrainConfirm)
	if signRequest(t, &session{agent: a}, key.PublicKey().Marshal(), []byte("data"), 0) != nil {
		t.Error("a key that was removed signs")
	}
	if !strings.Contains(lastReason(a), "meanwhile") {
		t.Errorf("refused because %q", lastReason(a))
	}
}

// TestWipe shows that a private key is cleared when it is dropped, and not while
// it signs.
func TestWipe(t *testing.T) {
	for _, kind := range keyKinds {
		t.Run(kind, func(t *testing.T) {
			a := new(Agent)
			key, _ := add(t, a, kind)
			added := a.added.find(key.PublicKey().Marshal())
			wiped := false
			wipe := added.private.wipe
			added.private.wipe = func() { wiped = true; wipe() }
			if !added.hold() {
				t.Fatal("cannot be held")
			}
			a.RemoveAdded()
			if wiped {
				t.Error("wiped while it was held")
			}
			if _, err := added.sign([]byte("data"), key.PublicKey().Type()); err != nil {
				t.Errorf("a key that is held does not sign: %v", err)
			}
			added.release()
			if !wiped {
				t.Error("not wiped")
			}
		})
	}
	addition := newAddition(t, newPrivate(t, "ed25519"), nil)
	added, err := readAddedKey(addition.message()[1:], time.Now())
	if err != nil {
		t.Fatal(err)
	}
	data := []byte("data")
	before, err := added.private.signer.Sign(nil, data)
	if err != nil {
		t.Fatal(err)
	}
	added.private.wipe()
	after, err := added.private.signer.Sign(nil, data)
	if err == nil && bytes.Equal(before.Blob, after.Blob) {
		t.Error("the key signs as before")
	}
}

// TestAddedLimit fills the agent with keys.
func TestAddedLimit(t *testing.T) {
	a := new(Agent)
	s := &session{agent: a}
	large := newAddition(t, newPrivate(t, "ed25519"), nil)
	large.comment = strings.Repeat("x", maxAdded/5)
	count := 0
	for ; count < 10; count++ {
		next := newAddition(t, newPrivate(t, "ed25519"), nil)
		next.comment = large.comment
		if answer := ask(s, next.message()...); answer[0] != msgSuccess {
			break
		}
		large = next
	}
	if count != 4 || !strings.Contains(lastReason(a), "too many added keys") {
		t.Fatalf("%d keys of %d bytes were taken: %s", count, maxAdded/5, lastReason(a))
	}
	if answer := ask(s, large.message()...); answer[0] != msgSuccess {
		t.Errorf("a key that is there cannot be added anew: %s", lastReason(a))
	}
	if n := len(listedBlobs(t, s)); n != 1 { // as many as one answer has room for
		t.Errorf("%d keys are listed", n)
	}
}

// TestAddedAtOnce adds, signs with and removes keys on many connections.
func TestAddedAtOnce(t *testing.T) {
	a := new(Agent)
	key := newPrivate(t, "ecdsa256")
	addition := newAddition(t, key, nil)
	blob := addition.public.Marshal()
	var running sync.WaitGroup
	for i := range 8 {
		running.Go(func() {
			s := &session{agent: a}
			for n := range 200 {
				switch (i + n) % 4 {
				case 0:
					ask(s, appendString([]byte{msgRemoveIdentity}, blob)...)
				case 1:
					if answer := ask(s, addition.message()...); answer[0] != msgSuccess {
						t.Errorf("adding: %s", lastReason(a))
					}
				default:
					signature := signRequest(t, s, blob, []byte("data"), 0)
					if signature == nil {
						continue // removed
					}
					if err := addition.public.Verify([]byte("data"), signature); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	running.Wait()
}
