package signer

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"

	"golang.org/x/crypto/ssh"

	"github.com/sshmint/sshmint/internal/wire"
)

// What cannot come over a wire, but might from an Issuer that makes it up.
func TestCheckOfNothing(t *testing.T) {
	key := newSSHKey(t)
	r := &Request{Key: key}
	for name, c := range map[string]struct {
		cert *ssh.Certificate
		want string
	}{
		"nil":       {nil, "there is no certificate in it"},
		"empty":     {&ssh.Certificate{}, "there is no certificate in it"},
		"unsigned":  {&ssh.Certificate{Key: key.PublicKey()}, "the certificate is not signed"},
		"half":      {&ssh.Certificate{Key: key.PublicKey(), SignatureKey: key.PublicKey()}, "the certificate is not signed"},
		"no CA key": {&ssh.Certificate{Key: key.PublicKey(), Signature: &ssh.Signature{}}, "the certificate is not signed"},
		"no pins":   {&ssh.Certificate{Key: key.PublicKey(), SignatureKey: key.PublicKey(), Signature: &ssh.Signature{}}, "no user CA key in ca.user_ca"},
	} {
		if err := r.Check(c.cert); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// A lifetime is a wish as principals are: less will do, more is refused.
func TestCheckOfLifetime(t *testing.T) {
	ca, key := newSSHKey(t), newSSHKey(t)
	r := &Request{Key: key, UserCAs: []string{ssh.FingerprintSHA256(ca.PublicKey())}}
	now := time.Now()
	for _, c := range []struct {
		wish, life time.Duration
		want       string
	}{
		{0, 1000 * time.Hour, ""},
		{time.Hour, time.Minute, ""},
		{time.Hour, time.Hour, ""},
		{time.Hour, time.Hour + lenient - time.Second, ""},
		{time.Hour, time.Hour + lenient + 2*time.Second, "longer than the 1h0m0s that were asked for"},
		{time.Hour, 1000 * time.Hour, "longer than the 1h0m0s that were asked for"},
		{math.MaxInt64, 1000 * time.Hour, ""},
	} {
		cert, err := certify(ca, key.PublicKey(), now, now.Add(c.life))
		if err != nil {
			t.Fatal(err)
		}
		r.Validity = c.wish
		if err := r.Check(cert); c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("wish %s, life %s: got %v, want %q", c.wish, c.life, err, c.want)
		}
	}
}

func TestClean(t *testing.T) {
	long := strings.Repeat("é", 1000)
	for in, want := range map[string]string{
		"":                           "",
		"plain, ünïcode 語":           "plain, ünïcode 語",
		"one\ntwo\tthree\r\n":        "one two three ",
		"\x1b]0;title\x07\x1b[2Jred": "]0;title[2Jred",
		"\u009b31mC1":                "31mC1",
		"ab\u202egpj.exe\u2066":      "abgpj.exe",
		"zero\u200bwidth\ufeff":      "zerowidth",
		"line\u2028paragraph\u2029":  "lineparagraph",
		"bad \xff utf-8":             "bad ? utf-8",
		"\x00\x7f":                   "",
		strings.Repeat("x", 500):     strings.Repeat("x", 500),
		strings.Repeat("x", 501):     strings.Repeat("x", 497) + "...",
		long:                         long[:496] + "...",
	} {
		if got := clean(in); got != want {
			t.Errorf("%.40q: got %q, want %q", in, got, want)
		}
	}
}

func TestErrorText(t *testing.T) {
	cause := errors.New("cause")
	for want, e := range map[string]*Error{
		"because":                       {Text: "because"},
		"https://ca: because":           {CA: "https://ca", Text: "because", Skew: time.Minute},
		"https://ca: because (no_rule)": {CA: "https://ca", Text: "because", Code: wire.NoRule},
		"because; this computer's clock is 1h0m0s behind the CA's":   {Text: "because", Skew: time.Hour},
		"because; this computer's clock is 1h0m0s ahead of the CA's": {Text: "because", Skew: -time.Hour},
	} {
		e.Err = cause
		if e.Error() != want || !errors.Is(e, cause) {
			t.Errorf("got %q, want %q", e.Error(), want)
		}
	}
}

var jsonHeader = http.Header{"Content-Type": {"application/json"}}

// exampleAnswer is what an honest CA says.
func exampleAnswer(t testing.TB, ca ssh.Signer, r *Request, edits ...func(*ssh.Certificate)) []byte {
	t.Helper()
	now := time.Now()
	cert, err := certify(ca, r.Key.PublicKey(), now.Add(-time.Minute), now.Add(time.Hour), edits...)
	if err != nil {
		t.Fatal(err)
	}
	return marshalAnswer(t, string(ssh.MarshalAuthorizedKey(cert)))
}

func marshalAnswer(t testing.TB, line string) []byte {
	t.Helper()
	body, err := json.Marshal(wire.CertificateAnswer{Certificate: line, Serial: "1", Rule: "staff"})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// Whatever a CA says, it does not end the agent; and what passes is what was
// asked for, by a reading of the certificate that does not use check.
func FuzzParseAnswer(f *testing.F) {
	ca, key := newSSHKey(f), newSSHKey(f)
	r := &Request{Key: key, Principals: []string{"alice"}, UserCAs: []string{ssh.FingerprintSHA256(ca.PublicKey())}}
	plain := exampleAnswer(f, ca, r)
	f.Add(plain)
	f.Add(plain[:len(plain)/2])
	f.Add(exampleAnswer(f, newSSHKey(f), r))
	f.Add(exampleAnswer(f, ca, r, func(c *ssh.Certificate) { c.CertType = ssh.HostCert }))
	f.Add(exampleAnswer(f, ca, r, func(c *ssh.Certificate) { c.ValidPrincipals = nil }))
	f.Add(exampleAnswer(f, ca, r, func(c *ssh.Certificate) { c.ValidPrincipals = []string{"root"} }))
	f.Add(exampleAnswer(f, ca, r, func(c *ssh.Certificate) { c.ValidBefore = ssh.CertTimeInfinity }))
	f.Add(exampleAnswer(f, ca, r, func(c *ssh.Certificate) { c.ValidAfter = math.MaxUint64 }))
	f.Add(exampleAnswer(f, ca, r, func(c *ssh.Certificate) { c.CriticalOptions = map[string]string{"force-command": ""} }))
	f.Add(exampleAnswer(f, ca, r, func(c *ssh.Certificate) { c.CriticalOptions = map[string]string{"x@y": "z"} }))
	f.Add(marshalAnswer(f, string(ssh.MarshalAuthorizedKey(key.PublicKey()))))
	f.Add([]byte(`{"certificate":"ssh-ed25519-cert-v01@openssh.com AAAA"}`))
	f.Add([]byte(`{"certificate":null}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		cert, err := parseAnswer(&answer{header: jsonHeader, body: data})
		if err != nil {
			if cert != nil {
				t.Errorf("a certificate beside %v", err)
			}
			return
		}
		if err := r.Check(cert); err != nil {
			if text := clean(err.Error()); strings.ContainsFunc(text, unicode.IsControl) || len(text) > 500 {
				t.Errorf("%q", text)
			}
			return
		}
		now := time.Now().Unix()
		switch {
		case cert.CertType != ssh.UserCert,
			!bytes.Equal(cert.Key.Marshal(), key.PublicKey().Marshal()),
			!bytes.Equal(cert.SignatureKey.Marshal(), ca.PublicKey().Marshal()),
			len(cert.ValidPrincipals) != 1 || cert.ValidPrincipals[0] != "alice",
			cert.ValidBefore > math.MaxInt64 || int64(cert.ValidBefore) <= now, // #nosec G115 -- bounded
			len(cert.CriticalOptions) > 0:
			t.Errorf("it passed: %+v", cert)
		}
		if _, err := parseCertificate(ssh.MarshalAuthorizedKey(cert)); err != nil {
			t.Errorf("written out it cannot be read: %v", err)
		}
	})
}

func BenchmarkParseAndCheck(b *testing.B) {
	ca := newSSHKey(b)
	r := &Request{Key: newSSHKey(b), Principals: []string{"alice"}, UserCAs: []string{ssh.FingerprintSHA256(ca.PublicKey())}}
	said := &answer{header: jsonHeader, body: exampleAnswer(b, ca, r)}
	b.ReportAllocs()
	for b.Loop() {
		cert, err := parseAnswer(said)
		if err == nil {
			err = r.Check(cert)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
