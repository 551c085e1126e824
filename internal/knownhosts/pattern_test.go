package knownhosts

import (
	"slices"
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	known := func(names ...string) Host { return Host{Names: names} }
	for _, tt := range []struct {
		patterns string // separated by blanks
		host     Host
		want     Match
	}{
		{"db7", known("db7"), Yes},
		{"DB7", known("db7"), Yes},
		{"db7", known("db71"), No},
		{"db7", known("[db7]:2222"), Yes}, // on any port
		{"[db7]:2222", known("[db7]:2222"), Yes},
		{"[db7]:2222", known("[db7]:2223"), No},
		{"[db7]:2222", known("db7"), No},
		{"[db7]:22", known("db7"), Yes},
		{"[*.corp]:2222", known("[db7.corp]:2222"), Yes},
		{"*.corp", known("db7.corp"), Yes},
		{"*.corp", known("corp"), No},
		{"db?", known("db7"), Yes},
		{"db?", known("db"), No},
		{"db?", known("db77"), No},
		{"*", known("db7"), Yes},
		{"a*b*c", known("axxbyybzzc"), Yes},
		{"a*b*c", known("axxbyybzz"), No},
		{"2001:db8::*", known("2001:db8::7"), Yes},
		{"[2001:db8::7]:2222", known("[2001:db8::7]:2222"), Yes},
		{"db8 db7", known("db7"), Yes},
		{"db7", known("10.0.0.7", "db7"), Yes},
		{"* !db7", known("db8"), Yes},
		{"* !db7", known("db7"), No},
		{"!db7 *", known("db7"), No},
		{"* !db7", known("db8", "db7"), No},
		{"* ![db7]:2222", known("db7"), Yes},
		{"* ![db7]:2222", known("[db7]:2222"), No},
		{"db7", Host{Open: true}, Maybe},
		{"*", Host{Open: true}, Maybe}, // no name is proven
		{"db7", Host{Names: []string{"db8"}, Open: true}, Maybe},
		{"* !db8", Host{Names: []string{"db8"}, Open: true}, No},
		{"*", Host{Revoked: true}, No},
		{"*.corp", Host{Wild: []string{"*.corp"}, Open: true}, Yes},
		{"*.corp", Host{Wild: []string{"db*.corp"}, Open: true}, Yes},
		{"*.corp", Host{Wild: []string{"[*.corp]:2222"}, Open: true}, Yes},
		{"db*.corp", Host{Wild: []string{"*.corp"}, Open: true}, Maybe},
		{"db?.corp", Host{Wild: []string{"db*.corp"}, Open: true}, Maybe},
		{"db?.corp", Host{Wild: []string{"db?.corp"}, Open: true}, Yes},
		{"*.corp !secret.corp", Host{Wild: []string{"*.corp"}, Open: true}, Maybe},
	} {
		p, err := ParsePatterns(strings.Fields(tt.patterns))
		if err != nil {
			t.Errorf("%s: %v", tt.patterns, err)
		} else if got := p.Match(tt.host); got != tt.want {
			t.Errorf("%s, %+v: %d, want %d", tt.patterns, tt.host, got, tt.want)
		}
	}
}

func TestParsePatterns(t *testing.T) {
	for text, want := range map[string]string{
		"":              "empty",
		"!":             "empty",
		"!db7":          "alone select nothing",
		"db7,db8":       "one host name",
		"db7 db8":       "one host name",
		"alice@db7":     "one host name",
		"ssh://db7":     "one host name",
		"!!db7":         "one host name",
		"db7:2222":      "[host]:port",
		"[db7]":         "[host]:port",
		"[db7]:":        "[host]:port",
		"[db7]:0":       "[host]:port",
		"[db7]:65536":   "[host]:port",
		"[db7]:ssh":     "[host]:port",
		"[db7":          "[host]:port",
		"[]:22":         "empty",
		"|1|AAAA|AAAA":  "one host name",
		"db7\x1b[2J":    "one host name",
		"10.0.0.0/8":    "one host name",
		"[db7]:22:2222": "[host]:port",
	} {
		if _, err := ParsePatterns([]string{text}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	p, err := ParsePatterns([]string{"*.corp", "DB7", "!db8", "[db9]:2222", "![db?]:2222"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.Literals(), []string{"db7", "[db9]:2222", "db8"}; !slices.Equal(got, want) {
		t.Errorf("written out: %q, want %q", got, want)
	}
}
