package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"sshmint-ca": main})
}

// The scripts in testdata read like a session with the real program, and with
// openssl, ssh-keygen and curl.
func TestScripts(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the scripts use a POSIX shell")
	}
	for _, name := range []string{"openssl", "ssh-keygen", "curl", "sh"} {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("SSHMINT_REQUIRE_ALL") == "1" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	repository, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Values[serverKey{}] = &server{done: make(chan struct{})}
			e.Setenv("REPOSITORY", repository)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"pki":     pki,
			"leaf":    leaf,
			"serve":   serveIn,
			"logged":  logged,
			"replace": replace,
			"example": example,
			"gone":    gone,
		},
	})
}

// pki NAME makes an X.509 root in NAME.pem and NAME.key.
func pki(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: pki NAME")
	}
	ts.Check(ts.Exec("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
		"-subj", "/CN="+args[0], "-addext", "keyUsage=critical,keyCertSign", "-addext", "basicConstraints=critical,CA:TRUE",
		"-keyout", args[0]+".key", "-out", args[0]+".pem"))
}

// leaf CA NAME SAN [EKU [KEY]] makes NAME.pem and NAME.key, signed by CA.
func leaf(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: leaf CA NAME SAN [EKU [KEY]]")
	}
	ca, name, san, eku := args[0], args[1], args[2], "clientAuth"
	if len(args) > 3 {
		eku = args[3]
	}
	ext := fmt.Sprintf("basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=%s\nsubjectAltName=%s\n", eku, san)
	ts.Check(os.WriteFile(ts.MkAbs(name+".ext"), []byte(ext), 0o600))
	ts.Check(ts.Exec("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
		"-subj", "/CN="+name, "-keyout", name+".key", "-out", name+".csr"))
	ts.Check(ts.Exec("openssl", "x509", "-req", "-in", name+".csr", "-CA", ca+".pem", "-CAkey", ca+".key", "-CAcreateserial",
		"-days", "7", "-extfile", name+".ext", "-out", name+".pem"))
}

// A server is the one that a script started.
type server struct {
	done chan struct{}
	err  error // to be read when done is closed
}

type serverKey struct{}

func started(ts *testscript.TestScript) *server {
	srv, ok := ts.Value(serverKey{}).(*server)
	if !ok {
		ts.Fatalf("the script was not set up")
	}
	return srv
}

var listening = regexp.MustCompile(`msg=listening address=(\S+)`)

// serve DIR starts a server in the background, its log in DIR.log, sets
// $ADDRESS and $PID, and waits until it answers.
func serveIn(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: serve DIR")
	}
	log, err := os.Create(ts.MkAbs(args[0] + ".log"))
	ts.Check(err)
	cmd := exec.Command("sshmint-ca", "serve", "--dir", args[0], "--listen", "127.0.0.1:0")
	cmd.Dir, cmd.Stderr = ts.Getenv("WORK"), log
	ts.Check(cmd.Start())
	srv := started(ts)
	go func() {
		srv.err = cmd.Wait()
		close(srv.done)
	}()
	ts.Setenv("PID", fmt.Sprint(cmd.Process.Pid))
	ts.Defer(func() {
		_ = cmd.Process.Signal(os.Interrupt) // it may have ended
		<-srv.done
		_ = log.Close()
	})
	line := waitFor(ts, args[0]+".log", listening)
	ts.Setenv("ADDRESS", line[1])
	ts.Setenv("PORT", line[1][strings.LastIndex(line[1], ":")+1:])
}

// logged FILE PATTERN waits until a line of the file matches.
func logged(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: logged FILE PATTERN")
	}
	waitFor(ts, args[0], regexp.MustCompile(args[1]))
}

func waitFor(ts *testscript.TestScript, file string, pattern *regexp.Regexp) []string {
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		text := ts.ReadFile(file)
		if m := pattern.FindStringSubmatch(text); m != nil {
			return m
		}
		if time.Now().After(deadline) {
			ts.Fatalf("no %q in %s:\n%s", pattern, file, text)
		}
	}
}

// example DOCUMENT SCRIPT copies the worked example of a document into a script.
func example(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: example DOCUMENT SCRIPT")
	}
	text, err := os.ReadFile(filepath.Join(ts.Getenv("REPOSITORY"), args[0]))
	ts.Check(err)
	_, after, _ := strings.Cut(string(text), "\n## A worked example\n")
	_, after, _ = strings.Cut(after, "\n```sh\n")
	script, _, found := strings.Cut(after, "\n```\n")
	if !found {
		ts.Fatalf("no worked example in %s", args[0])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(script+"\n"), 0o600))
}

// gone waits until the server that serve started has ended, and wants it to
// have ended well.
func gone(ts *testscript.TestScript, _ bool, _ []string) {
	srv := started(ts)
	select {
	case <-srv.done:
		ts.Check(srv.err)
	case <-time.After(30 * time.Second):
		ts.Fatalf("it runs still")
	}
}

// replace FILE OLD NEW changes a text that must be there.
func replace(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: replace FILE OLD NEW")
	}
	text := ts.ReadFile(args[0])
	if !strings.Contains(text, args[1]) {
		ts.Fatalf("no %q in %s", args[1], args[0])
	}
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.ReplaceAll(text, args[1], args[2])), info.Mode()))
}
