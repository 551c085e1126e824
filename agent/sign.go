package agent

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"

	"golang.org/x/crypto/ssh"
)

// sign answers a sign request if the data is a login with the key that it names,
// on the session that the connection is bound to.
//
// The request and the data may each name the certificate or its plain key: ssh
// before 10.3 asks for the plain key where both are listed, and signs data with
// the certificate in it.
func (s *session) sign(ctx context.Context, body []byte) error {
	r := reader{rest: body}
	blob, data, flags := r.string(), r.string(), r.uint32()
	if err := r.whole(); err != nil {
		return err
	}
	find := s.find
	if bytes.HasPrefix(data, []byte(sshsigMagic)) {
		find = s.findSSHSIG
	}
	asked, err := find(blob)
	if err != nil {
		if key := s.findAdded(blob); key != nil {
			return s.signAdded(ctx, key, data, flags)
		}
		if r := s.relayOf(ctx, blob); r != nil {
			return s.relaySign(ctx, r, body)
		}
		return err
	}
	if bytes.HasPrefix(data, []byte(sshsigMagic)) {
		if err := s.signSSHSIG(ctx, asked, data, flags); err != nil {
			return fmt.Errorf("profile %s: %w", asked.profile.Name, err)
		}
		return nil
	}
	q, err := parseAuthRequest(data)
	if err != nil {
		return fmt.Errorf("profile %s: %w", asked.profile.Name, err)
	}
	m, err := s.find(q.key)
	if err != nil {
		return fmt.Errorf("profile %s: in the authentication request: %w", asked.profile.Name, err)
	}
	if m.plain != asked.plain {
		return fmt.Errorf("profile %s: the authentication request is for another key", asked.profile.Name)
	}
	if err := s.binds.check(q); err != nil {
		return fmt.Errorf("profile %s: %w", m.profile.Name, err)
	}
	algorithm, err := m.algorithm(q, flags)
	if err != nil {
		return fmt.Errorf("profile %s: %w", m.profile.Name, err)
	}
	if err := s.confirmLogin(ctx, m, q); err != nil {
		return fmt.Errorf("profile %s: %w", m.profile.Name, err)
	}
	if err := s.answerSign(m, data, algorithm); err != nil {
		return fmt.Errorf("signing for profile %s: %w", m.profile.Name, err)
	}
	s.agent.log().LogAttrs(ctx, slog.LevelDebug, "signed", slog.Int("pid", s.peer.pid), slog.String("profile", m.profile.Name),
		slog.Uint64("serial", m.cert.Serial), slog.String("algorithm", algorithm))
	return nil
}

// answerSign signs what has passed all checks.
func (s *session) answerSign(m *minted, data []byte, algorithm string) error {
	signature, err := m.sign(data, algorithm)
	if err != nil {
		return err
	}
	if s.agent.Locked() { // a token may have taken a while
		return errLocked
	}
	s.out = append(s.out, msgSignResponse)
	s.out = appendSignature(s.out, signature)
	return nil
}

// rsaSignatures are the signatures of an RSA key, by its type and the algorithm
// that signed data names. There is none with SHA-1, which is what the type's own
// name stands for.
var rsaSignatures = []struct {
	keyType, named, algorithm string
	flag                      uint32
}{
	{ssh.KeyAlgoRSA, ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA256, flagSHA256},
	{ssh.KeyAlgoRSA, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA512, flagSHA512},
	{ssh.CertAlgoRSAv01, ssh.CertAlgoRSASHA256v01, ssh.KeyAlgoRSASHA256, flagSHA256},
	{ssh.CertAlgoRSAv01, ssh.CertAlgoRSASHA512v01, ssh.KeyAlgoRSASHA512, flagSHA512},
}

// algorithm returns the signature algorithm that the authentication request
// names. The flags of the sign request are older than that name; they must not
// contradict it.
func (m *minted) algorithm(q authRequest, flags uint32) (string, error) {
	if flags&^(flagSHA256|flagSHA512) != 0 {
		return "", fmt.Errorf("signature flags %#x are not known", flags)
	}
	keyType := m.plainType
	if string(q.key) == m.blob {
		keyType = m.certType
	}
	if m.plainType != ssh.KeyAlgoRSA {
		// The flags are about RSA; OpenSSH overlooks them for other keys.
		if string(q.algorithm) == keyType {
			return m.plainType, nil
		}
	} else {
		if string(q.algorithm) == keyType {
			return "", errors.New("an RSA signature with SHA-1 is never made")
		}
		for _, rsa := range rsaSignatures {
			if rsa.keyType != keyType || rsa.named != string(q.algorithm) {
				continue
			}
			if flags != 0 && flags&rsa.flag == 0 {
				return "", fmt.Errorf("signature flags %#x contradict the algorithm %s", flags, rsa.named)
			}
			return rsa.algorithm, nil
		}
	}
	return "", fmt.Errorf("algorithm %q does not fit a key of type %s", printable(string(q.algorithm), 64), keyType)
}

func (m *minted) sign(data []byte, algorithm string) (*ssh.Signature, error) {
	var signature *ssh.Signature
	var err error
	if signer, ok := m.signer.(ssh.AlgorithmSigner); ok {
		signature, err = signer.SignWithAlgorithm(rand.Reader, data, algorithm)
	} else {
		signature, err = m.signer.Sign(rand.Reader, data)
	}
	if err != nil {
		return nil, err
	}
	if signature.Format != algorithm {
		return nil, fmt.Errorf("the key made a signature of type %s, not %s", signature.Format, algorithm)
	}
	return signature, nil
}

// appendSignature appends the signature as a string that holds format, blob and
// what some formats add (RFC 4253 section 6.6).
func appendSignature(b []byte, s *ssh.Signature) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0)
	b = appendString(b, s.Format)
	b = appendString(b, s.Blob)
	b = append(b, s.Rest...)
	putLength(b[start:])
	return b
}
