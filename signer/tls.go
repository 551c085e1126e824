package signer

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sshmint/sshmint/internal/ownfile"
)

// Trust is what a CA's TLS certificate is verified against.
type Trust struct {
	Root   string // PEM file with the only roots, or "" for those of the system
	MinTLS uint16 // 0 means TLS 1.3
}

func (t Trust) config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: t.MinTLS, NextProtos: []string{"http/1.1"}}
	if c.MinVersion == 0 {
		c.MinVersion = tls.VersionTLS13
	}
	if t.Root == "" {
		return c, nil
	}
	pem, err := ownfile.ReadTrusted(t.Root)
	if err != nil {
		return nil, fmt.Errorf("reading the CA's root: %w", err)
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("reading the CA's root: there is no certificate in %s", t.Root)
	}
	return c, nil
}

// client makes one connection for one exchange: a certificate costs one proof
// of possession, so nothing of a connection outlives it.
func client(c *tls.Config) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			TLSClientConfig:        c,
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: 16 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// present makes the identity answer a server's request for a certificate. It is
// shown whatever issuers the server says that it knows: a server that does not
// accept it can then say why.
func present(ctx context.Context, c *tls.Config, identity *tls.Certificate) *patient {
	shown := *identity
	key := &patient{ctx: ctx}
	if signer, ok := identity.PrivateKey.(crypto.Signer); ok {
		key.Signer = signer
		shown.PrivateKey = key
	}
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &shown, nil }
	return key
}

// patient is a key whose signatures may wait for a person. It keeps the error
// of the last one, of which crypto/tls leaves only the text.
type patient struct {
	crypto.Signer
	ctx     context.Context
	waiting atomic.Int32 // signatures that were begun and are not there yet
	err     atomic.Pointer[error]
}

var errNoAnswer = errors.New("a PIN or a touch was waited for, and none came in time")

func (p *patient) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	done := awaitPerson(p.ctx)
	defer done()
	p.waiting.Add(1)
	defer p.waiting.Add(-1)
	signature, err := p.Signer.Sign(rand, digest, opts)
	if err != nil {
		p.err.Store(&err)
	}
	return signature, err
}

// failure is why the key did not sign, or nil.
func (p *patient) failure() error {
	switch err := p.err.Load(); {
	case p.waiting.Load() > 0, err != nil && errors.Is(*err, context.DeadlineExceeded):
		return errNoAnswer
	case err != nil:
		return *err
	}
	return nil
}

// explain turns what the network or TLS says into a sentence that names the
// cause and what to do.
func explain(ctx context.Context, ca string, err error) *Error {
	var own *Error
	if errors.As(err, &own) {
		return &Error{CA: ca, Text: own.Text, Err: err}
	}
	text := ""
	var (
		host      x509.HostnameError
		unknown   x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
		dns       *net.DNSError
		operation *net.OpError
		request   *url.Error
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(context.Cause(ctx), context.DeadlineExceeded) || os.IsTimeout(err):
		text = "the CA did not answer in time"
	case errors.Is(err, context.Canceled):
		text = "given up"
	case errors.As(err, &host):
		text = "the CA's TLS certificate is for another name: " + names(host.Certificate) + "; use one of these in ca.urls"
	case errors.As(err, &unknown):
		text = "the CA's TLS certificate is not signed by a root that this profile trusts (ca.root)"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		text = "the CA's TLS certificate is expired or not yet valid, or this computer's clock is wrong: " + clean(invalid.Detail)
	case errors.As(err, &operation) && operation.Op == "proxyconnect":
		text = "the proxy that the environment names for it (HTTPS_PROXY) cannot be reached: " + clean(operation.Err.Error()) + "; NO_PROXY can name the CA's host"
	case errors.As(err, &dns):
		text = fmt.Sprintf("looking up %s: %s", clean(dns.Name), clean(dns.Err))
		if dns.IsNotFound {
			text = fmt.Sprintf("there is no host named %s", clean(dns.Name))
		}
	case errors.Is(err, syscall.ECONNREFUSED):
		text = "nothing is listening there: the CA is down, or the port is wrong"
	case errors.As(err, &record):
		text = "what answers there does not speak TLS"
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE):
		text = "the CA closed the connection before its answer was complete"
	case errors.As(err, &operation) && operation.Op == "remote error":
		text = alertText(operation.Err)
	case errors.As(err, &operation):
		text = clean(operation.Error())
	case errors.As(err, &request):
		text = clean(request.Err.Error())
	default:
		text = clean(err.Error())
	}
	return &Error{CA: ca, Text: text, Err: err}
}

// alertText is for an alert of the other side, whose type crypto/tls does not
// export.
func alertText(alert error) string {
	text := strings.TrimPrefix(alert.Error(), "tls: ")
	if text == "protocol version not supported" {
		return `the CA does not speak TLS 1.3; ca.min_tls = "1.2" allows the version before`
	}
	return "the CA ended the TLS handshake: " + clean(text)
}

func names(c *x509.Certificate) string {
	all := append([]string(nil), c.DNSNames...)
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	if len(all) == 0 {
		return "it names no host"
	}
	return clean(strings.Join(all, ", "))
}

// skew is the CA's clock minus ours by the Date of its answer, which counts
// whole seconds.
func skew(h http.Header) time.Duration {
	t, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0
	}
	return time.Until(t)
}
