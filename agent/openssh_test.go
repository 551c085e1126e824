package agent

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

func TestSSHAdd(t *testing.T) {
	ca := newAuthority(t)
	src := &source{mint: func(context.Context) (ssh.Signer, error) {
		return ca.certify(t, newKey(t, "ed25519"), time.Hour, "alice"), nil
	}}
	a := new(Agent)
	a.Set(Settings{Profiles: []Profile{{Name: "corp", Source: src}}})
	socket := serve(t, a)
	sshAdd := func(wantOK bool, args ...string) string {
		t.Helper()
		out, err := run(t, socket, append([]string{"ssh-add"}, args...)...)
		if (err == nil) != wantOK {
			t.Fatalf("ssh-add %s: %v\n%s", args, err, out)
		}
		return out
	}
	fingerprint := func() string {
		t.Helper()
		fields := strings.Fields(sshAdd(true, "-l"))
		if len(fields) < 4 || fields[2] != "corp" || fields[3] != "alice@corp.example.com" || fields[len(fields)-1] != "(ED25519-CERT)" {
			t.Fatalf("ssh-add -l: %q", fields)
		}
		return fields[1]
	}
	first := fingerprint()
	if again := fingerprint(); again != first {
		t.Errorf("the key changed from %s to %s with nobody asking", first, again)
	}
	if out := sshAdd(true, "-L"); !strings.HasPrefix(out, ssh.CertAlgoED25519v01+" ") {
		t.Errorf("ssh-add -L: %s", out)
	}

	sshAdd(true, "-D")
	second := fingerprint()
	if second == first {
		t.Error("ssh-add -D kept the key")
	}

	file := filepath.Join(t.TempDir(), "cert.pub")
	if err := os.WriteFile(file, []byte(sshAdd(true, "-L")), 0o600); err != nil {
		t.Fatal(err)
	}
	sshAdd(true, "-d", file)
	if third := fingerprint(); third == second {
		t.Error("ssh-add -d kept the key")
	}
	sshAdd(false, "-d", file) // it is another one by now

	if minted, _ := src.counts(); minted != 3 {
		t.Errorf("minted %d times, want 3", minted)
	}

	key := filepath.Join(t.TempDir(), "id")
	if out, err := run(t, socket, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key); err != nil {
		t.Fatal(err, out)
	}
	sshAdd(true, key)
	if lines := strings.Split(strings.TrimSpace(sshAdd(true, "-l")), "\n"); len(lines) != 2 || !strings.HasSuffix(lines[1], "(ED25519)") {
		t.Errorf("ssh-add -l with an added key: %q", lines)
	}
	sshAdd(false, "-s", "/usr/lib/libnone.so")
	if r := a.Refusals(); len(r) == 0 || r[len(r)-1].PID == 0 {
		t.Errorf("refusals were not noted with a pid: %+v", r)
	}
}

// TestSSHAddLock locks and unlocks by ssh-add, which takes passwords from a
// program.
func TestSSHAddLock(t *testing.T) {
	a, _ := warm(t)
	socket := serve(t, a)
	askpass := filepath.Join(t.TempDir(), "askpass")
	sshAdd := func(password string, args ...string) (string, error) {
		t.Helper()
		if err := os.WriteFile(askpass, []byte("#!/bin/sh\necho "+password+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(program(t, "ssh-add"), args...)
		cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK="+socket, "SSH_ASKPASS="+askpass, "SSH_ASKPASS_REQUIRE=force")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := sshAdd("sesame", "-x"); err != nil {
		t.Fatalf("ssh-add -x: %v\n%s", err, out)
	}
	if !a.Locked() {
		t.Fatal("not locked")
	}
	if out, err := sshAdd("", "-l"); err == nil || !strings.Contains(out, "no identities") {
		t.Errorf("ssh-add -l of a locked agent: %v\n%s", err, out)
	}
	if out, err := sshAdd("wrong", "-X"); err == nil {
		t.Errorf("ssh-add -X with a wrong password: %s", out)
	}
	if !a.Locked() {
		t.Fatal("a wrong password unlocked")
	}
	if out, err := sshAdd("sesame", "-X"); err != nil {
		t.Fatalf("ssh-add -X: %v\n%s", err, out)
	}
	if out, err := sshAdd("", "-l"); err != nil {
		t.Errorf("ssh-add -l of an unlocked agent: %v\n%s", err, out)
	}
}

// An sshServer is a real sshd on a loopback port that trusts an authority.
type sshServer struct {
	dir, port, user string
}

// startSSHD starts one; settings come before its own, and so win.
func startSSHD(t *testing.T, ca *authority, settings ...string) *sshServer {
	t.Helper()
	u, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	s := &sshServer{dir: socketDir(t), user: u.Username}
	write := func(name, content string) string {
		t.Helper()
		path := filepath.Join(s.dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if out, err := run(t, "", "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(s.dir, "host")); err != nil {
		t.Fatal(err, out)
	}
	userCA := write("user_ca.pub", string(ssh.MarshalAuthorizedKey(ca.signer.PublicKey())))
	principals := write("principals", "alice\n")
	if os.Getuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // privilege separation
			t.Fatal(err)
		}
	}
	probe, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, s.port, _ = net.SplitHostPort(probe.Addr().String())
	_ = probe.Close()
	config := write("sshd_config", strings.Join(append(settings, ""), "\n")+fmt.Sprintf(`Port %s
ListenAddress 127.0.0.1
HostKey %s
TrustedUserCAKeys %s
AuthorizedPrincipalsFile %s
AuthorizedKeysFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
PidFile none
LogLevel VERBOSE
`, s.port, filepath.Join(s.dir, "host"), userCA, principals))
	host, err := os.ReadFile(filepath.Join(s.dir, "host.pub"))
	if err != nil {
		t.Fatal(err)
	}
	write("known_hosts", fmt.Sprintf("[127.0.0.1]:%s %s", s.port, host))

	logFile := filepath.Join(s.dir, "sshd.log")
	cmd := exec.Command(program(t, "sshd"), "-D", "-f", config, "-E", logFile)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if log, err := os.ReadFile(logFile); err == nil && t.Failed() {
			t.Logf("sshd:\n%s", log)
		}
	})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", "127.0.0.1:"+s.port)
		if err == nil {
			_ = conn.Close()
			return s
		}
		if time.Now().After(deadline) {
			t.Fatalf("sshd does not listen: %v", err)
		}
	}
}

// ssh runs the system's ssh against the server with nothing but the agent.
func (s *sshServer) ssh(t *testing.T, socket string, args ...string) (string, error) {
	t.Helper()
	argv := []string{
		"ssh", "-F", "none", "-p", s.port, "-l", s.user, "-o", "BatchMode=yes", "-o", "IdentityFile=none",
		"-o", "UserKnownHostsFile=" + filepath.Join(s.dir, "known_hosts"), "-o", "KexAlgorithms=curve25519-sha256",
		"-o", "StrictHostKeyChecking=yes", "-o", "PreferredAuthentications=publickey",
	}
	for len(args) > 1 && strings.HasPrefix(args[0], "-") {
		argv, args = append(argv, args[0]), args[1:]
	}
	return run(t, socket, append(append(argv, "127.0.0.1"), args...)...)
}

func TestLogin(t *testing.T) {
	for _, kind := range []string{"ed25519", "ecdsa", "rsa"} {
		t.Run(kind, func(t *testing.T) {
			ca := newAuthority(t)
			server := startSSHD(t, ca)
			src := &source{mint: func(context.Context) (ssh.Signer, error) {
				return ca.certify(t, newKey(t, kind), time.Hour, "alice"), nil
			}}
			a := new(Agent)
			a.Set(Settings{Profiles: []Profile{{Name: "corp", Source: src}}})
			socket := serve(t, a)
			for range 2 {
				out, err := server.ssh(t, socket, "-v", "echo", "logged", "in")
				if err != nil || !strings.Contains(out, "logged in") {
					t.Fatalf("ssh: %v\n%s", err, out)
				}
				if !strings.Contains(out, "bound agent to hostkey") {
					t.Logf("this ssh does not bind its agent connection:\n%s", out)
				}
			}
			if minted, _ := src.counts(); minted != 1 {
				t.Errorf("two logins minted %d times", minted)
			}
			if r := a.Refusals(); len(r) != 0 {
				t.Errorf("refused: %+v", r)
			}
			a.Set(Settings{})
			if out, err := server.ssh(t, socket, "true"); err == nil {
				t.Errorf("ssh without a profile logged in\n%s", out)
			}
		})
	}
}

// TestForwardedAgent shows that a host to which the agent is forwarded sees no
// minted key, and can neither use nor drop one, while the login to it works.
func TestForwardedAgent(t *testing.T) {
	ca := newAuthority(t)
	server := startSSHD(t, ca)
	src := &source{current: ca.certify(t, newKey(t, "ed25519"), time.Hour, "alice")}
	a := new(Agent)
	a.Set(Settings{Profiles: []Profile{{Name: "corp", Source: src}}})
	socket := serve(t, a)

	out, err := server.ssh(t, socket, "-A", "ssh-add -l; ssh-add -D; echo done")
	if err != nil || !strings.Contains(out, "done") {
		t.Fatalf("ssh -A: %v\n%s", err, out)
	}
	if !strings.Contains(out, "The agent has no identities.") {
		t.Errorf("the remote host was offered keys:\n%s", out)
	}
	if !strings.Contains(out, "Failed to remove all identities.") {
		t.Errorf("the remote host removed keys:\n%s", out)
	}
	if minted, forgot := src.counts(); minted != 0 || forgot != 0 {
		t.Errorf("from the remote host: minted %d, forgot %d", minted, forgot)
	}
	if h := a.Hidden(); len(h) != 1 || h[0].Profile != "corp" || h[0].Count == 0 {
		t.Errorf("Hidden() = %+v", h)
	}

	// A second hop by the forwarded agent is refused as well.
	hop := fmt.Sprintf("ssh -F none -p %s -l %s -o BatchMode=yes -o IdentityFile=none -o UserKnownHostsFile=%s 127.0.0.1 echo hopped",
		server.port, server.user, filepath.Join(server.dir, "known_hosts"))
	if out, err := server.ssh(t, socket, "-A", hop); err == nil || strings.Contains(out, "hopped\n") {
		t.Errorf("a forwarded agent logged in from there: %v\n%s", err, out)
	}
}
