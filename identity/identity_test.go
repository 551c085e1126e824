package identity

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, c := range []struct {
		uri, cert, key string
	}{
		{"file:id.pem", in("id.pem"), in("id.pem")},
		{"FILE:id.pem", in("id.pem"), in("id.pem")},
		{"file:./id.pem", in("id.pem"), in("id.pem")},
		{"file:sub/id.pem", in("sub/id.pem"), in("sub/id.pem")},
		{"file:../id.pem", filepath.Join(filepath.Dir(dir), "id.pem"), filepath.Join(filepath.Dir(dir), "id.pem")},
		{"file:/etc/id.pem", "/etc/id.pem", "/etc/id.pem"},
		{"file:///etc/id.pem", "/etc/id.pem", "/etc/id.pem"},
		{"file://localhost/etc/id.pem", "/etc/id.pem", "/etc/id.pem"},
		{"file:id.crt?key=id.key", in("id.crt"), in("id.key")},
		{"file:/a/id.crt?key=/b/id.key", "/a/id.crt", "/b/id.key"},
		{"file:/a/id.crt?key=id.key", "/a/id.crt", in("id.key")},
		{"file:my%20id.pem?key=my%20id.key", in("my id.pem"), in("my id.key")},
		{"file:a+b.pem?key=a+b.key", in("a+b.pem"), in("a+b.key")},
		{"file:a%23b.pem", in("a#b.pem"), in("a#b.pem")},
		{"file:a%3Fb.pem", in("a?b.pem"), in("a?b.pem")},
		{"file:/a%20b/c%25.pem", "/a b/c%.pem", "/a b/c%.pem"},
	} {
		f, err := Open(c.uri, Options{Dir: dir})
		if err != nil {
			t.Errorf("%s: %v", c.uri, err)
			continue
		}
		if f.CertFile != c.cert || f.KeyFile != c.key || f.ChainFile != "" {
			t.Errorf("%s: got %+v, want %s and %s", c.uri, f, c.cert, c.key)
		}
		if f.NeedsPerson() {
			t.Errorf("%s: a file asks for a person", c.uri)
		}
	}
	f, err := Open("file:id.pem", Options{Dir: dir, Chain: "chain.pem"})
	if err != nil || f.ChainFile != in("chain.pem") {
		t.Errorf("chain option: %+v, %v", f, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for uri, want := range map[string]string{
		"":                               "is no URI: write file:",
		"/home/alice/id.pem":             "write file:/home/alice/id.pem",
		"file:":                          "names no file",
		"file:?key=id.key":               "names no file",
		"file:~/id.pem":                  `nobody expands "~" in a URI`,
		"file://etc/id.pem":              `on host "etc" cannot be read`,
		"file:id.pem#leaf":               `written %23`,
		"file:id.pem?key=":               "the one parameter of a file: URI is ?key=FILE",
		"file:id.pem?key=a&key=b":        "the one parameter",
		"file:id.pem?pin=1234":           "the one parameter",
		"file:id%zz.pem":                 "invalid URL escape",
		"file:id.pem?key=%zz":            "invalid URL escape",
		"keyring:alice":                  `no identity of kind "keyring" in this build`,
		"pkcs11:token=x?pin-value=12345": `no identity of kind "pkcs11" in this build`,
	} {
		_, err := Open(uri, Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", uri, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "12345") {
			t.Errorf("%q: the PIN is in the error: %v", uri, err)
		}
	}
}

// What URI gives opens the same files: sshmint init writes it down.
func TestURIOpensTheSame(t *testing.T) {
	for _, f := range []File{
		{CertFile: "/a/id.pem", KeyFile: "/a/id.pem"},
		{CertFile: "/My Files/a+b%.pem", KeyFile: "/My Files/k+e&y=%20#;?.key"},
		{CertFile: "/ä/~/id?.pem", KeyFile: "/ä/~"},
	} {
		got, err := Open(f.URI(), Options{})
		if err != nil || *got != f {
			t.Errorf("%s: got %+v, %v, want %+v", f.URI(), got, err, f)
		}
	}
}
