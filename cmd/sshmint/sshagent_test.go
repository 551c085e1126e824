//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// asSSHAgent gives a folder in which ssh-agent is a link to sshmint.
func asSSHAgent(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(programs, "sshmint"), filepath.Join(dir, "ssh-agent")); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "ssh-agent")
}

// sessionEnv is that of a person who has no agent and an empty home.
func sessionEnv(t *testing.T, more ...string) []string {
	t.Helper()
	tmp, err := os.MkdirTemp("/tmp", "sm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(tmp) })
	home := t.TempDir()
	return append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "TMPDIR=" + tmp, "SHELL=/bin/sh"}, more...)
}

// A said is what a program wrote and how it ended.
type said struct {
	stdout, stderr string
	status         int
}

// say runs a program that must end by itself.
func say(t *testing.T, env []string, argv ...string) said {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if ctx.Err() != nil {
		t.Fatalf("%q does not end", argv)
	}
	return said{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

var (
	agentPath = regexp.MustCompile(`/[^ ;\n]*/agent\.[0-9]+`)
	agentPID  = regexp.MustCompile(`[0-9]{2,}`)
)

// plain takes out of an output what differs between any two agents.
func plain(s string) string {
	return agentPID.ReplaceAllString(agentPath.ReplaceAllString(s, "PATH"), "PID")
}

// TestSSHAgentOutput compares what is printed, and the exit status, with
// OpenSSH's ssh-agent, character by character but for paths and pids.
func TestSSHAgentOutput(t *testing.T) {
	need(t, "ssh-agent")
	stock, err := lookPath("ssh-agent")
	if err != nil {
		t.Fatal(err)
	}
	ours := asSSHAgent(t)
	sh := func(script string) []string { return []string{"sh", "-c", script} }
	for _, tt := range []struct {
		name   string
		env    []string
		argv   []string // AGENT stands for the program
		stderr bool     // what OpenSSH says is compared as well
	}{
		{"default", nil, sh(`$AGENT | tee out && . ./out >/dev/null && kill $SSH_AGENT_PID`), true},
		{"-s", []string{"SHELL=/bin/tcsh"}, sh(`$AGENT -s | tee out && . ./out >/dev/null && kill $SSH_AGENT_PID`), true},
		{"-c", nil, sh(`$AGENT -c | tee out && kill $(sed -n 's/^setenv SSH_AGENT_PID \(.*\);/\1/p' out)`), true},
		{"by $SHELL", []string{"SHELL=/bin/tcsh"}, sh(`$AGENT | tee out && kill $(sed -n 's/^setenv SSH_AGENT_PID \(.*\);/\1/p' out)`), true},
		{"eval and -k", nil, sh(`eval "$($AGENT)" && ssh-add -l; $AGENT -k`), true},
		{"-k -c", nil, sh(`eval "$($AGENT)"; $AGENT -k -c`), true},
		{"-ck", nil, sh(`eval "$($AGENT)"; $AGENT -ck`), true},
		{"-a", nil, sh(`$AGENT -s -a "$TMPDIR/agent.12" | tee out && . ./out >/dev/null && kill $SSH_AGENT_PID`), true},
		{"-a and its value joined", nil, sh(`$AGENT -sa"$TMPDIR/agent.12" | tee out && . ./out >/dev/null && kill $SSH_AGENT_PID`), true},
		{"-t, -E, -P, -O", nil, sh(`$AGENT -s -t 1h30m -E md5 -P '/usr/lib/*' -O no-restrict-websafe -O allow-remote-pkcs11 | tee out && . ./out >/dev/null && kill $SSH_AGENT_PID`), true},
		{"-t ends keys that are added", nil, sh(`ssh-keygen -q -t ed25519 -N "" -f key; eval "$($AGENT -t 1)"; ssh-add -q key 2>/dev/null; ssh-add -l | wc -l; while ssh-add -l | grep -q ED25519; do sleep 0.1; done; ssh-add -l; $AGENT -k`), true},
		{"command", nil, []string{"AGENT", "sh", "-c", `ssh-add -l; echo "$SSH_AUTH_SOCK"; exit 7`}, true},
		{"command after --", nil, []string{"AGENT", "-t", "60", "--", "sh", "-c", "exit 8"}, true},
		{"command has our pid", nil, sh(`sh -c 'echo $$ >pid; exec $AGENT sh -c "test \$(cat pid) = \$\$ && echo same"'`), true},
		{"command killed", nil, sh(`$AGENT sh -c 'kill -9 $$'; echo $?`), false},
		{"no such command", nil, []string{"AGENT", "no-such-program"}, true},
		{"no such path", nil, []string{"AGENT", "/nowhere/program"}, true},
		{"not a program", nil, []string{"AGENT", "/etc/passwd"}, true},
		{"-D and SIGTERM", nil, sh(`$AGENT -D >out 2>/dev/null & until test -s out; do sleep 0.05; done; kill $!; wait $!; echo $?; cat out`), true},
		{"-D and SIGHUP", nil, sh(`$AGENT -D >out 2>/dev/null & until test -s out; do sleep 0.05; done; kill -HUP $!; wait $!; echo $?; cat out`), true},
		{"-d and SIGTERM", nil, sh(`$AGENT -d >out 2>/dev/null & until test -s out; do sleep 0.05; done; kill $!; wait $!; echo $?; cat out`), true},
		{"-D -c", nil, sh(`$AGENT -D -c >out 2>/dev/null & until test -s out; do sleep 0.05; done; kill $!; wait $!; echo $?; cat out`), true},

		{"-k without an agent", nil, []string{"AGENT", "-k"}, true},
		{"-k of no number", []string{"SSH_AGENT_PID=x"}, []string{"AGENT", "-k"}, true},
		{"-k of init", []string{"SSH_AGENT_PID=1"}, []string{"AGENT", "-k"}, true},
		{"-k of a negative number", []string{"SSH_AGENT_PID=-7"}, []string{"AGENT", "-k"}, true},
		{"-k of a large number", []string{"SSH_AGENT_PID=99999999999"}, []string{"AGENT", "-k"}, true},
		{"-k of a larger number", []string{"SSH_AGENT_PID=99999999999999999999999"}, []string{"AGENT", "-k"}, true},
		{"-k of nobody", []string{"SSH_AGENT_PID=2147483646"}, []string{"AGENT", "-k"}, true},
		{"unknown option", nil, []string{"AGENT", "-x"}, false},
		{"unknown hash", nil, []string{"AGENT", "-E", "nope"}, true},
		{"unknown -O", nil, []string{"AGENT", "-O", "nope"}, true},
		{"-P twice", nil, []string{"AGENT", "-P", "a", "-P", "b"}, true},
		{"-t without a value", nil, []string{"AGENT", "-t"}, false},
		{"-t with no time", nil, []string{"AGENT", "-t", "nope"}, false},
		{"-t with a wrong unit", nil, []string{"AGENT", "-t", "1h30x"}, false},
		{"-t too long", nil, []string{"AGENT", "-t", "9999w"}, false},
		{"-s and -c", nil, []string{"AGENT", "-s", "-c"}, false},
		{"-d and -D", nil, []string{"AGENT", "-d", "-D"}, false},
		{"-s and a command", nil, []string{"AGENT", "-s", "true"}, false},
		{"-k and a command", nil, []string{"AGENT", "-k", "true"}, false},
		{"-a where there is no folder", nil, []string{"AGENT", "-a", "/nowhere/s"}, false},
		{"-a where something is", nil, []string{"AGENT", "-a", "/etc/passwd"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got [2]said
			for i, program := range []string{stock, ours} {
				env := sessionEnv(t, append(tt.env, "AGENT="+program)...)
				argv := []string{"sh", "-c", `cd "$TMPDIR" && exec "$@"`, "sh"}
				for _, a := range tt.argv {
					if a == "AGENT" {
						a = program
					}
					argv = append(argv, a)
				}
				got[i] = say(t, env, argv...)
				got[i].stdout = plain(got[i].stdout)
				if tt.stderr {
					got[i].stderr = plain(strings.ReplaceAll(got[i].stderr, "\r", "")) // its log ends lines so
				} else {
					got[i].stderr = ""
				}
			}
			if got[0] != got[1] {
				t.Errorf("ssh-agent: %+v\nours:      %+v", got[0], got[1])
			}
		})
	}
}

// TestSSHAgentDropsKeys: SIGUSR1 drops what was added, as of ssh-agent since 10.0.
func TestSSHAgentDropsKeys(t *testing.T) {
	env := sessionEnv(t, "AGENT="+asSSHAgent(t))
	out := say(t, env, "sh", "-c", `cd $TMPDIR; ssh-keygen -q -t ed25519 -N "" -f key; eval "$($AGENT)" >/dev/null; ssh-add -q key && ssh-add -l >/dev/null && echo added
		kill -USR1 $SSH_AGENT_PID; while ssh-add -l | grep -q ED25519; do sleep 0.05; done; ssh-add -l; kill $SSH_AGENT_PID`)
	if out.stdout != "added\nThe agent has no identities.\n" {
		t.Errorf("%+v", out)
	}
}

// TestSSHAgentEndsWithItsCommand: the agent goes when the command does, with its
// socket and the folder.
func TestSSHAgentEndsWithItsCommand(t *testing.T) {
	env := sessionEnv(t)
	out := say(t, env, asSSHAgent(t), "sh", "-c", "echo $SSH_AGENT_PID $SSH_AUTH_SOCK")
	pid, socket, _ := strings.Cut(strings.TrimSpace(out.stdout), " ")
	if out.status != 0 || pid == "" || socket == "" {
		t.Fatalf("%+v", out)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		_, err := os.Lstat(filepath.Dir(socket))
		if errors.Is(err, os.ErrNotExist) && say(t, env, "sh", "-c", "kill -0 "+pid).status != 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("agent %s outlives its command; its folder: %v", pid, err)
		}
	}
}

// TestSSHAgentLeavesNothing ends agents that had sockets of either kind.
func TestSSHAgentLeavesNothing(t *testing.T) {
	env := sessionEnv(t, "AGENT="+asSSHAgent(t))
	tmp := strings.TrimPrefix(env[2], "TMPDIR=")
	for _, script := range []string{
		`eval "$($AGENT)" >/dev/null; $AGENT -k; while kill -0 $SSH_AGENT_PID; do sleep 0.05; done`,
		`eval "$($AGENT -a $TMPDIR/s)" >/dev/null; $AGENT -k; while kill -0 $SSH_AGENT_PID; do sleep 0.05; done`,
		`$AGENT no-such-program; while ls $TMPDIR/ssh-*; do sleep 0.05; done`,
		`$AGENT -a /nowhere/s`,
	} {
		_ = say(t, env, "sh", "-c", script)
		left, err := filepath.Glob(filepath.Join(tmp, "*"))
		if err != nil || len(left) > 0 {
			t.Errorf("%s left %s, %v", script, left, err)
		}
	}
}

// TestSSHAgentSocketFolder: -a works where ssh-agent's does, except where others
// could put a socket in the place of ours.
func TestSSHAgentSocketFolder(t *testing.T) {
	agent := asSSHAgent(t)
	for mode, want := range map[os.FileMode]int{
		0o700: 0, 0o755: 0, os.ModeSticky | 0o777: 0,
		0o777: 1, 0o770: 1,
	} {
		env := sessionEnv(t)
		dir := filepath.Join(strings.TrimPrefix(env[2], "TMPDIR="), "d")
		if err := errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, mode)); err != nil {
			t.Fatal(err)
		}
		out := say(t, env, "sh", "-c", `eval "$(`+agent+` -a `+dir+`/s)" >/dev/null; test -S `+dir+`/s; r=$?; test $r = 0 && kill $SSH_AGENT_PID; exit $r`)
		if out.status != want {
			t.Errorf("mode %v: %+v", mode, out)
		}
		if want != 0 && !strings.Contains(out.stderr, "others can put sockets of their own there") {
			t.Errorf("mode %v: %s", mode, out.stderr)
		}
	}
}

func TestSSHTime(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"0": 0, "90": 90 * time.Second, "90s": 90 * time.Second, "1m": time.Minute, "2H": 2 * time.Hour, "1d": 24 * time.Hour,
		"1w": 168 * time.Hour, "1h30m": 90 * time.Minute, "1h30": time.Hour + 30*time.Second, "2147483647": 2147483647 * time.Second,
	} {
		if got, ok := sshTime(s); !ok || got != want {
			t.Errorf("sshTime(%q) = %v, %v", s, got, ok)
		}
	}
	for _, s := range []string{"", "s", "-1", "1x", "1h x", "2147483648", "3551w", "99999999999999999999", "1 h", "١"} {
		if got, ok := sshTime(s); ok {
			t.Errorf("sshTime(%q) = %v", s, got)
		}
	}
}
