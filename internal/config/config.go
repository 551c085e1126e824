// Package config reads sshmint's configuration: /etc/sshmint/config.toml, then
// the user's own, whose profiles add to those of the system or replace them.
//
// What it cannot enforce it refuses, with file, line and key: a setting that is
// passed over in silence is a security setting that does not hold.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"time"

	"github.com/sshmint/sshmint/internal/conffile"
	"github.com/sshmint/sshmint/internal/ownfile"
)

// Config is what all files together say.
type Config struct {
	Files    []string // that were read
	Socket   string   // agent.socket, or ""
	SSHSIG   []string // namespaces
	Unknown  string   // offer or hide
	Profiles []Profile

	Upstream    []Upstream
	AddUpstream bool // agent.add
}

// Profile is one identity, one CA and where to use it.
type Profile struct {
	Name       string
	File       string // that it stands in
	Identity   string // URI
	Chain      string // absolute path, or ""
	Principals []string
	Validity   time.Duration // 0: the CA decides
	Key        string        // ed25519 or ecdsa
	Confirm    string        // never, connection or sign
	CA         CA
	Use
}

// Dir is the folder that relative paths are relative to.
func (p *Profile) Dir() string { return filepath.Dir(p.File) }

// CA is where a profile gets its certificates.
type CA struct {
	URLs   []string
	Root   string   // absolute path, or "" for the roots of the system
	UserCA []string // fingerprints
	MinTLS string   // 1.2 or 1.3
}

// text is the file as it is written.
type text struct {
	Agent struct {
		Socket   string   `toml:"socket"`
		SSHSIG   []string `toml:"sshsig"`
		Upstream []string `toml:"upstream"`
		Add      *string  `toml:"add"`
		Unknown  *string  `toml:"unknown"`
	} `toml:"agent"`
	Profile map[string]textProfile `toml:"profile"`
}

type textProfile struct {
	Identity   string            `toml:"identity"`
	Chain      string            `toml:"chain"`
	Principals []string          `toml:"principals"`
	Validity   conffile.Duration `toml:"validity"`
	Key        *string           `toml:"key"`
	Hosts      []string          `toml:"hosts"`
	Forward    *string           `toml:"forward"`
	Socket     string            `toml:"socket"`
	Export     string            `toml:"export"`
	Confirm    *string           `toml:"confirm"`
	CA         struct {
		Type   *string  `toml:"type"`
		URLs   []string `toml:"urls"`
		Root   string   `toml:"root"`
		UserCA []string `toml:"user_ca"`
		MinTLS *string  `toml:"min_tls"`
	} `toml:"ca"`
}

const notHere = "this version of sshmint does not support it, and will not pass over it"

// known are keys that exist and that this version does not enforce.
var known = map[string]string{
	"profile.*.drop_on_removal": notHere,
	"profile.*.pin_ttl":         notHere,
	"profile.*.ca.provisioner":  notHere,
	"profile.*.ca.audience":     notHere,
	"profile.*.ca.role":         notHere,
	"profile.*.ca.auth_mount":   notHere,
	"profile.*.ca.ssh_mount":    notHere,
	"profile.*.ca.ssh_role":     notHere,
	"profile.*.ca.namespace":    notHere,
	"profile.*.ca.command":      notHere,
}

// UserFile is where the user's own configuration is.
func UserFile() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("finding the configuration: %w", err)
	}
	return filepath.Join(dir, "sshmint", "config.toml"), nil
}

// Load reads file, or, where that is "", the files of the system and of the
// user. That there is none is no error: then there are no profiles.
func Load(file string) (*Config, error) {
	files := []string{file}
	if file == "" {
		files = nil
		if runtime.GOOS != "windows" {
			files = append(files, "/etc/sshmint/config.toml")
		}
		// A machine's agent may have neither a home nor anything of its own.
		if user, err := UserFile(); err == nil {
			files = append(files, user)
		}
	}
	c := &Config{}
	for _, f := range files {
		data, err := ownfile.ReadTrusted(f)
		if errors.Is(err, fs.ErrNotExist) && file == "" {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading configuration: %w", err)
		}
		if err := c.add(f, data); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// add reads one more file.
func (c *Config) add(file string, data []byte) error {
	file, err := filepath.Abs(file)
	if err != nil {
		return fmt.Errorf("reading configuration: %w", err)
	}
	var t text
	if err := conffile.Decode(file, data, &t, known); err != nil {
		return err
	}
	c.Files = append(c.Files, file)
	if t.Agent.Socket != "" {
		c.Socket = abs(file, t.Agent.Socket)
	}
	if t.Agent.Unknown != nil {
		c.Unknown = *t.Agent.Unknown
	}
	if t.Agent.SSHSIG != nil {
		c.SSHSIG = t.Agent.SSHSIG
	}
	var profiles []Profile
	errs := append(t.checkAgent(file, data), c.upstreams(&t, file, data)...)
	for name, p := range t.Profile {
		profile, err := p.read(name, file, data)
		errs = append(errs, err)
		profiles = append(profiles, profile)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	// The order of the file is the order in which certificates are offered.
	slices.SortFunc(profiles, func(a, b Profile) int {
		return conffile.Line(data, "profile."+a.Name) - conffile.Line(data, "profile."+b.Name)
	})
	for _, p := range profiles {
		c.Profiles = slices.DeleteFunc(c.Profiles, func(q Profile) bool { return q.Name == p.Name })
		c.Profiles = append(c.Profiles, p)
	}
	return c.checkPaths(file, data)
}

var profileName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// CheckName tells whether a profile may be called so.
func CheckName(name string) error {
	if !profileName.MatchString(name) {
		return fmt.Errorf("%q is no name for a profile: letters, digits, - and _, at most 64", name)
	}
	return nil
}

// or gives a setting's default where it is absent; an empty one is somebody's
// mistake, and for whoever checks the value to find.
func or(setting *string, absent string) string {
	if setting == nil {
		return absent
	}
	return *setting
}

func abs(file, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(file), path)
}
