package agent

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// TestRelayedSignature: what comes from the client reaches the upstream, and
// what the upstream answers the client, byte by byte.
func TestRelayedSignature(t *testing.T) {
	request := relayRequest(strange("x"), strings.Repeat("data", 50_000), 0xfeedbeef)
	response := appendString([]byte{msgSignResponse}, strings.Repeat("no signature that we know", 1000))
	var got []byte
	f := startFake(t, func(message []byte) []byte {
		if message[0] == msgSignRequest {
			got = message
			return frame(response...)
		}
		return lists(strange("x"), "strange")(message)
	})
	a, _ := behind(t, f.path)
	conn := dial(t, serve(t, a))
	for range 2 {
		if answer := call(t, conn, request...); !bytes.Equal(answer, response) {
			t.Errorf("the client was answered with %d bytes, want %d: %s", len(answer), len(response), lastReason(a))
		}
		if !bytes.Equal(got, request) {
			t.Errorf("the upstream was asked with %d bytes, want %d", len(got), len(request))
		}
	}
	// Nobody listed, so that the agent did once.
	if kinds := f.kinds(); !bytes.Equal(kinds, []byte{msgRequestIdentities, msgSignRequest, msgSignRequest}) {
		t.Errorf("the upstream was sent % d", kinds)
	}
}

func TestRelayedSignatureIsRefused(t *testing.T) {
	for _, tt := range []struct {
		name, blob string
		answer     []byte
		reason     string // "": granted
	}{
		{"granted", strange("x"), frame(appendString([]byte{msgSignResponse}, "signature")...), ""},
		{"key that it does not list", strange("y"), nil, "has no such key"},
		{"no key", "", nil, "has no such key"},
		{"refused", strange("x"), frame(msgFailure), "refused"},
		{"a list", strange("x"), listing(), "answered with message 12"},
		{"success", strange("x"), frame(msgSuccess), "answered with message 6"},
		{"no signature", strange("x"), frame(msgSignResponse), "ends early"},
		{"cut signature", strange("x"), frame(msgSignResponse, 0, 0, 0, 9, 'x'), "ends early"},
		{"bytes after the signature", strange("x"), frame(append(appendString([]byte{msgSignResponse}, "signature"), 0)...), "bytes follow"},
		{"closed", strange("x"), nil, "EOF"},
		{"huge", strange("x"), []byte{1, 0, 0, 0, msgSignResponse}, "bytes; 1 to"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := startFake(t, func(message []byte) []byte {
				if message[0] == msgSignRequest {
					return tt.answer
				}
				return lists(strange("x"), "strange")(message)
			})
			a, _ := behind(t, f.path)
			s := open(t, a)
			wantComments(t, s, ours(t, a), "strange")
			answer := ask(s, relayRequest(tt.blob, "data", 0)...)
			if granted := answer[0] == msgSignResponse; granted != (tt.reason == "") || !strings.Contains(lastReason(a), tt.reason) {
				t.Fatalf("answered with % x: %s", answer, lastReason(a))
			}
			if tt.reason != "" && !bytes.Equal(answer, []byte{msgFailure}) {
				t.Errorf("answered with % x", answer)
			}
			wantComments(t, s, ours(t, a), "strange") // the connection goes on
		})
	}
}

// TestHiddenKeyIsNotHadThroughAnUpstream: an agent that lists our keys back to
// us, such as one that we are upstream of, does not undo what we hide.
func TestHiddenKeyIsNotHadThroughAnUpstream(t *testing.T) {
	a, signer := behind(t)
	cert, plain := string(signer.PublicKey().Marshal()), string(signer.PublicKey().(*ssh.Certificate).Key.Marshal())
	f := startFake(t, func(message []byte) []byte {
		if message[0] == msgSignRequest {
			return frame(appendString([]byte{msgSignResponse}, "signature")...)
		}
		return lists(cert, "cert", plain, "plain", strange("x"), "strange")(message)
	})
	p := a.set().profiles[0]
	a.Set(Settings{Profiles: []Profile{{Name: p.Name, Source: p.Source}}, Upstream: []string{f.path}})
	s := open(t, a)
	wantComments(t, s, ours(t, a), "strange")

	s = open(t, a)
	ask(s, bindMessage(t, newKey(t, "ed25519"), sessionOne, true)...)
	wantComments(t, s, "strange")
	for _, blob := range []string{cert, plain} {
		if answer := ask(s, relayRequest(blob, "data", 0)...); answer[0] != msgFailure || !strings.Contains(lastReason(a), "hidden") {
			t.Errorf("answered with % x: %s", answer, lastReason(a))
		}
		if answer := ask(s, appendString([]byte{msgRemoveIdentity}, blob)...); answer[0] != msgFailure || !strings.Contains(lastReason(a), "hidden") {
			t.Errorf("answered with % x: %s", answer, lastReason(a))
		}
	}
	if kinds := f.kinds(); slices.Contains(kinds, msgSignRequest) || slices.Contains(kinds, msgRemoveIdentity) {
		t.Errorf("the upstream was sent % d", kinds)
	}
	if answer := ask(s, relayRequest(strange("x"), "data", 0)...); answer[0] != msgSignResponse {
		t.Errorf("the upstream's own key: % x: %s", answer, lastReason(a))
	}
}

// TestWhoKeepsAddedKeys has which agent answers requests that change what is
// held.
func TestWhoKeepsAddedKeys(t *testing.T) {
	sk := append(appendString([]byte{msgAddConstrained}, ssh.KeyAlgoSKED25519), "and so on"...)
	plain := append(appendString([]byte{msgAddConstrained}, ssh.KeyAlgoED25519), "and so on"...)
	card := append(appendString(appendString([]byte{msgAddCard}, "/usr/lib/p11.so"), "1234"), "more"...)
	constrained := append([]byte{msgAddCardConstraint}, card[1:]...)
	removeCard := append([]byte{msgRemoveCard}, card[1:]...)
	remove := appendString([]byte{msgRemoveIdentity}, strange("x"))
	host := newKey(t, "ed25519")
	bound := bindMessage(t, host, sessionOne, false)
	forwarded := bindMessage(t, host, sessionOne, true)
	failed := rawBind([]byte("no key"), sessionOne, nil, false)
	success, failure := []byte{msgSuccess}, []byte{msgFailure}
	for _, tt := range []struct {
		name      string
		upstreams int
		add       bool   // agent.add = "upstream"
		bind      []byte // first
		message   []byte
		answer    []byte // the upstream's
		want      []byte
		passed    bool
	}{
		{"security key", 1, false, nil, sk, success, success, true},
		{"security key, refused", 1, false, nil, sk, failure, failure, true},
		{"security key with nobody to keep it", 0, false, nil, sk, nil, failure, false},
		{"a key, to the upstream", 1, true, nil, plain, success, success, true},
		{"a key, to the first of two", 2, true, nil, plain, success, success, true},
		{"a key, refused", 1, true, nil, plain, failure, failure, true},
		{"a key, answered with rubbish", 1, true, nil, plain, []byte{msgIdentitiesAnswer}, failure, true},
		{"a key with nobody to keep it", 0, true, nil, plain, nil, failure, false},
		{"a key, bound", 1, true, bound, plain, success, success, true},
		{"a key, forwarded", 1, true, forwarded, plain, success, success, true},
		{"token", 1, false, nil, card, success, success, true},
		{"token, refused", 1, false, nil, card, failure, failure, true},
		{"token with constraints", 1, false, nil, constrained, success, success, true},
		{"token removed", 1, false, nil, removeCard, success, success, true},
		{"token with nobody to take it", 0, false, nil, card, nil, failure, false},
		{"token, bound", 1, false, bound, card, success, failure, false},
		{"token, forwarded", 1, false, forwarded, card, success, failure, false},
		{"token after a bind that failed", 1, false, failed, card, success, failure, false},
		{"token with constraints, forwarded", 1, false, forwarded, constrained, success, failure, false},
		{"token removed, forwarded", 1, false, forwarded, removeCard, success, failure, false},
		{"remove", 1, false, nil, remove, success, success, true},
		{"remove, refused", 1, false, nil, remove, failure, failure, true},
		{"remove what nobody lists", 1, false, nil, appendString([]byte{msgRemoveIdentity}, strange("y")), success, failure, false},
		{"remove, cut short", 1, false, nil, remove[:len(remove)-1], success, failure, false},
		{"remove all", 1, false, nil, []byte{msgRemoveAll}, success, success, true},
		{"remove all, refused", 1, false, nil, []byte{msgRemoveAll}, failure, failure, true},
		{"remove all of version 1", 1, false, nil, []byte{msgRemoveAllV1}, success, success, false},
		{"remove all, forwarded", 1, false, forwarded, []byte{msgRemoveAll}, success, success, true},
		{"remove all, forwarded, refused", 1, false, forwarded, []byte{msgRemoveAll}, failure, failure, true},
		{"remove all, forwarded, of nobody", 0, false, forwarded, []byte{msgRemoveAll}, nil, failure, false},
		{"lock", 1, false, nil, appendString([]byte{msgLock}, "sesame"), failure, success, false},
		{"unknown message", 1, true, nil, []byte{99}, success, failure, false},
		{"unknown extension", 1, true, nil, appendString([]byte{msgExtension}, "x@example.com"), success, failure, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []byte
			f := startFake(t, func(message []byte) []byte {
				switch message[0] {
				case msgRequestIdentities:
					return listing(strange("x"), "strange")
				case msgExtension:
					return frame(msgSuccess)
				}
				got = message
				return frame(tt.answer...)
			})
			second := startFake(t, lists())
			a, _ := behind(t)
			p := a.set().profiles[0]
			a.Set(Settings{
				Profiles: []Profile{{Name: p.Name, Source: p.Source}}, AddUpstream: tt.add,
				Upstream: []string{f.path, second.path}[:tt.upstreams],
			})
			s := open(t, a)
			if tt.bind != nil {
				ask(s, tt.bind...)
			}
			if answer := ask(s, tt.message...); !bytes.Equal(answer, tt.want) {
				t.Errorf("answered with % x, want % x: %s", answer, tt.want, lastReason(a))
			}
			if passed := got != nil; passed != tt.passed || passed && !bytes.Equal(got, tt.message) {
				t.Errorf("the upstream was sent % x", got)
			}
			if tt.want[0] == msgFailure && lastReason(a) == "" {
				t.Error("refused for no reason")
			}
			if kept := a.set().profiles[0].latest.Load() != nil; kept == (tt.message[0] == msgRemoveAll && tt.bind == nil) {
				t.Errorf("our own certificate is kept: %t", kept)
			}
			if kinds := second.kinds(); slices.Contains(kinds, tt.message[0]) && tt.message[0] != msgRemoveAll {
				t.Errorf("the second upstream was sent % d", kinds)
			}
		})
	}
}

// TestRemoveAllUpstream: each is asked, whatever the others answer, and what is
// gone anyway is no failure.
func TestRemoveAllUpstream(t *testing.T) {
	for _, tt := range []struct {
		name    string
		answers []byte // 0: it is not there
		want    byte
	}{
		{"all do", []byte{msgSuccess, msgSuccess}, msgSuccess},
		{"the first refuses", []byte{msgFailure, msgSuccess}, msgFailure},
		{"the second refuses", []byte{msgSuccess, msgFailure}, msgFailure},
		{"the first is gone", []byte{0, msgSuccess}, msgSuccess},
		{"the first answers with rubbish", []byte{msgIdentitiesAnswer, msgSuccess}, msgFailure},
	} {
		var fakes []*fakeAgent
		var paths []string
		for _, answer := range tt.answers {
			f := startFake(t, func([]byte) []byte { return frame(answer) })
			if answer == 0 {
				f.stop(t)
				f.start(t)
				f.stop(t)
			}
			fakes, paths = append(fakes, f), append(paths, f.path)
		}
		a, _ := behind(t, paths...)
		s := open(t, a)
		if answer := ask(s, msgRemoveAll); len(answer) != 1 || answer[0] != tt.want {
			t.Errorf("%s: answered with % x: %s", tt.name, answer, lastReason(a))
		}
		for i, f := range fakes {
			if kinds := f.kinds(); tt.answers[i] != 0 && !bytes.Equal(kinds, []byte{msgRemoveAll}) {
				t.Errorf("%s: upstream %d was sent % d", tt.name, i, kinds)
			}
		}
		if a.set().profiles[0].latest.Load() != nil {
			t.Errorf("%s: our own certificate is still there", tt.name)
		}
	}
}

// TestFirstUpstreamOrNobody: a key that the first upstream cannot take is not
// given to the second, nor kept here.
func TestFirstUpstreamOrNobody(t *testing.T) {
	dir := socketDir(t)
	second := startFake(t, lists())
	for _, first := range []string{filepath.Join(dir, "none"), "$NOT_SET"} {
		a := new(Agent)
		a.Set(Settings{Upstream: []string{first, second.path}, AddUpstream: true})
		s := open(t, a)
		for _, message := range [][]byte{
			appendString([]byte{msgAddIdentity}, ssh.KeyAlgoED25519),
			appendString([]byte{msgAddConstrained}, ssh.KeyAlgoSKED25519),
			appendString([]byte{msgAddCard}, "/usr/lib/p11.so"),
		} {
			if answer := ask(s, message...); !bytes.Equal(answer, []byte{msgFailure}) || !strings.Contains(lastReason(a), first+": connecting") {
				t.Errorf("%s: message %d was answered with % x: %s", first, message[0], answer, lastReason(a))
			}
		}
		wantComments(t, s)
	}
	if kinds := second.kinds(); slices.ContainsFunc(kinds, func(kind byte) bool { return kind != msgRequestIdentities }) {
		t.Errorf("the second upstream was sent % d", kinds)
	}
}

// TestLockOvertakesAnUpstream: what an upstream answers after the agent was
// locked does not come out.
func TestLockOvertakesAnUpstream(t *testing.T) {
	a, _ := behind(t)
	f := startFake(t, func(message []byte) []byte {
		a.lock.locked.Store(true)
		if message[0] == msgSignRequest {
			return frame(appendString([]byte{msgSignResponse}, "signature")...)
		}
		return lists(strange("x"), "strange")(message)
	})
	a.Set(Settings{Upstream: []string{f.path}})
	s := open(t, a)
	wantComments(t, s)
	a.lock.locked.Store(false)
	if answer := ask(s, relayRequest(strange("x"), "data", 0)...); answer[0] != msgFailure || !strings.Contains(lastReason(a), "locked") {
		t.Errorf("answered with % x: %s", answer, lastReason(a))
	}
	if kinds := f.kinds(); !bytes.Equal(kinds, []byte{msgRequestIdentities, msgSignRequest}) {
		t.Errorf("the upstream was sent % d", kinds)
	}
}

// TestAddedUpstreamIsUsedAtOnce, on the connection on which it was added.
func TestAddedUpstreamIsUsedAtOnce(t *testing.T) {
	var keys []string
	f := startFake(t, func(message []byte) []byte {
		switch message[0] {
		case msgAddIdentity:
			keys = []string{strange("x"), "strange"}
		case msgSignRequest:
			return frame(appendString([]byte{msgSignResponse}, "signature")...)
		}
		return lists(keys...)(message)
	})
	a := new(Agent)
	a.Set(Settings{Upstream: []string{f.path}, AddUpstream: true})
	s := open(t, a)
	wantComments(t, s)
	ask(s, appendString([]byte{msgAddIdentity}, "ssh-strange@example.com")...)
	if answer := ask(s, relayRequest(strange("x"), "data", 0)...); answer[0] != msgSignResponse {
		t.Errorf("answered with % x: %s", answer, lastReason(a))
	}
}
