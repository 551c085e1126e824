package agent

import (
	"bytes"
	"testing"

	"golang.org/x/crypto/ssh"
)

func FuzzSignRequest(f *testing.F) {
	a, signer := warm(f)
	host := newKey(f, "ed25519")
	at := newAttempt(a, signer)
	f.Add(at.request())
	at.login.method, at.login.hostKey = hostbound, host.PublicKey().Marshal()
	f.Add(at.request())
	at.flags = flagSHA512
	at.login.tail = []byte("more")
	f.Add(at.request())
	at.data = appendString([]byte("SSHSIG"), "proof@sshmint")
	f.Add(at.request())
	f.Add([]byte{msgSignRequest})
	blob := string(signer.PublicKey().Marshal())
	cert, ok := signer.PublicKey().(*ssh.Certificate)
	if !ok {
		f.Fatal("not a certificate")
	}
	plain := string(cert.Key.Marshal())

	f.Fuzz(func(t *testing.T, request []byte) {
		if len(request) == 0 || request[0] != msgSignRequest {
			return
		}
		s := &session{agent: a}
		if answer := ask(s, request...); answer[0] == msgFailure {
			return
		}
		// What was signed must come out again from its fields, read by
		// x/crypto's parser, with nothing added or lost.
		var q struct {
			Blob  []byte `sshtype:"13"`
			Data  []byte
			Flags uint32
		}
		if err := ssh.Unmarshal(request, &q); err != nil {
			t.Fatalf("signed a request that does not parse: %v", err)
		}
		var u struct {
			Session   []byte
			Kind      [1]byte
			User      string
			Service   string
			Method    string
			Signed    bool
			Algorithm string
			Key       string
			HostKey   []byte `ssh:"rest"`
		}
		if err := ssh.Unmarshal(q.Data, &u); err != nil {
			t.Fatalf("signed data that does not parse: %v", err)
		}
		l := login{
			session: u.Session, kind: 50, user: u.User, service: "ssh-connection", method: u.Method,
			signed: 1, algorithm: u.Algorithm, key: []byte(u.Key),
		}
		if u.Method == hostbound && len(u.HostKey) > 4 {
			l.hostKey = u.HostKey[4:]
		}
		if !bytes.Equal(l.marshal(), q.Data) {
			t.Fatalf("signed %q", q.Data)
		}
		fits := u.Key == blob && u.Algorithm == ssh.CertAlgoED25519v01 || u.Key == plain && u.Algorithm == ssh.KeyAlgoED25519
		if !fits || string(q.Blob) != blob && string(q.Blob) != plain {
			t.Fatalf("signed for algorithm %q with key %q", u.Algorithm, u.Key)
		}
	})
}
