// Package wire is the vocabulary that sshmint and sshmint-ca share: the paths,
// JSON bodies, problem codes and the proof of docs/protocol.md. It holds no
// behaviour beyond encoding, so that either end can be written anew from the
// document alone.
package wire

import (
	"crypto/sha256"
	"time"
)

// Paths of the CA's HTTP interface.
const (
	PathUserCertificates = "/v1/user-certificates"
	PathAuthorities      = "/v1/authorities"
	PathHealth           = "/healthz"
)

// ProofNamespace is the SSHSIG namespace of a proof. No agent socket may ever
// sign in it: whoever could have it signed could have somebody else's key
// certified.
const ProofNamespace = "proof@sshmint"

// Limits on what a client may present, counted before anything is verified.
const (
	MaxChain      = 8        // certificates
	MaxChainBytes = 32 << 10 // bytes of DER, all certificates together
	MaxNames      = 64       // subject alternative names of the leaf
	MaxBody       = 64 << 10 // bytes of a request body, and of an answer
	MaxSSHCert    = 16 << 10 // bytes of an OpenSSH certificate, wire form
	MaxValidity   = 24 * time.Hour
)

// ProofMessage is what a proof signs: SHA-256 of the X.509 leaf's DER followed
// by SHA-256 of the SSH public key's wire form (RFC 4253 section 6.6). It ties
// the SSH key to the identity that asks, so that nobody gets a key certified
// that is not theirs.
func ProofMessage(leafDER, keyBlob []byte) []byte {
	leaf, key := sha256.Sum256(leafDER), sha256.Sum256(keyBlob)
	return append(leaf[:], key[:]...)
}

// CertificateRequest is the body of POST /v1/user-certificates.
type CertificateRequest struct {
	// PublicKey is one line in authorized_keys form, with no options.
	PublicKey string `json:"public_key"`
	// Principals are a wish: granted whole or refused. Empty: the CA decides.
	Principals []string `json:"principals,omitempty"`
	// Validity is a wish in Go's duration syntax ("8h"). Empty: the CA decides.
	Validity string `json:"validity,omitempty"`
	// Proof is an armored SSHSIG in ProofNamespace over ProofMessage.
	Proof string `json:"proof,omitempty"`
}

// CertificateAnswer is the body of a 201.
type CertificateAnswer struct {
	Certificate string `json:"certificate"` // authorized_keys form
	Serial      string `json:"serial"`      // decimal, as sshd logs it
	Rule        string `json:"rule"`
}

// Authorities is the body of GET /v1/authorities.
type Authorities struct {
	User []Authority `json:"user"`
	Host []Authority `json:"host"`
}

// Authority is one SSH CA key and its place in a rotation.
type Authority struct {
	Key   string `json:"key"`   // authorized_keys form
	State string `json:"state"` // current, next or retired
}

// States of an Authority.
const (
	Current = "current"
	Next    = "next"
	Retired = "retired"
)

// Code says why a request was refused. Codes are stable; sentences are not.
type Code string

// The codes of docs/protocol.md.
const (
	IdentityRequired Code = "identity_required" // no client certificate
	UntrustedIssuer  Code = "untrusted_issuer"  // no chain to a root that is trusted
	IdentityExpired  Code = "identity_expired"  // a certificate of the chain is expired or not yet valid
	IdentityRevoked  Code = "identity_revoked"
	WrongUsage       Code = "wrong_usage"       // not meant for this use, or too weak
	NoRule           Code = "no_rule"           // no rule matches
	RefusedByRule    Code = "refused_by_rule"   // a rule says no, or could not be evaluated
	PrincipalRefused Code = "principal_refused" // the principals wished for, or computed, may not be had
	BadRequest       Code = "bad_request"
	RateLimited      Code = "rate_limited"
	Unavailable      Code = "unavailable"
)

// ProblemType is the media type of a Problem (RFC 9457).
const ProblemType = "application/problem+json"

// Problem is the body of every answer that is not a success (RFC 9457).
type Problem struct {
	Title  string    `json:"title"`
	Status int       `json:"status"`
	Code   Code      `json:"code"`
	Detail string    `json:"detail"` // a sentence for the person
	Time   time.Time `json:"time"`   // the CA's clock
}
