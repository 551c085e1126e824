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
	case !strings.EqualFold(scheme, "file"):
		return nil, fmt.Errorf("identity %q: there is no identity of kind %q in this build, only file", redact(uri), scheme)
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
	if strings.HasPrefix(cert, "~/") {
		return nil, fmt.Errorf(`identity %q: nobody expands "~" in a URI: write the path of the home folder, as in file:$HOME/... on a command line`, uri)
	}
	f := &File{CertFile: abs(o.Dir, local(cert)), ChainFile: abs(o.Dir, o.Chain)}
	// A "+" is a "+" (RFC 3986); only HTML forms make a blank of it.
	query, err := url.ParseQuery(strings.ReplaceAll(u.RawQuery, "+", "%2B"))
	if err != nil {
		return nil, fmt.Errorf("identity %q: %w", uri, err)
	}
	for name, values := range query {
		if name != "key" || len(values) != 1 || values[0] == "" {
			return nil, fmt.Errorf("identity %q: the one parameter of a file: URI is ?key=FILE", uri)
		}
		f.KeyFile = abs(o.Dir, local(values[0]))
	}
	if f.KeyFile == "" {
		f.KeyFile = f.CertFile
	}
	return f, nil
}

// local takes the slash off that a URI has before a drive letter
// (file:///C:/id.pem, RFC 8089 appendix E.2).
func local(path string) string {
	if bare, ok := strings.CutPrefix(path, "/"); ok && filepath.VolumeName(bare) != "" {
		return bare
	}
	return path
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

// URI names the files by absolute paths where it was opened with such.
func (f *File) URI() string {
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(f.CertFile)}
	s := "file:" + u.EscapedPath()
	if f.KeyFile != f.CertFile {
		key := url.QueryEscape(filepath.ToSlash(f.KeyFile))
		s += "?key=" + strings.NewReplacer("+", "%20", "%2F", "/").Replace(key) // Open takes "+" as it is
	}
	return s
}
