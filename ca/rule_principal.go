package ca

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxPrincipal = 255
	maxPerson    = 128 // leaves room for the rest of a key id of 250 bytes
)

// checkPrincipal refuses what no principal may be, wherever it comes from: what
// ssh-keygen and sshd would read as a list, a comment or options, and what
// people cannot see.
func checkPrincipal(s string) error {
	switch {
	case s == "":
		return errors.New("it is empty")
	case len(s) > maxPrincipal:
		return fmt.Errorf("it has more than %d bytes", maxPrincipal)
	case !utf8.ValidString(s):
		return errors.New("it is not UTF-8")
	case s[0] == '#':
		return errors.New(`it begins with "#", a comment in sshd's files`)
	}
	for _, r := range s {
		switch {
		case strings.ContainsRune(`,"'\`+"`", r):
			return fmt.Errorf("it holds %q", r)
		case unicode.IsSpace(r):
			return errors.New("it holds a blank")
		case !unicode.IsPrint(r):
			return errors.New("it holds a character that cannot be seen")
		}
	}
	return nil
}

// systemAccounts are those of Debian, Red Hat, the BSDs, macOS and Windows, of
// common daemons, and the first users of cloud images, who often may use sudo
// without a password. No computed principal may name one. "admin" is not among
// them, though Debian's images call that user so: it is what most call a role.
var systemAccounts = strings.Fields(`
	root toor administrator system
	daemon bin sys sync games man lp mail news uucp proxy www-data backup list irc gnats nobody nogroup
	adm shutdown halt operator ftp wheel staff
	sshd messagebus dbus polkitd chrony ntp tss rpc rpcuser systemd-* _*
	postgres mysql mariadb mongodb redis postfix apache nginx http named bind git jenkins gitlab docker
	ansible vagrant ubuntu debian centos fedora rocky almalinux opensuse ec2-user cloud-user core opc pi
	azureuser alpine arch bitnami cirros freebsd kali
`)

// reserved are account names, some with a "*" at the end for any ending.
// Letters are compared without case, for systems that do.
type reserved []string

func newReserved(more []string) (reserved, error) {
	r := reserved(systemAccounts)
	for _, s := range more {
		if s == "" || strings.Contains(strings.TrimSuffix(s, "*"), "*") {
			return nil, fmt.Errorf(`%q is no account name, with or without one "*" at its end`, s)
		}
		r = append(r[:len(r):len(r)], strings.ToLower(s))
	}
	return r, nil
}

func (r reserved) has(name string) bool {
	name = strings.ToLower(name)
	for _, s := range r {
		if prefix, open := strings.CutSuffix(s, "*"); s == name || open && strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// escapePerson makes a name fit for a key id: sshd logs it, "x509=" follows it
// after a blank, and no common name may look as if that were part of it.
func escapePerson(s string) (string, error) {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`%"'\`, c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	switch {
	case s == "":
		return "", errors.New("the person is empty")
	case b.Len() > maxPerson:
		return "", fmt.Errorf("the person's name takes %d bytes in a key id, more than %d", b.Len(), maxPerson)
	}
	return b.String(), nil
}
