package agent

import (
	"errors"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"
)

// A restriction is a hop that a key may be used for (ssh-add -h): from a host,
// or from where the agent runs, to an account on the next. OpenSSH's
// PROTOCOL.agent section 2 has the format; what it means is told by ssh-agent(1)
// and, where that is silent, by ssh-agent.c (identity_permitted).
type restriction struct {
	from, to hop
}

type hop struct {
	user string // pattern; "" is everybody
	host string // as the person named it; "" is where the agent runs
	keys []hopKey
}

type hopKey struct {
	blob      string
	authority bool // certifies the host's key, for the hop's host name
}

var (
	errNotThere   = errors.New("the key is restricted to other destinations")
	errNotOnwards = errors.New("the key is restricted to destinations that cannot be reached from here")
)

// hidden returns why the connection may not see, drop or replace the key, or nil.
func (k *addedKey) hidden(b *bindings) error {
	return k.reaches(b, nil)
}

// reaches returns why the key may not be used over the hops that the connection
// was bound to, or nil; for a signature with the login that is to be signed.
// Without a bind it may be seen, as the connection is local then; a signature
// needs binds to be checked at all.
func (k *addedKey) reaches(b *bindings, login *authRequest) error {
	switch {
	case len(k.restrictions) == 0:
		return nil
	case b.failed:
		return errBindFailed
	case len(b.hops) == 0 && login != nil:
		return errors.New("the key is restricted to destinations, and the connection is bound to none")
	}
	var from *hostKey
	for i, at := range b.hops {
		last := i == len(b.hops)-1
		if !last && !at.forwarding {
			return errors.New("the connection was bound for forwarding after it was for an authentication")
		}
		to := newHostKey(at.hostKey)
		if last && login != nil { // the account is known for the last hop only
			if !k.allows(from, to, new(string(login.user))) {
				return errNotThere
			}
			return b.check(*login)
		}
		if !k.allows(from, to, nil) {
			return errNotThere
		}
		from = to
	}
	// A key for that host alone is of no use beyond it, where the client is.
	if n := len(b.hops); n > 0 && b.hops[n-1].forwarding && !k.allows(from, nil, nil) {
		return errNotOnwards
	}
	return nil
}

// allows reports whether one of the destinations is the hop between two hosts,
// for the user if there is one: from nil is where the agent runs, to nil is any
// host.
func (k *addedKey) allows(from, to *hostKey, user *string) bool {
	return slices.ContainsFunc(k.restrictions, func(d restriction) bool {
		switch {
		case from == nil && d.from.host != "":
			return false
		case from != nil && !d.from.is(from):
			return false
		case to != nil && !d.to.is(to):
			return false
		case user != nil && d.to.user != "" && !matchPattern(*user, d.to.user):
			return false
		}
		return true
	})
}

// A hostKey is what a connection was bound to.
type hostKey struct {
	blob      string
	cert      *ssh.Certificate // nil for a plain key
	authority string           // that signed the certificate
}

func newHostKey(blob string) *hostKey {
	h := &hostKey{blob: blob}
	if key, err := ssh.ParsePublicKey([]byte(blob)); err == nil {
		if cert, ok := key.(*ssh.Certificate); ok {
			h.cert, h.authority = cert, string(cert.SignatureKey.Marshal())
		}
	}
	return h
}

// is reports whether the host key is one of the hop's, or has a certificate of
// one of its authorities for the hop's name.
func (h *hop) is(at *hostKey) bool {
	return slices.ContainsFunc(h.keys, func(k hopKey) bool {
		if at.cert == nil {
			return !k.authority && k.blob == at.blob
		}
		return k.authority && k.blob == at.authority && hostCertificateFor(at.cert, h.host, time.Now())
	})
}

// hostCertificateFor checks a certificate whose signature was verified when the
// connection was bound (OpenSSH, sshkey_cert_check_host). It is the principals
// that may be patterns.
func hostCertificateFor(cert *ssh.Certificate, host string, now time.Time) bool {
	unix := uint64(max(now.Unix(), 0))
	switch {
	case cert.CertType != ssh.HostCert:
	case unix < cert.ValidAfter || unix >= cert.ValidBefore:
	case len(cert.CriticalOptions) > 0:
	case cert.Signature.Format == ssh.KeyAlgoRSA: // with SHA-1
	case cert.Signature.Format == ssh.InsecureKeyAlgoDSA:
	default:
		return slices.ContainsFunc(cert.ValidPrincipals, func(p string) bool { return matchPattern(host, p) })
	}
	return false
}
