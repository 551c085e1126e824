//go:build unix

package main

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// starthosts CADIR NAME... serves an sshd for each NAME, whose account takes the
// principal NAME alone and gives a client two tries. hosts_config lets ssh reach
// them, and home/.ssh/known_hosts names them. Where there is a key host_ca, it
// certifies their keys, and known_hosts names it alone.
func startHosts(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: starthosts CADIR NAME...")
	}
	me, err := user.Current()
	ts.Check(err)
	sshd, err := lookPath("sshd")
	ts.Check(err)
	if os.Getuid() == 0 {
		ts.Check(os.MkdirAll("/run/sshd", 0o755))
	}
	ts.Check(ts.Exec("sshmint-ca", "sshd-config", "--dir", ts.MkAbs(args[0])))
	lines := ts.ReadFile("stdout")
	_, err = os.Stat(ts.MkAbs("host_ca"))
	certified := err == nil

	var config, known strings.Builder
	for _, name := range args[1:] {
		dir := ts.MkAbs(name)
		ts.Check(os.MkdirAll(filepath.Join(dir, "principals"), 0o755))
		ts.Check(os.WriteFile(filepath.Join(dir, "principals", me.Username), []byte(name+"\n"), 0o600))
		key := filepath.Join(dir, "host_key")
		ts.Check(ts.Exec("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", key))
		port := unusedPort(ts)
		text := strings.ReplaceAll(lines, ts.MkAbs(args[0])+"/principals/", filepath.Join(dir, "principals")+"/") +
			fmt.Sprintf("\nListenAddress 127.0.0.1:%d\nHostKey %s\nPidFile none\nStrictModes no\nUsePAM no\nLogLevel VERBOSE\n"+
				"PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\nMaxAuthTries 2\n", port, key)
		if certified {
			ts.Check(ts.Exec("ssh-keygen", "-q", "-s", ts.MkAbs("host_ca"), "-h", "-I", name, "-n", name, key+".pub"))
			text += "HostCertificate " + key + "-cert.pub\n"
		} else {
			pub := strings.Fields(ts.ReadFile(key + ".pub"))
			fmt.Fprintf(&known, "%s %s %s\n", name, pub[0], pub[1])
		}
		ts.Check(os.WriteFile(filepath.Join(dir, "sshd_config"), []byte(text), 0o600))
		start(ts, name, sshd, "-D", "-e", "-f", filepath.Join(dir, "sshd_config")).logged(ts, "Server listening on")
		fmt.Fprintf(&config, "Host %s\n    Port %d\n    HostKeyAlias %[1]s\n", name, port)
	}
	if certified {
		pub := strings.Fields(ts.ReadFile("host_ca.pub"))
		fmt.Fprintf(&known, "@cert-authority * %s %s\n", pub[0], pub[1])
	}
	home := ts.MkAbs("home/.ssh")
	ts.Check(os.MkdirAll(home, 0o700))
	ts.Check(os.WriteFile(filepath.Join(home, "known_hosts"), []byte(known.String()), 0o600))
	fmt.Fprintf(&config, "Host *\n    HostName 127.0.0.1\n    User %s\n    IdentityFile none\n    UserKnownHostsFile %s\n    GlobalKnownHostsFile none\n"+
		"    StrictHostKeyChecking yes\n    BatchMode yes\n", me.Username, filepath.Join(home, "known_hosts"))
	ts.Check(os.WriteFile(ts.MkAbs("hosts_config"), []byte(config.String()), 0o600))
}

// profiles NAME... writes config.toml with a profile for each NAME: alice's
// identity, the principal NAME, and hosts = ["NAME.corp.test"].
func writeProfiles(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(ts.Exec("sshmint", "init", "--config", ts.MkAbs("first.toml"), "--profile", "first", "--identity", "file:alice.pem",
		"--ca", ts.Getenv("CA"), "--root", ts.MkAbs("ca/tls-root.pem")))
	_, section, found := strings.Cut(ts.ReadFile("first.toml"), "[profile.first]")
	if !found {
		ts.Fatalf("init wrote no [profile.first]")
	}
	var config strings.Builder
	for _, name := range args {
		fmt.Fprintf(&config, "[profile.%s]\nprincipals = [\"%[1]s.corp.test\"]\nhosts = [\"%[1]s.corp.test\"]%s\n", name, strings.ReplaceAll(section, "profile.first", "profile."+name))
	}
	ts.Check(os.WriteFile(ts.MkAbs("config.toml"), []byte(config.String()), 0o600))
}
