package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/sshmint/sshmint/internal/ownfile"
)

const header = `# sshmint's configuration: see config.toml in the manual. Relative paths are
# relative to this file. A running agent reads it anew on SIGHUP.
`

// Add appends a profile to the file at path, which it makes if there is none,
// with its folder. What stands in the file stays as it is, comments included.
func Add(path string, p *Profile) error {
	old, err := ownfile.ReadTrusted(path)
	if errors.Is(err, fs.ErrNotExist) {
		old = []byte(header)
	} else if err != nil {
		return fmt.Errorf("adding to the configuration: %w", err)
	}
	if err := free(path, old, p.Name); err != nil {
		return err
	}
	section, err := p.toml()
	if err != nil {
		return fmt.Errorf("adding to the configuration: %w", err)
	}
	whole := append(old[:len(old):len(old)], section...)
	if err := (&Config{}).add(path, whole); err != nil {
		return fmt.Errorf("adding to the configuration: what would be written cannot be read: %w", err)
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // a link to where somebody keeps their dotfiles stays one
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("adding to the configuration: %w", err)
	}
	if err := ownfile.Write(path, whole, 0o600); err != nil {
		return fmt.Errorf("adding to the configuration: %w", err)
	}
	return nil
}

// Free tells whether Add could add a profile of that name.
func Free(path, name string) error {
	old, err := ownfile.ReadTrusted(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("adding to the configuration: %w", err)
	}
	return free(path, old, name)
}

func free(path string, data []byte, name string) error {
	present := &Config{}
	if err := present.add(path, data); err != nil {
		return fmt.Errorf("adding to the configuration: %w", err)
	}
	if slices.ContainsFunc(present.Profiles, func(q Profile) bool { return q.Name == name }) {
		return fmt.Errorf("there is a profile %s in %s already: remove it there, or choose another name with --profile", name, path)
	}
	return nil
}

func (p *Profile) toml() (string, error) {
	var b strings.Builder
	var failed error
	set := func(key string, value any) {
		line, err := toml.Marshal(map[string]any{key: value})
		failed = errors.Join(failed, err)
		b.Write(line)
	}
	fmt.Fprintf(&b, "\n[profile.%s]\n", p.Name)
	set("identity", p.Identity)
	if p.Chain != "" {
		set("chain", p.Chain)
	}
	if len(p.Principals) > 0 {
		set("principals", p.Principals)
	}
	if p.Validity > 0 {
		set("validity", p.Validity.String())
	}
	fmt.Fprintf(&b, "\n[profile.%s.ca]\n", p.Name)
	set("type", "sshmint")
	set("urls", p.CA.URLs)
	if p.CA.Root != "" {
		set("root", p.CA.Root)
	}
	set("user_ca", p.CA.UserCA)
	return b.String(), failed
}
