package main

import (
	"cmp"
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sshmint/sshmint/agent"
	"github.com/sshmint/sshmint/internal/buildinfo"
	"github.com/sshmint/sshmint/internal/control"
)

// The daemon answers on the control socket.
var _ control.Agent = (*daemon)(nil)

// Status tells all that a person might ask. It asks nobody for a PIN.
func (d *daemon) Status(ctx context.Context) *control.Status {
	s := &control.Status{
		Version: buildinfo.Version(version), PID: os.Getpid(), Started: d.started, Socket: d.socket, Locked: d.agent.Locked(),
		Profiles: []control.Profile{}, Prompt: d.promptStatus(),
	}
	d.mu.Lock()
	s.Config = d.files
	profiles := d.profiles
	if d.configError != nil {
		s.ConfigError = d.configError.Error()
	}
	d.mu.Unlock()
	for _, p := range profiles {
		s.Profiles = append(s.Profiles, p.status(ctx))
	}
	s.Upstreams = d.upstreamStatus(ctx)
	for _, h := range d.agent.Hidden() {
		s.Hidden = append(s.Hidden, control.Hidden{Profile: h.Profile, Why: h.Reason, Count: h.Count, Last: h.Last})
	}
	for _, r := range d.agent.Refusals() {
		s.Refusals = append(s.Refusals, control.Refusal{Time: r.Time, PID: r.PID, Asked: r.Asked, Why: r.Reason})
	}
	return s
}

func (p *profile) status(ctx context.Context) control.Profile {
	m := p.minter.Status()
	out := control.Profile{Name: p.Name, CA: p.CA.URLs, Identity: p.identityStatus(ctx), Confirm: p.Confirm, Minting: m.Minting}
	out.Hosts, out.Forward, out.Socket = p.Hosts, p.Forward, p.Socket
	out.Export, out.ExportError = p.export.status()
	if m.Certificate != nil {
		c := describe(p.Name, m.Certificate)
		out.Certificate = &c
	}
	if m.LastError != nil {
		out.Error, out.FailedAt, out.RetryAt = m.LastError.Error(), &m.FailedAt, &m.RetryAt
	}
	return out
}

func (p *profile) identityStatus(ctx context.Context) control.Identity {
	out := control.Identity{URI: p.Profile.Identity}
	leaf := p.identity.leaf.Load()
	if !p.identity.NeedsPerson() {
		cert, err := p.identity.Identity.Certificate(ctx) // what is there now, without a line in the log
		if err != nil {
			out.Error = err.Error()
			return out
		}
		leaf = cert.Leaf
	}
	if leaf != nil {
		out.Subject, out.NotAfter, out.Warning = leaf.Subject.String(), &leaf.NotAfter, expiry(leaf, time.Now())
	}
	return out
}

// List gives what a local client would be offered, or one profile's part of it.
func (d *daemon) List(ctx context.Context, profile string) []control.Certificate {
	keys := d.agent.Keys
	if profile != "" {
		keys = func(ctx context.Context) []agent.Key { return d.agent.KeysOf(ctx, profile) }
	}
	list := []control.Certificate{}
	for _, k := range keys(ctx) {
		list = append(list, describe(k.Profile, k.Certificate))
	}
	return list
}

// Mint has a new certificate made for a profile.
func (d *daemon) Mint(ctx context.Context, name string) (*control.Certificate, error) {
	if d.agent.Locked() {
		return nil, errors.New("the agent is locked: unlock it with ssh-add -X")
	}
	p, err := d.find(name)
	if err != nil {
		return nil, err
	}
	s, err := p.minter.Mint(ctx)
	if err != nil {
		return nil, err
	}
	cert, ok := s.PublicKey().(*ssh.Certificate)
	if !ok {
		return nil, errors.New("the key was minted without a certificate")
	}
	c := describe(p.Name, cert)
	return &c, nil
}

// Forget drops certificates and keys.
func (d *daemon) Forget(name string) error {
	if name == "" {
		d.agent.Forget()
		return nil
	}
	if _, err := d.find(name); err != nil {
		return err
	}
	d.agent.ForgetProfile(name)
	return nil
}

// Reload reads the configuration anew.
func (d *daemon) Reload() error {
	err := d.load()
	if err != nil {
		d.log.Error("the configuration stays as it was", "error", err)
	}
	return err
}

func describe(profile string, c *ssh.Certificate) control.Certificate {
	return control.Certificate{
		Profile:     profile,
		Type:        c.Type(),
		Fingerprint: ssh.FingerprintSHA256(c.Key),
		KeyID:       printable(c.KeyId),
		Serial:      c.Serial,
		Principals:  slices.Clone(c.ValidPrincipals),
		ValidAfter:  time.Unix(int64(c.ValidAfter), 0),  // #nosec G115 -- the Minter bounds both
		ValidBefore: time.Unix(int64(c.ValidBefore), 0), // #nosec G115
		CA:          ssh.FingerprintSHA256(c.SignatureKey),
		Line:        strings.TrimSpace(string(ssh.MarshalAuthorizedKey(c))),
	}
}

// printable takes out what would steer a terminal, and cuts what is too long.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if cmp.Compare(r, ' ') < 0 || r > '~' {
			return '?'
		}
		return r
	}, s)
	return s[:min(len(s), 500)]
}
