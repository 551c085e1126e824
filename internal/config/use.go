package config

import (
	"errors"
	"slices"
	"strings"

	"github.com/sshmint/sshmint/agent"
	"github.com/sshmint/sshmint/internal/conffile"
)

// Use is where a profile's certificate goes. It can change while the certificate
// stays what it is.
type Use struct {
	Hosts   []string // patterns; none: everywhere
	Forward string   // deny, confirm or allow
	Socket  string   // absolute path, or ""
	Export  string   // absolute path, or ""
}

func (t *textProfile) use(file string, wrong func(key, format string, args ...any)) Use {
	u := Use{Hosts: t.Hosts, Forward: or(t.Forward, "deny"), Socket: abs(file, t.Socket), Export: abs(file, t.Export)}
	if _, err := agent.ParseHosts(t.Hosts); err != nil {
		wrong(".hosts", "%s", err)
	}
	if t.Hosts != nil && len(t.Hosts) == 0 {
		wrong(".hosts", "it is empty: leave it out, and the profile is for all hosts")
	}
	if !slices.Contains([]string{"deny", "confirm", "allow"}, u.Forward) {
		wrong(".forward", `%q is neither "deny", "confirm" nor "allow"`, u.Forward)
	}
	for key, path := range map[string]string{".socket": t.Socket, ".export": t.Export} {
		if strings.HasPrefix(path, "~") {
			wrong(key, "%q: write the path out, ~ is for shells", path)
		}
	}
	return u
}

// checkPaths returns what profiles of a file have in the same place as others.
func (c *Config) checkPaths(file string, data []byte) error {
	var errs []error
	for i, p := range c.Profiles {
		if p.File != file {
			continue
		}
		wrong := func(key, format string, args ...any) {
			errs = append(errs, conffile.Errorf(file, data, "profile."+p.Name+key, format, args...))
		}
		if p.Socket != "" && p.Socket == c.Socket {
			wrong(".socket", "%s is agent.socket already", p.Socket)
		}
		for j, q := range c.Profiles {
			if i == j || q.File == file && j > i {
				continue
			}
			if p.Socket != "" && p.Socket == q.Socket {
				wrong(".socket", "%s is that of profile %s already", p.Socket, q.Name)
			}
			if p.Export != "" && p.Export == q.Export {
				wrong(".export", "%s is that of profile %s already", p.Export, q.Name)
			}
		}
	}
	return errors.Join(errs...)
}
