// Package control is how sshmint's commands talk to its running agent: HTTP and
// JSON over a socket of its own beside the agent's. The agent socket itself
// speaks the agent protocol alone, since it may be forwarded to other hosts,
// and this one never is.
package control

import (
	"time"
)

// Path is the control socket that belongs to an agent socket.
func Path(socket string) string { return controlPath(socket) }

// Status is what `sshmint status` shows.
type Status struct {
	Version  string    `json:"version"`
	PID      int       `json:"pid"`
	Started  time.Time `json:"started"`
	Socket   string    `json:"socket"`
	Config   []string  `json:"config"` // files that were read
	Locked   bool      `json:"locked"`
	Prompt   Prompt    `json:"prompt"`
	Profiles []Profile `json:"profiles"`
	Hidden   []Hidden  `json:"hidden,omitempty"`
	Refusals []Refusal `json:"refusals,omitempty"`
	// Upstreams are asked for each Status.
	Upstreams []Upstream `json:"upstreams,omitempty"`
	// ConfigError is why the configuration that was last read is not in force.
	ConfigError string `json:"config_error,omitempty"`
}

// Prompt is the program that asks a person, and why it is that one, or why there
// is none: then what must be confirmed is refused.
type Prompt struct {
	Kind    string `json:"kind,omitempty"` // ssh-askpass or pinentry
	Program string `json:"program,omitempty"`
	Why     string `json:"why,omitempty"`
	Error   string `json:"error,omitempty"`
}

// Upstream is another agent behind this one.
type Upstream struct {
	Name      string     `json:"name"` // as it is configured
	Path      string     `json:"path,omitempty"`
	Reachable bool       `json:"reachable"`
	Keys      int        `json:"keys"`
	LastError string     `json:"last_error,omitempty"`
	FailedAt  *time.Time `json:"failed_at,omitempty"`
}

// Profile is one profile's identity and certificate.
type Profile struct {
	Name        string       `json:"name"`
	CA          []string     `json:"ca"`
	Identity    Identity     `json:"identity"`
	Hosts       []string     `json:"hosts,omitempty"`
	Forward     string       `json:"forward"` // deny, confirm or allow
	Confirm     string       `json:"confirm"` // never, connection or sign
	Socket      string       `json:"socket,omitempty"`
	Export      string       `json:"export,omitempty"`
	ExportError string       `json:"export_error,omitempty"`
	Certificate *Certificate `json:"certificate,omitempty"`
	Minting     bool         `json:"minting,omitempty"`
	Error       string       `json:"error,omitempty"` // of the last mint, if it failed
	FailedAt    *time.Time   `json:"failed_at,omitempty"`
	RetryAt     *time.Time   `json:"retry_at,omitempty"` // a use before then gets the same error
}

// Identity is the X.509 side of a profile.
type Identity struct {
	URI      string     `json:"uri"`
	Subject  string     `json:"subject,omitempty"`
	NotAfter *time.Time `json:"not_after,omitempty"`
	Warning  string     `json:"warning,omitempty"`
	Error    string     `json:"error,omitempty"`
}

// Certificate is an OpenSSH certificate that the agent has.
type Certificate struct {
	Profile     string    `json:"profile"`
	Type        string    `json:"type"`
	Fingerprint string    `json:"fingerprint"` // of the certified key
	KeyID       string    `json:"key_id"`
	Serial      uint64    `json:"serial,string"`
	Principals  []string  `json:"principals"`
	ValidAfter  time.Time `json:"valid_after"`
	ValidBefore time.Time `json:"valid_before"`
	CA          string    `json:"ca"` // fingerprint of the key that signed it
	Line        string    `json:"line"`
}

// Hidden counts how often a profile was kept from a connection.
type Hidden struct {
	Profile string    `json:"profile"`
	Why     string    `json:"why"`
	Count   int       `json:"count"`
	Last    time.Time `json:"last"`
}

// Refusal is a request that the agent refused.
type Refusal struct {
	Time  time.Time `json:"time"`
	PID   int       `json:"pid,omitempty"`
	Asked string    `json:"asked"`
	Why   string    `json:"why"`
}

// fault is the body of an answer that is not a success.
type fault struct {
	Error string `json:"error"`
}
