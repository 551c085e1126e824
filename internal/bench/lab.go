package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A lab is a company on loopback: a PKI, a CA that serves, and one person's
// configuration. What a part needs beyond that, it starts itself.
type lab struct {
	dir       string
	bin       string
	env       []string
	root      *authority
	ca        *process
	caURL     string
	userCA    string // fingerprint of the key that signs certificates
	caRoot    string // file with the root of the CA's own TLS certificate
	config    string // of sshmint
	processes []*process
}

// caPolicy gives alice what she would have anywhere, as often as she asks.
const caPolicy = `hosts = ["127.0.0.1"]
rate_per_identity = 10000000
rate_per_address  = 10000000

[[trust]]
name  = "corp"
roots = "../corp.pem"

[[rule]]
name       = "staff"
trust      = "corp"
match      = 'size(local(cert.emails, "corp.example.com")) == 1'
principals = 'local(cert.emails, "corp.example.com")'
validity   = "10h"
extensions = ["permit-pty", "permit-port-forwarding"]
`

func newLab(ctx context.Context, bin string) (_ *lab, err error) {
	dir, err := os.MkdirTemp("", "sshmint-bench-") // short, because the path of a Unix socket must be
	if err != nil {
		return nil, fmt.Errorf("making a folder: %w", err)
	}
	l := &lab{dir: dir, bin: bin, config: filepath.Join(dir, "config.toml")}
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); !strings.HasPrefix(name, "XDG_") && !strings.HasPrefix(name, "SSH") {
			l.env = append(l.env, v)
		}
	}
	l.env = append(l.env, "HOME="+dir)
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
		}
	}()
	if l.root, err = newAuthority(); err != nil {
		return nil, err
	}
	if err := os.WriteFile(l.path("corp.pem"), encode(l.root.cert), 0o600); err != nil {
		return nil, err
	}
	if err := l.identity("alice.pem", 2); err != nil {
		return nil, err
	}
	if err := l.startCA(ctx); err != nil {
		return nil, err
	}
	return l, l.enrol(ctx)
}

func (l *lab) path(name string) string { return filepath.Join(l.dir, name) }

func (l *lab) program(name string) string { return filepath.Join(l.bin, name) }

// identity writes an identity of alice.
func (l *lab) identity(name string, serial int64) error {
	pem, err := l.root.leaf(serial)
	if err != nil {
		return err
	}
	return os.WriteFile(l.path(name), pem, 0o600)
}

func (l *lab) startCA(ctx context.Context) error {
	dir := l.path("ca")
	if _, err := l.execute(ctx, l.program("sshmint-ca"), "init", "--dir", dir, "--host", "127.0.0.1"); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "ca.toml"), []byte(caPolicy), 0o600); err != nil {
		return err
	}
	var err error
	l.ca, err = l.start(ctx, "ca", l.program("sshmint-ca"), "serve", "--dir", dir, "--listen", "127.0.0.1:0")
	if err != nil {
		return err
	}
	line, err := l.ca.logged(ctx, "msg=listening")
	if err != nil {
		return err
	}
	address, fingerprint := field(line, "address"), field(line, "fingerprint")
	l.caURL, l.caRoot = "https://"+address, filepath.Join(dir, "tls-root.pem")
	if address == "" || fingerprint == "" {
		return fmt.Errorf("the CA does not tell its address and fingerprint: %s", line)
	}
	out, err := l.execute(ctx, "ssh-keygen", "-l", "-f", filepath.Join(dir, "user_ca.pub"))
	if err != nil {
		return err
	}
	words := strings.Fields(string(out))
	if len(words) < 2 {
		return fmt.Errorf("ssh-keygen does not tell the fingerprint of the CA's key: %s", out)
	}
	l.userCA = words[1]
	return nil
}

// field takes NAME=VALUE from a line of a log.
func field(line, name string) string {
	for _, word := range strings.Fields(line) {
		if value, ok := strings.CutPrefix(word, name+"="); ok {
			return strings.Trim(value, `"`)
		}
	}
	return ""
}

// enrol has sshmint write its configuration.
func (l *lab) enrol(ctx context.Context) error {
	_, err := l.execute(ctx, l.program("sshmint"), "init", "--config", l.config, "--profile", "work",
		"--identity", "file:"+l.path("alice.pem"), "--ca", l.caURL, "--root", l.caRoot)
	return err
}

// agent starts an sshmint agent and gives its socket.
func (l *lab) agent(ctx context.Context, name string) (*process, string, error) {
	socket := filepath.Join(l.dir, name+"-run", "s")
	p, err := l.start(ctx, name, l.program("sshmint"), "agent", "--socket", socket, "--config", l.config)
	if err != nil {
		return nil, "", err
	}
	return p, socket, p.listening(ctx, "unix", socket)
}

// close stops what still runs, last first, and removes the folder.
func (l *lab) close() error {
	for _, p := range slices.Backward(l.processes) {
		p.stop()
	}
	return os.RemoveAll(l.dir)
}
