package agent

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// maxAdded bounds what the added keys may hold, counted in bytes of the messages
// that brought them: several hundred keys, while a list of keys has room for
// fewer.
const maxAdded = 1 << 20

// An addedKey is a private key that a client left with us (ssh-add), alone or
// with a certificate, which counts as a key of its own. It does not change.
type addedKey struct {
	blob         string // the certificate, or the plain key, on the wire
	keyType      string
	comment      string
	entry        []byte // blob and comment, as an identities answer has them
	size         int    // of the message that brought it
	confirm      bool   // a person is asked for each signature
	restrictions []restriction
	life         life

	private *privateKey
	holds   atomic.Int64 // on private; wiped when there are none left
}

// hold keeps the private key from being wiped, unless it was already. Who holds
// it must call release.
func (k *addedKey) hold() bool {
	for {
		n := k.holds.Load()
		if n == 0 {
			return false
		}
		if k.holds.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (k *addedKey) release() {
	if k.holds.Add(-1) == 0 {
		k.private.wipe()
	}
}

func (k *addedKey) sign(data []byte, algorithm string) (*ssh.Signature, error) {
	if k.life.over(time.Now()) || !k.hold() { // a person may have taken a while
		return nil, errors.New("the key was removed, or its time ended, meanwhile")
	}
	defer k.release()
	return k.private.signer.SignWithAlgorithm(rand.Reader, data, algorithm)
}

func (k *addedKey) fingerprint() string {
	key, err := ssh.ParsePublicKey([]byte(k.blob))
	if err != nil {
		return "of type " + k.keyType // it was parsed when it was added
	}
	if cert, ok := key.(*ssh.Certificate); ok {
		key = cert.Key
	}
	return ssh.FingerprintSHA256(key)
}

// A life is how long a key may be used; the zero value is for ever. It is over
// as soon as either clock says so: the monotonic one stands still in suspend,
// the wall clock may be set back.
type life struct {
	from    time.Time
	limit   time.Duration
	limited bool
}

func (l life) left(now time.Time) time.Duration {
	return min(l.limit-now.Sub(l.from), l.limit-now.Round(0).Sub(l.from.Round(0)))
}

func (l life) over(now time.Time) bool {
	return l.limited && l.left(now) <= 0
}

// addedKeys are the keys that clients left with us, in the order in which they
// came first. The zero value has none. A set is replaced as a whole, so that
// requests look into it without a lock.
type addedKeys struct {
	keys atomic.Pointer[[]*addedKey]

	change sync.Mutex // held to replace keys
	timer  *time.Timer
}

func (a *addedKeys) all() []*addedKey {
	if keys := a.keys.Load(); keys != nil {
		return *keys
	}
	return nil
}

// find returns the key with that blob, or nil.
func (a *addedKeys) find(blob []byte) *addedKey {
	now := time.Now()
	for _, k := range a.all() {
		if k.blob == string(blob) && !k.life.over(now) {
			return k
		}
	}
	return nil
}

// put adds a key, or replaces the one with the same blob in its place if the
// caller may see it.
func (a *addedKeys) put(key *addedKey, hidden func(*addedKey) error) error {
	key.holds.Store(1)
	a.change.Lock()
	defer a.change.Unlock()
	a.expire()
	old := a.all()
	i := slices.IndexFunc(old, func(k *addedKey) bool { return k.blob == key.blob })
	total := key.size
	for j, k := range old {
		if j != i {
			total += k.size
		}
	}
	if total > maxAdded {
		return fmt.Errorf("the agent holds too many added keys; they have %d bytes, and %d are allowed", total, maxAdded)
	}
	if i < 0 {
		a.replace(append(slices.Clone(old), key))
		return nil
	}
	if err := hidden(old[i]); err != nil {
		return err
	}
	next := slices.Clone(old)
	next[i] = key
	a.replace(next)
	return nil
}

// remove drops the keys that the function names, and returns how many.
func (a *addedKeys) remove(drop func(*addedKey) bool) int {
	a.change.Lock()
	defer a.change.Unlock()
	old := a.all()
	next := slices.DeleteFunc(slices.Clone(old), drop)
	if len(next) < len(old) {
		a.replace(next)
	}
	return len(old) - len(next)
}

// replace puts another set in the place of the one there is, and lets go of what
// is not in it. The caller has the lock.
func (a *addedKeys) replace(next []*addedKey) {
	old := a.all()
	a.keys.Store(&next)
	for _, k := range old {
		if !slices.Contains(next, k) {
			k.release()
		}
	}
	a.wake(next)
}

// expire drops the keys whose life is over. The caller has the lock.
func (a *addedKeys) expire() {
	now := time.Now()
	old := a.all()
	if slices.ContainsFunc(old, func(k *addedKey) bool { return k.life.over(now) }) {
		a.replace(slices.DeleteFunc(slices.Clone(old), func(k *addedKey) bool { return k.life.over(now) }))
	}
}

// lifeCheck is how often the lives are looked at: a timer stands still in
// suspend, and a key must not outlast a night by much.
const lifeCheck = time.Minute

// wake sets the timer for the life that ends first, so that an idle agent wipes
// keys in time. The caller has the lock.
func (a *addedKeys) wake(keys []*addedKey) {
	now := time.Now()
	pause, limited := lifeCheck, false
	for _, k := range keys {
		if k.life.limited {
			pause, limited = min(pause, k.life.left(now)), true
		}
	}
	switch {
	case a.timer == nil && limited:
		a.timer = time.AfterFunc(pause, func() {
			a.change.Lock()
			defer a.change.Unlock()
			a.expire()
			a.wake(a.all())
		})
	case limited:
		a.timer.Reset(pause)
	case a.timer != nil:
		a.timer.Stop()
	}
}
