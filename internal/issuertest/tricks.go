package issuertest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"

	"golang.org/x/crypto/ssh"
)

func unix(t time.Time) uint64 { return uint64(t.Unix()) } // #nosec G115 -- the present

func newKey(t testing.TB) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return sshSigner(t, key, err)
}

func newRSAKey(t testing.TB) ssh.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	return sshSigner(t, key, err)
}

func sshSigner(t testing.TB, key any, err error) ssh.Signer {
	t.Helper()
	if err == nil {
		var s ssh.Signer
		if s, err = ssh.NewSignerFromKey(key); err == nil {
			return s
		}
	}
	t.Fatal(err)
	return nil
}

func dates(after, before time.Duration) func(*ssh.Certificate) {
	return func(c *ssh.Certificate) {
		now := time.Now()
		c.ValidAfter, c.ValidBefore = unix(now.Add(after)), unix(now.Add(before))
	}
}

func principals(list ...string) func(*ssh.Certificate) {
	return func(c *ssh.Certificate) { c.ValidPrincipals = list }
}

func critical(option, value string) func(*ssh.Certificate) {
	return func(c *ssh.Certificate) { c.CriticalOptions = map[string]string{option: value} }
}

func padding(n int) func(*ssh.Certificate) {
	return func(c *ssh.Certificate) { c.Extensions["padding@example.com"] = strings.Repeat("x", n) }
}

// with has the CA's RSA key sign with one algorithm.
func with(algorithm string) func(*CA) ssh.Signer {
	return func(ca *CA) ssh.Signer {
		rsa, ok := ca.rsa.(ssh.AlgorithmSigner)
		if !ok {
			panic("an RSA key signs with several algorithms")
		}
		return oneAlgorithm{rsa, algorithm}
	}
}

// oneAlgorithm signs with SHA-1 too, which x/crypto does not do by itself.
type oneAlgorithm struct {
	ssh.AlgorithmSigner
	algorithm string
}

func (o oneAlgorithm) Algorithms() []string { return []string{o.algorithm} }

func stranger() ssh.Signer {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	s, err := ssh.NewSignerFromSigner(key)
	if err != nil {
		panic(err)
	}
	return s
}

// clean: a text from a CA neither steers a terminal nor fills it. The limit is
// 500 bytes, and what the Issuer says of its own.
func clean(t *testing.T, err error) {
	t.Helper()
	text := err.Error()
	if i := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
		t.Errorf("there is %q in %.100q", text[i], text)
	}
	if strings.ToValidUTF8(text, "") != text {
		t.Errorf("it is not UTF-8: %.100q", text)
	}
	if len(text) > 500+200 {
		t.Errorf("it has %d bytes", len(text))
	}
}

func page(status int) func(*CA, http.ResponseWriter, *http.Request, string) {
	return func(_ *CA, w http.ResponseWriter, _ *http.Request, _ string) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		_, _ = w.Write([]byte("<html><title>Sign in</title>"))
	}
}

// raw answers with bytes that net/http would not send.
func raw(answer string) func(*CA, http.ResponseWriter, *http.Request, string) {
	return func(_ *CA, w http.ResponseWriter, _ *http.Request, _ string) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = conn.Write([]byte(answer))
		_ = conn.Close()
	}
}

// endless begins well and goes on until the client leaves.
func endless(pause time.Duration) func(*CA, http.ResponseWriter, *http.Request, string) {
	return func(ca *CA, w http.ResponseWriter, r *http.Request, line string) {
		ca.protocol.Answer(&halved{ResponseWriter: w}, line)
		more := bytes.Repeat([]byte("A"), 1<<10)
		if pause > 0 {
			more = more[:1]
		}
		flush := http.NewResponseController(w)
		for {
			if _, err := w.Write(more); err != nil || flush.Flush() != nil {
				return
			}
			select {
			case <-r.Context().Done():
				return
			case <-time.After(pause):
			}
		}
	}
}

// halved passes on the first half of a body.
type halved struct {
	http.ResponseWriter
	rest bool
}

func (h *halved) Write(b []byte) (int, error) {
	if h.rest {
		return len(b), nil
	}
	h.rest = true
	if _, err := h.ResponseWriter.Write(b[:len(b)/2]); err != nil {
		return 0, err
	}
	return len(b), http.NewResponseController(h.ResponseWriter).Flush()
}

// replaced has the headers of one answer and the body of another.
type replaced struct {
	http.ResponseWriter
	body []byte
}

func (r *replaced) Write(b []byte) (int, error) {
	_, err := r.ResponseWriter.Write(r.body)
	r.body = nil
	return len(b), err
}

// retyped says that it is text.
type retyped struct{ http.ResponseWriter }

func (r *retyped) WriteHeader(status int) {
	r.Header().Set("Content-Type", "text/plain")
	r.ResponseWriter.WriteHeader(status)
}
