// Package signer has an SSH public key certified and keeps the certificate
// valid.
//
// An Issuer proves an Identity to one CA endpoint and asks it for an OpenSSH
// user certificate; each kind of endpoint is one file. Failover makes one
// Issuer of several. A Minter keeps one profile's certificate valid now.
//
// A CA is not trusted to be right: what it returns is served only if it is a
// user certificate, for the key that was sent, from a pinned CA key, valid now
// and within what was asked for. The private key that is certified is made
// here, stays in memory, and is never the identity's own.
package signer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sshmint/sshmint/internal/wire"
)

// Identity is an X.509 identity: who asks a CA for a certificate.
type Identity interface {
	// Certificate gives chain (leaf first, Leaf set) and key as one consistent
	// snapshot. ctx bounds PIN and touch, in this call and in the signatures made
	// with the key. It must be safe for concurrent use.
	Certificate(ctx context.Context) (*tls.Certificate, error)
	// NeedsPerson tells whether using it now would ask a person for something.
	// It must not block.
	NeedsPerson() bool
}

// Issuer has a key certified at one CA endpoint.
type Issuer interface {
	// Issue must not retry, must not cache, and must return when ctx ends. It
	// should Check what it returns; a Minter checks it again. An error that is not
	// an *Error may pass by itself.
	Issue(ctx context.Context, r *Request) (*ssh.Certificate, error)
}

// Request is what a CA is asked for. Principals and Validity are wishes: zero
// means that the CA decides.
type Request struct {
	Key        ssh.Signer // its public key is certified; it signs the proof of possession
	Principals []string
	Validity   time.Duration
	UserCAs    []string // fingerprints (SHA256:...) of the user CA keys that may sign; no other is accepted
}

// Error is what came of asking one CA.
type Error struct {
	CA    string        // URL
	Code  wire.Code     // what the CA said, or "" where it said nothing
	Text  string        // a sentence for the person
	Final bool          // neither trying again nor another CA can help, until somebody changes something
	Skew  time.Duration // the CA's clock minus ours when it answered, 0 where it is not known
	Err   error         // cause, or nil
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.CA != "" {
		b.WriteString(e.CA + ": ")
	}
	b.WriteString(e.Text)
	if e.Code != "" {
		fmt.Fprintf(&b, " (%s)", e.Code)
	}
	if e.Skew.Abs() > tolerableSkew {
		b.WriteString("; " + clockText(e.Skew))
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// ErrDeclined is the cause where a person said no, to a PIN prompt or a touch.
// It is remembered for longer than a fault.
var ErrDeclined = errors.New("declined by the user")

// tolerableSkew is how far apart two clocks may be before it is worth a word.
const tolerableSkew = time.Minute

func clockText(skew time.Duration) string {
	word := "behind"
	if skew < 0 {
		word = "ahead of"
	}
	return fmt.Sprintf("this computer's clock is %s %s the CA's", skew.Abs().Round(time.Second), word)
}

func isFinal(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Final
}
