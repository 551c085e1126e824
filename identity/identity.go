// Package identity opens X.509 identities that live on this computer: a
// certificate chain and the private key of its leaf.
//
// An identity is named by a URI. file: is read from disk each time that it is
// used, so a certificate that another program renews is picked up without a
// restart. What is read is checked before it is used, because here the reason
// can still be told in full: what is wrong with a chain, a key or a date is
// said by name, while a CA would only see a handshake that fails.
//
// A key is never kept longer than its user keeps it, never logged, and a key
// file that somebody else could have read is refused.
package identity

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
)

// Options are what a profile says about an identity beside its URI.
type Options struct {
	Dir   string // relative paths are relative to it; "" is the working folder
	Chain string // file with issuers that the identity itself does not hold, or ""
}

// Open gives the identity that a URI names. It reads nothing yet: what is
// missing now may be there when it is used.
//
//	file:CERT             one PEM file, or a chain in DER with ?key=
//	file:CERT?key=KEY     chain and key in two files
func Open(uri string, o Options) (*File, error) {
	scheme, _, ok := strings.Cut(uri, ":")
	switch {
	case !ok:
		return nil, fmt.Errorf("identity %q is no URI: write file:%s", uri, uri)
	case scheme != "file":
		return nil, fmt.Errorf("identity %q: there is no identity of kind %q in this build, only file:", redact(uri), scheme)
	}
	u, err := url.Parse(uri)
	if err != nil {
		return nil, fmt.Errorf("identity %q is no URI: %w", uri, err)
	}
	if u.Host != "" && u.Host != "localhost" {
		return nil, fmt.Errorf("identity %q: a file on host %q cannot be read; for a path write file:%s%s", uri, u.Host, u.Host, u.Path)
	}
	if u.Fragment != "" {
		return nil, fmt.Errorf(`identity %q: a "#" in a path is written %%23`, uri)
	}
	cert := u.Path
	if u.Opaque != "" {
		if cert, err = url.PathUnescape(u.Opaque); err != nil {
			return nil, fmt.Errorf("identity %q: %w", uri, err)
		}
	}
	if cert == "" {
		return nil, fmt.Errorf("identity %q names no file", uri)
	}
	f := &File{CertFile: abs(o.Dir, cert), ChainFile: abs(o.Dir, o.Chain)}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("identity %q: %w", uri, err)
	}
	for name, values := range query {
		if name != "key" || len(values) != 1 || values[0] == "" {
			return nil, fmt.Errorf("identity %q: the one parameter of a file: URI is ?key=FILE", uri)
		}
		f.KeyFile = abs(o.Dir, values[0])
	}
	if f.KeyFile == "" {
		f.KeyFile = f.CertFile
	}
	return f, nil
}

func abs(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// redact cuts what follows a "?": other schemes carry secrets there.
func redact(uri string) string {
	head, _, cut := strings.Cut(uri, "?")
	if cut {
		return head + "?..."
	}
	return head
}
