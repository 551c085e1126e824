package conffile

import (
	"strings"
	"testing"
	"time"
)

type sample struct {
	Socket  string `toml:"socket"`
	Profile map[string]struct {
		Identity string   `toml:"identity"`
		Validity Duration `toml:"validity"`
	} `toml:"profile"`
}

func TestErrorsNamePlaceAndKey(t *testing.T) {
	known := map[string]string{"profile.*.hosts": "this build does not route by host"}
	for text, want := range map[string]string{
		"socket = 'x'\nsokcet = 'y'\n":             "f.toml:2: sokcet: there is no such key",
		"[profile.a]\nidentiy = 'x'\n":             "f.toml:2: profile.a.identiy: there is no such key",
		"[profile.a]\nhosts = ['*']\n":             "f.toml:2: profile.a.hosts: this build does not route by host",
		"[profile.a.hosts]\nx = 1\n":               "this build does not route by host",
		"[profile.a]\nidentity = 3\n":              "f.toml:2: profile.a.identity: ",
		"[profile.a]\nvalidity = '8 hours'\n":      `"8 hours" is no duration such as "8h"`,
		"[profile.a]\nvalidity = '-8h'\n":          `"-8h" is negative`,
		"[profile.a\n":                             "f.toml:1: ",
		"socket = 'x'\n\nsocket = 'y'\n":           "f.toml:3: ",
		"[profile.a]\n\n\nvalidity = 'x'\n":        "f.toml:4: profile.a.validity: ",
		"[profile.a]\nx = 1\n[profile.b]\ny = 2\n": "f.toml:4: profile.b.y: there is no such key",
	} {
		var s sample
		err := Decode("f.toml", []byte(text), &s, known)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

// One that differs in case alone could otherwise take the place of another.
func TestCaseCounts(t *testing.T) {
	type rule struct {
		Match string `toml:"match"`
	}
	type file struct {
		Socket  string `toml:"socket"`
		Rule    []rule `toml:"rule"`
		Profile map[string]struct {
			Identity string `toml:"identity"`
		} `toml:"profile"`
	}
	for text, want := range map[string]string{
		"Socket = 'x'\n": "f.toml:1: Socket: there is no such key; case counts: socket",
		"[[rule]]\nmatch = 'a'\n[[rule]]\nMATCH = 'b'\n": "f.toml:4: rule.1.MATCH: there is no such key; case counts: match",
		"[[rule]]\nmatch = 'a'\n[[Rule]]\nmatch = 'b'\n": "case counts: rule",
		"[profile.a]\nIdentity = 'x'\n":                  "f.toml:2: profile.a.Identity: ",
		"[profile.A]\nidentity = 'x'\n":                  "",
		"rule = [{match = 'a'}, {Match = 'b'}]\n":        "f.toml:1: rule.1.Match: ",
	} {
		var f file
		err := Decode("f.toml", []byte(text), &f, nil)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func TestDecode(t *testing.T) {
	var s sample
	if err := Decode("f", []byte("[profile.a]\nvalidity = '90m'\n"), &s, nil); err != nil {
		t.Fatal(err)
	}
	if got := time.Duration(s.Profile["a"].Validity); got != 90*time.Minute {
		t.Errorf("validity %v", got)
	}
}

func TestErrorfFindsTheLine(t *testing.T) {
	text := []byte("socket = 'x'\n\n[profile.a]\nidentity = 'y'\nca.type = 'z'\n[profile.a.more]\nk = 1\n[[rule]]\nname = 'a'\n[[rule]]\n\nname = 'b'\n")
	for key, want := range map[string]int{
		"socket": 1, "profile.a": 3, "profile.a.identity": 4, "profile.a.ca.type": 5, "profile.a.ca": 5, "profile.a.more.k": 7,
		"profile.a.absent": 3, "rule.0.name": 9, "rule.1": 10, "rule.1.name": 12, "rule.1.absent": 10, "nowhere": 0,
	} {
		err := Errorf("f", text, key, "is %s", "wrong").(*Error) //nolint:errorlint // its own type
		if err.Line != want || err.Text != "is wrong" {
			t.Errorf("%s: %v, want line %d", key, err, want)
		}
	}
}
