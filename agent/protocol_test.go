package agent

import (
	"bytes"
	"crypto/ed25519"
	"testing"

	xagent "golang.org/x/crypto/ssh/agent"
)

// TestAnswers has the answers that OpenSSH's agent (10.5) gives byte by byte.
func TestAnswers(t *testing.T) {
	a, signer := warm(t)
	blob := signer.PublicKey().Marshal()
	extension := func(name string, more ...byte) []byte {
		return append(appendString([]byte{msgExtension}, name), more...)
	}
	query := appendString(appendString([]byte{msgExtensionResponse}, "query"), sessionBind)
	failure, success := []byte{msgFailure}, []byte{msgSuccess}
	for _, tt := range []struct {
		name      string
		message   []byte
		want      []byte
		wantWhile []byte // locked; nil: failure
	}{
		{"message 0", []byte{0}, failure, nil},
		{"list of SSHv1", []byte{1}, failure, nil},
		{"message 255", []byte{255, 1, 2, 3}, failure, nil},
		{"an answer", []byte{msgSuccess}, failure, nil},
		{"add", []byte{msgAddIdentity, 0, 0, 0, 1, 'x'}, failure, nil},
		{"add constrained", []byte{msgAddConstrained}, failure, nil},
		{"add token", []byte{msgAddCard}, failure, nil},
		{"add token constrained", []byte{msgAddCardConstraint}, failure, nil},
		{"remove token", []byte{msgRemoveCard}, failure, nil},
		{"extension without a name", []byte{msgExtension}, failure, failure},
		{"extension nobody knows", extension("none@example.com", 1, 2), failure, failure},
		{"query", extension("query"), query, failure},
		{"bind that fails", extension(sessionBind), []byte{msgExtensionFailure}, []byte{msgExtensionFailure}},
		{"sign nothing", []byte{msgSignRequest}, failure, nil},
		{"remove a stranger's key", appendString([]byte{msgRemoveIdentity}, "key"), failure, nil},
		{"remove with bytes after it", append(appendString([]byte{msgRemoveIdentity}, blob), 0), failure, nil},
		{"lock without a password", appendString([]byte{msgLock}, ""), failure, nil},
		{"lock with a NUL", appendString([]byte{msgLock}, "a\x00b"), failure, nil},
		{"lock cut short", []byte{msgLock, 0, 0, 0, 9, 'x'}, failure, nil},
		{"unlock what is open", appendString([]byte{msgUnlock}, "x"), failure, nil},
		{"remove all of SSHv1", []byte{msgRemoveAllV1}, success, nil},
		{"remove all", []byte{msgRemoveAll}, success, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := ask(&session{agent: a}, tt.message...); !bytes.Equal(got, tt.want) {
				t.Errorf("answered with % x, want % x", got, tt.want)
			}
			if tt.message[0] == msgUnlock {
				return // TestLock
			}
			a.lock.locked.Store(true)
			defer a.lock.locked.Store(false)
			want := tt.wantWhile
			if want == nil {
				want = failure
			}
			if got := ask(&session{agent: a}, tt.message...); !bytes.Equal(got, want) {
				t.Errorf("answered with % x while locked, want % x", got, want)
			}
		})
	}
}

// TestClient is the agent as x/crypto's client sees it.
func TestClient(t *testing.T) {
	a, signer := warm(t)
	client := xagent.NewClient(dial(t, serve(t, a)))
	keys, err := client.List()
	if err != nil || len(keys) != 1 || !bytes.Equal(keys[0].Blob, signer.PublicKey().Marshal()) {
		t.Fatalf("List() = %v, %v", keys, err)
	}
	data := newAttempt(a, signer).signed()
	signature, err := client.Sign(keys[0], data)
	if err != nil {
		t.Fatal(err)
	}
	if err := signer.PublicKey().Verify(data, signature); err != nil {
		t.Error(err)
	}
	if _, err := client.Sign(keys[0], []byte("something else")); err == nil {
		t.Error("signed arbitrary bytes")
	}
	added := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	if err := client.Add(xagent.AddedKey{PrivateKey: added, Comment: "added", LifetimeSecs: 60}); err != nil {
		t.Error(err)
	}
	if keys, err := client.List(); err != nil || len(keys) != 2 || keys[1].Comment != "added" {
		t.Errorf("after add: List() = %v, %v", keys, err)
	}
	if public := sshSigner(t, added).PublicKey(); client.Remove(public) != nil {
		t.Error("the added key cannot be removed")
	}
	answer, err := client.Extension("query", nil)
	if err != nil || answer[0] != msgExtensionResponse {
		t.Errorf("Extension(query) = % x, %v", answer, err)
	}
	if _, err := client.Extension("none@example.com", nil); err != xagent.ErrExtensionUnsupported { //nolint:errorlint // as its users compare it
		t.Errorf("Extension(none) = %v", err)
	}
	if err := client.Lock([]byte("sesame")); err != nil {
		t.Error(err)
	}
	if keys, err := client.List(); err != nil || len(keys) != 0 {
		t.Errorf("locked: List() = %v, %v", keys, err)
	}
	if _, err := client.Sign(signer.PublicKey(), data); err == nil {
		t.Error("signed while locked")
	}
	if err := client.RemoveAll(); err == nil {
		t.Error("removed all while locked")
	}
	if err := client.Unlock([]byte("sesame")); err != nil {
		t.Error(err)
	}
	if _, err := client.Sign(signer.PublicKey(), data); err != nil {
		t.Errorf("after unlock: %v", err)
	}
	if err := client.Remove(signer.PublicKey()); err != nil {
		t.Error(err)
	}
	if keys, err := client.List(); err != nil || len(keys) != 0 {
		t.Errorf("after remove: List() = %v, %v", keys, err)
	}
}
