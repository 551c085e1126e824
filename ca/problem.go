package ca

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/sshmint/sshmint/internal/wire"
)

// status is the HTTP status of a code. A client decides by the code. Not 401
// where no identity came: RFC 9110 section 15.5.2 would want a challenge with
// it, and there is none that asks for a TLS certificate.
func status(c wire.Code) int {
	switch c {
	case wire.BadRequest:
		return http.StatusBadRequest
	case wire.RateLimited:
		return http.StatusTooManyRequests
	case wire.Unavailable:
		return http.StatusServiceUnavailable
	default:
		return http.StatusForbidden
	}
}

// writeProblem answers with an RFC 9457 document.
func writeProblem(w http.ResponseWriter, httpStatus int, refusal *Refusal, now time.Time) {
	w.Header().Set("Content-Type", wire.ProblemType)
	writeJSON(w, httpStatus, &wire.Problem{
		Title:  http.StatusText(httpStatus),
		Status: httpStatus,
		Code:   refusal.Code,
		Detail: refusal.Detail,
		Time:   now.UTC(),
	})
}

// writeLimited answers 429 with the seconds to wait, rounded up.
func writeLimited(w http.ResponseWriter, refusal *Refusal, wait time.Duration, now time.Time) {
	w.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
	writeProblem(w, http.StatusTooManyRequests, refusal, now)
}

// writeJSON answers with v. Whether the peer is still there to read it is not
// our business.
func writeJSON(w http.ResponseWriter, httpStatus int, v any) {
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json")
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(httpStatus)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v)
}
