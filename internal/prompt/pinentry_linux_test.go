package prompt

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal returns the two ends of a pseudo-terminal: what a person looks at and
// types on, and the name of what a program opens.
func terminal(t *testing.T) (person *os.File, name string) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("needs pseudo-terminals: %v", err)
	}
	t.Cleanup(func() { _ = person.Close() })
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(person.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 100}); err != nil {
		t.Fatal(err)
	}
	return person, fmt.Sprintf("/dev/pts/%d", number)
}

// TestPinentryCurses answers the real program on a terminal.
func TestPinentryCurses(t *testing.T) {
	real, err := exec.LookPath("pinentry-curses")
	if err != nil {
		if os.Getenv("SSHMINT_REQUIRE_ALL") == "1" {
			t.Fatalf("pinentry-curses is required: %v", err)
		}
		t.Skipf("needs pinentry-curses: %v", err)
	}
	bin := t.TempDir()
	if err := os.Symlink(real, filepath.Join(bin, "pinentry")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, types, want string }{
		{"Enter on Allow", "\r", "yes"},
		{"Enter on Deny", "\t\r", "no"},
		{"Ctrl-C", "\x03", "broken"}, // it dies of SIGINT
	} {
		t.Run(tt.name, func(t *testing.T) {
			person, name := terminal(t)
			p := &Prompter{Environ: []string{"PATH=" + bin, "GPG_TTY=" + name, "TERM=xterm", "LANG=C"}}
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			answer := make(chan error, 1)
			go func() { answer <- p.Confirm(ctx, "Log in as \"root\" on db7?") }()
			screen := make(chan bool, 1)
			go func() { // reads on: a program that cannot write stops
				var seen strings.Builder
				typed := false
				b := make([]byte, 4096)
				for {
					n, err := person.Read(b)
					seen.Write(b[:n])
					if !typed && strings.Contains(seen.String(), "Allow") && strings.Contains(seen.String(), "Deny") {
						typed = true
						screen <- strings.Contains(seen.String(), "db7?")
						if _, err := person.WriteString(tt.types); err != nil {
							return
						}
					}
					if err != nil {
						return
					}
				}
			}()
			err := <-answer
			if got := outcome(err); got != tt.want {
				t.Errorf("%s: %v; want %s", got, err, tt.want)
			}
			select {
			case shown := <-screen:
				if !shown {
					t.Error("the question is not on the screen")
				}
			default:
				t.Error("the dialog never came")
			}
		})
	}
	t.Run("terminal is gone", func(t *testing.T) {
		p := &Prompter{Environ: []string{"PATH=" + bin, "GPG_TTY=/dev/pts/none", "TERM=xterm"}}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if err := p.Confirm(ctx, "Really?"); outcome(err) != "broken" && outcome(err) != "no" || ctx.Err() != nil {
			t.Errorf("%v", err)
		}
	})
}
