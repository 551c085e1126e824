package knownhosts

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Name is the name under which the files have a host; port 0 means 22.
func Name(host string, port int) string {
	host = strings.ToLower(host)
	if port == 0 || port == 22 {
		return host
	}
	return "[" + host + "]:" + strconv.Itoa(port)
}

// split takes a name, or a pattern, apart. The port is that of ssh where there
// is none.
func split(name string) (host, port string) {
	if rest, ok := strings.CutPrefix(name, "["); ok {
		if i := strings.LastIndex(rest, "]:"); i >= 0 {
			return rest[:i], rest[i+2:]
		}
	}
	return name, "22"
}

// Patterns select hosts as ssh_config's Host does: * and ? stand for characters,
// and a host that fits a pattern with ! in front is not selected by the others.
// A pattern selects a host on any port, "[pattern]:port" on that one alone.
type Patterns struct {
	selected, excepted []pattern
}

type pattern struct {
	host, port string // port "": any
}

// ParsePatterns reads patterns. Without any, nothing is selected.
func ParsePatterns(list []string) (Patterns, error) {
	var p Patterns
	for _, text := range list {
		pattern, negated, err := parsePattern(text)
		switch {
		case err != nil:
			return Patterns{}, fmt.Errorf("%q is no pattern for hosts: %w", text, err)
		case negated:
			p.excepted = append(p.excepted, pattern)
		default:
			p.selected = append(p.selected, pattern)
		}
	}
	if len(p.selected) == 0 && len(p.excepted) > 0 {
		return Patterns{}, errors.New(`patterns with "!" alone select nothing: add what they are exceptions from, such as "*"`)
	}
	return p, nil
}

func parsePattern(text string) (p pattern, negated bool, err error) {
	rest, negated := strings.CutPrefix(strings.ToLower(text), "!")
	p = pattern{host: rest}
	if strings.HasPrefix(rest, "[") {
		p.host, p.port = split(rest)
		if n, err := strconv.ParseUint(p.port, 10, 16); err != nil || n == 0 || p.host == rest {
			return p, negated, errors.New("with a port it is written [host]:port")
		}
		p.port = strings.TrimLeft(p.port, "0")
	}
	switch {
	case p.host == "":
		err = errors.New("it is empty")
	case strings.ContainsAny(p.host, ",@/[]!|") || strings.ContainsFunc(p.host, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }):
		err = errors.New("it is one host name or address, in which * and ? stand for characters")
	case strings.Count(p.host, ":") == 1:
		err = errors.New("with a port it is written [host]:port")
	}
	return p, negated, err
}

// None reports whether there are no patterns.
func (p Patterns) None() bool { return len(p.selected) == 0 }

// Literals are the names that are written out, exceptions included.
func (p Patterns) Literals() []string {
	var names []string
	for _, q := range slices.Concat(p.selected, p.excepted) {
		if strings.ContainsAny(q.host, "*?") {
			continue
		}
		port, _ := strconv.Atoi(q.port) // parsed before; "" is any
		names = append(names, Name(q.host, port))
	}
	return names
}

func (q pattern) matches(name string) bool {
	host, port := split(name)
	return (q.port == "" || q.port == port) && glob(q.host, host, false)
}

// contains tells whether every name that fits the other pattern fits this one.
// Where it cannot tell it says no.
func (q pattern) contains(other string) bool {
	host, port := split(other)
	return (q.port == "" || q.port == port) && glob(q.host, host, true)
}

// matchList is OpenSSH's match_hostname.
func matchList(name string, list []string) bool {
	found := false
	for _, text := range list {
		text, negated := strings.CutPrefix(text, "!")
		if glob(text, name, false) {
			if negated {
				return false
			}
			found = true
		}
	}
	return found
}

// glob matches s with a pattern in which * stands for any characters and ? for
// one. If s is itself a pattern, its * is not one character.
func glob(pattern, s string, isPattern bool) bool {
	star, retry := -1, 0 // the last * in pattern, and what it takes of s
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, retry = p, i
			p++
		case p < len(pattern) && (pattern[p] == s[i] || pattern[p] == '?' && (!isPattern || s[i] != '*')):
			p++
			i++
		case star >= 0:
			retry++
			p, i = star+1, retry
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// WithPort returns the name with the port of another, if it has none itself.
func WithPort(name, other string) string {
	host, port := split(name)
	_, otherPort := split(other)
	if port != "22" || otherPort == "22" {
		return name
	}
	return "[" + host + "]:" + otherPort
}
