package agent

import (
	"errors"
	"fmt"

	"golang.org/x/crypto/ssh"
)

// maxBindings is OpenSSH's AGENT_MAX_SESSION_IDS: the hops of one forwarding.
const maxBindings = 16

// A connection is of one of three kinds, by the binds that were tried on it.
type connectionKind int

const (
	unbound   connectionKind = iota // no bind: ssh before 8.9, and other clients
	bound                           // bound to a session, to log in there
	forwarded                       // any bind was for forwarding, or failed
)

// Bindings are what session-bind@openssh.com recorded on one connection
// (OpenSSH's PROTOCOL.agent section 1). The last one proves nothing about where
// the client is: whoever is at the end of a forwarded connection can add one.
type bindings struct {
	hops   []binding
	failed bool
}

type binding struct {
	hostKey    string // as the bind has it; maybe a certificate
	session    string
	forwarding bool
}

func (b *bindings) kind() connectionKind {
	switch {
	case b.failed:
		return forwarded
	case len(b.hops) == 0:
		return unbound
	}
	for _, hop := range b.hops {
		if hop.forwarding {
			return forwarded
		}
	}
	return bound
}

var (
	errForwarded  = errors.New("the connection is forwarded")
	errBindFailed = errors.New("a session-bind failed on the connection, so that it counts as forwarded")
)

// remote returns why the connection is not to be taken for a local one, or nil.
func (b *bindings) remote() error {
	switch {
	case b.failed:
		return errBindFailed
	case b.kind() == forwarded:
		return errForwarded
	}
	return nil
}

// bind records a session if the host key signed for it. A bind that is refused
// leaves its mark: it may be of somebody who would rather look local.
func (b *bindings) bind(body []byte) error {
	err := b.add(body)
	if err != nil {
		b.failed = true
	}
	return err
}

func (b *bindings) add(body []byte) error {
	r := reader{rest: body}
	hostKey, session, signature, forwarding := r.string(), r.string(), r.string(), r.byte()
	if r.short { // what follows is for later versions, as OpenSSH has it
		return errShort
	}
	if len(session) == 0 || len(session) > maxSessionID {
		return fmt.Errorf("session id of %d bytes; 1 to %d are allowed", len(session), maxSessionID)
	}
	if err := verifyBind(hostKey, session, signature); err != nil {
		return err
	}
	for _, hop := range b.hops {
		switch sameSession, sameKey := hop.session == string(session), hop.hostKey == string(hostKey); {
		case !hop.forwarding:
			return errors.New("the connection is already bound for an authentication")
		case sameSession && sameKey:
			return nil
		case sameSession:
			return errors.New("the session id is already bound with another host key")
		}
	}
	if len(b.hops) == maxBindings {
		return fmt.Errorf("more than %d bindings", maxBindings)
	}
	b.hops = append(b.hops, binding{hostKey: string(hostKey), session: string(session), forwarding: forwarding != 0})
	return nil
}

// verifyBind checks the signature of the key exchange, which the server's host
// key made over the session id.
func verifyBind(hostKey, session, signature []byte) error {
	key, err := ssh.ParsePublicKey(hostKey)
	if err != nil {
		return fmt.Errorf("reading the host key: %w", err)
	}
	if cert, ok := key.(*ssh.Certificate); ok {
		if err := verifyCertificate(cert, hostKey); err != nil {
			return fmt.Errorf("verifying the host certificate: %w", err)
		}
	}
	r := reader{rest: signature}
	sig := ssh.Signature{Format: string(r.string()), Blob: r.string()}
	switch sig.Format {
	case ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256: // flags and counter follow
		sig.Rest, r.rest = r.rest, nil
	}
	if err := r.whole(); err != nil {
		return fmt.Errorf("reading the signature of the host key: %w", err)
	}
	if err := key.Verify(session, &sig); err != nil {
		return fmt.Errorf("verifying the signature of the host key %s: %w", ssh.FingerprintSHA256(key), err)
	}
	return nil
}

// verifyCertificate checks that the authority named in a certificate signed it,
// as OpenSSH does when it reads one. It says nothing of who the authority is.
func verifyCertificate(cert *ssh.Certificate, blob []byte) error {
	signature := appendSignature(nil, cert.Signature) // the last field
	return cert.SignatureKey.Verify(blob[:len(blob)-len(signature)], cert.Signature)
}

// check tells whether the connection may sign the authentication request.
// Without a bind nothing speaks against it.
func (b *bindings) check(q authRequest) error {
	if b.failed {
		return errBindFailed
	}
	if len(b.hops) == 0 {
		return nil
	}
	last := b.hops[len(b.hops)-1]
	switch {
	case last.forwarding:
		return errors.New("the connection was bound for forwarding, not for an authentication")
	case string(q.session) != last.session:
		return errors.New("the authentication request is of another session than the connection")
	case q.hostKey == nil && len(b.hops) > 1:
		return errors.New("the authentication request of a forwarded connection names no host key")
	case q.hostKey != nil && string(q.hostKey) != last.hostKey:
		return errors.New("the authentication request names another host key than the connection")
	}
	return nil
}
