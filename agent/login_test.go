package agent

import (
	"crypto/rand"
	"encoding/binary"
	"testing"

	"golang.org/x/crypto/ssh"
)

// A login is the data that ssh signs to log in, field by field.
type login struct {
	session   []byte
	kind      byte
	user      string
	service   string
	method    string
	signed    byte
	algorithm string
	key       []byte
	hostKey   []byte // written if the method is the hostbound one
	tail      []byte
}

const hostbound = "publickey-hostbound-v00@openssh.com"

func (l login) marshal() []byte {
	b := appendString(nil, l.session)
	b = append(b, l.kind)
	b = appendString(b, l.user)
	b = appendString(b, l.service)
	b = appendString(b, l.method)
	b = append(b, l.signed)
	b = appendString(b, l.algorithm)
	b = appendString(b, l.key)
	if l.method == hostbound {
		b = appendString(b, l.hostKey)
	}
	return append(b, l.tail...)
}

// An attempt is a sign request on a connection with some binds.
type attempt struct {
	s     *session
	blob  []byte // asked for
	login login
	data  []byte // instead of login, if not nil
	flags uint32
	tail  []byte // after the request
}

var (
	sessionOne = []byte("session one, which is a hash....")
	sessionTwo = []byte("session two, which is a hash....")
)

// newAttempt returns what ssh 10.3 would ask for with that certificate on an
// unbound connection, which is granted.
func newAttempt(a *Agent, signer ssh.Signer) *attempt {
	cert := signer.PublicKey()
	algorithm := cert.Type()
	if algorithm == ssh.CertAlgoRSAv01 {
		algorithm = ssh.CertAlgoRSASHA512v01
	}
	return &attempt{
		s:    &session{agent: a, peer: peer{pid: 4711}},
		blob: cert.Marshal(),
		login: login{
			session:   sessionOne,
			kind:      50,
			user:      "alice",
			service:   "ssh-connection",
			method:    "publickey",
			signed:    1,
			algorithm: algorithm,
			key:       cert.Marshal(),
		},
	}
}

func (at *attempt) signed() []byte {
	if at.data != nil {
		return at.data
	}
	return at.login.marshal()
}

func (at *attempt) request() []byte {
	b := appendString([]byte{msgSignRequest}, at.blob)
	b = appendString(b, at.signed())
	b = binary.BigEndian.AppendUint32(b, at.flags)
	return append(b, at.tail...)
}

// granted asks for the signature and verifies one that comes.
func (at *attempt) granted(t *testing.T) bool {
	t.Helper()
	answer := ask(at.s, at.request()...)
	if len(answer) == 1 && answer[0] == msgFailure {
		return false
	}
	var response struct {
		Signature []byte `sshtype:"14"`
	}
	var signature ssh.Signature
	if err := ssh.Unmarshal(answer, &response); err != nil {
		t.Fatalf("answer % x: %v", answer, err)
	}
	if err := ssh.Unmarshal(response.Signature, &signature); err != nil {
		t.Fatal(err)
	}
	key, err := ssh.ParsePublicKey(at.blob)
	if err != nil {
		t.Fatal(err)
	}
	if err := key.Verify(at.signed(), &signature); err != nil {
		t.Fatalf("signature of format %s: %v", signature.Format, err)
	}
	if signature.Format == ssh.KeyAlgoRSA {
		t.Error("an RSA signature with SHA-1")
	}
	return true
}

// bindMessage is a session-bind request as ssh sends it.
func bindMessage(t testing.TB, host ssh.Signer, session []byte, forwarding bool) []byte {
	t.Helper()
	signature, err := host.Sign(rand.Reader, session)
	if err != nil {
		t.Fatal(err)
	}
	return rawBind(host.PublicKey().Marshal(), session, ssh.Marshal(signature), forwarding)
}

func rawBind(hostKey, session, signature []byte, forwarding bool) []byte {
	b := appendString([]byte{msgExtension}, sessionBind)
	b = appendString(b, hostKey)
	b = appendString(b, session)
	b = appendString(b, signature)
	if forwarding {
		return append(b, 1)
	}
	return append(b, 0)
}

// bind binds the attempt's connection, as ssh does before it logs in.
func (at *attempt) bind(t testing.TB, host ssh.Signer, session []byte, forwarding bool) {
	t.Helper()
	if answer := ask(at.s, bindMessage(t, host, session, forwarding)...); answer[0] != msgSuccess {
		t.Fatalf("session-bind was answered with %d", answer[0])
	}
}
