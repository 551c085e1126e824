package identity

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sshmint/sshmint/internal/testpki"
)

func TestKeyReadableByOthers(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("on Windows access lists decide, not modes")
	}
	leaf := testpki.NewRoot(t, "Root").Leaf(t, "alice")
	one := leaf.WriteFile(t)
	cert, key := write(t, "id.crt", testpki.PEM(leaf.Chain...)), write(t, "id.key", testpki.KeyPEM(t, leaf.Key))
	for _, c := range []struct {
		secret string // the file that holds the key
		file   File
	}{
		{one, File{CertFile: one, KeyFile: one}},
		{key, File{CertFile: cert, KeyFile: key}},
	} {
		if err := os.Chmod(cert, 0o644); err != nil {
			t.Fatal(err)
		}
		for mode, good := range map[fs.FileMode]bool{0o600: true, 0o400: true, 0o644: false, 0o604: false, 0o660: false, 0o602: false} {
			if err := os.Chmod(c.secret, mode); err != nil {
				t.Fatal(err)
			}
			_, err := c.file.Certificate(t.Context())
			if good && err != nil {
				t.Errorf("%04o: %v", mode, err)
			}
			if !good && (err == nil || !strings.Contains(err.Error(), "others can read it") || !strings.Contains(err.Error(), "chmod 600 "+c.secret)) {
				t.Errorf("%04o: got %v", mode, err)
			}
		}
	}
}

func TestMissingFiles(t *testing.T) {
	leaf := testpki.NewRoot(t, "Root").Leaf(t, "alice")
	one, none := leaf.WriteFile(t), filepath.Join(t.TempDir(), "none")
	for name, f := range map[string]File{
		"certificate": {CertFile: none, KeyFile: none},
		"key":         {CertFile: one, KeyFile: none},
		"chain":       {CertFile: one, KeyFile: one, ChainFile: none},
	} {
		if _, err := f.Certificate(t.Context()); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), none) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What was missing is found when it is there, with no new File.
	absent := File{CertFile: none, KeyFile: none}
	if _, err := absent.Certificate(t.Context()); err == nil {
		t.Error("a file that is not there was read")
	}
	if err := os.Rename(one, none); err != nil {
		t.Fatal(err)
	}
	if _, err := absent.Certificate(t.Context()); err != nil {
		t.Error(err)
	}
}

// pair is a certificate and its key in two files, as cert-manager and the
// SPIFFE helpers keep them.
type pair struct{ cert, key string }

func newPair(t testing.TB, dir string, i *testpki.Identity) pair {
	t.Helper()
	p := pair{filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")}
	put(t, p.cert, testpki.PEM(i.Chain...))
	put(t, p.key, testpki.KeyPEM(t, i.Key))
	return p
}

func TestPairReplacedOneAfterTheOther(t *testing.T) {
	root := testpki.NewRoot(t, "Root")
	before, after := root.Leaf(t, "before"), root.Leaf(t, "after")
	p := newPair(t, t.TempDir(), before)
	f := &File{CertFile: p.cert, KeyFile: p.key}

	// The certificate is new and the key is not yet.
	put(t, p.cert, testpki.PEM(after.Chain...))
	written := later(p.key, testpki.KeyPEM(t, after.Key))
	got, err := f.Certificate(t.Context())
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	if err != nil || !got.Leaf.Equal(after.Leaf()) {
		t.Errorf("between the two writes: %v", err)
	}

	// The key was emptied and is about to be written.
	put(t, p.key)
	written = later(p.key, testpki.KeyPEM(t, after.Key))
	_, err = f.Certificate(t.Context())
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Errorf("while the key was empty: %v", err)
	}
}

// The leaf comes from a new intermediate, whose file is not written yet.
func TestChainReplacedAfterTheLeaf(t *testing.T) {
	root := testpki.NewRoot(t, "Root")
	one, two := root.Intermediate(t, "One"), root.Intermediate(t, "Two")
	leaf := two.Leaf(t, "alice")
	id := write(t, "id.pem", testpki.PEM(leaf.Leaf()), testpki.KeyPEM(t, leaf.Key))
	chain := write(t, "chain.pem", testpki.PEM(one.Cert))
	f := &File{CertFile: id, KeyFile: id, ChainFile: chain}
	written := later(chain, testpki.PEM(two.Cert))
	_, err := f.Certificate(t.Context())
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Error(err)
	}
}

// later writes a file after two of the tries that Certificate makes.
func later(path string, data []byte) <-chan error {
	written := make(chan error, 1)
	time.AfterFunc(150*time.Millisecond, func() { written <- os.WriteFile(path, data, 0o600) })
	return written
}

func TestPairThatNeverFits(t *testing.T) {
	root := testpki.NewRoot(t, "Root")
	p := newPair(t, t.TempDir(), root.Leaf(t, "alice"))
	put(t, p.key, testpki.KeyPEM(t, testpki.NewKey(t)))
	f := &File{CertFile: p.cert, KeyFile: p.key}
	begun := time.Now()
	_, err := f.Certificate(t.Context())
	if err == nil || !strings.Contains(err.Error(), "the key does not belong to the certificate of CN=alice") {
		t.Errorf("got %v", err)
	}
	if d := time.Since(begun); d > 5*time.Second {
		t.Errorf("it took %s", d)
	}

	// A caller that gives up is told what is wrong, not that it gave up.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Certificate(ctx); !errors.Is(err, errMismatch) {
		t.Errorf("with a context that is over: %v", err)
	}
}

// Kubernetes replaces a folder of secrets by renaming a symbolic link over it.
func TestSymlinkSwap(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need a privilege on Windows")
	}
	root := testpki.NewRoot(t, "Root")
	dir := t.TempDir()
	one, two := filepath.Join(dir, "..one"), filepath.Join(dir, "..two")
	leaves := []*testpki.Identity{root.Leaf(t, "one"), root.Leaf(t, "two")}
	for i, d := range []string{one, two} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
		newPair(t, d, leaves[i])
	}
	link := filepath.Join(dir, "..data")
	swap := func(to string) error {
		if err := os.Symlink(to, link+".new"); err != nil {
			return err
		}
		return os.Rename(link+".new", link)
	}
	if err := swap(one); err != nil {
		t.Fatal(err)
	}
	f := &File{CertFile: filepath.Join(link, "tls.crt"), KeyFile: filepath.Join(link, "tls.key")}

	stop, swapped := make(chan struct{}), make(chan error, 1)
	go func() {
		to := []string{two, one}
		for i := 0; ; i++ {
			select {
			case <-stop:
				swapped <- nil
				return
			// Often enough to fall between two reads, and seldom enough for six tries.
			case <-time.After(2 * time.Millisecond):
			}
			if err := swap(to[i%2]); err != nil {
				swapped <- err
				return
			}
		}
	}()
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for range 50 {
				c, err := f.Certificate(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				proves(t, c.Leaf, c.PrivateKey) // not one half of each
			}
		})
	}
	readers.Wait()
	close(stop)
	if err := <-swapped; err != nil {
		t.Error(err)
	}
	if err := swap(two); err != nil {
		t.Fatal(err)
	}
	if c, err := f.Certificate(t.Context()); err != nil || !c.Leaf.Equal(leaves[1].Leaf()) {
		t.Errorf("after the last swap: %v", err)
	}
}
