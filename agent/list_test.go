package agent

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"
)

func names(keys []Key) (names []string) {
	for _, k := range keys {
		names = append(names, k.Profile)
	}
	return names
}

// TestList mints for several profiles at once, some of which have trouble.
func TestList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := newAuthority(t)
		fresh := func() ssh.Signer { return ca.certify(t, newKey(t, "ed25519"), time.Hour, "alice") }
		after := func(d time.Duration) *source {
			return &source{mint: func(context.Context) (ssh.Signer, error) {
				time.Sleep(d)
				return fresh(), nil
			}}
		}
		waiting := &source{mint: func(ctx context.Context) (ssh.Signer, error) {
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}}
		deaf := make(chan struct{})
		var log lockedBuffer
		a := &Agent{Log: slog.New(slog.NewTextHandler(&log, nil))}
		a.Set(Settings{Profiles: []Profile{
			{Name: "slow", Source: after(9 * time.Second)},
			{Name: "down", Source: &source{}},
			{Name: "warm", Source: &source{current: fresh()}},
			{Name: "panics", Source: &source{mint: func(context.Context) (ssh.Signer, error) { panic("a bug") }}},
			{Name: "nothing", Source: &source{mint: func(context.Context) (ssh.Signer, error) { return nil, nil }}},
			{Name: "expired", Source: &source{mint: func(context.Context) (ssh.Signer, error) {
				return ca.certify(t, newKey(t, "ed25519"), 0, "alice"), nil
			}}},
			{Name: "plain key", Source: &source{current: newKey(t, "ed25519")}},
			{Name: "host", Source: &source{current: hostCertificate(t, ca, newKey(t, "ed25519"))}},
			{Name: "slower", Source: after(10 * time.Second)},
		}})
		start := time.Now()
		if got := names(a.Keys(t.Context())); !slices.Equal(got, []string{"slow", "warm", "slower"}) {
			t.Errorf("listed %q", got)
		}
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("the list took %s, want the 10s of the slowest", took)
		}
		for profile, why := range map[string]string{
			"down": errNoMint.Error(), "panics": "the source broke: a bug", "nothing": "neither a certificate nor an error",
			"expired": "has expired", `"plain key"`: "not a certificate", "host": "not a user certificate",
		} {
			if !slices.ContainsFunc(strings.Split(log.String(), "\n"), func(line string) bool {
				return strings.Contains(line, "profile="+profile) && strings.Contains(line, why)
			}) {
				t.Errorf("no line of the log says of %s %q:\n%s", profile, why, log.String())
			}
		}

		// One that waits for a person, and one that does not even mind its
		// context: the others come after 60 s.
		a.Set(Settings{Profiles: []Profile{
			{Name: "waiting", Source: waiting},
			{Name: "warm", Source: &source{current: fresh()}},
			{Name: "deaf", Source: &source{mint: func(context.Context) (ssh.Signer, error) { <-deaf; return nil, errNoMint }}},
		}})
		start = time.Now()
		if got := names(a.Keys(t.Context())); !slices.Equal(got, []string{"warm"}) {
			t.Errorf("listed %q", got)
		}
		if took := time.Since(start); took != listTime {
			t.Errorf("the list took %s, want %s", took, listTime)
		}
		close(deaf)
	})
}

// A lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestListOnce has the same certificate in two profiles.
func TestListOnce(t *testing.T) {
	signer := newAuthority(t).certify(t, newKey(t, "ed25519"), time.Hour, "alice")
	a := new(Agent)
	a.Set(Settings{Profiles: []Profile{{Name: "one", Source: &source{current: signer}}, {Name: "two", Source: &source{current: signer}}}})
	if got := names(a.Keys(context.Background())); !slices.Equal(got, []string{"one"}) {
		t.Errorf("listed %q", got)
	}
	if !newAttempt(a, signer).granted(t) {
		t.Error("refused")
	}
}

// TestListFull has more certificates than fit into one answer.
func TestListFull(t *testing.T) {
	ca := newAuthority(t)
	key := newKey(t, "ed25519")
	var profiles []Profile
	for i := range 30 {
		signer := ca.certify(t, key, time.Hour, strings.Repeat("a", 10_000), fmt.Sprint(i))
		profiles = append(profiles, Profile{Name: fmt.Sprint(i), Source: &source{current: signer}})
	}
	a := new(Agent)
	a.Set(Settings{Profiles: profiles})
	answer := ask(&session{agent: a}, msgRequestIdentities)
	r := reader{rest: answer[1:]}
	count := r.uint32()
	for range count {
		r.string()
		r.string()
	}
	if err := r.whole(); err != nil || len(answer) > maxMessage || count < 20 || count >= 30 {
		t.Errorf("%d keys in %d bytes: %v", count, len(answer), err)
	}
}

// TestSet reloads with one profile that stays, one that goes, and one
// that keeps its name but not its source.
func TestSet(t *testing.T) {
	ca := newAuthority(t)
	fresh := func() *source {
		return &source{current: ca.certify(t, newKey(t, "ed25519"), time.Hour, "alice")}
	}
	stays, goes, changes := fresh(), fresh(), fresh()
	a := new(Agent)
	a.Set(Settings{Profiles: []Profile{{Name: "stays", Source: stays}, {Name: "goes", Source: goes}, {Name: "changes", Source: changes}}})
	a.Keys(context.Background())
	superseded := stays.Current()
	stays.set(fresh().Current())
	if got := names(a.Keys(context.Background())); !slices.Equal(got, []string{"stays", "goes", "changes"}) {
		t.Fatalf("listed %q", got)
	}
	a.Set(Settings{Profiles: []Profile{{Name: "changes", Source: fresh()}, {Name: "stays", Source: stays}}})
	if !newAttempt(a, superseded).granted(t) || !newAttempt(a, stays.Current()).granted(t) {
		t.Error("a profile that stayed lost its keys")
	}
	if newAttempt(a, goes.Current()).granted(t) || newAttempt(a, changes.Current()).granted(t) {
		t.Error("a profile that went, or changed, signs with its old keys")
	}
	if got := names(a.Keys(context.Background())); !slices.Equal(got, []string{"changes", "stays"}) {
		t.Errorf("listed %q", got)
	}
	if !a.ForgetProfile("stays") || a.ForgetProfile("goes") {
		t.Error("ForgetProfile does not know the profiles")
	}
	if _, forgot := stays.counts(); forgot != 1 {
		t.Errorf("the source was told %d times", forgot)
	}
}

// TestForgetOvertakesMint forgets while a certificate is on its way: it must not
// come back.
func TestForgetOvertakesMint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := newAuthority(t)
		signer := ca.certify(t, newKey(t, "ed25519"), time.Hour, "alice")
		a := new(Agent)
		a.Set(Settings{Profiles: []Profile{{Name: "corp", Source: &source{mint: func(context.Context) (ssh.Signer, error) {
			time.Sleep(5 * time.Second)
			return signer, nil
		}}}}})
		listed := make(chan []Key)
		go func() { listed <- a.Keys(t.Context()) }()
		time.Sleep(time.Second)
		a.Forget()
		if keys := <-listed; len(keys) != 0 {
			t.Errorf("listed %q", names(keys))
		}
		if newAttempt(a, signer).granted(t) {
			t.Error("what was forgotten signs")
		}
	})
}

// TestRememberedIsBounded mints by hand many times.
func TestRememberedIsBounded(t *testing.T) {
	ca := newAuthority(t)
	key := newKey(t, "ed25519")
	src := new(source)
	a := new(Agent)
	a.Set(Settings{Profiles: []Profile{{Name: "corp", Source: src}}})
	var all []ssh.Signer
	for range 3 * maxRemembered {
		all = append(all, ca.certify(t, key, time.Hour, "alice"))
		src.set(all[len(all)-1])
		a.Keys(context.Background())
	}
	if n := len(a.set().byBlob); n != maxRemembered+1 { // and the plain key
		t.Errorf("%d blobs are known, want %d", n, maxRemembered+1)
	}
	if newAttempt(a, all[0]).granted(t) || !newAttempt(a, all[len(all)-1]).granted(t) {
		t.Error("the oldest is kept, or the newest is not")
	}
}

func TestComment(t *testing.T) {
	now := time.Date(2026, 11, 22, 8, 0, 0, 0, time.Local)
	at := func(d time.Duration) uint64 { return uint64(now.Add(d).Unix()) }
	for _, tt := range []struct {
		profile, keyID string
		validBefore    uint64
		want           string
	}{
		{"corp", "alice@corp.example.com", at(8*time.Hour + 5*time.Minute), "corp alice@corp.example.com until 16:05"},
		{"corp", "alice@corp.example.com x509=07@ab req=1", at(time.Hour), "corp alice@corp.example.com until 09:00"},
		{"corp", "", at(time.Hour), "corp until 09:00"},
		{"corp", "alice", at(72 * time.Hour), "corp alice until 2026-11-25 08:00"},
		{"corp", "alice", math.MaxUint64, "corp alice"},
		{"corp", "al\x1b[2Jice\x00\n\u202e", at(time.Hour), "corp al[2Jice until 09:00"},
		{"corp", "jürgen\xff", at(time.Hour), "corp jürgen until 09:00"},
		{"corp", strings.Repeat("ü", 100), at(time.Hour), "corp " + strings.Repeat("ü", 32) + " until 09:00"},
	} {
		cert := &ssh.Certificate{KeyId: tt.keyID, ValidBefore: tt.validBefore}
		if got := comment(tt.profile, cert, now); got != tt.want {
			t.Errorf("comment for %q: %q, want %q", tt.keyID, got, tt.want)
		}
	}
}

// TestListKeepsNothing looks into a connection that is idle after a list: the
// keys that it was told of may be forgotten while it is open.
func TestListKeepsNothing(t *testing.T) {
	a, _ := warm(t)
	s := &session{agent: a}
	ask(s, msgRequestIdentities)
	for _, m := range s.listed[:cap(s.listed)] {
		if m != nil {
			t.Error("the connection keeps a key")
		}
	}
}

// TestListAllocates keeps the list of a warm agent cheap.
func TestListAllocates(t *testing.T) {
	a, _ := warm(t)
	s := &session{agent: a}
	message := []byte{msgRequestIdentities}
	if n := testing.AllocsPerRun(100, func() { s.handle(context.Background(), message) }); n > 0 {
		t.Errorf("a list allocates %.0f times", n)
	}
}
