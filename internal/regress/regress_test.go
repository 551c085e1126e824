//go:build linux

package regress

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// suite is where Debian's package puts OpenSSH's tests.
const suite = "/usr/lib/openssh/regress"

// TestOpenSSH runs the scripts that test ssh-agent, or need one, with the
// system's ssh, sshd, ssh-add and ssh-keygen.
func TestOpenSSH(t *testing.T) {
	if _, err := os.Stat(filepath.Join(suite, "test-exec.sh")); err != nil {
		unable(t, "needs OpenSSH's regression tests (Debian's openssh-tests): %v", err)
	}
	for _, name := range []string{"ssh", "sshd", "ssh-add", "ssh-keygen"} {
		program(t, name)
	}
	binary := build(t)
	for _, tt := range []struct {
		name   string
		normal bool // not as root, and with sudo
	}{
		{name: "agent"},
		{name: "agent-timeout"},
		{name: "agent-subprocess"},
		{name: "agent-restrict"},
		{name: "cert-file"},
		{name: "hostkey-agent"},
		{name: "sshsig"},
		{name: "agent-getpeereid", normal: true},
		{name: "agent-ptrace", normal: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.name == "agent-ptrace" {
				program(t, "gdb")
			}
			runScript(t, binary, tt.name, tt.normal)
		})
	}
}

// skipped is how a script says that it tested nothing.
var skipped = regexp.MustCompile(`(?im)^skipped.*$`)

func runScript(t *testing.T, binary, name string, normal bool) {
	dir := stage(t, binary)
	env := append(os.Environ(),
		"TEST_SHELL=sh", "SUDO=", "LC_ALL=C",
		"OBJ="+filepath.Join(dir, "regress"), "BUILDDIR="+filepath.Join(dir, "regress"),
		"TEST_SSH_SSH="+filepath.Join(dir, "bin", "ssh"),
		"TEST_SSH_SSHD="+program(t, "sshd"),
		"TEST_SSH_SSHAGENT="+filepath.Join(dir, "bin", "ssh-agent"),
		"TEST_SSH_SFTPSERVER=/usr/lib/openssh/sftp-server",
		"TEST_SSH_UNSAFE_PERMISSIONS=1", // the folder is in /tmp
		"PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH")+":/usr/sbin",
	)
	ctx, cancel := context.WithTimeout(t.Context(), 12*time.Minute)
	defer cancel()
	regress := filepath.Join(dir, "regress")
	cmd := exec.CommandContext(ctx, "sh", "./test-exec.sh", regress, filepath.Join(regress, name+".sh"))
	cmd.Dir, cmd.Env = regress, env
	if normal {
		cmd.Env = append(cmd.Env, "SUDO=sudo")
		becomeNormal(t, cmd, dir)
	}
	cmd.WaitDelay = 10 * time.Second // for agents that hold the pipe
	start := time.Now()
	out, err := cmd.CombinedOutput()
	t.Logf("%s took %s", name, time.Since(start).Round(time.Second))
	switch said := skipped.FindString(string(out)); {
	case err != nil, !strings.HasPrefix(lastLine(string(out)), "ok ") && said == "":
		logs := ""
		for _, file := range []string{"failed-regress.log", "failed-ssh.log", "failed-sshd.log"} {
			if b, err := os.ReadFile(filepath.Join(regress, file)); err == nil {
				logs += "\n== " + file + "\n" + string(b[max(0, len(b)-8000):])
			}
		}
		t.Fatalf("%v\n%s%s", err, out, logs)
	case said != "":
		unable(t, "the script did not run: %s", said)
	}
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// stage makes a folder with a copy of the tests, since they write where they
// are, and with the programs that they are to use. Its path is short enough for
// sockets.
func stage(t *testing.T, binary string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "regress")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		killAgents(t, filepath.Join(dir, "bin", "ssh-agent"))
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	regress, bin := filepath.Join(dir, "regress"), filepath.Join(dir, "bin")
	if out, err := exec.Command("cp", "-R", suite, regress).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// Security keys need a provider in the agent, which ours leaves to the
	// agents behind it. The tests pass over them without this dummy.
	if err := os.RemoveAll(filepath.Join(regress, "misc", "sk-dummy")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(bin, 0o755); err != nil { //nolint:gosec // G301: another user has to get there
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // G302: the same
		t.Fatal(err)
	}
	copyFile(t, binary, filepath.Join(bin, "ssh-agent"))
	// DSA is gone from OpenSSH 10, and is not known here. Types of keys to be
	// tested are those that ssh names.
	script := `#!/bin/sh
case " $* " in
*" -Q key-plain "* | *" -Q key-sig "*) "` + program(t, "ssh") + `" "$@" | grep -v -e ssh-dss -e ^sk- ;;
*) exec "` + program(t, "ssh") + `" "$@" ;;
esac
`
	if err := os.WriteFile(filepath.Join(bin, "ssh"), []byte(script), 0o755); err != nil { //nolint:gosec // G306: a program
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil { //nolint:gosec // G301: sshd wants it so
			t.Fatal(err)
		}
	}
	return dir
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o755); err != nil { //nolint:gosec // G306: a program
		t.Fatal(err)
	}
}

// killAgents ends what a script that failed has left behind: the processes that
// run the folder's own copy of the agent.
func killAgents(t *testing.T, binary string) {
	t.Helper()
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range processes {
		exe, err := os.Readlink(filepath.Join(p, "exe"))
		if err != nil || exe != binary {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(p)); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may be gone
		}
	}
}

// build makes the program that stands in for ssh-agent.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ssh-agent")
	cmd := exec.Command(program(t, "go"), "build", "-buildvcs=false", "-ldflags=-s -w", "-o", path, "github.com/sshmint/sshmint/cmd/sshmint")
	cmd.Env = append(slices.Clone(os.Environ()), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && name == "sshd" {
		path, err = exec.LookPath("/usr/sbin/sshd")
	}
	if err != nil {
		unable(t, "needs %s: %v", name, err)
	}
	return path
}

// unable skips a test for want of something, or fails it where nothing may be
// missing.
func unable(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("SSHMINT_REQUIRE_ALL") == "1" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}
