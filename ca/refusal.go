package ca

import "github.com/sshmint/sshmint/internal/wire"

// A Refusal is the error of a request that gets no certificate.
//
// Code and Detail go to whoever asked, and so tell only what the asker may
// know: of the certificates that they sent themselves, and the names of trusts
// and rules. What else there is to know is in Err, for the log and the audit.
type Refusal struct {
	Code   wire.Code
	Detail string // a sentence for the person
	Trust  string // the trust under which the chain leads to a root, if any
	Rule   string // the rule that decided, if any
	Leaf   *Leaf  // what the leaf says, verified or not; nil if it could not be read
	Err    error  // the cause, never shown to the asker; may be nil

	progress int // how far a chain got that is not trusted; see mostTelling
}

// Error is for logs: the code, the sentence and the cause.
func (r *Refusal) Error() string {
	s := string(r.Code) + ": " + r.Detail
	if r.Err != nil {
		s += ": " + r.Err.Error()
	}
	return s
}

func (r *Refusal) Unwrap() error { return r.Err }
