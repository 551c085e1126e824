//go:build unix

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// A job is a program that runs beside a script, until that stops it or ends.
type job struct {
	name string
	cmd  *exec.Cmd
	log  string
}

type jobs struct{ running []*job }

type jobsKey struct{}

// start runs a program with its output in NAME.log.
func start(ts *testscript.TestScript, name, program string, args ...string) *job {
	all, ok := ts.Value(jobsKey{}).(*jobs)
	if !ok {
		ts.Fatalf("the script has no jobs")
	}
	log, err := os.OpenFile(ts.MkAbs(name+".log"), os.O_CREATE|os.O_TRUNC|os.O_APPEND|os.O_WRONLY, 0o600)
	ts.Check(err)
	path := program
	if !filepath.IsAbs(program) {
		for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
			if p := filepath.Join(dir, program); exec.Command(p).Err == nil {
				if _, err := os.Stat(p); err == nil {
					path = p
					break
				}
			}
		}
	}
	j := &job{name: name, cmd: exec.Command(path, args...), log: log.Name()}
	j.cmd.Dir = ts.MkAbs(".")
	j.cmd.Stdout, j.cmd.Stderr = log, log
	for _, v := range []string{
		"HOME", "PATH", "SHELL", "TMPDIR", "SSH_AUTH_SOCK", "SSHMINT_SOCKET", "SSHMINT_CONFIG", "XDG_RUNTIME_DIR",
		"SSH_ASKPASS", "SSH_ASKPASS_REQUIRE",
	} {
		if value := ts.Getenv(v); value != "" {
			j.cmd.Env = append(j.cmd.Env, v+"="+value)
		}
	}
	ts.Check(j.cmd.Start())
	ts.Check(log.Close())
	all.running = append(all.running, j)
	ts.Defer(func() {
		if j.cmd.ProcessState == nil {
			j.stop(ts)
		}
	})
	return j
}

// stop ends a job, which must end when it is told to.
func (j *job) stop(ts *testscript.TestScript) {
	ts.Check(j.cmd.Process.Signal(syscall.SIGTERM))
	hangs := time.AfterFunc(10*time.Second, func() { _ = j.cmd.Process.Signal(syscall.SIGQUIT) }) // Go tells where it hangs
	_ = j.cmd.Wait()
	if !hangs.Stop() {
		log, _ := os.ReadFile(j.log)
		ts.Fatalf("%s did not end within 10 s:\n%s", j.name, log)
	}
}

// logged waits until the log has a line with text, and gives that line.
func (j *job) logged(ts *testscript.TestScript, text string) string {
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		data, err := os.ReadFile(j.log)
		ts.Check(err)
		for line := range bytes.Lines(data) {
			if bytes.Contains(line, []byte(text)) {
				return string(line)
			}
		}
		if time.Now().After(end) {
			ts.Fatalf("%s did not log %q:\n%s", j.name, text, data)
		}
	}
}

func find(ts *testscript.TestScript, name string) *job {
	all, _ := ts.Value(jobsKey{}).(*jobs)
	for i := len(all.running) - 1; i >= 0; i-- {
		if all.running[i].name == name {
			return all.running[i]
		}
	}
	ts.Fatalf("there is no job %s", name)
	return nil
}

// end NAME ends a job and waits for it. An agent and a CA must end well.
func endJob(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: end JOB")
	}
	j := find(ts, args[0])
	j.stop(ts)
	if code := j.cmd.ProcessState.ExitCode(); code != 0 && j.name != "sshd" {
		ts.Fatalf("%s ended with %s", j.name, j.cmd.ProcessState)
	}
}

// signal NAME HUP|USR1|STOP|CONT|KILL
func signalJob(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: signal JOB SIGNAL")
	}
	s, ok := map[string]syscall.Signal{"HUP": syscall.SIGHUP, "USR1": syscall.SIGUSR1, "STOP": syscall.SIGSTOP, "CONT": syscall.SIGCONT, "KILL": syscall.SIGKILL}[args[1]]
	if !ok {
		ts.Fatalf("there is no signal %s", args[1])
	}
	ts.Check(find(ts, args[0]).cmd.Process.Signal(s))
}

// startca JOB DIR [ARGUMENT...] serves a CA; $JOB becomes its URL.
func startCA(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: startca JOB DIR [ARGUMENT...]")
	}
	arguments := []string{"serve", "--dir", ts.MkAbs(args[1])}
	if !strings.Contains(strings.Join(args, " "), "--listen") {
		arguments = append(arguments, "--listen", "127.0.0.1:0")
	}
	j := start(ts, args[0], "sshmint-ca", append(arguments, args[2:]...)...)
	line := j.logged(ts, "msg=listening")
	_, address, _ := strings.Cut(line, "address=")
	ts.Setenv(args[0], "https://"+strings.Fields(address)[0])
	ts.Setenv(args[0]+"LISTEN", strings.Fields(address)[0])
}

// startagent JOB [ARGUMENT...] runs an agent on $WORK/JOB.sock, which becomes
// SSH_AUTH_SOCK, and where sshmint's own commands look.
func startAgent(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 1 {
		ts.Fatalf("usage: startagent JOB [ARGUMENT...]")
	}
	socket := ts.MkAbs("run/" + args[0] + ".sock")
	j := start(ts, args[0], "sshmint", append([]string{"agent", "--socket", socket}, args[1:]...)...)
	j.logged(ts, "msg=listening")
	ts.Setenv("SSH_AUTH_SOCK", socket)
	ts.Setenv("SSHMINT_SOCKET", socket)
}

// startsshd CADIR PRINCIPAL... serves sshd for the present user, whose account
// takes these principals and the key other_key. ssh_config knows it as "server",
// with other_key as a last resort, and as "certonly" without.
func startSSHD(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 1 {
		ts.Fatalf("usage: startsshd CADIR PRINCIPAL...")
	}
	me, err := user.Current()
	ts.Check(err)
	sshd, err := lookPath("sshd")
	ts.Check(err)
	port := unusedPort(ts)
	ts.Check(os.MkdirAll(ts.MkAbs("principals"), 0o755))
	ts.Check(os.WriteFile(ts.MkAbs("principals/"+me.Username), []byte(strings.Join(args[1:], "\n")+"\n"), 0o600))
	for _, key := range []string{"host_key", "other_key"} {
		ts.Check(ts.Exec("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", key, "-f", ts.MkAbs(key)))
	}
	ts.Check(ts.Exec("sshmint-ca", "sshd-config", "--dir", ts.MkAbs(args[0])))
	lines := strings.ReplaceAll(ts.ReadFile("stdout"), ts.MkAbs(args[0])+"/principals/", ts.MkAbs("principals")+"/")
	config := lines + fmt.Sprintf("\nListenAddress 127.0.0.1:%d\nHostKey %s\nAuthorizedKeysFile %s\nPidFile none\nStrictModes no\nUsePAM no\nLogLevel VERBOSE\n"+
		"PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\nMaxStartups 200\nAllowAgentForwarding yes\n",
		port, ts.MkAbs("host_key"), ts.MkAbs("other_key.pub"))
	ts.Check(os.WriteFile(ts.MkAbs("sshd_config"), []byte(config), 0o600))
	if os.Getuid() == 0 {
		ts.Check(os.MkdirAll("/run/sshd", 0o755))
	}
	j := start(ts, "sshd", sshd, "-D", "-e", "-f", ts.MkAbs("sshd_config"))
	j.logged(ts, "Server listening on")

	pub := strings.Fields(ts.ReadFile("host_key.pub"))
	ts.Check(os.WriteFile(ts.MkAbs("known_hosts"), fmt.Appendf(nil, "[127.0.0.1]:%d %s %s\n", port, pub[0], pub[1]), 0o600))
	ssh := fmt.Sprintf("Host server\n    IdentityFile %s\nHost certonly\n    IdentityFile none\nHost *\n    HostName 127.0.0.1\n    Port %d\n    User %s\n"+
		"    UserKnownHostsFile %s\n    GlobalKnownHostsFile none\n    BatchMode yes\n    KexAlgorithms curve25519-sha256\n",
		ts.MkAbs("other_key"), port, me.Username, ts.MkAbs("known_hosts"))
	ts.Check(os.WriteFile(ts.MkAbs("ssh_config"), []byte(ssh), 0o600))
	ts.Setenv("USER", me.Username)
	ts.Setenv("SSHPORT", fmt.Sprint(port))
}

func unusedPort(ts *testscript.TestScript) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	defer l.Close() //nolint:errcheck // nothing was said on it
	address, _ := l.Addr().(*net.TCPAddr)
	return address.Port
}

// freeport VAR
func freePort(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], fmt.Sprint(unusedPort(ts)))
}

// blackhole VAR listens and never says a word; $VAR becomes its URL.
func blackHole(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { _ = l.Close() })
	ts.Setenv(args[0], "https://"+l.Addr().String())
}

// impostor VAR ROOT serves TLS with a leaf of a root of its own for 127.0.0.1 and
// appends the genuine ROOT to its chain.
func impostor(ts *testscript.TestScript, _ bool, args []string) {
	cert, err := tls.LoadX509KeyPair(ts.MkAbs("impostor.pem"), ts.MkAbs("impostor.pem"))
	ts.Check(err)
	genuine := certificates(ts.ReadFile(args[1]))
	cert.Certificate = append(cert.Certificate, genuine...)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13})
	ts.Check(err)
	ctx, stop := context.WithCancel(context.Background())
	context.AfterFunc(ctx, func() { _ = l.Close() })
	ts.Defer(stop)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(io.Discard, conn)
				_ = conn.Close()
			}()
		}
	}()
	ts.Setenv(args[0], "https://"+l.Addr().String())
}
