//go:build unix

package main

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

const sshAgentUsage = `usage: ssh-agent [-c | -s] [-DdTU] [-a bind_address] [-E fingerprint_hash]
                 [-O option] [-P allowed_providers] [-t life]
       ssh-agent [-TU] [-a bind_address] [-E fingerprint_hash] [-O option]
                 [-P allowed_providers] [-t life] command [arg ...]
       ssh-agent [-c | -s] -k
`

// sshAgentOptions are what ssh-agent's command line asks for, without what has
// no meaning here: -E (fingerprints are SHA256), -P and -O (no PKCS#11 module
// and no security key middleware is ever loaded over the agent protocol, so
// there is nothing to allow), -T (the socket is always in $TMPDIR), -U (there is
// nothing stale to keep).
type sshAgentOptions struct {
	csh, kill  bool
	foreground bool // -D or -d
	debug      bool // -d
	socket     string
	life       time.Duration
	command    []string
}

// sshAgentError is what ssh-agent prints before it exits.
type sshAgentError struct {
	text   string
	usage  bool
	status int
}

func (e *sshAgentError) Error() string { return e.text }

// Statuses of ssh-agent: wrong usage and what goes wrong, an option's value that
// it does not know (fatal in OpenSSH), a signal.
const (
	sshAgentFailed   = 1
	sshAgentFatal    = 255
	sshAgentSignaled = 2
)

func sshAgentMisused(text string) error {
	return &sshAgentError{text, true, sshAgentFailed}
}

// parseSSHAgent reads ssh-agent's command line as its getopt does: letters may
// be joined, and the first argument that is no option begins the command.
func parseSSHAgent(args []string) (*sshAgentOptions, error) {
	given := map[byte]int{}
	o := &sshAgentOptions{}
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' {
		letters := args[0][1:]
		args = args[1:]
		if letters == "-" {
			break
		}
		for ; letters != ""; letters = letters[1:] {
			letter := letters[0]
			switch {
			case strings.IndexByte("cDdksTU", letter) >= 0:
				given[letter]++
				continue
			case strings.IndexByte("aEOPt", letter) < 0:
				return nil, sshAgentMisused(fmt.Sprintf("unknown option -- %c", letter))
			}
			value := letters[1:]
			if value == "" {
				if len(args) == 0 {
					return nil, sshAgentMisused(fmt.Sprintf("option requires an argument -- %c", letter))
				}
				value, args = args[0], args[1:]
			}
			given[letter]++
			if err := o.set(letter, value, given); err != nil {
				return nil, err
			}
			break
		}
	}
	o.command = args
	o.kill, o.debug, o.foreground = given['k'] > 0, given['d'] > 0, given['d']+given['D'] > 0
	return o, o.check(given)
}

func (o *sshAgentOptions) set(letter byte, value string, given map[byte]int) error {
	switch letter {
	case 'a':
		o.socket = value
	case 't':
		life, ok := sshTime(value)
		if !ok {
			return sshAgentMisused("Invalid lifetime")
		}
		o.life = life
	case 'E':
		if !slices.Contains([]string{"md5", "sha1", "sha256", "sha384", "sha512"}, strings.ToLower(value)) {
			return &sshAgentError{fmt.Sprintf("Invalid hash algorithm %q", value), false, sshAgentFatal}
		}
	case 'P':
		if given['P'] > 1 {
			return &sshAgentError{"-P option already specified", false, sshAgentFatal}
		}
	case 'O':
		return o.option(value, given)
	}
	return nil
}

// option knows the values of -O. All of them widen what may be done with
// security keys and modules, of which there are none.
func (o *sshAgentOptions) option(value string, given map[byte]int) error {
	switch {
	case value == "no-restrict-websafe" || value == "allow-remote-pkcs11":
		return nil
	case strings.HasPrefix(value, "websafe-allow="):
		const websafe = 'w' // no option of its own
		if given[websafe]++; given[websafe] > 1 {
			return &sshAgentError{"websafe-allow already set", false, sshAgentFatal}
		}
		return nil
	}
	return &sshAgentError{"Unknown -O option", false, sshAgentFatal}
}

func (o *sshAgentOptions) check(given map[byte]int) error {
	switch {
	case given['c'] > 0 && given['s'] > 0, given['d']+given['D'] > 1:
		return &sshAgentError{"", true, sshAgentFailed}
	case len(o.command) > 0 && given['c']+given['s']+given['k']+given['d']+given['D'] > 0:
		return &sshAgentError{"", true, sshAgentFailed}
	}
	o.csh = given['c'] > 0
	if given['c']+given['s'] == 0 && len(o.command) == 0 {
		o.csh = strings.HasSuffix(os.Getenv("SHELL"), "csh")
	}
	return nil
}

// sshTime reads a time as sshd_config(5) has it: seconds, or numbers with s, m,
// h, d and w, which add up. More than 2^31 - 1 seconds are refused.
func sshTime(s string) (time.Duration, bool) {
	units := map[byte]int64{'s': 1, 'm': 60, 'h': 3600, 'd': 86400, 'w': 604800}
	if s == "" {
		return 0, false
	}
	var seconds int64
	for s != "" {
		digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
		number, err := strconv.ParseInt(s[:digits], 10, 32)
		if err != nil {
			return 0, false
		}
		unit := int64(1)
		if s = s[digits:]; s != "" {
			unit, s = units[s[0]|0x20], s[1:]
		}
		if seconds += number * unit; unit == 0 || seconds > math.MaxInt32 {
			return 0, false
		}
	}
	return time.Duration(seconds) * time.Second, true
}
