package ca

import (
	"context"
	"crypto/x509"
	"errors"
	"time"

	"golang.org/x/crypto/ssh"
)

// An Explanation is what a CA makes of an X.509 chain, and why. Its JSON form
// is what scripts read.
type Explanation struct {
	Granted bool   `json:"granted"`
	Code    string `json:"code,omitempty"`
	Detail  string `json:"detail,omitempty"` // what the person is told
	Cause   string `json:"cause,omitempty"`  // what only the administrator is told
	Rule    string `json:"rule,omitempty"`   // the one that decides

	Leaf        *LeafFacts      `json:"x509,omitempty"`
	Trusts      []TrustOutcome  `json:"trusts"`
	Rules       []RuleOutcome   `json:"rules"`
	Certificate *SSHCertificate `json:"ssh,omitempty"`
}

// LeafFacts is a Leaf, with the names that a rule's expressions have for it.
type LeafFacts struct {
	Subject             string    `json:"subject"`
	Issuer              string    `json:"issuer"`
	Serial              string    `json:"serial"`
	NotBefore           time.Time `json:"not_before"`
	NotAfter            time.Time `json:"not_after"`
	CommonNames         []string  `json:"common_names,omitempty"`
	OrganizationalUnits []string  `json:"organizational_units,omitempty"`
	UPNs                []string  `json:"upns,omitempty"`
	Emails              []string  `json:"emails,omitempty"`
	URIs                []string  `json:"uris,omitempty"`
	DNSNames            []string  `json:"dns_names,omitempty"`
	FASCNs              []string  `json:"fasc_ns,omitempty"`
	SID                 string    `json:"sid,omitempty"`
	EKU                 []string  `json:"eku,omitempty"`
	Policies            []string  `json:"policies,omitempty"`
	SPKISHA256          string    `json:"spki_sha256"`
}

// TrustOutcome is what became of the chain under one trust.
type TrustOutcome struct {
	Trust    string `json:"trust"`
	Verified bool   `json:"verified"`
	// Constrained: an issuer has name constraints, so rules see no CN, OU,
	// subject, UPN, FASC-N and SID.
	Constrained bool   `json:"constrained,omitempty"`
	Code        string `json:"code,omitempty"`
	Detail      string `json:"detail,omitempty"`
}

// RuleOutcome is what became of one rule.
type RuleOutcome struct {
	Rule    string `json:"rule"`
	Trust   string `json:"trust"`
	Outcome string `json:"outcome"`
	Code    string `json:"code,omitempty"`
	Detail  string `json:"detail,omitempty"`
	Cause   string `json:"cause,omitempty"`
}

// SSHCertificate is what an SSH certificate would say.
type SSHCertificate struct {
	KeyID           string            `json:"key_id"`
	Principals      []string          `json:"principals"`
	ValidAfter      time.Time         `json:"valid_after"`
	ValidBefore     time.Time         `json:"valid_before"`
	CriticalOptions map[string]string `json:"critical_options,omitempty"`
	Extensions      []string          `json:"extensions"`
	SignatureKey    string            `json:"ca_key"` // fingerprint
}

// Explain decides about the chain as Mint would, issues nothing and leaves no
// line in the audit log.
func (a *Authority) Explain(ctx context.Context, chain []*x509.Certificate) *Explanation {
	now := time.Now()
	g, trace, err := a.policy.Explain(ctx, chain, now)
	x := &Explanation{Trusts: trustOutcomes(trace), Rules: ruleOutcomes(trace)}
	if err == nil {
		x.Rule, x.Leaf = g.Rule, leafFacts(g.Leaf)
		var cert *ssh.Certificate
		if cert, err = template(g, &Request{}, "(request id)", now); err == nil {
			x.Granted = true
			x.Certificate = &SSHCertificate{
				KeyID: cert.KeyId, Principals: cert.ValidPrincipals,
				ValidAfter: certTime(cert.ValidAfter), ValidBefore: certTime(cert.ValidBefore),
				CriticalOptions: g.CriticalOptions, Extensions: g.Extensions,
				SignatureKey: ssh.FingerprintSHA256(a.user.PublicKey()),
			}
			return x
		}
	}
	var r *Refusal
	if !errors.As(err, &r) {
		x.Cause = err.Error()
		return x
	}
	x.Code, x.Detail, x.Rule = string(r.Code), r.Detail, r.Rule
	if r.Err != nil {
		x.Cause = r.Err.Error()
	}
	if r.Leaf != nil {
		x.Leaf = leafFacts(r.Leaf)
	}
	return x
}

func leafFacts(l *Leaf) *LeafFacts {
	return &LeafFacts{
		Subject: l.Subject, Issuer: l.Issuer, Serial: l.Serial,
		NotBefore: l.NotBefore.UTC(), NotAfter: l.NotAfter.UTC(),
		CommonNames: l.CommonNames, OrganizationalUnits: l.OrganizationalUnits,
		UPNs: l.UPNs, Emails: l.Emails, URIs: l.URIs, DNSNames: l.DNSNames, FASCNs: l.FASCNs,
		SID: l.SID, EKU: l.EKU, Policies: l.Policies, SPKISHA256: l.SPKISHA256,
	}
}

func trustOutcomes(t *Trace) []TrustOutcome {
	out := []TrustOutcome{}
	for _, tt := range t.Trusts {
		o := TrustOutcome{Trust: tt.Trust, Verified: tt.Err == nil, Constrained: tt.Constrained}
		if tt.Err != nil {
			o.Code, o.Detail = string(tt.Err.Code), tt.Err.Detail
		}
		out = append(out, o)
	}
	return out
}

func ruleOutcomes(t *Trace) []RuleOutcome {
	out := []RuleOutcome{}
	for _, rt := range t.Rules {
		o := RuleOutcome{Rule: rt.Rule, Trust: rt.Trust, Outcome: string(rt.Outcome)}
		if rt.Err != nil {
			o.Code, o.Detail = string(rt.Err.Code), rt.Err.Detail
			if rt.Err.Err != nil {
				o.Cause = rt.Err.Err.Error()
			}
		}
		out = append(out, o)
	}
	return out
}
