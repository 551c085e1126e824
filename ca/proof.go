package ca

import (
	"bytes"
	"crypto/x509"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"github.com/sshmint/sshmint/internal/wire"
)

// maxProof bounds an armored SSHSIG; one by RSA 16384 has 6 KiB.
const maxProof = 16 << 10

// checkProof makes sure that whoever holds the SSH key wants it certified for
// this leaf. Without it, a person could have somebody else's key certified in
// his own name, and be taken for the one who then logs in with it.
func checkProof(leaf *x509.Certificate, key ssh.PublicKey, proof string) error {
	if proof == "" {
		return badRequest("proof: it is missing: the SSH key must sign the request")
	}
	if len(proof) > maxProof {
		return badRequest("proof: it is longer than %d bytes", maxProof)
	}
	sig, err := sshsig.Unarmor([]byte(proof))
	if err != nil {
		return badRequest("proof: it is no armored SSHSIG")
	}
	if !bytes.Equal(sig.PublicKey.Marshal(), key.Marshal()) {
		return badRequest("proof: it was signed by another key than the one to be certified")
	}
	if sig.Namespace != wire.ProofNamespace {
		return badRequest("proof: it was signed in the namespace %q, not in %q", cut(sig.Namespace, 40), wire.ProofNamespace)
	}
	message := wire.ProofMessage(leaf.Raw, key.Marshal())
	if err := sshsig.Verify(bytes.NewReader(message), sig, key, sig.HashAlgorithm, wire.ProofNamespace); err != nil {
		return badRequest("proof: the signature does not fit this key and this X.509 certificate")
	}
	return nil
}

// isLeafKey tells whether key is the X.509 leaf's own, whose possession the
// TLS handshake has proved.
func isLeafKey(leaf *x509.Certificate, key ssh.PublicKey) bool {
	own, err := ssh.NewPublicKey(leaf.PublicKey)
	return err == nil && bytes.Equal(own.Marshal(), key.Marshal())
}
