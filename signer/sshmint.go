package signer

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"github.com/sshmint/sshmint/internal/wire"
)

// SSHMint is the Issuer for one endpoint of an sshmint-ca (docs/protocol.md).
// The identity is proven by a TLS handshake, the SSH key by a signature that
// names the identity.
type SSHMint struct {
	URL      string // https://host:port
	Trust    Trust
	Identity Identity
}

// Issue is safe for concurrent use.
func (s *SSHMint) Issue(ctx context.Context, r *Request) (*ssh.Certificate, error) {
	u, err := endpoint(s.URL)
	if err != nil {
		return nil, &Error{CA: s.URL, Text: err.Error(), Err: err}
	}
	config, err := s.Trust.config()
	if err != nil {
		return nil, &Error{CA: s.URL, Text: err.Error(), Final: true, Err: err}
	}
	identity, err := s.identity(ctx)
	if err != nil {
		return nil, &Error{Text: err.Error(), Final: true, Err: err}
	}
	body, err := request(r, identity.Certificate[0])
	if err != nil {
		return nil, &Error{CA: s.URL, Text: err.Error(), Final: true, Err: err}
	}
	key := present(ctx, config, identity)

	post, err := http.NewRequestWithContext(ctx, http.MethodPost, u.JoinPath(wire.PathUserCertificates).String(), bytes.NewReader(body))
	if err != nil {
		return nil, &Error{CA: s.URL, Text: err.Error(), Err: err}
	}
	post.Header.Set("Content-Type", "application/json")
	got, err := exchange(client(config), post)
	if err != nil {
		if failed := key.failure(); failed != nil {
			return nil, &Error{Text: "the identity's key does not sign: " + failed.Error(), Final: true, Err: failed}
		}
		return nil, explain(ctx, s.URL, err)
	}
	if got.code != http.StatusCreated {
		return nil, refusal(s.URL, got)
	}
	cert, err := parseAnswer(got)
	if err != nil {
		return nil, &Error{CA: s.URL, Text: "the CA's answer makes no sense: " + clean(err.Error()), Skew: skew(got.header), Err: err}
	}
	if err := r.Check(cert); err != nil {
		return nil, &Error{CA: s.URL, Text: err.Error(), Err: err}
	}
	return cert, nil
}

func (s *SSHMint) identity(ctx context.Context) (*tls.Certificate, error) {
	done := awaitPerson(ctx)
	defer done()
	identity, err := s.Identity.Certificate(ctx)
	if err == nil && len(identity.Certificate) == 0 {
		err = errors.New("the identity holds no certificate")
	}
	return identity, err
}

// endpoint refuses what is not HTTPS: without TLS there is no proof of who
// asks, nor of who answers.
func endpoint(ca string) (*url.URL, error) {
	u, err := url.Parse(ca)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" {
		return nil, fmt.Errorf("%q is no https:// URL", clean(ca))
	}
	return u, nil
}

func request(r *Request, leaf []byte) ([]byte, error) {
	key := r.Key.PublicKey()
	message := wire.ProofMessage(leaf, key.Marshal())
	proof, err := sshsig.Sign(bytes.NewReader(message), r.Key, sshsig.HashSHA512, wire.ProofNamespace)
	if err != nil {
		return nil, fmt.Errorf("proving possession of the SSH key: %w", err)
	}
	body := wire.CertificateRequest{
		PublicKey:  strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))),
		Principals: r.Principals,
		Proof:      string(sshsig.Armor(proof)),
	}
	if r.Validity > 0 {
		body.Validity = r.Validity.String()
	}
	return json.Marshal(body)
}

// answer is what a CA said, whole.
type answer struct {
	status string // "403 Forbidden"
	code   int
	header http.Header
	body   []byte
}

// exchange reads at most wire.MaxBody of an answer.
func exchange(c *http.Client, r *http.Request) (*answer, error) {
	response, err := c.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close() //nolint:errcheck // read only
	body, err := io.ReadAll(io.LimitReader(response.Body, wire.MaxBody+1))
	if err == nil {
		// At the end of the context the connection is closed, upon which a server may
		// end a body properly that is not whole.
		err = r.Context().Err()
	}
	if err != nil {
		return nil, err
	}
	if len(body) > wire.MaxBody {
		return nil, fmt.Errorf("the answer has more than %d bytes", wire.MaxBody)
	}
	return &answer{response.Status, response.StatusCode, response.Header, body}, nil
}

// parseAnswer reads the body of a 201. Request.Check says what the certificate
// in it is worth.
func parseAnswer(got *answer) (*ssh.Certificate, error) {
	if err := got.mustBe("application/json"); err != nil {
		return nil, err
	}
	var a wire.CertificateAnswer
	if err := json.Unmarshal(got.body, &a); err != nil {
		return nil, fmt.Errorf("reading it as JSON: %w", err)
	}
	return parseCertificate([]byte(a.Certificate))
}

func (a *answer) mustBe(mediaType string) error {
	given := a.header.Get("Content-Type")
	if got, _, err := mime.ParseMediaType(given); err != nil || got != mediaType {
		return fmt.Errorf("its content type is %q, not %s", clean(given), mediaType)
	}
	return nil
}

// parseCertificate reads one certificate in authorized_keys form and no more.
func parseCertificate(line []byte) (*ssh.Certificate, error) {
	if bytes.ContainsAny(bytes.TrimSpace(line), "\r\n") {
		return nil, errors.New("the certificate has more than one line")
	}
	key, _, options, _, err := ssh.ParseAuthorizedKey(line)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate: %w", err)
	}
	if len(options) > 0 {
		return nil, errors.New("the certificate has authorized_keys options in front of it")
	}
	cert, ok := key.(*ssh.Certificate)
	if !ok {
		return nil, fmt.Errorf("it is a key of type %s, not a certificate", clean(key.Type()))
	}
	return cert, nil
}

// refusal reads a problem document (RFC 9457). Whatever has none is a fault of
// the CA, or of something in front of it, that may pass.
func refusal(ca string, got *answer) *Error {
	e := &Error{CA: ca, Skew: skew(got.header)}
	var p wire.Problem
	if got.mustBe(wire.ProblemType) != nil || json.Unmarshal(got.body, &p) != nil || p.Code == "" {
		e.Text = fmt.Sprintf("the CA answered %s, as no sshmint-ca does: is the URL right, is there a proxy in front of it?", clean(got.status))
		return e
	}
	if !p.Time.IsZero() {
		e.Skew = time.Until(p.Time) // the CA's own, where Date may be a proxy's
	}
	e.Code, e.Text = wire.Code(clean(string(p.Code))), clean(p.Detail)
	if e.Text == "" {
		e.Text = "the CA refused and gave no reason"
	}
	switch p.Code {
	case wire.RateLimited, wire.Unavailable:
	default:
		e.Final = got.code >= 400 && got.code < 500
	}
	return e
}
