package agent

import (
	"fmt"
	"strings"
)

// A Use is what a signature would be good for.
type Use int

const (
	UseData   Use = iota // data that the agent does not look into
	UseLogin             // a login (RFC 4252 section 7)
	UseSSHSIG            // a signature of ssh-keygen -Y sign
)

// A Question is what a person is asked to confirm. Its fields may come from
// others; String shows them in a form that is fit for a dialog.
type Question struct {
	Profile     string // whose certificate is to sign; "" for an added key
	Comment     string // of the key
	Fingerprint string // of the key
	Use         Use
	User        string    // of a login
	Host        string    // of a login: name or fingerprint of the server; "" if the client does not prove it
	Namespace   string    // of an SSHSIG
	Forwarded   bool      // somebody on another host may be asking
	Callers     []Process // the client, its parent and so on, as far as known
}

// A Process is one of those that lead to a request. Its name is its own choice.
type Process struct {
	PID     int
	Name    string
	started uint64 // in units of the system
}

// use is the part of a question that a yes is about.
type use struct {
	use                   Use
	user, host, namespace string
	forwarded             bool
}

func (q *Question) use() use {
	return use{q.Use, q.User, q.Host, q.Namespace, q.Forwarded}
}

// subject names the key to the memory of denials.
func (q *Question) subject() string {
	if q.Profile != "" {
		return "profile " + q.Profile
	}
	return q.Fingerprint
}

// String is the question as a person reads it, in a few lines of printable text.
func (q Question) String() string {
	var b strings.Builder
	switch q.Use {
	case UseLogin:
		b.WriteString(`Log in as "` + show(q.User, maxShown) + `"`)
		if q.Host != "" {
			b.WriteString(" on " + show(q.Host, maxShown))
		} else {
			b.WriteString(" on a server that the client does not name")
		}
	case UseSSHSIG:
		b.WriteString(`Sign data in the namespace "` + show(q.Namespace, maxShown) + `"`)
	default:
		b.WriteString("Sign data that the agent cannot read")
	}
	if q.Profile != "" {
		b.WriteString(" with the certificate of profile " + show(q.Profile, maxShown))
	} else {
		b.WriteString(" with the key " + show(q.Comment, maxShown))
	}
	b.WriteString("?\n")
	if q.Profile == "" {
		b.WriteString("Key: " + show(q.Fingerprint, maxShown) + "\n")
	}
	if q.Forwarded {
		b.WriteString("The connection is forwarded: somebody on another host may be asking.\n")
	}
	b.WriteString("Asked by: " + describeCallers(q.Callers))
	return b.String()
}

func describeCallers(callers []Process) string {
	if len(callers) == 0 {
		return "a process that the system does not name"
	}
	names := make([]string, min(len(callers), maxCallers))
	for i, p := range callers[:len(names)] {
		names[i] = fmt.Sprintf("%s (%d)", show(p.Name, 32), p.PID)
	}
	return strings.Join(names, ", started by ")
}

// maxShown bounds a name in a question, in bytes.
const maxShown = 80

// show makes a name fit for all dialogs: some take < and & for markup, or \n
// for the end of a line, and what others chose could pass for our own words.
func show(name string, limit int) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("<>&\\\"", r) {
			return '?'
		}
		return r
	}, printable(name, limit))
}
