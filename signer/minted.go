package signer

import (
	"fmt"
	"io"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// minted is a certificate in service: a signer whose public key is the
// certificate and whose signatures are its key's.
type minted struct {
	minter *Minter
	key    ssh.AlgorithmSigner
	cert   *ssh.Certificate
	begins time.Time // received
	ends   time.Time // validBefore
	renew  time.Time
	used   atomic.Bool // a signature was made with it
}

var _ ssh.AlgorithmSigner = (*minted)(nil)

func newMinted(m *Minter, key ssh.Signer, cert *ssh.Certificate, received time.Time) (*minted, error) {
	signer, ok := key.(ssh.AlgorithmSigner)
	if !ok {
		return nil, fmt.Errorf("a key of type %s cannot sign", key.PublicKey().Type())
	}
	_, ends := validity(cert)
	c := &minted{minter: m, key: signer, cert: cert, begins: received, ends: ends}
	// Up to a twentieth later, so that agents that were started together do not
	// come to the CA together for ever.
	life := ends.Sub(received)
	c.renew = received.Add(life/3*2 + time.Duration(rand.Float64()*float64(life)/20)) // #nosec G404 -- jitter
	return c, nil
}

// PublicKey gives the *ssh.Certificate.
func (c *minted) PublicKey() ssh.PublicKey { return c.cert }

// Sign is SignWithAlgorithm with the key's own.
func (c *minted) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	return c.SignWithAlgorithm(rand, data, "")
}

// SignWithAlgorithm signs with the certified key. A signature counts as use.
func (c *minted) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	c.used.Store(true)
	if time.Now().After(c.renew) {
		c.minter.renew()
	}
	return c.key.SignWithAlgorithm(rand, data, algorithm)
}

// listable is false for the last seconds: a client that lists a certificate
// needs a moment to log in with it.
func (c *minted) listable(t time.Time) bool {
	return c.ends.Sub(t) >= min(5*time.Second, c.ends.Sub(c.begins)/10)
}
