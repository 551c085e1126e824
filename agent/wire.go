package agent

import (
	"encoding/binary"
	"errors"
)

// Message numbers of RFC 9987 section 6.1 that this agent knows by name. All
// others are answered with FAILURE.
const (
	msgFailure           = 5
	msgSuccess           = 6
	msgRemoveAllV1       = 9 // SSHv1, still sent by ssh-add -D
	msgRequestIdentities = 11
	msgIdentitiesAnswer  = 12
	msgSignRequest       = 13
	msgSignResponse      = 14
	msgAddIdentity       = 17
	msgRemoveIdentity    = 18
	msgRemoveAll         = 19
	msgAddCard           = 20
	msgRemoveCard        = 21
	msgLock              = 22
	msgUnlock            = 23
	msgAddConstrained    = 25
	msgAddCardConstraint = 26
	msgExtension         = 27
	msgExtensionFailure  = 28
	msgExtensionResponse = 29
)

// Signature flags of RFC 9987 section 6.2.
const (
	flagSHA256 = 2
	flagSHA512 = 4
)

var errShort = errors.New("message ends early")

// A reader takes fields in the encoding of RFC 4251 section 5 from the front of
// a message. The slices that it returns are parts of the message. After a field
// that is not there it returns zero values and stays short.
type reader struct {
	rest  []byte
	short bool
}

func (r *reader) take(n uint64) []byte {
	if r.short || uint64(len(r.rest)) < n {
		r.short = true
		return nil
	}
	field := r.rest[:n:n]
	r.rest = r.rest[n:]
	return field
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *reader) string() []byte {
	return r.take(uint64(r.uint32()))
}

// whole reports whether every field was there and nothing follows them.
func (r *reader) whole() error {
	switch {
	case r.short:
		return errShort
	case len(r.rest) > 0:
		return errors.New("bytes follow the message")
	}
	return nil
}

func appendString[T string | []byte](b []byte, s T) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0)
	b = append(b, s...)
	putLength(b[start:])
	return b
}

// putLength fills the four bytes at the front of a string with its length.
func putLength(b []byte) {
	binary.BigEndian.PutUint32(b, uint32(len(b)-4)) //nolint:gosec // G115: what we send is far below 4 GiB
}
