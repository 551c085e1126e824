//go:build unix

package agent

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startProgram runs another agent until the test ends and waits for its socket.
func startProgram(t *testing.T, socket string, env []string, argv ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(program(t, argv[0]), argv[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // with its children
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("%s:\n%s", argv[0], text)
		}
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			_ = conn.Close()
			return cmd
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen: %v", argv[0], err)
		}
	}
}

func startSSHAgent(t *testing.T) (socket string) {
	t.Helper()
	socket = filepath.Join(socketDir(t), "ssh-agent")
	startProgram(t, socket, nil, "ssh-agent", "-D", "-a", socket)
	return socket
}

// keyFile writes a private key as a person has one.
func keyFile(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if out, err := run(t, "", "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path); err != nil {
		t.Fatal(err, out)
	}
	return path
}

// TestRestrictedKeysOfSSHAgent logs in with keys of a real ssh-agent behind us
// that are restricted to destinations: it must be bound as it would be without
// us.
func TestRestrictedKeysOfSSHAgent(t *testing.T) {
	ca := newAuthority(t)
	toOne, byWayOfOne := keyFile(t, "only-one"), keyFile(t, "by-way-of-one")
	keys := "AuthorizedKeysFile " + toOne + ".pub " + byWayOfOne + ".pub"
	one, two := startSSHD(t, ca, keys), startSSHD(t, ca, keys)
	upstream := startSSHAgent(t)
	hosts := filepath.Join(t.TempDir(), "hosts")
	var lines string
	for name, server := range map[string]*sshServer{"one": one, "two": two} {
		key, err := os.ReadFile(filepath.Join(server.dir, "host.pub"))
		if err != nil {
			t.Fatal(err)
		}
		lines += name + " " + string(key)
	}
	if err := os.WriteFile(hosts, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	sshAdd := func(args ...string) {
		t.Helper()
		if out, err := run(t, upstream, append([]string{"ssh-add", "-q"}, args...)...); err != nil {
			t.Fatalf("ssh-add %s: %v\n%s", args, err, out)
		}
	}
	sshAdd("-H", hosts, "-h", "one", toOne)
	a := new(Agent)
	a.Set(Settings{Upstream: []string{upstream}})
	socket := serve(t, a)
	if out, err := run(t, socket, "ssh-add", "-l"); err != nil || !strings.Contains(out, "only-one") {
		t.Fatalf("ssh-add -l: %v\n%s", err, out)
	}
	if out, err := one.ssh(t, socket, "true"); err != nil {
		t.Fatalf("to its destination: %v\n%s", err, out)
	}
	if out, err := two.ssh(t, socket, "true"); err == nil {
		t.Errorf("the key logged in elsewhere\n%s", out)
	}
	onward := "ssh -F none -p " + two.port + " -l " + two.user + " -o BatchMode=yes -o IdentityFile=none -o PreferredAuthentications=publickey" +
		" -o KexAlgorithms=curve25519-sha256 -o UserKnownHostsFile=" + filepath.Join(two.dir, "known_hosts") + " 127.0.0.1 echo arrived"
	if out, err := one.ssh(t, socket, "-A", "ssh-add -l; "+onward); err == nil || !strings.Contains(out, "no identities") {
		t.Errorf("forwarded: %v\n%s", err, out)
	}

	sshAdd("-H", hosts, "-h", "one", "-h", "one>two", byWayOfOne)
	out, err := one.ssh(t, socket, "-A", "ssh-add -l; "+onward)
	if err != nil || !strings.Contains(out, "by-way-of-one") || strings.Contains(out, "only-one") || !strings.Contains(out, "arrived") {
		t.Errorf("from one to two: %v\n%s", err, out)
	}
	if out, err := two.ssh(t, socket, "true"); err == nil {
		t.Errorf("the key for two by way of one logged in directly\n%s", out)
	}
}

// TestSSHAgentBehindUs does with ssh-add what people do, on an upstream that
// keeps what they add.
func TestSSHAgentBehindUs(t *testing.T) {
	upstream := startSSHAgent(t)
	a, _ := behind(t)
	p := a.set().profiles[0]
	a.Set(Settings{Profiles: []Profile{{Name: p.Name, Source: p.Source}}, Upstream: []string{upstream}, AddUpstream: true})
	socket := serve(t, a)
	key := keyFile(t, "hers")
	for _, tt := range []struct {
		args       []string
		ok         bool
		out, after string // of ssh-add -l from the upstream itself
	}{
		{[]string{key}, true, "Identity added", "hers"},
		{[]string{"-l"}, true, "hers", "hers"},
		{[]string{"-T", key + ".pub"}, true, "", "hers"},
		{[]string{"-d", key}, true, "Identity removed", "no identities"},
		{[]string{"-t", "3600", key}, true, "Lifetime set", "hers"},
		{[]string{"-D"}, true, "All identities removed", "no identities"},
		{[]string{"-d", key}, false, "agent refused operation", "no identities"},
		{[]string{"-s", "/usr/lib/none.so"}, false, "agent refused operation", "no identities"},
	} {
		cmd := exec.Command(program(t, "ssh-add"), tt.args...)
		cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK="+socket, "SSH_ASKPASS_REQUIRE=force", "SSH_ASKPASS=/bin/true")
		out, err := cmd.CombinedOutput()
		if (err == nil) != tt.ok || !strings.Contains(string(out), tt.out) {
			t.Errorf("ssh-add %s: %v\n%s", tt.args, err, out)
		}
		if after, _ := run(t, upstream, "ssh-add", "-l"); !strings.Contains(after, tt.after) {
			t.Errorf("after ssh-add %s the upstream has:\n%s", tt.args, after)
		}
	}
}

// TestGPGAgentBehindUs: gpg-agent knows neither binds nor certificates, and asks
// for passwords by a pinentry.
func TestGPGAgentBehindUs(t *testing.T) {
	home := socketDir(t)
	pinentry := filepath.Join(home, "pinentry")
	write := func(path, text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write(pinentry, `#!/bin/sh
echo "OK ready"
while read -r command rest; do
	case $command in
	SETREPEAT) repeat=y ;;
	GETPIN) [ -z "$repeat" ] || echo "S PIN_REPEATED"; echo "D sesame" ;;
	BYE) echo OK; exit ;;
	esac
	echo OK
done
`, 0o700)
	write(filepath.Join(home, "gpg-agent.conf"), "pinentry-program "+pinentry+"\nenable-ssh-support\n", 0o600)
	env := []string{"GNUPGHOME=" + home}
	where := exec.Command(program(t, "gpgconf"), "--list-dirs", "agent-ssh-socket")
	where.Env = append(os.Environ(), env...)
	path, err := where.Output()
	if err != nil {
		t.Fatal(err)
	}
	upstream := strings.TrimSpace(string(path))
	if !strings.HasPrefix(upstream, home) {
		t.Cleanup(func() { _ = os.RemoveAll(filepath.Dir(upstream)) })
	}
	startProgram(t, upstream, env, "gpg-agent", "--homedir", home, "--daemon", "--no-detach")
	servesBehindUs(t, upstream)
}

// TestGnomeKeyringBehindUs: its agent passes on to a real ssh-agent of its own.
func TestGnomeKeyringBehindUs(t *testing.T) {
	dir := socketDir(t)
	upstream := filepath.Join(dir, "ssh")
	startProgram(t, upstream, []string{"HOME=" + dir, "XDG_RUNTIME_DIR=" + dir}, "dbus-run-session", "--",
		program(t, "gnome-keyring-daemon"), "--foreground", "--components=ssh", "--control-directory="+dir)
	servesBehindUs(t, upstream)
}

// servesBehindUs adds a key through us to an upstream, logs in with it, and
// removes it.
func servesBehindUs(t *testing.T, upstream string) {
	t.Helper()
	ca := newAuthority(t)
	key := keyFile(t, "hers")
	pub, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	server := startSSHD(t, ca, "AuthorizedKeysFile "+key+".pub")
	a := new(Agent)
	src := &source{current: ca.certify(t, newKey(t, "ed25519"), time.Hour, "nobody")} // for another account
	a.Set(Settings{Profiles: []Profile{{Name: "corp", Source: src}}, Upstream: []string{upstream}, AddUpstream: true})
	a.Keys(context.Background())
	socket := serve(t, a)
	if out, err := run(t, socket, "ssh-add", key); err != nil {
		t.Fatalf("ssh-add: %v\n%s%s", err, out, lastReason(a))
	}
	list, err := run(t, socket, "ssh-add", "-L")
	if lines := strings.Split(strings.TrimSpace(list), "\n"); err != nil || len(lines) != 2 || !strings.HasPrefix(lines[1], strings.Join(strings.Fields(string(pub))[:2], " ")) {
		t.Errorf("ssh-add -L: %v\n%s", err, list)
	}
	if out, err := server.ssh(t, socket, "-v", "echo", "logged", "in"); err != nil || !strings.Contains(out, "logged in") {
		t.Errorf("ssh: %v\n%s\n%s", err, out, lastReason(a))
	}
	if out, err := run(t, socket, "ssh-add", "-D"); err != nil {
		t.Errorf("ssh-add -D: %v\n%s%s", err, out, lastReason(a))
	}
	for _, u := range a.Upstreams(t.Context()) {
		if !u.Reachable || u.LastError != "" {
			t.Errorf("%+v", u)
		}
	}
}

// TestUpstreamOfAnotherUser is neither asked nor told anything.
func TestUpstreamOfAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to become another user")
	}
	dir := socketDir(t)
	if err := os.Chmod(dir, 0o777); err != nil { // #nosec G302 -- for the other user
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "theirs")
	cmd := exec.Command(program(t, "ssh-agent"), "-D", "-a", socket)
	becomeNobody(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			_ = conn.Close()
			break
		}
		if t.Context().Err() != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	a, _ := behind(t, socket)
	if u := a.Upstreams(t.Context())[0]; u.Reachable || !strings.Contains(u.LastError, "served by user 65534") {
		t.Errorf("%+v", u)
	}
	wantComments(t, open(t, a), ours(t, a))
}
