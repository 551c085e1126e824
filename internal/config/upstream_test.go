package config

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestUpstream(t *testing.T) {
	t.Setenv("HOME", "/home/alice")
	t.Setenv("RUN", "/run/user/1000")
	t.Setenv("RELATIVE", "agent.sock")
	t.Setenv("EMPTY", "")
	for _, tt := range []struct{ text, path, why, err string }{
		{"/run/agent.sock", "/run/agent.sock", "", ""},
		{"agent.sock", "/etc/sshmint/agent.sock", "", ""},
		{"~/agent.sock", "/home/alice/agent.sock", "", ""},
		{"$RUN", "/run/user/1000", "", ""},
		{"${RUN}", "/run/user/1000", "", ""},
		{"${RUN}/gnupg/S.gpg-agent.ssh", "/run/user/1000/gnupg/S.gpg-agent.ssh", "", ""},
		{"/run${RUN}", "/run/run/user/1000", "", ""},
		{"$NOT_SET", "", "NOT_SET is not set", ""},
		{"$EMPTY", "", "EMPTY is not set", ""},
		{"/run/${NOT_SET}/agent", "", "NOT_SET is not set", ""},
		{"~/${NOT_SET}", "", "NOT_SET is not set", ""},
		{"$RELATIVE", "", "not an absolute path", ""},
		{"${RELATIVE}", "", "not an absolute path", ""},

		{"", "", "", `"" is no path`},
		{"a\x00b", "", "", "is no path"},
		{"SSH_AUTH_SOCK", "", "", `write "$SSH_AUTH_SOCK"`},
		{"$RUN/agent.sock", "", "", "as the whole, or ${NAME}"},
		{"/run/$RUN", "", "", "as the whole, or ${NAME}"},
		{"${RUN", "", "", "as the whole, or ${NAME}"},
		{"$", "", "", "as the whole, or ${NAME}"},
		{"~bob/agent.sock", "", "", "only ~/ is understood"},
		{"~", "", "", "only ~/ is understood"},
	} {
		u, err := readUpstream("/etc/sshmint/config.toml", tt.text)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%q: %v, want %q", tt.text, err, tt.err)
			}
			continue
		}
		if err != nil || u.Text != tt.text || u.Path != tt.path || !strings.Contains(u.Why, tt.why) || (u.Why == "") != (tt.why == "") {
			t.Errorf("%q: %+v, %v", tt.text, u, err)
		}
	}
}

func TestUpstreamOfTwoFiles(t *testing.T) {
	paths := func(c *Config) (paths []string) {
		for _, u := range c.Upstream {
			paths = append(paths, u.Path)
		}
		return paths
	}
	for _, tt := range []struct {
		system, user string
		want         []string
		add          bool
		err          string
	}{
		{"", "", nil, false, ""},
		{"upstream = ['/a', '/b']", "", []string{"/a", "/b"}, false, ""},
		{"upstream = ['/a']", "upstream = ['/b']", []string{"/b"}, false, ""},
		{"upstream = ['/a']", "upstream = []", nil, false, ""},
		{"upstream = ['/a']\nadd = 'upstream'", "", []string{"/a"}, true, ""},
		{"upstream = ['/a']\nadd = 'upstream'", "add = 'self'", []string{"/a"}, false, ""},
		{"upstream = ['/a']\nadd = 'upstream'", "upstream = []\nadd = 'self'", nil, false, ""},
		{"upstream = ['/a']", "add = 'upstream'", []string{"/a"}, true, ""},

		{"add = 'upstream'", "", nil, false, "/etc/config.toml:2: agent.add: agent.add is"},
		{"upstream = ['/a']\nadd = 'upstream'", "upstream = []", nil, false, "/home/config.toml:2: agent.upstream: agent.add is"},
		{"add = 'both'", "", nil, false, `/etc/config.toml:2: agent.add: "both" is neither`},
		{"upstream = ['/a', '~b']", "", nil, false, `/etc/config.toml:2: agent.upstream: "~b"`},
		{"upstream = ['/a', '/a']", "", nil, false, `"/a" stands there twice`},
	} {
		c := &Config{}
		err := c.add(filepath.FromSlash("/etc/config.toml"), []byte("[agent]\n"+tt.system))
		if err == nil {
			err = c.add(filepath.FromSlash("/home/config.toml"), []byte("[agent]\n"+tt.user))
		}
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%q, %q: %v, want %q", tt.system, tt.user, err, tt.err)
			}
			continue
		}
		if err != nil || !slices.Equal(paths(c), tt.want) || c.AddUpstream != tt.add {
			t.Errorf("%q, %q: %q, %t, %v", tt.system, tt.user, paths(c), c.AddUpstream, err)
		}
	}
}
