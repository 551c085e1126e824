package ca

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/ssh"

	"github.com/sshmint/sshmint/internal/wire"
)

// A Request asks an Authority for a user certificate.
type Request struct {
	// Chain is the X.509 identity, leaf first, as it was presented. Whoever
	// fills it in has seen proof that the asker holds the leaf's key.
	Chain []*x509.Certificate
	// PublicKey is to be certified.
	PublicKey ssh.PublicKey
	// Principals are a wish: granted whole or refused. Empty: the rule's.
	Principals []string
	// Validity is a wish: the certificate lives no longer. Zero: the rule's.
	Validity time.Duration
	// Proof is an armored SSHSIG by PublicKey; see docs/protocol.md.
	Proof string
	// Vouched says that an administrator at the CA itself answers for
	// PublicKey, so that no proof is needed.
	Vouched bool
	// Source is where the request came from, for the audit log.
	Source string
}

// minValidity is the least wish: certificates count whole seconds.
const minValidity = time.Second

// parseRequest reads the body of a POST: what is not said in docs/protocol.md
// is refused, since a field that is silently dropped is a wish that is
// silently not granted.
func parseRequest(body []byte) (*Request, error) {
	var in wire.CertificateRequest
	if err := decodeStrict(body, map[string]any{
		"public_key": &in.PublicKey,
		"principals": &in.Principals,
		"validity":   &in.Validity,
		"proof":      &in.Proof,
	}); err != nil {
		return nil, badRequest("reading the request: %w", err)
	}
	r := &Request{Principals: in.Principals, Proof: in.Proof}
	var err error
	if r.PublicKey, err = ParsePublicKey(in.PublicKey); err != nil {
		return nil, badRequest("public_key: %w", err)
	}
	if in.Validity != "" {
		if r.Validity, err = ParseValidity(in.Validity); err != nil {
			return nil, badRequest("validity: %w", err)
		}
	}
	return r, nil
}

// decodeStrict reads one JSON object with the given fields. Other than
// encoding/json it takes no unknown field, none twice, none in another case,
// and nothing after the object.
func decodeStrict(body []byte, fields map[string]any) error {
	if !utf8.Valid(body) {
		return errors.New("it is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return errors.New("it is not a JSON object")
	}
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return errors.New("it is not valid JSON")
		}
		name, ok := t.(string)
		if !ok {
			return errors.New("it is not valid JSON")
		}
		field, known := fields[name]
		if !known {
			return fmt.Errorf("there is no field %q", cut(name, 40))
		}
		if seen[name] {
			return fmt.Errorf("field %q is there twice", name)
		}
		seen[name] = true
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return errors.New("it is not valid JSON")
		}
		if err := json.Unmarshal(raw, field); err != nil {
			return fmt.Errorf("field %q has the wrong type", name)
		}
	}
	if _, err := dec.Token(); err != nil {
		return errors.New("it is not valid JSON")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON object")
	}
	return nil
}

// minRSABits is the least size of an RSA key that is certified. sshd's own
// least is lower or, since 9.3, RequiredRSASize.
const minRSABits = 2048

// ParsePublicKey reads a public key that may be certified: one line in
// authorized_keys form, a comment allowed, options not.
func ParsePublicKey(line string) (ssh.PublicKey, error) {
	line = strings.TrimRight(line, "\r\n")
	if strings.HasPrefix(line, "-----BEGIN ") {
		return nil, errors.New("it is a PEM file, perhaps the private key; the public key is wanted, which ssh-keygen calls NAME.pub")
	}
	if strings.ContainsAny(line, "\r\n\x00") {
		return nil, errors.New("it must be one key on one line")
	}
	kind, rest, _ := strings.Cut(line, " ")
	encoded, _, _ := strings.Cut(rest, " ")
	switch kind {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoRSA:
	case "":
		return nil, errors.New("it is missing")
	case ssh.InsecureKeyAlgoDSA:
		return nil, errors.New("DSA keys are too weak, and sshd does not take them")
	default:
		switch {
		case strings.HasPrefix(kind, "sk-"):
			return nil, fmt.Errorf("keys of type %s are not certified", cut(kind, 60))
		case strings.Contains(kind, "-cert-v01@"):
			return nil, errors.New("it is a certificate; the plain public key is wanted")
		}
		return nil, fmt.Errorf(`it must begin with the key type ("ssh-ed25519 AAAA..."), not with %q; options are not allowed`, cut(kind, 40))
	}
	blob, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || encoded == "" {
		return nil, errors.New("what follows the key type is not base64")
	}
	key, err := ssh.ParsePublicKey(blob)
	if err != nil {
		return nil, fmt.Errorf("it is no valid key: %s", strings.TrimPrefix(err.Error(), "ssh: "))
	}
	if key.Type() != kind {
		return nil, fmt.Errorf("it says %s, but holds a key of another type", kind)
	}
	// One key must have one form, or revoking by fingerprint can be dodged.
	if !bytes.Equal(key.Marshal(), blob) {
		return nil, errors.New("it is not encoded the one right way (RFC 4253 section 6.6)")
	}
	if bits := rsaBits(key); bits != 0 && bits < minRSABits {
		return nil, fmt.Errorf("an RSA key of %d bits is too weak; at least %d are needed", bits, minRSABits)
	}
	return key, nil
}

// rsaBits is the size of an RSA key, and 0 for another.
func rsaBits(key ssh.PublicKey) int {
	if c, ok := key.(ssh.CryptoPublicKey); ok {
		if k, ok := c.CryptoPublicKey().(*rsa.PublicKey); ok {
			return k.N.BitLen()
		}
	}
	return 0
}

// ParseValidity reads a wish for a lifetime in Go's syntax.
func ParseValidity(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		return 0, fmt.Errorf(`%q is no duration such as "8h" or "90s"`, cut(s, 40))
	case d < minValidity:
		return 0, fmt.Errorf("%q is less than %s", cut(s, 40), minValidity)
	}
	return d, nil
}

// badRequest is the refusal of what cannot be understood.
func badRequest(format string, args ...any) error {
	return &Refusal{Code: wire.BadRequest, Detail: fmt.Errorf(format, args...).Error()}
}
