package signer

import (
	"time"

	"golang.org/x/crypto/ssh"
)

// Status is what a person wants to know of a Minter.
type Status struct {
	Certificate *ssh.Certificate // valid now, or nil
	Ends        time.Time        // of the certificate
	Renewal     time.Time        // when it may be renewed in the background, if it is used
	Minting     bool
	LastError   error     // of the last mint, nil if it succeeded
	FailedAt    time.Time // of LastError
	RetryAt     time.Time // when LastError is forgotten, and a use would try again
}

// Status does no I/O.
func (m *Minter) Status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := Status{
		Minting:   m.flight != nil,
		LastError: m.failure.err,
		FailedAt:  m.failure.at,
		RetryAt:   m.failure.at.Add(m.failure.remember),
	}
	if c := m.valid(); c != nil {
		s.Certificate, s.Ends, s.Renewal = c.cert, c.ends, c.renew
	}
	return s
}
