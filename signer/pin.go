package signer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sshmint/sshmint/internal/wire"
)

// Fingerprint is how a root is pinned: SHA-256 of its SubjectPublicKeyInfo, as
// ssh writes fingerprints.
func Fingerprint(root *x509.Certificate) string {
	sum := sha256.Sum256(root.RawSubjectPublicKeyInfo)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// FetchRoot gets the root of a CA's TLS certificate from the CA itself, which
// sends it in its chain, and accepts it by its fingerprint. The root is then the
// only one, and the whole chain is verified against it: name, usage and dates.
// So a foreign server that merely appends the genuine root to its chain fails.
func FetchRoot(ctx context.Context, ca, fingerprint string) (*x509.Certificate, error) {
	if !validFingerprint(fingerprint) {
		return nil, fmt.Errorf("%q is no fingerprint: it is SHA256: and 43 characters, as sshmint-ca init prints it", clean(fingerprint))
	}
	u, err := endpoint(ca)
	if err != nil {
		return nil, err
	}
	var root *x509.Certificate
	verify := func(s tls.ConnectionState) error {
		var err error
		root, err = pinned(s.PeerCertificates, u.Hostname(), fingerprint)
		return err
	}
	config := &tls.Config{
		NextProtos: []string{"http/1.1"},
		MinVersion: tls.VersionTLS12, // nothing secret is sent here
		// Not the system's roots but the fingerprint decides, in VerifyConnection.
		InsecureSkipVerify: true, // #nosec G402
		VerifyConnection:   verify,
	}
	// A request and not a mere handshake, so that a proxy is used as it is later on.
	get, err := http.NewRequestWithContext(ctx, http.MethodGet, u.JoinPath(wire.PathHealth).String(), nil)
	if err != nil {
		return nil, err
	}
	if _, err := exchange(client(config), get); err != nil {
		return nil, explain(ctx, ca, err)
	}
	return root, nil
}

func validFingerprint(s string) bool {
	sum, ok := strings.CutPrefix(s, "SHA256:")
	b, err := base64.RawStdEncoding.DecodeString(sum)
	return ok && err == nil && len(b) == sha256.Size
}

// pinned finds the root in what a server sent and verifies the chain with it.
func pinned(sent []*x509.Certificate, host, fingerprint string) (*x509.Certificate, error) {
	var root *x509.Certificate
	var seen []string
	between := x509.NewCertPool()
	for _, c := range sent {
		// Signed by itself in truth: what is in the root beside its key, such as name
		// constraints, must be its owner's word too.
		selfSigned := bytes.Equal(c.RawSubject, c.RawIssuer) && c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
		if selfSigned && Fingerprint(c) == fingerprint && root == nil {
			root = c
			continue
		}
		if selfSigned {
			seen = append(seen, Fingerprint(c))
		}
		between.AddCert(c)
	}
	if root == nil {
		if len(seen) == 0 {
			return nil, &Error{Text: "the CA does not send its root, so the fingerprint cannot be checked: name the root's file instead"}
		}
		return nil, &Error{Text: fmt.Sprintf("the fingerprint is not that of this CA, whose root has %s: compare both with the administrator, over another channel",
			strings.Join(seen, ", "))}
	}
	roots := x509.NewCertPool()
	roots.AddCert(root)
	_, err := sent[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, DNSName: host, CurrentTime: time.Now()})
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) {
		return nil, &Error{Text: "the root with that fingerprint did not issue the certificate that the CA shows: somebody may be posing as the CA", Err: err}
	}
	return root, err
}

// Authorities are the SSH CA keys that a CA says are its own.
type Authorities struct {
	User, Host []Authority
}

// Authority is one SSH CA key; State is current, next or retired.
type Authority struct {
	Key   ssh.PublicKey
	State string
}

// FetchAuthorities asks an sshmint-ca for its SSH CA keys. No identity is shown,
// so nobody is asked for a PIN.
func FetchAuthorities(ctx context.Context, ca string, t Trust) (*Authorities, error) {
	config, err := t.config()
	if err != nil {
		return nil, err
	}
	u, err := endpoint(ca)
	if err != nil {
		return nil, err
	}
	get, err := http.NewRequestWithContext(ctx, http.MethodGet, u.JoinPath(wire.PathAuthorities).String(), nil)
	if err != nil {
		return nil, err
	}
	got, err := exchange(client(config), get)
	if err != nil {
		return nil, explain(ctx, ca, err)
	}
	if got.code != http.StatusOK {
		return nil, refusal(ca, got)
	}
	var list wire.Authorities
	if err = got.mustBe("application/json"); err == nil {
		err = json.Unmarshal(got.body, &list)
	}
	var out Authorities
	if err == nil {
		out.User, err = authorities(list.User)
	}
	if err == nil {
		out.Host, err = authorities(list.Host)
	}
	if err != nil {
		return nil, &Error{CA: ca, Text: "reading the CA's keys: " + clean(err.Error()), Err: err}
	}
	return &out, nil
}

func authorities(list []wire.Authority) ([]Authority, error) {
	var out []Authority
	for _, a := range list {
		key, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(a.Key))
		if err != nil {
			return nil, err
		}
		if len(options) > 0 || len(rest) > 0 {
			return nil, errors.New("there is more than a key in it")
		}
		if _, isCert := key.(*ssh.Certificate); isCert {
			return nil, errors.New("a certificate is no CA key")
		}
		out = append(out, Authority{key, clean(a.State)})
	}
	return out, nil
}
