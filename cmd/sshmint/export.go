package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sshmint/sshmint/internal/ownfile"
)

// An exporter keeps a file equal to a profile's current certificate, for clients
// that use only what a file names (ssh's IdentitiesOnly). Where there is no
// certificate, there is no file: also once the last one has expired, was
// forgotten, or the agent has ended. It never touches a file that is something
// else.
type exporter struct {
	profile string
	current func() ssh.Signer
	log     *slog.Logger

	mu     sync.Mutex
	path   string // "": none
	err    error
	expiry *time.Timer
}

// set changes the path; the file that was there goes.
func (e *exporter) set(path string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.path != path {
		e.remove()
		e.path = path
		e.write()
	}
}

// changed writes what is current now.
func (e *exporter) changed() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.write()
}

// status gives the path, and why the file is not what it should be.
func (e *exporter) status() (path, fault string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err != nil {
		fault = e.err.Error()
	}
	return e.path, fault
}

func (e *exporter) write() {
	if e.expiry != nil {
		e.expiry.Stop()
	}
	if e.path == "" {
		return
	}
	signer := e.current()
	if signer == nil {
		e.remove()
		return
	}
	cert, ok := signer.PublicKey().(*ssh.Certificate)
	if !ok {
		return
	}
	line := append(bytes.TrimSuffix(ssh.MarshalAuthorizedKey(cert), []byte("\n")), " "+e.profile+"\n"...)
	err := exportable(e.path)
	if err == nil {
		err = ownfile.Write(e.path, line, 0o600)
	}
	e.done(err)
	ends := time.Unix(int64(cert.ValidBefore), 0) // #nosec G115 -- the Minter bounds it
	e.expiry = time.AfterFunc(time.Until(ends), e.changed)
}

func (e *exporter) remove() {
	if e.path == "" {
		return
	}
	err := exportable(e.path)
	if err == nil {
		err = os.Remove(e.path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	e.done(err)
}

func (e *exporter) done(err error) {
	if err != nil {
		err = fmt.Errorf("exporting the certificate to %s: %w", e.path, err)
		e.log.Error("certificate not exported", "profile", e.profile, "err", err)
	}
	e.err = err
}

// exportable tells whether a path is free for a certificate, or has one. A key
// that somebody named by mistake must not be lost.
func exportable(path string) error {
	old, err := ownfile.ReadPublic(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	key, _, _, rest, err := ssh.ParseAuthorizedKey(old)
	if err != nil || len(bytes.TrimSpace(rest)) > 0 {
		return errors.New("there is a file that is not one certificate: remove it, or choose another path")
	}
	if _, ok := key.(*ssh.Certificate); !ok {
		return errors.New("there is a key, not a certificate: choose another path")
	}
	return nil
}
