package agent

import (
	"strconv"
	"strings"

	"github.com/sshmint/sshmint/internal/knownhosts"
)

// maxTyped bounds the names that a command line gives.
const maxTyped = 16

// typed returns the names by which the client was told to connect, as known_hosts
// would have them. Whoever runs the client chooses them: they count only where
// known_hosts bears them out.
func (s *session) typed() []string {
	argv, err := commandLine(s.peer.pid)
	if err != nil {
		s.agent.log().Debug("reading the client's command line", "pid", s.peer.pid, "err", err)
		return nil
	}
	return destinations(argv)
}

// withArgument are ssh's options that take an argument (OpenSSH 10.5, ssh.c).
const withArgument = "bceilmopBDEFIJLOPQRSWw"

// destinations reads ssh's command line as ssh does: options stand before and
// after the destination, and what follows is the command. What ssh_config makes
// of it does not show.
func destinations(argv []string) []string {
	var host, hostName, alias, port string
	set := func(option, value string) {
		switch option {
		case "p", "port":
			port = first(port, value)
		case "hostname":
			hostName = first(hostName, value)
		case "hostkeyalias":
			alias = first(alias, value)
		}
	}
	args := argv[min(1, len(argv)):]
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if arg == "--" {
			if host == "" && len(args) > 0 {
				host = args[0]
			}
			break
		}
		if len(arg) < 2 || arg[0] != '-' {
			if host != "" {
				break // the command
			}
			host = arg
			continue
		}
		for i := 1; i < len(arg); i++ {
			if !strings.Contains(withArgument, arg[i:i+1]) {
				continue
			}
			value := arg[i+1:]
			if value == "" && len(args) > 0 {
				value, args = args[0], args[1:]
			}
			if arg[i] == 'o' {
				set(keyword(value))
			} else {
				set(arg[i:i+1], value)
			}
			break
		}
	}
	return namesOf(host, hostName, alias, port)
}

func first(a, b string) string {
	if a != "" {
		return a // ssh goes by the first
	}
	return b
}

// keyword splits "Keyword=value" and "Keyword value".
func keyword(option string) (name, value string) {
	option = strings.TrimSpace(option)
	i := strings.IndexAny(option, "= \t")
	if i < 0 {
		return "", ""
	}
	return strings.ToLower(option[:i]), strings.Trim(option[i:], "= \t\"")
}

func namesOf(host, hostName, alias, port string) []string {
	if uri, ok := strings.CutPrefix(host, "ssh://"); ok {
		host = strings.TrimSuffix(uri, "/")
		if i := strings.LastIndexByte(host, '@'); i >= 0 {
			host = host[i+1:]
		}
		if h, p, ok := strings.Cut(host, "]:"); ok && strings.HasPrefix(h, "[") {
			host, port = h[1:], first(port, p)
		} else if h, p, ok := strings.Cut(host, ":"); ok && !strings.HasPrefix(host, "[") {
			host, port = h, first(port, p)
		}
		host = strings.Trim(host, "[]")
	} else if i := strings.LastIndexByte(host, '@'); i >= 0 {
		host = host[i+1:]
	}
	number, err := strconv.ParseUint(first(port, "22"), 10, 16)
	if err != nil {
		number = 22
	}
	var names []string
	for _, name := range []string{strings.ReplaceAll(hostName, "%h", host), host} {
		if name != "" {
			names = append(names, knownhosts.Name(name, int(number)))
		}
	}
	if alias != "" { // has no port (OpenSSH, get_hostfile_hostname_ipaddr)
		names = append(names, strings.ToLower(alias))
	}
	return names[:min(len(names), maxTyped)]
}
