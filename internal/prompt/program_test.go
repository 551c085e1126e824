package prompt

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestProgram has which program is chosen, and why there is none. The PATHs hold
// nothing but what they are named for.
func TestProgram(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("other systems have a desktop without a variable that says so")
	}
	for _, place := range askpassPlaces[1:] {
		if _, err := os.Stat(place); err == nil {
			t.Skipf("this computer has %s", place)
		}
	}
	mine := script(t, "mine", "exit 0")
	pinentry, askpass := script(t, "pinentry", "exit 0"), script(t, "ssh-askpass", "exit 0")
	curses := filepath.Join(t.TempDir(), "pinentry")
	if err := os.Symlink(script(t, "pinentry-curses", "exit 0"), curses); err != nil {
		t.Fatal(err)
	}
	path := func(programs ...string) string {
		dirs := []string{"", "."}
		for _, p := range programs {
			dirs = append(dirs, filepath.Dir(p))
		}
		return "PATH=" + strings.Join(dirs, ":")
	}
	named := "SSH_ASKPASS=" + mine
	for _, tt := range []struct {
		environ []string
		want    string // path, or part of the error
	}{
		{[]string{named, "DISPLAY=:0"}, mine},
		{[]string{named, "WAYLAND_DISPLAY=w"}, mine},
		{[]string{named, "DISPLAY=:0", path(pinentry, askpass)}, mine},
		{[]string{named, "SSH_ASKPASS_REQUIRE=force"}, mine},
		{[]string{named, "SSH_ASKPASS_REQUIRE=FORCE"}, mine},
		{[]string{"SSH_ASKPASS=mine", "DISPLAY=:0", path(mine)}, mine},
		{[]string{named, "SSH_ASKPASS_REQUIRE=prefer", "DISPLAY=:0", path(pinentry)}, mine},
		{[]string{named, "SSH_ASKPASS_REQUIRE=prefer"}, "only with SSH_ASKPASS_REQUIRE=force"},
		{[]string{named}, "only with SSH_ASKPASS_REQUIRE=force"},
		{[]string{named, "DISPLAY="}, "only with SSH_ASKPASS_REQUIRE=force"},
		{[]string{named, "DISPLAY=:0", "SSH_ASKPASS_REQUIRE=never"}, "SSH_ASKPASS_REQUIRE is never"},
		{[]string{named, "DISPLAY=:0", "SSH_ASKPASS_REQUIRE=never", path(pinentry, askpass)}, pinentry},
		{[]string{"SSH_ASKPASS=/no/such/program", "DISPLAY=:0", path(pinentry, askpass)}, "SSH_ASKPASS: "},
		{[]string{"SSH_ASKPASS=none", "DISPLAY=:0", path(pinentry, askpass)}, "SSH_ASKPASS: "},
		{[]string{"SSH_ASKPASS=", "DISPLAY=:0", path(pinentry)}, pinentry},
		{[]string{"DISPLAY=:0", path(askpass, pinentry)}, pinentry},
		{[]string{"DISPLAY=:0", path(askpass)}, askpass},
		{[]string{"DISPLAY=:0", path(askpass, curses)}, askpass},
		{[]string{"DISPLAY=:0", "GPG_TTY=/dev/pts/1", path(askpass, curses)}, curses},
		{[]string{"GPG_TTY=/dev/pts/1", path(askpass, pinentry)}, pinentry},
		{[]string{path(askpass, curses)}, "pinentry-curses has no display"},
		{[]string{path(askpass, pinentry)}, "pinentry has no display"},
		{[]string{"SSH_ASKPASS_REQUIRE=force", path(askpass, pinentry)}, askpass},
		{[]string{"DISPLAY=:0"}, "pinentry is not installed; no ssh-askpass is installed"},
		{nil, "pinentry is not installed; without DISPLAY"},
	} {
		if tt.environ == nil {
			tt.environ = []string{}
		}
		got, err := (&Prompter{Environ: tt.environ}).Program()
		switch {
		case strings.HasPrefix(tt.want, "/"):
			if err != nil || got.Path != tt.want || got.Why == "" || (got.Kind == Pinentry) != (filepath.Base(got.Path) == "pinentry") {
				t.Errorf("%q: %+v, %v; want %s", tt.environ, got, err, tt.want)
			}
		case outcome(err) != "no program" || !strings.Contains(err.Error(), tt.want):
			t.Errorf("%q: %+v, %v; want %q", tt.environ, got, err, tt.want)
		}
	}
}

// TestNoProgram asks nobody.
func TestNoProgram(t *testing.T) {
	p := &Prompter{Environ: []string{"PATH=" + t.TempDir()}}
	if err := p.Confirm(t.Context(), "Really?"); outcome(err) != "no program" {
		t.Error(err)
	}
}
