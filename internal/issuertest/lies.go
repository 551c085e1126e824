package issuertest

import (
	"crypto/rand"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// lie is what a CA does wrong; its zero value is an honest answer.
type lie struct {
	name string
	want string // in the error
	edit func(*ssh.Certificate)
	// key signs it, if not the CA's own.
	key    func(*CA) ssh.Signer
	forge  func(*ssh.Certificate)   // after it was signed
	rewrap func(line string) string // the line, after that
	http   func(ca *CA, w http.ResponseWriter, r *http.Request, line string)
	slow   bool
	also   func(*testing.T, error)
}

// line is the certificate of the day.
func (ca *CA) line(l *lie, key ssh.PublicKey) string {
	now := time.Now()
	cert := &ssh.Certificate{
		Key:             key,
		Serial:          7,
		CertType:        ssh.UserCert,
		KeyId:           "alice",
		ValidPrincipals: wish,
		ValidAfter:      unix(now.Add(-time.Minute)),
		ValidBefore:     unix(now.Add(time.Hour)),
		Permissions:     ssh.Permissions{Extensions: map[string]string{"permit-pty": ""}},
	}
	if l.edit != nil {
		l.edit(cert)
	}
	signer := ca.key
	if l.key != nil {
		signer = l.key(ca)
	}
	if err := cert.SignCert(rand.Reader, signer); err != nil {
		panic(err)
	}
	if l.forge != nil {
		l.forge(cert)
	}
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(cert)))
	if l.rewrap != nil {
		line = l.rewrap(line)
	}
	return line
}

// truths are odd, and must be accepted: the twins of the lies.
var truths = []lie{
	{name: "plain"},
	{name: "fewer principals than asked for", edit: principals("alice")},
	{name: "another RSA key of the CA, SHA-512", key: with(ssh.KeyAlgoRSASHA512)},
	{name: "SHA-256", key: with(ssh.KeyAlgoRSASHA256)},
	{name: "begins in half a minute", edit: dates(30*time.Second, time.Hour)},
	{name: "a minute of life", edit: dates(-time.Hour, time.Minute)},
	{name: "source-address", edit: critical("source-address", "192.0.2.0/24")},
	{name: "force-command", edit: critical("force-command", "true")},
	{name: "an extension that nobody knows", edit: padding(15 << 10)},
	{name: "with a comment", rewrap: func(l string) string { return l + " alice@example.com\n" }},
}

var lies = []lie{
	{name: "host certificate", want: "is not a user certificate", edit: func(c *ssh.Certificate) { c.CertType = ssh.HostCert }},
	{name: "neither user nor host", want: "is not a user certificate", edit: func(c *ssh.Certificate) { c.CertType = 3 }},
	{name: "another key", want: "is for another key", edit: func(c *ssh.Certificate) { c.Key = stranger().PublicKey() }},
	{name: "another CA", want: "which is no user CA key in ca.user_ca", key: func(*CA) ssh.Signer { return stranger() }},
	{name: "garbled signature", want: "signature does not verify", forge: func(c *ssh.Certificate) { c.Signature.Blob[3] ^= 1 }},
	{name: "no signature", want: "signature does not verify", forge: func(c *ssh.Certificate) { c.Signature.Blob = nil }},
	{name: "changed after it was signed", want: "signature does not verify", forge: principals("staff")},
	{name: "SHA-1", want: "signed with ssh-rsa, which is SHA-1", key: with(ssh.KeyAlgoRSA)},
	{name: "principal not wished", want: `principal "root", which was not asked for`, edit: principals("alice", "root")},
	{name: "no principals", want: "names no principals", edit: principals()},
	{name: "empty principal", want: `principal "", which no server can match`, edit: principals("alice", "")},
	{name: "comma", want: `principal "alice,staff", which no server can match`, edit: principals("alice,staff")},
	{name: "newline", want: `principal "alice root", which no server can match`, edit: principals("alice\nroot")},
	{name: "blank", want: `principal "alice staff", which no server can match`, edit: principals("alice staff")},
	{name: "DEL", want: "which no server can match", edit: principals("alice\x7f")},
	{name: "NUL", want: "which no server can match", edit: principals("alice\x00")},
	{name: "257 principals", want: "names 257 principals, and sshd reads no more than 256", edit: principals(strings.Fields(strings.Repeat("alice ", 257))...)},
	{name: "expired", want: "the certificate expired at", edit: dates(-time.Hour, -time.Second)},
	{name: "not yet valid", want: "behind the CA's", edit: dates(time.Hour, 2*time.Hour)},
	{name: "forever", want: "never expires", edit: func(c *ssh.Certificate) { c.ValidBefore = ssh.CertTimeInfinity }},
	{name: "for ever and a day", want: "never expires", edit: func(c *ssh.Certificate) { c.ValidBefore = math.MaxInt64 - 62135596801 }},
	{name: "ends before it begins", want: "ends before it begins", edit: dates(0, -time.Hour)},
	{name: "unknown critical option", want: `critical option "sudo@example.com", which sshd does not know`, edit: critical("sudo@example.com", "yes")},
	{name: "critical option with an escape", want: `critical option "[31msudo", which`, edit: critical("\x1b[31msudo", ""), also: clean},
	{name: "empty force-command", want: "an empty force-command", edit: critical("force-command", "")},
	{name: "17 KiB", want: "bytes, more than 16384", edit: padding(17 << 10)},

	{name: "options in front", want: "options in front of it", rewrap: func(l string) string { return "no-pty " + l }},
	{name: "two lines", want: "more than one line", rewrap: func(l string) string { return l + "\n" + l }},
	{name: "no line", want: "makes no sense", rewrap: func(string) string { return "" }},
	{name: "cut off line", want: "makes no sense", rewrap: func(l string) string { return l[:len(l)*2/3] }},
	{name: "plain key", want: "a key of type ssh-ed25519, not a certificate", rewrap: func(string) string {
		return string(ssh.MarshalAuthorizedKey(stranger().PublicKey()))
	}},

	{name: "endless body", want: "more than 65536 bytes", http: endless(0)},
	{name: "slow body", want: "did not answer in time", slow: true, http: endless(20 * time.Millisecond)},
	{name: "silence", want: "did not answer in time", slow: true, http: func(_ *CA, _ http.ResponseWriter, r *http.Request, _ string) {
		<-r.Context().Done()
	}},
	{name: "cut off body", want: "closed the connection before its answer was complete", http: func(ca *CA, w http.ResponseWriter, _ *http.Request, line string) {
		ca.protocol.Answer(&halved{ResponseWriter: w}, line)
		panic(http.ErrAbortHandler)
	}},
	{name: "answer lost after issue", want: "closed the connection before its answer was complete", http: func(*CA, http.ResponseWriter, *http.Request, string) {
		panic(http.ErrAbortHandler)
	}},
	{name: "garbage", want: "makes no sense", http: func(ca *CA, w http.ResponseWriter, _ *http.Request, line string) {
		ca.protocol.Answer(&replaced{w, []byte("\x00\xff{]garbage")}, line)
	}},
	{name: "gzip that was not asked for", want: "makes no sense", http: func(ca *CA, w http.ResponseWriter, _ *http.Request, line string) {
		w.Header().Set("Content-Encoding", "gzip")
		ca.protocol.Answer(&replaced{w, []byte("\x1f\x8b\x08\x00")}, line)
	}},
	{name: "wrong content type", want: "content type", http: func(ca *CA, w http.ResponseWriter, _ *http.Request, line string) {
		ca.protocol.Answer(&retyped{w}, line)
	}},
	{name: "HTML, 200", want: "answered 200 OK", http: page(http.StatusOK)},
	{name: "502 of a proxy", want: "answered 502 Bad Gateway", http: page(http.StatusBadGateway)},
	{name: "500", want: "answered 500 Internal Server Error", http: func(_ *CA, w http.ResponseWriter, _ *http.Request, _ string) {
		w.WriteHeader(http.StatusInternalServerError)
	}},
	{name: "204", want: "answered 204 No Content", http: func(_ *CA, w http.ResponseWriter, _ *http.Request, _ string) {
		w.WriteHeader(http.StatusNoContent)
	}},
	{name: "redirection elsewhere", want: "answered 307 Temporary Redirect", http: func(ca *CA, w http.ResponseWriter, r *http.Request, _ string) {
		http.Redirect(w, r, ca.astrayTo+r.URL.Path, http.StatusTemporaryRedirect)
	}},
	{name: "302 elsewhere", want: "answered 302 Found", http: func(ca *CA, w http.ResponseWriter, r *http.Request, _ string) {
		http.Redirect(w, r, ca.astrayTo+r.URL.Path, http.StatusFound)
	}},
	{name: "endless headers", want: "headers exceeded", http: func(ca *CA, w http.ResponseWriter, _ *http.Request, line string) {
		for i := range 1000 {
			w.Header().Set(fmt.Sprintf("X-Padding-%d", i), strings.Repeat("x", 1000))
		}
		ca.protocol.Answer(w, line)
	}},
	{name: "status with an escape", want: "answered 299", http: raw("HTTP/1.1 299 \x1b[31mred\r\nContent-Length: 0\r\n\r\n"), also: clean},
	{name: "not HTTP", want: "malformed HTTP", http: raw("220 mail.example.com ESMTP\r\n"), also: clean},
	{name: "refusal with escapes and 10 KB", want: "[31mno[0m rule matches", also: clean, http: func(ca *CA, w http.ResponseWriter, _ *http.Request, _ string) {
		ca.protocol.Refuse(w, "\x1b[31mno\x1b[0m\u202e rule\r\nmatches\x00\x7f\u2028"+strings.Repeat("é", 5<<10))
	}},
	{name: "clock an hour off", want: "this computer's clock is 1h0m", http: func(ca *CA, w http.ResponseWriter, _ *http.Request, _ string) {
		w.Header().Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
		ca.protocol.Refuse(w, "the identity is not yet valid")
	}},
}
