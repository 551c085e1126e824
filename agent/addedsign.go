package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"

	"golang.org/x/crypto/ssh"

	"github.com/sshmint/sshmint/internal/wire"
)

// caProof begins an SSHSIG message that has a key certified.
var caProof = appendString([]byte(sshsigMagic), wire.ProofNamespace)

// signAdded signs with a key that was added, as OpenSSH's agent does: whatever
// it is given but a proof to a CA, unless the key is restricted to destinations.
func (s *session) signAdded(ctx context.Context, key *addedKey, data []byte, flags uint32) error {
	if bytes.HasPrefix(data, caProof) {
		return fmt.Errorf("the namespace %s is for proofs to a CA, which no client may have signed", wire.ProofNamespace)
	}
	login, err := parseAuthRequest(data)
	isLogin := err == nil
	if len(key.restrictions) > 0 {
		switch {
		case !isLogin:
			return fmt.Errorf("the key is restricted to destinations: %w", err)
		case string(login.key) != key.blob:
			return errors.New("the key is restricted to destinations, and the authentication request is for another key")
		case !fits(string(login.algorithm), key.keyType):
			return fmt.Errorf("algorithm %q does not fit a key of type %s", printable(string(login.algorithm), 64), key.keyType)
		}
		if err := key.reaches(&s.binds, &login); err != nil {
			return err
		}
	}
	if key.confirm {
		q := Question{Comment: key.comment, Fingerprint: key.fingerprint()}
		if isLogin {
			q.Use, q.User = UseLogin, string(login.user)
			if s.binds.check(login) == nil {
				q.Host = s.destination()
			}
		} else if namespace, err := parseSSHSIG(data); err == nil {
			q.Use, q.Namespace = UseSSHSIG, namespace
		}
		if err := s.confirm(ctx, q); err != nil {
			return fmt.Errorf("key %s: %w", q.Fingerprint, err)
		}
	}
	algorithm := addedAlgorithm(key.private.signer.PublicKey().Type(), flags)
	if algorithm == ssh.KeyAlgoRSA && isLogin && string(login.key) == key.blob {
		algorithm = named(key.keyType, string(login.algorithm))
	}
	signature, err := key.sign(data, algorithm)
	if err != nil {
		return fmt.Errorf("signing with key %s: %w", key.fingerprint(), err)
	}
	if s.agent.Locked() {
		return errLocked
	}
	s.agent.log().LogAttrs(ctx, slog.LevelDebug, "signed", slog.Int("pid", s.peer.pid), slog.String("type", key.keyType),
		slog.String("algorithm", algorithm))
	s.out = append(s.out, msgSignResponse)
	s.out = appendSignature(s.out, signature)
	return nil
}

// addedAlgorithm is that of OpenSSH's agent: SHA-256 goes before SHA-512 if both
// are asked for, and with neither an RSA key signs with SHA-1, which servers
// have refused since 2021. Other flags are overlooked.
func addedAlgorithm(keyType string, flags uint32) string {
	switch {
	case keyType != ssh.KeyAlgoRSA:
		return keyType
	case flags&flagSHA256 != 0:
		return ssh.KeyAlgoRSASHA256
	case flags&flagSHA512 != 0:
		return ssh.KeyAlgoRSASHA512
	}
	return ssh.KeyAlgoRSA
}

// named is the signature algorithm that a login with an RSA key names itself. A
// client that sets no flag for its certificate (paramiko before 3) would have a
// signature with SHA-1 from OpenSSH's agent, which contradicts what it signs.
func named(keyType, algorithm string) string {
	for _, rsa := range rsaSignatures {
		if rsa.keyType == keyType && rsa.named == algorithm {
			return rsa.algorithm
		}
	}
	return ssh.KeyAlgoRSA
}

// fits reports whether signed data may name the algorithm for a key of the type.
func fits(algorithm, keyType string) bool {
	if algorithm == keyType {
		return true
	}
	for _, rsa := range rsaSignatures {
		if rsa.keyType == keyType && rsa.named == algorithm {
			return true
		}
	}
	return false
}
