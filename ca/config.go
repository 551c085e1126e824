package ca

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"

	"github.com/sshmint/sshmint/internal/conffile"
	"github.com/sshmint/sshmint/internal/ownfile"
)

// ConfigFile is the name of the configuration in a CA's folder.
const ConfigFile = "ca.toml"

// Config is ca.toml. A key whose absence differs from its zero value is a
// pointer or a slice that may be nil.
type Config struct {
	// Listen is where the CA answers. Default ":8443".
	Listen string `toml:"listen"`
	// Hosts are the DNS names and IP addresses that clients reach the CA by: what its own server
	// certificate is made for. Not looked at with TLSCert.
	Hosts []string `toml:"hosts"`
	// MinTLS is "1.3", the default, or "1.2" for tokens that cannot sign with RSA-PSS.
	MinTLS string `toml:"min_tls"`
	// TLSCert and TLSKey are a server certificate, chain and key, from elsewhere, in PEM.
	// Without them the CA makes its own.
	TLSCert string `toml:"tls_cert"`
	TLSKey  string `toml:"tls_key"`
	// RatePerAddress is how many requests a minute one source address may send. Default 600.
	RatePerAddress int `toml:"rate_per_address"`
	// RatePerIdentity is how many certificates a minute one leaf may get. Default 10.
	RatePerIdentity int `toml:"rate_per_identity"`
	// Reserved are accounts, besides the usual system accounts, that no computed principal may name.
	// A "*" at the end stands for any ending.
	Reserved []string `toml:"reserved"`

	Trust []TrustConfig          `toml:"trust"`
	Table map[string]TableConfig `toml:"table"`
	Rule  []RuleConfig           `toml:"rule"`

	path string // of the file, for errors
	data []byte // its text
}

// TrustConfig is a [[trust]]: roots, and what a leaf below them must be meant for.
type TrustConfig struct {
	Name  string `toml:"name"`
	Roots string `toml:"roots"` // PEM file
	// EKU are extended key usages, names or OIDs, of which the leaf and every issuer that restricts its
	// usages must share one. Default clientAuth and secureShellClient. A leaf with anyExtendedKeyUsage
	// passes only where "any" is listed.
	EKU []string `toml:"eku"`
	// RequireEKU set to false lets a leaf without the extension pass. Default true.
	RequireEKU *bool `toml:"require_eku"`
}

// TableConfig is a [table.NAME] for the function lookup.
type TableConfig struct {
	File string `toml:"file"` // lines "name = value, value"
}

// RuleConfig is a [[rule]]. It either refuses, or says what a leaf gets.
type RuleConfig struct {
	Name  string  `toml:"name"`
	Trust string  `toml:"trust"` // the name of a [[trust]]
	Match *string `toml:"match"` // CEL, bool; absent: always

	// Refuse is the sentence that everyone whom the rule matches gets instead of a certificate.
	Refuse *string `toml:"refuse"`

	Principals string `toml:"principals"` // CEL, list(string)
	Person     string `toml:"person"`     // CEL, string; default: the one UPN, else e-mail, else CN
	// Pattern is what a computed principal must match as a whole. Default ^[a-z_][a-z0-9_.-]{0,31}$
	Pattern string `toml:"pattern"`
	// Grant are principals given literally, free of pattern and reserved accounts.
	Grant []string `toml:"grant"`
	// Validity is the longest lifetime. Default 8 h, at most 24 h.
	Validity *conffile.Duration `toml:"validity"`
	// Extensions of the certificate. Default permit-pty; an empty list gives none.
	Extensions []string `toml:"extensions"`
	// SourceAddress are the networks (CIDR) that the certificate may be used from. Default: any.
	SourceAddress []string `toml:"source_address"`
	// ForceCommand is the only command that the certificate can run.
	ForceCommand *string `toml:"force_command"`
	// X509Key lets the leaf's own key be certified; then no proof of the SSH key is needed, since the
	// TLS handshake was one.
	X509Key bool `toml:"x509_key"`
}

// ReadConfig reads ca.toml in dir. Paths in it that are relative are taken
// relative to dir. An error names file, line and key.
//
// It looks at what the server needs; trusts, tables and rules are for
// [NewPolicy], which reads the files that they name and compiles them.
func ReadConfig(dir string) (*Config, error) {
	path := filepath.Join(dir, ConfigFile)
	data, err := ownfile.ReadTrusted(path)
	if err != nil {
		return nil, fmt.Errorf("reading configuration: %w", err)
	}
	c := &Config{Listen: ":8443", MinTLS: "1.3", RatePerAddress: 600, RatePerIdentity: 10, path: path, data: data}
	if err := conffile.Decode(path, data, c, nil); err != nil {
		return nil, err
	}
	c.resolvePaths(dir)
	if err := c.checkServing(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Config) resolvePaths(dir string) {
	resolve := func(path string) string {
		if path == "" || filepath.IsAbs(path) {
			return path
		}
		return filepath.Join(dir, path)
	}
	c.TLSCert, c.TLSKey = resolve(c.TLSCert), resolve(c.TLSKey)
	for i := range c.Trust {
		c.Trust[i].Roots = resolve(c.Trust[i].Roots)
	}
	for name, t := range c.Table {
		c.Table[name] = TableConfig{File: resolve(t.File)}
	}
}

func (c *Config) checkServing() error {
	var errs []error
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		errs = append(errs, c.errorf("listen", `%q is no address such as ":8443" or "127.0.0.1:8443"`, c.Listen))
	}
	for _, h := range c.Hosts {
		if err := checkHost(h); err != nil {
			errs = append(errs, c.errorf("hosts", "%s", err))
		}
	}
	if c.MinTLS != "1.2" && c.MinTLS != "1.3" {
		errs = append(errs, c.errorf("min_tls", `%q is neither "1.3" nor "1.2"`, c.MinTLS))
	}
	switch {
	case c.TLSCert != "" && c.TLSKey == "":
		errs = append(errs, c.errorf("tls_cert", "tls_key is missing: both or neither"))
	case c.TLSCert == "" && c.TLSKey != "":
		errs = append(errs, c.errorf("tls_key", "tls_cert is missing: both or neither"))
	}
	if c.RatePerAddress < 1 {
		errs = append(errs, c.errorf("rate_per_address", "%d requests a minute would refuse everyone; at least 1", c.RatePerAddress))
	}
	if c.RatePerIdentity < 1 {
		errs = append(errs, c.errorf("rate_per_identity", "%d certificates a minute would refuse everyone; at least 1", c.RatePerIdentity))
	}
	return errors.Join(errs...)
}

// errorf says what is wrong with the value at key, in conffile's notation.
func (c *Config) errorf(key, format string, args ...any) error {
	path := c.path
	if path == "" {
		path = ConfigFile
	}
	return conffile.Errorf(path, c.data, key, format, args...)
}
