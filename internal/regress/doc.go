// Package regress has no code. Its tests run what others wrote to test
// ssh-agent, with sshmint in its place: OpenSSH's own regression tests, as Debian
// packages them (openssh-tests), and those of golang.org/x/crypto.
package regress
