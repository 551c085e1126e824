package config

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/sshmint/sshmint/internal/conffile"
)

// Upstream is another agent's socket.
type Upstream struct {
	Text string // as it stands in the file
	Path string // absolute; "" if the environment does not give it
	Why  string // there is no Path
}

// upstreams reads agent.upstream and agent.add, which a later file replaces. The
// first upstream keeps keys only if there is one.
func (c *Config) upstreams(t *text, file string, data []byte) (errs []error) {
	wrong := func(key, format string, args ...any) {
		errs = append(errs, conffile.Errorf(file, data, key, format, args...))
	}
	if t.Agent.Upstream != nil {
		c.Upstream = nil
	}
	for _, s := range t.Agent.Upstream {
		u, err := readUpstream(file, s)
		if err != nil {
			wrong("agent.upstream", "%s", err)
			continue
		}
		if slices.ContainsFunc(c.Upstream, func(v Upstream) bool { return v.Text == u.Text }) {
			wrong("agent.upstream", "%q stands there twice", s)
		}
		c.Upstream = append(c.Upstream, u)
	}
	if add := t.Agent.Add; add != nil {
		if c.AddUpstream = *add == "upstream"; !c.AddUpstream && *add != "self" {
			wrong("agent.add", `%q is neither "self" nor "upstream"`, *add)
		}
	}
	if c.AddUpstream && len(c.Upstream) == 0 && errs == nil {
		key := "agent.add"
		if t.Agent.Add == nil { // it stands in an earlier file
			key = "agent.upstream"
		}
		wrong(key, `agent.add is "upstream", and there is no agent.upstream to keep keys`)
	}
	return errs
}

var (
	wholeVariable = regexp.MustCompile(`^\$([A-Za-z_][A-Za-z0-9_]*)$`)
	variable      = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)
)

// readUpstream reads a path as ssh_config's IdentityAgent has it: "~/" at the
// front is the home folder, a whole "$NAME" and "${NAME}" anywhere stand for the
// environment. That a variable is not set is no error: a session without a
// desktop has no agent of the desktop.
func readUpstream(file, s string) (Upstream, error) {
	u := Upstream{Text: s}
	path := s
	if m := wholeVariable.FindStringSubmatch(s); m != nil {
		path = "${" + m[1] + "}"
	}
	fromEnvironment := false
	path = variable.ReplaceAllStringFunc(path, func(v string) string {
		name := v[2 : len(v)-1]
		value := os.Getenv(name)
		if value == "" && u.Why == "" {
			u.Why = name + " is not set in the agent's environment"
		}
		fromEnvironment = true
		return value
	})
	switch rest := variable.ReplaceAllString(s, ""); {
	case s == "" || strings.ContainsRune(s, 0):
		return u, fmt.Errorf("%q is no path", s)
	case s == "SSH_AUTH_SOCK":
		return u, fmt.Errorf(`write "$%s" for what is in that variable`, s)
	case strings.Contains(rest, "$") && !wholeVariable.MatchString(s):
		return u, fmt.Errorf(`%q: a variable is written $NAME, as the whole, or ${NAME}`, s)
	case u.Why != "":
		return u, nil
	case strings.HasPrefix(s, "~/"):
		home, err := os.UserHomeDir()
		if err != nil {
			return u, fmt.Errorf("%q: finding the home folder: %w", s, err)
		}
		path = filepath.Join(home, path[2:])
	case strings.HasPrefix(s, "~"):
		return u, fmt.Errorf("%q: only ~/ is understood", s)
	case fromEnvironment && !filepath.IsAbs(path):
		u.Why = fmt.Sprintf("it stands for %q, which is not an absolute path", path)
		return u, nil
	}
	u.Path = abs(file, path)
	return u, nil
}
