package ca

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Time and size limits of a connection. A client sends a few kilobytes; one
// that cannot within seconds is not worth a place.
const (
	headerTimeout  = 5 * time.Second  // of the TLS handshake, and again of the headers
	requestTimeout = 10 * time.Second // of headers and body
	answerTimeout  = 15 * time.Second // of body, handler and answer: long enough to say that the body was too slow
	drainTimeout   = 15 * time.Second // of shutdown
	maxHeaderBytes = 8 << 10

	maxConns        = 1024
	maxConnsAddress = 256
)

// warnBefore is how long before its end a certificate that nobody renews for
// us is worth a warning.
const warnBefore = 30 * 24 * time.Hour

// A Server is the HTTP face of the Authority of one folder: docs/protocol.md.
type Server struct {
	dir     string
	log     *slog.Logger
	audit   *Audit
	current atomic.Pointer[serving]

	limitLog rate.Sometimes // keeps the log short while somebody is being limited
}

// serving is what one reading of the folder amounts to. A request keeps the
// one that it began with.
type serving struct {
	authority  *Authority
	identity   *serverIdentity
	addresses  *limiter // per source address, before anything is looked at
	identities *limiter // per trust, issuer and serial, of what is verified
}

// NewServer opens the folder dir.
func NewServer(dir string, log *slog.Logger) (*Server, error) {
	if _, err := ReadConfig(dir); err != nil {
		return nil, err // before a log is made in a folder that is no CA's
	}
	audit, err := OpenAudit(dir)
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, log: log, audit: audit, limitLog: rate.Sometimes{Interval: time.Second}}
	st, err := s.open()
	if err != nil {
		return nil, errors.Join(err, audit.Close())
	}
	s.current.Store(st)
	return s, nil
}

// ListenAddress is the one in ca.toml.
func (s *Server) ListenAddress() string { return s.current.Load().authority.Config.Listen }

// Fingerprint is what clients pin, or "" where the server's certificate comes
// from elsewhere and without its root.
func (s *Server) Fingerprint() string { return s.current.Load().identity.fingerprint() }

func (s *Server) open() (*serving, error) {
	a, err := OpenAuthority(s.dir, s.audit, s.log)
	if err != nil {
		return nil, err
	}
	id, err := openServerIdentity(s.dir, a.Config, time.Now())
	if err != nil {
		return nil, err
	}
	if end := id.notAfter(); time.Until(end) < warnBefore {
		s.log.Warn("the server's TLS root or certificate ends soon, and clients with it", "not_after", end)
	}
	return &serving{
		authority: a, identity: id,
		addresses:  newLimiter(a.Config.RatePerAddress),
		identities: newLimiter(a.Config.RatePerIdentity),
	}, nil
}

// Reload reads the folder anew, ca.toml and keys, and starts a new file of the
// audit log if the old one was renamed. Where something is wrong, all stays as
// it is and the error says why. The address to listen on does not change.
func (s *Server) Reload() error {
	next, err := s.open()
	if err != nil {
		return fmt.Errorf("reloading: %w", err)
	}
	old := s.current.Load()
	// Nobody gets a new allowance by a reload.
	if next.addresses.perMinute == old.addresses.perMinute {
		next.addresses = old.addresses
	}
	if next.identities.perMinute == old.identities.perMinute {
		next.identities = old.identities
	}
	s.current.Store(next)
	if l := next.authority.Config.Listen; l != old.authority.Config.Listen {
		s.log.Warn("a new address to listen on needs a restart", "listen", l)
	}
	if err := s.audit.Close(); err != nil {
		s.log.Error("closing the audit log", "err", err) // the next entry opens it
	}
	return nil
}

// Serve answers on l until ctx ends, then lets requests in flight finish, for
// at most 15 s.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	srv := &http.Server{
		Handler:           s,
		Protocols:         protocols,
		TLSConfig:         &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: s.tlsConfig},
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      answerTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          log.New(httpLog{s.log}, "", 0),
	}
	// Each certificate costs one proof of possession, so each has its own
	// connection.
	srv.SetKeepAlivesEnabled(false)

	served := make(chan error, 1)
	go func() { served <- srv.ServeTLS(newBoundedListener(l, maxConns, maxConnsAddress), "", "") }()
	select {
	case err := <-served:
		return errors.Join(err, s.audit.Close())
	case <-ctx.Done():
	}
	s.log.Info("shutting down")
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	var err error
	if srv.Shutdown(drain) != nil {
		s.log.Warn("requests in flight are cut off", "after", drainTimeout)
		err = srv.Close()
	}
	if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return errors.Join(err, s.audit.Close())
}

// tlsConfig is made for each connection, so that a renewed certificate or a
// reload counts at once. A client certificate is asked for, not demanded, and
// verified by the handler alone: TLS could refuse it with an alert only, which
// tells a person nothing.
func (s *Server) tlsConfig(*tls.ClientHelloInfo) (*tls.Config, error) {
	st := s.current.Load()
	cert, err := st.identity.certificate(time.Now())
	if err != nil {
		s.log.Error("no server certificate", "err", err)
		return nil, err
	}
	minVersion := uint16(tls.VersionTLS13)
	if st.authority.Config.MinTLS == "1.2" {
		minVersion = tls.VersionTLS12
	}
	return &tls.Config{
		MinVersion:             minVersion,
		Certificates:           []tls.Certificate{*cert},
		ClientAuth:             tls.RequestClientCert,
		NextProtos:             []string{"http/1.1"},
		SessionTicketsDisabled: true, // resumption would skip the proof of possession
	}, nil
}

// httpLog takes net/http's own lines. Anyone can make a handshake fail, so
// those are not worth a warning.
type httpLog struct{ log *slog.Logger }

var _ io.Writer = httpLog{}

func (h httpLog) Write(b []byte) (int, error) {
	line, level := strings.TrimSpace(string(b)), slog.LevelError
	if strings.HasPrefix(line, "http: TLS handshake error") {
		level = slog.LevelDebug
	}
	h.log.Log(context.Background(), level, line)
	return len(b), nil
}
