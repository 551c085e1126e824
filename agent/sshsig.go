package agent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"golang.org/x/crypto/ssh"

	"github.com/sshmint/sshmint/internal/wire"
)

// sshsigMagic begins what ssh-keygen -Y sign has signed (OpenSSH's
// PROTOCOL.sshsig section 3). A login cannot begin so: the first four bytes would
// be the length of a session id beyond all bounds.
const sshsigMagic = "SSHSIG"

// CheckNamespace tells whether minted keys may be allowed to sign SSHSIG
// messages in a namespace. They never prove themselves to a CA for whoever asks.
func CheckNamespace(namespace string) error {
	switch {
	case namespace == "":
		return errors.New("an SSHSIG namespace is not empty")
	case namespace == wire.ProofNamespace:
		return fmt.Errorf("the namespace %s is for proofs to a CA, which no client may have signed", namespace)
	case printable(namespace, len(namespace)) != namespace:
		return fmt.Errorf("the namespace %q is not printable text", namespace)
	}
	return nil
}

// parseSSHSIG returns the namespace of data that is one SSHSIG message as a
// whole. What the reserved field will mean one day is not known, so that nothing
// is signed with it.
func parseSSHSIG(data []byte) (namespace string, err error) {
	rest, ok := bytes.CutPrefix(data, []byte(sshsigMagic))
	if !ok {
		return "", errors.New("the data is not an SSHSIG message")
	}
	r := reader{rest: rest}
	name, reserved, hash, sum := r.string(), r.string(), r.string(), r.string()
	why := ""
	switch {
	case r.short:
		why = "it ends early"
	case len(name) == 0:
		why = "its namespace is empty"
	case len(reserved) > 0:
		why = "its reserved field is not empty"
	case string(hash) != "sha256" && string(hash) != "sha512":
		why = fmt.Sprintf("its hash %q is neither sha256 nor sha512", printable(string(hash), 64))
	case string(hash) == "sha256" && len(sum) != sha256.Size, string(hash) == "sha512" && len(sum) != sha512.Size:
		why = fmt.Sprintf("its %s hash has %d bytes", hash, len(sum))
	case len(r.rest) > 0:
		why = "bytes follow it"
	default:
		return string(name), nil
	}
	return "", errors.New("the data is not an SSHSIG message: " + why)
}

// signSSHSIG answers a sign request for an SSHSIG message if the settings allow
// its namespace, and the request comes from this computer.
func (s *session) signSSHSIG(ctx context.Context, m *minted, data []byte, flags uint32) error {
	if err := s.binds.remote(); err != nil {
		return fmt.Errorf("SSHSIG: %w", err)
	}
	namespace, err := parseSSHSIG(data)
	if err != nil {
		return err
	}
	if err := CheckNamespace(namespace); err != nil {
		return fmt.Errorf("SSHSIG: %w", err)
	}
	if !slices.Contains(s.agent.currentSettings().SSHSIG, namespace) {
		return fmt.Errorf("SSHSIG: the configuration does not allow the namespace %q", printable(namespace, 64))
	}
	algorithm, err := m.sshsigAlgorithm(flags)
	if err != nil {
		return err
	}
	if err := s.confirmUse(ctx, m, Question{Use: UseSSHSIG, Namespace: namespace}); err != nil {
		return err
	}
	if err := s.answerSign(m, data, algorithm); err != nil {
		return fmt.Errorf("signing: %w", err)
	}
	s.agent.log().LogAttrs(ctx, slog.LevelInfo, "signed SSHSIG", slog.Int("pid", s.peer.pid), slog.String("profile", m.profile.Name),
		slog.Uint64("serial", m.cert.Serial), slog.String("namespace", namespace), slog.String("algorithm", algorithm))
	return nil
}

// sshsigAlgorithm goes by the flags, since the message names no algorithm; of
// two flags SHA-256 counts, as in OpenSSH. An RSA signature without any has
// SHA-512: SSHSIG knows none with SHA-1.
func (m *minted) sshsigAlgorithm(flags uint32) (string, error) {
	switch {
	case flags&^(flagSHA256|flagSHA512) != 0:
		return "", fmt.Errorf("signature flags %#x are not known", flags)
	case m.plainType != ssh.KeyAlgoRSA:
		return m.plainType, nil
	case flags&flagSHA256 != 0:
		return ssh.KeyAlgoRSASHA256, nil
	}
	return ssh.KeyAlgoRSASHA512, nil
}
