//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/crypto/ssh"
	xagent "golang.org/x/crypto/ssh/agent"
)

// A thirdParty is a program that logs in with the minted certificate, or cannot.
type thirdParty struct {
	name           string // as docs/clients.md has it
	ed25519, ecdsa bool   // with a certificate for such a key
	needs          []string
	script         string // prints LOGIN_OK
}

const (
	java      = "/usr/share/java/"
	jschNeeds = java + "jsch.jar"
	jschPath  = java + "jsch.jar:" + java + "jna.jar:" + java + "jsch.agentproxy.core.jar:" + java + "jsch.agentproxy.jsch.jar:" +
		java + "jsch.agentproxy.sshagent.jar:" + java + "jsch.agentproxy.usocket-jna.jar"
	python     = "/usr/bin/python3" // Debian's, which has Debian's packages
	rubyNetSSH = "/usr/share/rubygems-integration/all/gems/net-ssh-*"
	modules    = "/usr/lib/python3/dist-packages/"
)

// thirdParties are what docs/clients.md has a row for. $SSH is ssh with the
// test's configuration, $FILES the folder of the programs' sources.
var thirdParties = []thirdParty{
	{"OpenSSH", true, true, nil, `$SSH certonly echo LOGIN_OK`},
	{"git", true, true, []string{"git"}, `git init -q --bare repo-$KEY.git && GIT_SSH_COMMAND="$SSH" git ls-remote "ssh://certonly$PWD/repo-$KEY.git" && echo LOGIN_OK`},
	{"sftp", true, true, []string{"sftp"}, `echo LOGIN_OK >there; rm -f here; echo "get $PWD/there here" | sftp -q ${SSH#ssh} -b - certonly && cat here`},
	{"scp", true, true, []string{"scp"}, `echo LOGIN_OK >there; rm -f here; scp -q ${SSH#ssh} certonly:"$PWD/there" here && cat here`},
	{"rsync", true, true, []string{"rsync"}, `echo LOGIN_OK >there; rm -f here; rsync -e "$SSH" certonly:"$PWD/there" here && cat here`},
	{"Ansible", true, true, []string{"ansible"}, `ANSIBLE_REMOTE_TEMP=/tmp ansible certonly -i certonly, -m raw -a "echo LOGIN_OK" --ssh-common-args "${SSH#ssh}"`},
	{"PuTTY (plink)", true, true, []string{"plink"}, `plink -batch -ssh -agent -hostkey $HOSTKEY -P $SSHPORT $USER@127.0.0.1 echo LOGIN_OK`},
	{"libssh", true, true, []string{"gcc", "/usr/include/libssh/libssh.h"}, `gcc -o libssh_login $FILES/libssh_login.c -lssh && ./libssh_login`},
	{"libssh2", false, true, []string{"gcc", "/usr/include/libssh2.h"}, `gcc -o libssh2_login $FILES/libssh2_login.c -lssh2 && ./libssh2_login`},
	{"Ruby net-ssh", true, true, []string{"ruby", rubyNetSSH}, `ruby $FILES/netssh_login.rb`},
	{"paramiko", true, true, []string{python, modules + "paramiko"}, python + ` -W ignore $FILES/paramiko_login.py`},
	{"AsyncSSH", false, false, []string{python, modules + "asyncssh"}, python + ` -W ignore $FILES/asyncssh_login.py`},
	{"JSch", true, true, []string{"javac", jschNeeds, java + "jsch.agentproxy.core.jar"}, `java -cp ` + jschPath + ` $FILES/JSchLogin.java`},
	{"dropbear", false, false, []string{"dbclient"}, `dbclient -y -y -p $SSHPORT $USER@127.0.0.1 echo LOGIN_OK`},
	{"Go x/crypto", true, true, nil, ""}, // goLogin
}

// TestThirdParties holds what docs/clients.md says about other programs.
func TestThirdParties(t *testing.T) {
	for _, program := range []string{"ssh", "sshd", "ssh-add", "ssh-keygen"} {
		need(t, program)
	}
	root, err := os.MkdirTemp("/tmp", "sm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	paramiko, err := filepath.Abs("testdata/clients/paramiko_login.py")
	if err != nil {
		t.Fatal(err)
	}
	more := maps.Clone(commands)
	more["widesshd"] = wideSSHD
	more["thirdparty"] = runThirdParties
	testscript.Run(t, testscript.Params{
		Dir: "testdata/clients", WorkdirRoot: root, RequireExplicitExec: true, Cmds: more, Condition: condition,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PARAMIKO", paramiko)
			return setUp(env)
		},
	})
}

// TestThirdPartiesAreDocumented compares the table in docs/clients.md.
func TestThirdPartiesAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/clients.md")
	if err != nil {
		t.Fatal(err)
	}
	answer := map[bool]string{true: "yes", false: "no"}
	documented := regexp.MustCompile(`(?m)^\| ([^|]+?)(?: [0-9][0-9.]*)? \| (yes|no) \| (yes|no) \|`).FindAllStringSubmatch(string(text), -1)
	for _, p := range thirdParties {
		row := []string{p.name, answer[p.ed25519], answer[p.ecdsa]}
		if !slices.ContainsFunc(documented, func(d []string) bool { return slices.Equal(d[1:], row) }) {
			t.Errorf("docs/clients.md has no row %q", row)
		}
	}
	if len(documented) != len(thirdParties) {
		t.Errorf("%d rows for %d programs", len(documented), len(thirdParties))
	}
}

// widesshd serves a second sshd at $SSHPORT, with what old clients ask for: an
// ECDSA host key and sftp.
func wideSSHD(ts *testscript.TestScript, _ bool, _ []string) {
	was, port := "127.0.0.1:"+ts.Getenv("SSHPORT"), unusedPort(ts)
	ts.Check(ts.Exec("ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", ts.MkAbs("ecdsa_key")))
	config := strings.Replace(ts.ReadFile("sshd_config"), was, fmt.Sprintf("127.0.0.1:%d", port), 1)
	config += "HostKey " + ts.MkAbs("ecdsa_key") + "\nSubsystem sftp internal-sftp\n"
	ts.Check(os.WriteFile(ts.MkAbs("wide_sshd_config"), []byte(config), 0o600))
	sshd, err := lookPath("sshd")
	ts.Check(err)
	start(ts, "wide", sshd, "-D", "-e", "-f", ts.MkAbs("wide_sshd_config")).logged(ts, "Server listening on")

	hosts, err := os.OpenFile(ts.MkAbs("known_hosts"), os.O_APPEND|os.O_WRONLY, 0o600)
	ts.Check(err)
	pins := ""
	for _, key := range []string{"host_key.pub", "ecdsa_key.pub"} {
		_, err := fmt.Fprintf(hosts, "[127.0.0.1]:%d %s", port, ts.ReadFile(key))
		ts.Check(err)
		public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(ts.ReadFile(key)))
		ts.Check(err)
		pins += " -hostkey " + ssh.FingerprintSHA256(public)
	}
	ts.Check(hosts.Close())
	ts.Setenv("HOSTKEY", strings.TrimPrefix(pins, " -hostkey "))
	ts.Setenv("SSHPORT", fmt.Sprint(port))
	ts.Setenv("SSH", fmt.Sprintf("ssh -F %s -o Port=%d", ts.MkAbs("ssh_config"), port))
}

// thirdparty KEY runs every program that is here.
func runThirdParties(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: thirdparty ed25519|ecdsa")
	}
	files, err := filepath.Abs("testdata/clients")
	ts.Check(err)
	var env []string
	for _, name := range []string{"HOME", "PATH", "USER", "SHELL", "SSH_AUTH_SOCK", "SSHPORT", "SSH", "HOSTKEY"} {
		env = append(env, name+"="+ts.Getenv(name))
	}
	env = append(env, "LC_ALL=C.UTF-8", "KEY="+args[0], "FILES="+files)
	var wrong []string
	for _, p := range thirdParties {
		if missing := p.missing(); missing != "" {
			if os.Getenv("SSHMINT_REQUIRE_ALL") == "1" {
				ts.Fatalf("%s: there is no %s (make deps), and SSHMINT_REQUIRE_ALL=1", p.name, missing)
			}
			ts.Logf("%s: not tried, there is no %s", p.name, missing)
			continue
		}
		want := p.ed25519
		if args[0] == "ecdsa" {
			want = p.ecdsa
		}
		began := time.Now()
		out, err := p.logIn(ts.MkAbs("."), env, ts.Getenv("SSH_AUTH_SOCK"), "127.0.0.1:"+ts.Getenv("SSHPORT"), ts.Getenv("USER"))
		ts.Logf("%s: %s", p.name, time.Since(began).Round(time.Millisecond))
		if got := err == nil && strings.Contains(out, "LOGIN_OK"); got != want {
			wrong = append(wrong, fmt.Sprintf("%s with %s: logs in: %v, want %v; %v\n%s", p.name, args[0], got, want, err, out))
		}
	}
	if wrong != nil {
		ts.Fatalf("%s", strings.Join(wrong, "\n"))
	}
}

func (p *thirdParty) missing() string {
	for _, program := range p.needs {
		if filepath.IsAbs(program) {
			if found, err := filepath.Glob(program); err != nil || found == nil {
				return program
			}
		} else if _, err := exec.LookPath(program); err != nil {
			return program
		}
	}
	return ""
}

func (p *thirdParty) logIn(dir string, env []string, socket, address, user string) (string, error) {
	if p.script == "" {
		return goLogin(socket, address, user)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", p.script)
	cmd.Dir, cmd.Env, cmd.WaitDelay = dir, env, time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// goLogin is a client of golang.org/x/crypto/ssh.
func goLogin(socket, address, user string) (string, error) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return "", err
	}
	defer conn.Close() //nolint:errcheck // nothing is left to be written
	client, err := ssh.Dial("tcp", address, &ssh.ClientConfig{
		User:            user,
		Auth:            []ssh.AuthMethod{ssh.PublicKeysCallback(xagent.NewClient(conn).Signers)},
		HostKeyCallback: ssh.InsecureIgnoreHostKey(), // #nosec G106 -- the test's own server
		Timeout:         20 * time.Second,
	})
	if err != nil {
		return "", err
	}
	session, err := client.NewSession()
	if err != nil {
		return "", errors.Join(err, client.Close())
	}
	out, err := session.Output("echo LOGIN_OK")
	return string(out), errors.Join(err, client.Close())
}
