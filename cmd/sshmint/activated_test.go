//go:build unix

package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestActivated starts agents as systemd does.
func TestActivated(t *testing.T) {
	need(t, "systemd-socket-activate")
	link := asSSHAgent(t)
	for name, argv := range map[string][]string{
		"sshmint agent": {filepath.Join(programs, "sshmint"), "agent"},
		"ssh-agent -D":  {link, "-D"},
	} {
		t.Run(name, func(t *testing.T) {
			env := sessionEnv(t)
			socket := filepath.Join(strings.TrimPrefix(env[2], "TMPDIR="), "activated.sock")
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			cmd := exec.CommandContext(ctx, "systemd-socket-activate", append([]string{"--listen", socket, "--fdname", "agent", "-E", "HOME", "-E", "PATH"}, argv...)...)
			cmd.Env = env
			var log bytes.Buffer
			cmd.Stdout, cmd.Stderr = &log, &log
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			list := "until test -S " + socket + "; do sleep 0.05; done; ssh-add -l"
			out := say(t, append(env, "SSH_AUTH_SOCK="+socket), "sh", "-c", list) // which starts it
			if out.status != 1 || !strings.Contains(out.stdout, "no identities") {
				t.Errorf("ssh-add -l: %+v", out)
			}
			if out := say(t, append(env, "SSHMINT_SOCKET="+socket), filepath.Join(programs, "sshmint"), "status"); out.status != 0 || !strings.Contains(out.stdout, socket) {
				t.Errorf("sshmint status: %+v", out)
			}
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("SIGTERM: %v\n%s", err, &log)
			}
			if _, err := os.Lstat(socket); err != nil {
				t.Errorf("the socket of the supervisor: %v", err)
			}
		})
	}
}

// TestNotActivated: variables that are not for this process, or promise what is
// not there.
func TestNotActivated(t *testing.T) {
	env := sessionEnv(t, "AGENT="+filepath.Join(programs, "sshmint")+" agent")
	for name, tt := range map[string]struct{ script, want string }{
		"of another process":   {"LISTEN_FDS=1 LISTEN_PID=1 $AGENT >$TMPDIR/out & until grep -q SOCK $TMPDIR/out; do sleep 0.05; done; kill $!; wait $!; cat $TMPDIR/out", "run/agent.sock"},
		"nothing there":        {"LISTEN_FDS=1 LISTEN_PID=$$ exec $AGENT 3<&-", "file descriptor 3"},
		"a file":               {"LISTEN_FDS=1 LISTEN_PID=$$ exec $AGENT 3</etc/passwd", "file descriptor 3"},
		"two":                  {"LISTEN_FDS=2 LISTEN_PID=$$ exec $AGENT", "passed 2 sockets"},
		"not a number":         {"LISTEN_FDS=x LISTEN_PID=$$ exec $AGENT", "passed x sockets"},
		"a socket of our own":  {"sh -c 'LISTEN_FDS=1 LISTEN_PID=$$ exec $AGENT --socket $TMPDIR/own/s' >$TMPDIR/out & until grep -q SOCK $TMPDIR/out; do sleep 0.05; done; kill $!; wait $!; cat $TMPDIR/out", "own/s"},
		"and pid of no number": {"LISTEN_FDS=1 LISTEN_PID= $AGENT >$TMPDIR/out & until grep -q SOCK $TMPDIR/out; do sleep 0.05; done; kill $!; wait $!; cat $TMPDIR/out", "run/agent.sock"},
	} {
		out := say(t, env, "sh", "-c", "rm -f $TMPDIR/out; "+tt.script)
		if all := out.stdout + out.stderr; !strings.Contains(all, tt.want) {
			t.Errorf("%s: %+v, want %q", name, out, tt.want)
		}
	}
}
