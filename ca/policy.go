package ca

import (
	"context"
	"crypto/x509"
	"log/slog"
	"time"
)

// Policy decides what an X.509 certificate may become. It is safe for use by several goroutines at a
// time.
type Policy struct {
	// Log gets what a Refusal does not tell the asker, and what happens to tables; nil: nothing is logged.
	// Set it before the first use.
	Log *slog.Logger
}

// A Grant is what a leaf may have.
type Grant struct {
	Rule, Trust string
	// Person names who asked, for the key id: printable ASCII without blanks, quotes and
	// backslashes, all else percent-encoded; 1 to 128 bytes.
	Person     string
	Principals []string      // at least one, no two the same
	Validity   time.Duration // the longest that the rule allows
	NotAfter   time.Time     // the least of the chain, root included
	Extensions []string      // sorted
	// CriticalOptions are source-address and force-command, where the rule has them.
	CriticalOptions map[string]string
	X509Key         bool // the leaf's own key may be certified, without a proof
	Leaf            *Leaf
	Chain           []*x509.Certificate // as verified: leaf first, root last
}

// Leaf is what a client certificate says of its holder, verified or not.
type Leaf struct {
	Subject, Issuer     string   // RFC 4514
	Serial              string   // hexadecimal, lower-case, whole bytes
	CommonNames         []string // in the order of the certificate, as all lists here
	OrganizationalUnits []string
	Emails              []string // rfc822Name
	UPNs                []string // Microsoft's user principal names
	URIs                []string
	DNSNames            []string
	FASCNs              []string // hexadecimal
	EKU                 []string // names, or OIDs where there is none
	Policies            []string // OIDs
	SID                 string   // Microsoft's security identifier, or ""
	SPKISHA256          string   // hexadecimal
	IssuerSHA256        string   // hexadecimal, of the issuer's name in DER
	NotBefore, NotAfter time.Time
}

// Trace is what Decide looked at, for a person who wants to know why.
type Trace struct {
	Trusts []TrustTrace
	Rules  []RuleTrace // from the top, up to the one that decided
}

// TrustTrace is what became of a chain under one trust.
type TrustTrace struct {
	Trust string
	Err   *Refusal // nil: verified
	// Constrained says that an authority of the chain has name constraints, which rules then see
	// no CN, OU, subject, UPN and SID for.
	Constrained bool
}

// RuleTrace is what became of one rule.
type RuleTrace struct {
	Rule, Trust string
	// Outcome is "grants", "refuses", "does not match", "fails" or "trust not verified".
	Outcome string
	Err     error // why it fails or refuses, with detail that is not for the asker
}
