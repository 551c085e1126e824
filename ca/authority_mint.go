package ca

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sshmint/sshmint/internal/wire"
)

// Minted is a certificate and the rule that granted it.
type Minted struct {
	Certificate *ssh.Certificate
	Rule        string
}

// Mint decides about the request, and leaves one line in the audit log
// whatever it decides. The certificate is returned only when that line is on
// the disk. The error is a *Refusal.
func (a *Authority) Mint(ctx context.Context, r *Request) (*Minted, error) {
	t := a.begin(r.Source)
	g, err := t.decide(ctx, r.Chain)
	if err != nil {
		return nil, t.refuse(err)
	}
	m, err := t.mint(g, r)
	if err != nil {
		return nil, t.refuse(err)
	}
	return m, nil
}

// An attempt is one request on its way. What is known of it so far goes into
// its audit line, however it ends: with mint, or with refuse.
type attempt struct {
	authority *Authority
	entry     Entry
}

func (a *Authority) begin(source string) *attempt {
	return &attempt{a, Entry{Time: time.Now().UTC(), Request: newRequestID(), Source: source}}
}

// decide asks the policy what the identity may have.
func (t *attempt) decide(ctx context.Context, chain []*x509.Certificate) (*Grant, error) {
	g, err := t.authority.policy.Decide(ctx, chain, time.Now())
	if err != nil && len(chain) > 0 {
		// Where the leaf is malformed this is all that there is to say of it.
		t.entry.X509Subject, t.entry.X509Issuer = chain[0].Subject.String(), chain[0].Issuer.String()
		t.entry.X509Serial = chain[0].SerialNumber.Text(16)
	}
	if err != nil {
		return nil, err
	}
	t.entry.Rule, t.entry.Trust, t.entry.Person = g.Rule, g.Trust, g.Person
	t.describe(g.Leaf)
	return g, nil
}

func (t *attempt) describe(leaf *Leaf) {
	if leaf == nil {
		return
	}
	notAfter := leaf.NotAfter.UTC()
	t.entry.X509Subject, t.entry.X509Issuer = leaf.Subject, leaf.Issuer
	t.entry.X509Serial, t.entry.X509NotAfter = leaf.Serial, &notAfter
}

// mint makes the certificate that was granted.
func (t *attempt) mint(g *Grant, r *Request) (*Minted, error) {
	t.entry.Key = ssh.FingerprintSHA256(r.PublicKey)
	if err := checkPossession(g, r); err != nil {
		return nil, err
	}
	cert, err := template(g, r, t.entry.Request, time.Now())
	if err != nil {
		return nil, err
	}
	if err := t.authority.sign(cert); err != nil {
		return nil, err
	}
	if err := t.record(cert); err != nil {
		return nil, err
	}
	return &Minted{cert, g.Rule}, nil
}

// checkPossession makes sure that the asker holds the SSH key.
func checkPossession(g *Grant, r *Request) error {
	if isLeafKey(g.Chain[0], r.PublicKey) {
		if g.X509Key {
			return nil // the TLS handshake was the proof
		}
		return &Refusal{
			Code: wire.RefusedByRule, Rule: g.Rule, Trust: g.Trust, Leaf: g.Leaf,
			Detail: "rule " + strconv.Quote(g.Rule) + " does not let the X.509 certificate's own key be certified",
		}
	}
	if r.Vouched {
		return nil
	}
	return checkProof(g.Chain[0], r.PublicKey, r.Proof)
}

// record writes the line of a grant: no certificate leaves that the log does
// not know.
func (t *attempt) record(cert *ssh.Certificate) error {
	e := t.entry
	e.Decision = Granted
	after, before := certTime(cert.ValidAfter), certTime(cert.ValidBefore)
	e.KeyID, e.Serial, e.Principals = cert.KeyId, strconv.FormatUint(cert.Serial, 10), cert.ValidPrincipals
	e.ValidAfter, e.ValidBefore = &after, &before
	e.CAKey = ssh.FingerprintSHA256(cert.SignatureKey)
	if err := t.authority.append(&e); err != nil {
		return &Refusal{Code: wire.Unavailable, Detail: "the CA cannot write its audit log, and issues nothing without", Err: err}
	}
	t.authority.log.Info("granted", "request", e.Request, "rule", e.Rule, "key_id", e.KeyID, "serial", e.Serial,
		"principals", e.Principals, "valid_before", before, "key", e.Key, "source", e.Source)
	return nil
}

// refuse makes a Refusal of err, for the asker, and records it.
func (t *attempt) refuse(err error) *Refusal {
	var r *Refusal
	if !errors.As(err, &r) {
		r = &Refusal{Code: wire.Unavailable, Detail: "the CA met a fault; its log tells more", Err: err}
	}
	t.describe(r.Leaf)
	e := t.entry
	e.Decision, e.Code, e.Detail = Refused, string(r.Code), r.Detail
	if r.Err != nil {
		e.Detail += ": " + r.Err.Error()
	}
	if r.Rule != "" {
		e.Rule = r.Rule
	}
	if r.Trust != "" {
		e.Trust = r.Trust
	}
	level := slog.LevelWarn
	if r.Code == wire.Unavailable {
		level = slog.LevelError
	}
	t.authority.log.Log(context.Background(), level, "refused", "request", e.Request, "code", e.Code, "rule", e.Rule,
		"detail", cut(e.Detail, maxAuditText), "subject", cut(e.X509Subject, maxAuditText), "source", e.Source)
	if err := t.authority.append(&e); err != nil && r.Code != wire.Unavailable {
		// The answer is no all the same.
		t.authority.log.Error("a refusal is missing from the audit log", "request", e.Request, "err", err)
	}
	return r
}

// append writes to the audit log; without one, nothing is granted.
func (a *Authority) append(e *Entry) error {
	if a.audit == nil {
		return errors.New("there is no audit log")
	}
	return a.audit.Append(e)
}

func certTime(seconds uint64) time.Time {
	return time.Unix(int64(seconds), 0).UTC() // #nosec G115 -- made of an int64 by template
}
