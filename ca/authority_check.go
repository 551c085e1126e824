package ca

import (
	"log/slog"
	"time"

	"golang.org/x/crypto/ssh"
)

// A Summary is what a CA's folder holds, when nothing is wrong with it.
type Summary struct {
	Trusts, Tables, Rules int
	Hosts                 []string // names in the server's certificate
	Fingerprint           string   // to pin; "" where the server's chain ends before its root
	UserCA, HostCA        string   // fingerprints
}

// Check reads the folder dir the way a Server does, and changes nothing.
func Check(dir string, log *slog.Logger) (*Summary, error) {
	a, err := OpenAuthority(dir, nil, log)
	if err != nil {
		return nil, err
	}
	id, err := openServerIdentity(dir, a.Config, time.Now())
	if err != nil {
		return nil, err
	}
	return &Summary{
		Trusts: len(a.Config.Trust), Tables: len(a.Config.Table), Rules: len(a.Config.Rule),
		Hosts:       id.names(),
		Fingerprint: id.fingerprint(),
		UserCA:      ssh.FingerprintSHA256(a.user.PublicKey()),
		HostCA:      ssh.FingerprintSHA256(a.host),
	}, nil
}
