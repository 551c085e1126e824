package signer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"

	"golang.org/x/crypto/ssh"
)

// KeyType is the type of the key that is certified.
type KeyType string

// Ed25519 is the default. P-256 is what clients accept that know neither
// Ed25519 nor its certificates (JSch, libssh2).
const (
	Ed25519 KeyType = "ed25519"
	ECDSA   KeyType = "ecdsa"
)

func (t KeyType) generate() (ssh.Signer, error) {
	var key crypto.Signer
	var err error
	switch t {
	case Ed25519, "":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	case ECDSA:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	default:
		return nil, fmt.Errorf("there is no key type %q", t)
	}
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	return ssh.NewSignerFromSigner(key)
}
