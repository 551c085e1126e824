package knownhosts

import (
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// A Host is what is known of whoever has a host key.
type Host struct {
	Names   []string // that are proven
	Wild    []string // patterns of entries: it has names that fit, which is all that is known
	Open    bool     // it may have a name that is not among Names
	Revoked bool     // the key, or the authority of its certificate; then the rest is empty
}

// Candidates are names that hashed entries, and such with wildcards, are tried
// with.
type Candidates struct {
	Typed  []string // by which the client was told to connect: if one is proven, no other matters
	Others []string
}

// maxTries bounds the work for one key: a hash each.
const maxTries = 1 << 16

// Lookup returns what the files prove of a host key, which may be a certificate.
func (h *Hosts) Lookup(key ssh.PublicKey, now time.Time, candidates Candidates) Host {
	l := lookup{candidates: candidates}
	cert, _ := key.(*ssh.Certificate)
	if cert != nil {
		// ssh falls back to the plain key, and binds with the certificate all
		// the same (OpenSSH, check_host_key).
		key = cert.Key
		for _, e := range h.byKey[string(cert.SignatureKey.Marshal())] {
			switch e.mark {
			case revoked:
				return Host{Revoked: true}
			case authority:
				l.certificate(e, cert, now)
			}
		}
	}
	for _, e := range h.byKey[string(key.Marshal())] {
		switch e.mark {
		case revoked:
			return Host{Revoked: true}
		case "":
			l.entry(e)
		}
	}
	return l.result()
}

type lookup struct {
	candidates Candidates
	host       Host
	typed      bool // one of them is proven
	tries      int
}

// entry adds what an entry for the key itself proves.
func (l *lookup) entry(e *entry) {
	if e.sum == nil {
		for _, item := range strings.Split(e.hosts, ",") {
			switch {
			case item == "" || item[0] == '!':
			case strings.ContainsAny(item, "*?"):
				l.host.Wild = append(l.host.Wild, item)
				l.host.Open = true
			case e.is(item): // an exception may take it away
				l.prove(item)
			}
		}
		l.try(e, nil)
		return
	}
	before := e.found.Load()
	if before != nil {
		l.prove(*before)
	}
	if name := l.try(e, nil); before == nil && name != "" {
		e.found.Store(&name)
	} else if before == nil {
		l.host.Open = true
	}
}

// certificate adds what an authority's entry proves of a certificate that it
// signed, whose signature was verified before.
func (l *lookup) certificate(e *entry, cert *ssh.Certificate, now time.Time) {
	at := uint64(max(now.Unix(), 0)) // #nosec G115
	if cert.CertType != ssh.HostCert || len(cert.CriticalOptions) > 0 || at < cert.ValidAfter || at >= cert.ValidBefore {
		return
	}
	for _, principal := range cert.ValidPrincipals {
		principal = strings.ToLower(principal)
		if strings.ContainsAny(principal, "*?") {
			l.host.Open = true
		} else if e.is(principal) {
			l.prove(principal)
		}
	}
	// The entry may be for one port, or the principal have wildcards, of which
	// only what the client was told knows more.
	l.try(e, func(name string) bool {
		host, _ := split(name)
		return slices.ContainsFunc(cert.ValidPrincipals, func(principal string) bool { return glob(strings.ToLower(principal), host, false) })
	})
}

// try proves the candidates that fit an entry, and returns the first.
func (l *lookup) try(e *entry, also func(string) bool) (first string) {
	for i, name := range slices.Concat(l.candidates.Typed, l.candidates.Others) {
		if l.tries++; l.tries > maxTries {
			break
		}
		if !e.fits(name) || also != nil && !also(name) {
			continue
		}
		l.prove(name)
		if i < len(l.candidates.Typed) {
			l.typed = true
		}
		if first == "" {
			first = name
		}
	}
	return first
}

func (l *lookup) prove(name string) {
	if !slices.Contains(l.host.Names, name) {
		l.host.Names = append(l.host.Names, name)
	}
}

func (l *lookup) result() Host {
	switch {
	case l.typed:
		l.host.Wild, l.host.Open = nil, false
	case len(l.host.Names) == 0:
		l.host.Open = true
	}
	return l.host
}

// A Match tells whether patterns select a host.
type Match int

// No: it has names, of which none is selected. Maybe: not all its names are
// known. Yes: a proven name is selected.
const (
	No Match = iota
	Maybe
	Yes
)

// Match tells whether the patterns select a host. An exception that one of its
// names fits outweighs all.
func (p Patterns) Match(h Host) Match {
	if h.Revoked {
		return No
	}
	found := false
	for _, name := range h.Names {
		fits := func(q pattern) bool { return q.matches(name) }
		if slices.ContainsFunc(p.excepted, fits) {
			return No
		}
		found = found || slices.ContainsFunc(p.selected, fits)
	}
	if len(p.excepted) == 0 {
		for _, wild := range h.Wild {
			found = found || slices.ContainsFunc(p.selected, func(q pattern) bool { return q.contains(wild) })
		}
	}
	switch {
	case found:
		return Yes
	case h.Open:
		return Maybe
	}
	return No
}

// A Key is an entry of the files for a host key.
type Key struct {
	File      string
	Line      int
	Blob      string // on the wire
	Authority bool   // it certifies the keys of hosts
	Revoked   bool
}

// Keys returns the entries that ssh would find for a name.
func (h *Hosts) Keys(name string) []Key {
	var keys []Key
	for _, e := range h.entries {
		if e.fits(name) {
			keys = append(keys, Key{e.file, e.line, e.key, e.mark == authority, e.mark == revoked})
		}
	}
	return keys
}
