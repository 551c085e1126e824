package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"
)

// measureLogin runs pairs of `ssh host true`, one with either agent, both warm,
// in turns; the first of a pair is now the one and now the other.
func measureLogin(ctx context.Context, l *lab, p plan, r *report) error {
	config, sshd, err := l.startSSHD(ctx)
	if err != nil {
		return err
	}
	defer sshd.stop()
	agent, ours, err := l.agent(ctx, "login")
	if err != nil {
		return err
	}
	defer agent.stop()
	key, err := l.certifiedKey(ctx)
	if err != nil {
		return err
	}
	theirs, err := l.sshAgent(ctx, "login-ssh-agent", key)
	if err != nil {
		return err
	}
	sockets := [2]string{ours, theirs}
	times := [2][]float64{}
	end := time.Now().Add(p.loginTime)
	for n := -1; n < p.logins && (n < 1 || time.Now().Before(end)); n++ { // the first pair warms
		for i := range sockets {
			if n%2 != 0 {
				i = 1 - i
			}
			began := time.Now()
			if _, err := l.execute(ctx, "ssh", "-F", config, "-o", "IdentityAgent="+sockets[i], "bench", "true"); err != nil {
				return err
			}
			if n >= 0 {
				times[i] = append(times[i], float64(time.Since(began)))
			}
		}
	}
	r.logins(times[0], times[1], p.logins)
	return nil
}

// startSSHD serves this user with what sshmint-ca says that sshd needs, and
// gives a configuration for ssh.
func (l *lab) startSSHD(ctx context.Context) (string, *process, error) {
	me, err := user.Current()
	if err != nil {
		return "", nil, fmt.Errorf("asking who I am: %w", err)
	}
	program, err := find("sshd")
	if err != nil {
		return "", nil, err
	}
	pam := "no"
	if os.Geteuid() == 0 {
		// Without PAM sshd refuses an account whose password is locked, as
		// root's often is.
		if shadow, err := os.ReadFile("/etc/shadow"); err == nil && strings.Contains("\n"+string(shadow), "\n"+me.Username+":!") {
			pam = "yes"
		}
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // #nosec G301 -- as sshd demands
			return "", nil, err
		}
	}
	if _, err := l.execute(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", l.path("host_key")); err != nil {
		return "", nil, err
	}
	lines, err := l.execute(ctx, l.program("sshmint-ca"), "sshd-config", "--dir", l.path("ca"))
	if err != nil {
		return "", nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return "", nil, err
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", nil, err
	}
	public, err := os.ReadFile(l.path("host_key.pub"))
	if err != nil {
		return "", nil, err
	}
	for name, content := range map[string]string{
		filepath.Join("ca", "principals", me.Username): "alice\n",
		"sshd_config": fmt.Sprintf("%s\nListenAddress %s\nHostKey %s\nPidFile none\nStrictModes no\nUsePAM %s\nPermitRootLogin yes\n"+
			"AuthorizedKeysFile none\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n", lines, address, l.path("host_key"), pam),
		"known_hosts": fmt.Sprintf("[%s]:%s %s", host, port, public),
		"ssh_config": fmt.Sprintf("Host bench\n  HostName %s\n  Port %s\n  User %s\n  UserKnownHostsFile %s\n  GlobalKnownHostsFile none\n"+
			"  IdentityFile none\n  BatchMode yes\n  KexAlgorithms curve25519-sha256\n", host, port, me.Username, l.path("known_hosts")),
	} {
		if err := os.WriteFile(l.path(name), []byte(content), 0o600); err != nil {
			return "", nil, err
		}
	}
	p, err := l.start(ctx, "sshd", program, "-D", "-e", "-f", l.path("sshd_config"))
	if err != nil {
		return "", nil, err
	}
	_, err = p.logged(ctx, "Server listening on")
	return l.path("ssh_config"), p, err
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
