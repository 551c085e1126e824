package prompt

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// script writes a shell script into a folder of its own, and returns it.
func script(t *testing.T, name, body string) string {
	t.Helper()
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("needs sh")
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o700); err != nil { // #nosec G306 -- it is run
		t.Fatal(err)
	}
	return path
}

// withAskpass is a Prompter whose SSH_ASKPASS is a script.
func withAskpass(t *testing.T, body string, more ...string) *Prompter {
	return &Prompter{Environ: append([]string{"SSH_ASKPASS=" + script(t, "askpass", body), "DISPLAY=:99", "PATH=" + os.Getenv("PATH")}, more...)}
}

// outcome says in a word what an answer means.
func outcome(err error) string {
	switch {
	case err == nil:
		return "yes"
	case errors.Is(err, ErrDeclined):
		return "no"
	case errors.Is(err, ErrNoProgram):
		return "no program"
	}
	return "broken"
}

func TestAskpassAnswers(t *testing.T) {
	for _, tt := range []struct{ name, body, want, says string }{
		{"nothing, status 0", "exit 0", "yes", ""},
		{"an empty line", "echo", "yes", ""},
		{"yes", "echo yes", "yes", ""},
		{"Yes and CR", `printf 'Yes\r\n'`, "yes", ""},
		{"yes without a line's end", "printf yes", "yes", ""},
		{"status 1", "exit 1", "no", "exit status 1"},
		{"status 1 with yes", "echo yes; exit 1", "no", "exit status 1"},
		{"status 255 with a complaint", "echo 'cannot open display' >&2; exit 255", "no", "exit status 255: cannot open display"},
		{"no", "echo no", "no", ""},
		{"a password", "echo hunter2", "broken", "neither yes nor no"},
		{"an empty line and more", "echo; echo no", "yes", ""}, // OpenSSH looks at the first line alone
		{"yes in the second line", "echo x; echo yes", "broken", "neither yes nor no"},
		{"yes and more", "echo yes please", "broken", "neither yes nor no"},
		{"much", "echo; head -c 5000 /dev/zero", "broken", "more than 1024 bytes"},
		{"killed", "kill -9 $$", "broken", "signal: killed"},
		{"killed after yes", "echo yes; kill -SEGV $$", "broken", "signal: segmentation fault"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := withAskpass(t, tt.body).Confirm(t.Context(), "Really?")
			if got := outcome(err); got != tt.want || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s: %v; want %s, %q", got, err, tt.want, tt.says)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error quotes an answer: %v", err)
			}
		})
	}
}

// TestAskpassCannotStart has programs that are there but do not run.
func TestAskpassCannotStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "askpass")
	for body, mode := range map[string]os.FileMode{"#!/no/such/interpreter\n": 0o700, "\x7fELF garbage": 0o700} {
		if err := os.WriteFile(path, []byte(body), mode); err != nil {
			t.Fatal(err)
		}
		p := &Prompter{Environ: []string{"SSH_ASKPASS=" + path, "DISPLAY=:99"}}
		if err := p.Confirm(t.Context(), "Really?"); outcome(err) != "broken" {
			t.Errorf("%q: %v", body, err)
		}
	}
}

// TestAskpassIsGiven looks at argument and environment.
func TestAskpassIsGiven(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	p := withAskpass(t, `{ printf '%s|' "$#" "$1"; cat; env; } > `+out,
		"SSH_AUTH_SOCK=/run/agent.sock", "SSH_AGENT_PID=1", "SECRET=hunter2", "LD_PRELOAD=/evil.so", "LC_ALL=C.UTF-8", "HOME=/home/alice", "XAUTHORITY=/x", "WAYLAND_DISPLAY=w")
	if err := p.Confirm(t.Context(), "Really?\nAsked by: ssh (1)"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	arguments, environment, _ := strings.Cut(string(text), "ssh (1)|")
	if arguments != "1|Really?\nAsked by: " {
		t.Errorf("arguments %q", arguments)
	}
	got := map[string]bool{}
	for _, line := range strings.Split(strings.TrimSpace(environment), "\n") {
		name, _, _ := strings.Cut(line, "=")
		got[name] = true
	}
	for _, name := range []string{"SSH_ASKPASS_PROMPT", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "LC_ALL", "HOME", "PATH"} {
		if !got[name] {
			t.Errorf("%s is not passed", name)
		}
		delete(got, name)
	}
	for _, name := range []string{"PWD", "OLDPWD", "SHLVL", "_"} { // the shell's own
		delete(got, name)
	}
	if len(got) > 0 || !strings.Contains(environment, "SSH_ASKPASS_PROMPT=confirm\n") {
		t.Errorf("environment:\n%s", environment)
	}
}

// TestTimeOut ends the dialog, and what it started, with the context.
func TestTimeOut(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T, body string) *Prompter{
		"askpass": func(t *testing.T, body string) *Prompter { return withAskpass(t, body) },
		"pinentry": func(t *testing.T, body string) *Prompter {
			return withPinentry(t, "echo OK; while read -r c; do "+body+"; done")
		},
	} {
		t.Run(name, func(t *testing.T) {
			alive := filepath.Join(t.TempDir(), "alive")
			// The fifo has an end of file once all that hold it are gone.
			if out, err := exec.Command("mkfifo", alive).CombinedOutput(); err != nil {
				t.Skipf("needs mkfifo: %s", out)
			}
			p := prepare(t, "sleep 600 > "+alive+" & sleep 600 > "+alive+" 2>&1")
			ctx, cancel := context.WithCancelCause(t.Context())
			opened := make(chan *os.File, 1)
			go func() {
				f, err := os.Open(alive) // waits for the program
				if err != nil {
					t.Error(err)
				}
				opened <- f
				cancel(errors.New("out of patience"))
			}()
			start := time.Now()
			err := p.Confirm(ctx, "Really?")
			if outcome(err) != "broken" || !strings.Contains(err.Error(), "out of patience") {
				t.Errorf("%v", err)
			}
			f := <-opened
			defer func() { _ = f.Close() }()
			if _, err := f.Read(make([]byte, 1)); err == nil {
				t.Error("the program wrote")
			}
			if took := time.Since(start); took > 30*time.Second {
				t.Errorf("it took %s until all was gone", took)
			}
		})
	}
}

// TestOneAtATime asks many questions at once; each looks for another dialog that
// is open.
func TestOneAtATime(t *testing.T) {
	open := filepath.Join(t.TempDir(), "open")
	p := withAskpass(t, `mkdir "`+open+`" || exit 7; for i in 1 2 3 4 5; do cat </dev/null; done; rmdir "`+open+`"`)
	answers := make(chan error)
	const questions = 8
	for range questions {
		go func() { answers <- p.Confirm(t.Context(), "Really?") }()
	}
	for range questions {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
}

// TestWaitingForATurn ends with the context, and without a dialog.
func TestWaitingForATurn(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"begins", "ends"} {
		if out, err := exec.Command("mkfifo", filepath.Join(dir, name)).CombinedOutput(); err != nil {
			t.Skipf("needs mkfifo: %s", out)
		}
	}
	wait := func(event string) { // until the dialog gets there
		if _, err := os.ReadFile(filepath.Join(dir, event)); err != nil {
			t.Error(err)
		}
	}
	p := withAskpass(t, `cd "`+dir+`"; [ "$1" = first ] || touch second; echo >begins; echo >ends`)
	first := make(chan error, 1)
	go func() { first <- p.Confirm(t.Context(), "first") }()
	wait("begins")
	gone, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.Confirm(gone, "second"); outcome(err) != "broken" || !strings.Contains(err.Error(), "another prompt") {
		t.Errorf("one who has gone: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "second")); err == nil {
		t.Error("the second dialog was opened")
	}
	wait("ends")
	if err := <-first; err != nil {
		t.Error(err)
	}
}
