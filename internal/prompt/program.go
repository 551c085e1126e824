package prompt

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// A Kind is how a program is talked to.
type Kind string

const (
	Askpass  Kind = "ssh-askpass"
	Pinentry Kind = "pinentry"
)

// A Program is what Confirm asks with, and why that one.
type Program struct {
	Kind Kind
	Path string
	Why  string
}

// askpassPlaces is where systems keep an ssh-askpass that nobody named.
var askpassPlaces = []string{"ssh-askpass", "/usr/lib/ssh/ssh-askpass", "/usr/libexec/openssh/ssh-askpass", "/usr/libexec/ssh-askpass"}

// Program returns the program that Confirm would use now, or ErrNoProgram,
// wrapped, with the reason.
//
// What the person named in SSH_ASKPASS comes first, under OpenSSH's conditions
// (readpass.c): a display, or SSH_ASKPASS_REQUIRE=force, and never with
// SSH_ASKPASS_REQUIRE=never. Then comes pinentry, which also works on the
// terminal that GPG_TTY names, then an ssh-askpass that the system has.
func (p *Prompter) Program() (Program, error) {
	require := strings.ToLower(p.get("SSH_ASKPASS_REQUIRE"))
	display := ""
	for _, name := range []string{"WAYLAND_DISPLAY", "DISPLAY"} {
		if p.get(name) != "" {
			display = name + " is set"
		}
	}
	allowed := display
	switch require {
	case "force":
		allowed = "SSH_ASKPASS_REQUIRE is force"
	case "never":
		allowed = ""
	}

	if named := p.get("SSH_ASKPASS"); named != "" && allowed != "" {
		path, err := p.look(named)
		if err != nil {
			// Another program would not be the one that the person trusts.
			return Program{}, fmt.Errorf("%w: SSH_ASKPASS: %w", ErrNoProgram, err)
		}
		return Program{Askpass, path, "named by SSH_ASKPASS, and " + allowed}, nil
	}
	pinentry, pinentryErr := p.pinentry(display)
	if pinentryErr == nil {
		return pinentry, nil
	}
	if allowed != "" {
		for _, place := range askpassPlaces {
			if path, err := p.look(place); err == nil {
				return Program{Askpass, path, "the system has it, and " + allowed}, nil
			}
		}
	}
	why := "no ssh-askpass is installed, and SSH_ASKPASS names none"
	switch {
	case require == "never":
		why = "SSH_ASKPASS_REQUIRE is never"
	case allowed == "":
		why = "without DISPLAY and WAYLAND_DISPLAY in the agent's environment SSH_ASKPASS is used only with SSH_ASKPASS_REQUIRE=force"
	}
	return Program{}, fmt.Errorf("%w: %w; %s", ErrNoProgram, pinentryErr, why)
}

// pinentry returns it if there is a place where it can show itself.
func (p *Prompter) pinentry(display string) (Program, error) {
	path, err := p.look("pinentry")
	if err != nil {
		return Program{}, errors.New("pinentry is not installed")
	}
	screen := display
	if screen == "" && (runtime.GOOS == "darwin" || runtime.GOOS == "windows") {
		screen = "the system has a desktop"
	}
	flavour := path
	if real, err := filepath.EvalSymlinks(path); err == nil {
		flavour = real
	}
	if flavour = filepath.Base(flavour); flavour == "pinentry-curses" || flavour == "pinentry-tty" {
		screen = "" // these know terminals alone
	}
	switch {
	case screen != "":
	case p.get("GPG_TTY") != "":
		screen = "GPG_TTY is set"
	default:
		return Program{}, fmt.Errorf("%s has no display that it can use, and the agent's environment no GPG_TTY", flavour)
	}
	return Program{Pinentry, path, "found in PATH, and " + screen}, nil
}

// look finds a program as execlp(3) would, in the PATH of the environment.
func (p *Prompter) look(name string) (string, error) {
	if p.Environ == nil || strings.ContainsRune(name, '/') || strings.ContainsRune(name, os.PathSeparator) {
		return exec.LookPath(name)
	}
	for _, dir := range strings.Split(p.get("PATH"), string(os.PathListSeparator)) {
		if !filepath.IsAbs(dir) { // depends on the working folder, where anything may lie
			continue
		}
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", &exec.Error{Name: name, Err: exec.ErrNotFound}
}
