//go:build unix

package main

import (
	"crypto/x509"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sshmint/sshmint/signer"
)

// The scripts in testdata read like a session: they run the real programs, built
// once, against real ssh and sshd, on loopback, each in a folder of its own.

var programs string // the folder with sshmint and sshmint-ca

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "sshmint-bin-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
		build := exec.Command("go", append(raceFlag, "-o", dir, ".", "../sshmint-ca")...)
		if out, err := build.CombinedOutput(); err != nil {
			panic(fmt.Sprintf("building the programs: %v\n%s", err, out))
		}
		programs = dir
		return m.Run()
	}())
}

func TestScripts(t *testing.T) {
	for _, program := range []string{"ssh", "sshd", "ssh-add", "ssh-keygen", "openssl"} {
		need(t, program)
	}
	// Short, because the path of a Unix socket must be.
	root, err := os.MkdirTemp("/tmp", "sm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		WorkdirRoot:         root,
		RequireExplicitExec: true,
		Setup:               setUp,
		Cmds:                commands,
		Condition:           condition,
	})
}

// need skips where a program is missing, and fails where everything must run.
func need(t *testing.T, program string) {
	t.Helper()
	if _, err := lookPath(program); err == nil {
		return
	}
	if os.Getenv("SSHMINT_REQUIRE_ALL") == "1" {
		t.Fatalf("there is no %s, and SSHMINT_REQUIRE_ALL=1", program)
	}
	t.Skipf("there is no %s", program)
}

// lookPath also looks where sshd is, which is seldom on a person's PATH.
func lookPath(program string) (string, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		path, err = exec.LookPath(filepath.Join("/usr/sbin", program))
	}
	return path, err
}

// condition: [root] for what needs root, [git] and [paramiko], [openssh10] for a newer ssh beside the
// system's, [git].
func condition(cond string) (bool, error) {
	switch cond {
	case "root":
		return os.Getuid() == 0, nil
	case "openssh10":
		dir := openssh10()
		if dir == "" && os.Getenv("SSHMINT_REQUIRE_ALL") == "1" {
			return false, fmt.Errorf("there is no OpenSSH 10 (make deps), and SSHMINT_REQUIRE_ALL=1")
		}
		return dir != "", nil
	case "paramiko":
		found, err := filepath.Glob(modules + "paramiko")
		if (err != nil || found == nil) && os.Getenv("SSHMINT_REQUIRE_ALL") == "1" {
			return false, fmt.Errorf("there is no paramiko (make deps), and SSHMINT_REQUIRE_ALL=1")
		}
		return found != nil, nil
	case "git":
		_, err := lookPath(cond)
		if err != nil && os.Getenv("SSHMINT_REQUIRE_ALL") == "1" {
			return false, fmt.Errorf("there is no git, and SSHMINT_REQUIRE_ALL=1")
		}
		return err == nil, nil
	}
	return false, fmt.Errorf("there is no condition %q", cond)
}

// openssh10 is where make deps unpacks it.
func openssh10() string {
	dir := os.Getenv("SSHMINT_OPENSSH10")
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return ""
		}
		dir = filepath.Join(cache, "sshmint", "openssh-10")
	}
	if _, err := os.Stat(filepath.Join(dir, "usr", "bin", "ssh")); err != nil {
		return ""
	}
	return dir
}

// setUp gives each script an empty home, the programs, and identities.
func setUp(env *testscript.Env) error {
	home := filepath.Join(env.WorkDir, "home")
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	env.Setenv("HOME", home)
	env.Setenv("SHELL", "/bin/sh")
	env.Setenv("PATH", strings.Join([]string{programs, os.Getenv("PATH"), "/usr/sbin"}, string(os.PathListSeparator)))
	if dir := openssh10(); dir != "" {
		env.Setenv("OPENSSH10", dir)
	}
	env.Values[jobsKey{}] = &jobs{}
	return writeIdentities(env)
}

// commands are what the scripts can do beside running programs. What testscript
// itself has a command for, such as stop, would never be called.
var commands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"startca":    startCA,
	"startsshd":  startSSHD,
	"startagent": startAgent,
	"starthosts": startHosts,
	"profiles":   writeProfiles,
	"end":        endJob,
	"signal":     signalJob,
	"freeport":   freePort,
	"blackhole":  blackHole,
	"impostor":   impostor,
	"clockca":    clockCA,
	"within":     within,
	"until":      until,
	"edit":       edit,

	"lab":         lab,
	"fingerprint": fingerprint,
	"lock":        lock,
}

// within DURATION PROGRAM ARGS... runs a program that must succeed (! must fail)
// and must end in time.
func within(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: within DURATION PROGRAM [ARGUMENT...]")
	}
	limit, err := time.ParseDuration(args[0])
	ts.Check(err)
	began := time.Now()
	err = ts.Exec(args[1], args[2:]...)
	if took := time.Since(began); took > limit {
		ts.Fatalf("it took %s, more than %s", took, limit)
	}
	if neg != (err != nil) {
		ts.Fatalf("%s: %v", args[1], err)
	}
}

// until DURATION PROGRAM ARGS... repeats a program until it succeeds.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: until DURATION PROGRAM [ARGUMENT...]")
	}
	limit, err := time.ParseDuration(args[0])
	ts.Check(err)
	for end := time.Now().Add(limit); ; time.Sleep(50 * time.Millisecond) {
		if err = ts.Exec(args[1], args[2:]...); neg != (err == nil) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("not within %s: %s: %v", limit, args[1], err)
		}
	}
}

// edit FILE OLD NEW replaces text that must be there; \n in NEW is a new line.
func edit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: edit FILE OLD NEW")
	}
	text := ts.ReadFile(args[0])
	if !strings.Contains(text, args[1]) {
		ts.Fatalf("%s has no %q", args[0], args[1])
	}
	path := ts.MkAbs(args[0])
	info, err := os.Stat(path)
	ts.Check(err)
	ts.Check(os.WriteFile(path, []byte(strings.ReplaceAll(text, args[1], strings.ReplaceAll(args[2], `\n`, "\n"))), info.Mode().Perm()))
}

// fingerprint DIR sets $FINGERPRINT to that of a CA's root.
func fingerprint(ts *testscript.TestScript, _ bool, args []string) {
	root, err := x509.ParseCertificate(certificates(ts.ReadFile(args[0] + "/tls-root.pem"))[0])
	ts.Check(err)
	ts.Setenv("FINGERPRINT", signer.Fingerprint(root))
}

// lock -x|-X PASSWORD locks or unlocks by ssh-add, which has it from an askpass.
func lock(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: lock -x|-X PASSWORD")
	}
	askpass := ts.MkAbs("askpass")
	ts.Check(os.WriteFile(askpass, []byte("#!/bin/sh\necho '"+args[1]+"'\n"), 0o700))
	ts.Setenv("SSH_ASKPASS", askpass)
	ts.Setenv("SSH_ASKPASS_REQUIRE", "force")
	if err := ts.Exec("ssh-add", args[0]); neg != (err != nil) {
		ts.Fatalf("ssh-add %s: %v", args[0], err)
	}
}

// policy gives every UPN of a domain its local part, for 8 h.
const policy = `hosts = ["127.0.0.1"]
rate_per_identity = 1000
[[trust]]
name = "corp"
roots = "../corp.pem"
[[rule]]
name = "staff"
trust = "corp"
match = 'size(local(cert.upns, "corp.example.com")) == 1'
principals = 'local(cert.upns, "corp.example.com")'
extensions = ["permit-pty", "permit-agent-forwarding", "permit-port-forwarding"]
`

// lab [VALIDITY] serves a CA at $CA with that policy, and sshd that takes alice.
func lab(ts *testscript.TestScript, _ bool, args []string) {
	rules := policy
	if len(args) == 1 {
		rules += fmt.Sprintf("validity = %q\n", args[0])
	}
	ts.Check(ts.Exec("sshmint-ca", "init", "--dir", ts.MkAbs("ca"), "--host", "127.0.0.1"))
	ts.Check(os.WriteFile(ts.MkAbs("ca/ca.toml"), []byte(rules), 0o600))
	startCA(ts, false, []string{"CA", "ca"})
	startSSHD(ts, false, []string{"ca", "alice"})
}

// TestScriptsRunToTheirEnd: testscript's own stop ends a script there and then,
// as passed. A job is ended by end.
func TestScriptsRunToTheirEnd(t *testing.T) {
	for _, pattern := range []string{"testdata/*.txtar", "testdata/*/*.txtar"} {
		scripts, err := filepath.Glob(pattern)
		if err != nil || len(scripts) == 0 {
			t.Fatalf("%s: %v, %v", pattern, scripts, err)
		}
		for _, path := range scripts {
			text, err := os.ReadFile(path) // #nosec G304 -- our own
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(text)) {
				if strings.HasPrefix(line, "stop") {
					t.Errorf("%s: %s", path, line)
				}
			}
		}
	}
}
