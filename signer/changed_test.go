package signer

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"
)

// TestChanged: whoever is told of a change sees what is current now, before the
// caller who had it made.
func TestChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := newOffice(t, time.Hour)
		m := ca.minter()
		var seen []ssh.Signer
		m.Changed = func() { seen = append(seen, m.Current()) }
		first, err := m.Signer(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(seen) != 1 || seen[0] != first {
			t.Fatalf("after the first mint: %v", seen)
		}
		if _, err := m.Signer(t.Context()); err != nil || len(seen) != 1 {
			t.Errorf("a use that minted nothing: %v, %d changes", err, len(seen))
		}
		ca.fail(errors.New("down"))
		if _, err := m.Mint(t.Context()); err == nil || len(seen) != 1 {
			t.Errorf("a mint that failed: %v, %d changes", err, len(seen))
		}
		ca.fail(nil)
		second, err := m.Mint(t.Context())
		if err != nil || len(seen) != 2 || seen[1] != second {
			t.Errorf("after the second mint: %v, %v", err, seen)
		}
		m.Forget()
		if len(seen) != 3 || seen[2] != nil {
			t.Errorf("after Forget: %v", seen)
		}
		// Renewed in the background.
		use(t, m)
		time.Sleep(50 * time.Minute)
		synctest.Wait()
		if len(seen) != 5 || seen[4] == nil || seen[4] != m.Current() || seen[4] == seen[3] {
			t.Errorf("after a renewal: %v", seen)
		}
	})
}
