package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"golang.org/x/crypto/ssh"
)

// Message numbers of RFC 9987 section 6.1.
const (
	msgRequestIdentities = 11
	msgIdentitiesAnswer  = 12
	msgSignRequest       = 13
	msgSignResponse      = 14
	msgExtension         = 27
)

func text[T string | []byte](b []byte, s T) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(s))) //nolint:gosec // G115: our own short fields
	return append(b, s...)
}

func frame(body []byte) []byte { return text(nil, body) }

// listRequest is a frame.
var listRequest = frame([]byte{msgRequestIdentities})

// A login is what ssh has an agent sign to log in with a certificate. The signed
// data always has the certificate in it.
type login struct {
	cert    *ssh.Certificate
	session []byte
	bind    []byte // a frame to be sent before, or nil
	data    []byte // to be signed
	request []byte // a frame
}

// newLogin makes the request that an unbound client sends.
func newLogin(cert *ssh.Certificate) *login {
	l := &login{cert: cert, session: make([]byte, 32)}
	rand.Read(l.session) // never fails
	l.data = l.userauth("publickey")
	l.request = l.frame(cert)
	return l
}

// newKeyLogin names the plain key in the request, as ssh before 10.3 does where
// an agent lists both. OpenSSH's agent verifies each certificate that it reads,
// and so has less to do then.
func newKeyLogin(cert *ssh.Certificate) *login {
	l := newLogin(cert)
	l.request = l.frame(cert.Key)
	return l
}

// newBoundLogin makes a session-bind (OpenSSH's PROTOCOL.agent section 1) and the
// request that ssh sends after it.
func newBoundLogin(cert *ssh.Certificate) (*login, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a host key: %w", err)
	}
	host, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return nil, fmt.Errorf("making a host key: %w", err)
	}
	l := newLogin(cert)
	signature, err := host.Sign(rand.Reader, l.session)
	if err != nil {
		return nil, fmt.Errorf("signing a session id: %w", err)
	}
	bind := text([]byte{msgExtension}, "session-bind@openssh.com")
	bind = text(bind, host.PublicKey().Marshal())
	bind = text(bind, l.session)
	bind = text(bind, ssh.Marshal(signature))
	l.bind = frame(append(bind, 0)) // not for forwarding
	l.data = text(l.userauth("publickey-hostbound-v00@openssh.com"), host.PublicKey().Marshal())
	l.request = l.frame(cert)
	return l, nil
}

// userauth is RFC 4252 section 7.
func (l *login) userauth(method string) []byte {
	const userauthRequest = 50 // SSH_MSG_USERAUTH_REQUEST
	b := append(text(nil, l.session), userauthRequest)
	b = text(text(text(b, "alice"), "ssh-connection"), method)
	b = text(append(b, 1), l.cert.Type())
	return text(b, l.cert.Marshal())
}

func (l *login) frame(named ssh.PublicKey) []byte {
	b := text([]byte{msgSignRequest}, named.Marshal())
	b = text(b, l.data)
	return frame(append(b, 0, 0, 0, 0)) // no flags
}

// dial connects to an agent until ctx ends, so that one which does not answer
// holds up nothing for ever.
func dial(ctx context.Context, socket string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = conn.Close() })
	return conn, nil
}

// ask sends a frame and gives the body of the answer.
func ask(conn net.Conn, request []byte) ([]byte, error) {
	if _, err := conn.Write(request); err != nil {
		return nil, err
	}
	var length [4]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint32(length[:]))
	_, err := io.ReadFull(conn, body)
	return body, err
}

// listed asks an agent for the certificate that it has, and has nothing else.
func listed(conn net.Conn) (*ssh.Certificate, error) {
	body, err := ask(conn, listRequest)
	if err != nil {
		return nil, fmt.Errorf("listing: %w", err)
	}
	if len(body) == 0 || body[0] != msgIdentitiesAnswer {
		return nil, errors.New("listing: the agent refused")
	}
	var answer struct {
		Count uint32
		Blob  []byte
		Rest  []byte `ssh:"rest"`
	}
	if err := ssh.Unmarshal(body[1:], &answer); err != nil {
		return nil, fmt.Errorf("listing: %w", err)
	}
	key, err := ssh.ParsePublicKey(answer.Blob)
	if err != nil {
		return nil, fmt.Errorf("listing: %w", err)
	}
	cert, ok := key.(*ssh.Certificate)
	if !ok || answer.Count != 1 {
		return nil, fmt.Errorf("listing: %d keys, the first a %s; one certificate is needed", answer.Count, key.Type())
	}
	return cert, nil
}

// verify checks what the agent answered to the login.
func (l *login) verify(body []byte) error {
	signature, err := signatureIn(body)
	if err != nil {
		return err
	}
	return l.cert.Key.Verify(l.data, signature)
}

func signatureIn(body []byte) (*ssh.Signature, error) {
	if len(body) == 0 || body[0] != msgSignResponse {
		return nil, errors.New("the agent refused to sign")
	}
	var answer struct{ Signature []byte }
	if err := ssh.Unmarshal(body[1:], &answer); err != nil {
		return nil, fmt.Errorf("reading a signature: %w", err)
	}
	var signature ssh.Signature
	if err := ssh.Unmarshal(answer.Signature, &signature); err != nil {
		return nil, fmt.Errorf("reading a signature: %w", err)
	}
	return &signature, nil
}
