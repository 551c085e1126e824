package ca

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/sshmint/sshmint/internal/wire"
)

// ServeHTTP answers one request; see docs/protocol.md.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	st := s.current.Load()
	if r.URL.Path == wire.PathHealth {
		if allow(w, r, http.MethodGet, http.MethodHead) {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			_, _ = io.WriteString(w, "ok\n")
		}
		return
	}
	if wait := st.addresses.wait(addressKey(r.RemoteAddr), time.Now()); wait > 0 {
		s.limited(w, r, "too many requests come from your address", wait)
		return
	}
	switch r.URL.Path {
	case wire.PathUserCertificates:
		if allow(w, r, http.MethodPost) {
			s.postUserCertificate(w, r, st)
		}
	case wire.PathAuthorities:
		if allow(w, r, http.MethodGet, http.MethodHead) {
			writeJSON(w, http.StatusOK, st.authority.Authorities())
		}
	default:
		writeProblem(w, http.StatusNotFound, &Refusal{Code: wire.BadRequest, Detail: "there is nothing at this path"}, time.Now())
	}
}

// allow answers 405 where the method is none of those given.
func allow(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	for _, m := range methods {
		if r.Method == m {
			return true
		}
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	writeProblem(w, http.StatusMethodNotAllowed, &Refusal{
		Code: wire.BadRequest, Detail: "this path takes " + strings.Join(methods, " and ") + " only",
	}, time.Now())
	return false
}

// postUserCertificate decides about the identity before it reads the body: of
// strangers, nothing is parsed that need not be.
func (s *Server) postUserCertificate(w http.ResponseWriter, r *http.Request, st *serving) {
	t := st.authority.begin(r.RemoteAddr)
	refuse := func(httpStatus int, err error) {
		refusal := t.refuse(err)
		if httpStatus == 0 {
			httpStatus = status(refusal.Code)
		}
		writeProblem(w, httpStatus, refusal, time.Now())
	}
	g, err := t.decide(r.Context(), r.TLS.PeerCertificates)
	if err != nil {
		refuse(0, err)
		return
	}
	leaf := g.Trust + "\x00" + g.Leaf.IssuerSHA256 + "\x00" + g.Leaf.Serial
	if wait := st.identities.wait(leaf, time.Now()); wait > 0 {
		s.limited(w, r, "too many certificates were asked for with this X.509 certificate", wait)
		return
	}
	body, httpStatus, err := readBody(w, r)
	if err != nil {
		refuse(httpStatus, err)
		return
	}
	req, err := parseRequest(body)
	if err != nil {
		refuse(0, err)
		return
	}
	m, err := t.mint(g, req)
	if err != nil {
		refuse(0, err)
		return
	}
	writeJSON(w, http.StatusCreated, &wire.CertificateAnswer{
		Certificate: authorizedKey(m.Certificate),
		Serial:      strconv.FormatUint(m.Certificate.Serial, 10),
		Rule:        m.Rule,
	})
}

// readBody gives the body, or a status and a refusal.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, int, error) {
	// A web page can make a browser that holds a client certificate post
	// plain text across sites; JSON it has to ask for first, in vain.
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, http.StatusUnsupportedMediaType, badRequest("the request must have Content-Type application/json")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, wire.MaxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, http.StatusRequestEntityTooLarge, badRequest("the request is longer than %d bytes", wire.MaxBody)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, http.StatusRequestTimeout, badRequest("the request did not arrive within %s", requestTimeout)
	case err != nil:
		return nil, 0, badRequest("reading the request: %w", err)
	}
	return body, 0, nil
}

// limited answers 429. It leaves no line in the audit log: nothing was
// decided, and a flood must not fill the disk.
func (s *Server) limited(w http.ResponseWriter, r *http.Request, why string, wait time.Duration) {
	s.limitLog.Do(func() {
		s.log.Warn("rate limited", "source", r.RemoteAddr, "why", why)
	})
	writeLimited(w, &Refusal{
		Code:   wire.RateLimited,
		Detail: fmt.Sprintf("%s; try again in %s", why, (wait + time.Second - 1).Truncate(time.Second)),
	}, wait, time.Now())
}
