package prompt

import (
	"os"
	"slices"
	"strings"
)

// passed are the variables that a dialog may need: where it is shown, in which
// language and style, and where its settings are. LC_ ones go with them.
var passed = []string{
	"DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "DBUS_SESSION_BUS_ADDRESS",
	"XDG_RUNTIME_DIR", "XDG_SESSION_TYPE", "XDG_CURRENT_DESKTOP", "XDG_CONFIG_HOME", "XDG_DATA_DIRS",
	"HOME", "PATH", "USER", "LOGNAME", "LANG", "LANGUAGE", "TERM", "TZ", "TMPDIR",
	"GTK_THEME", "GDK_SCALE", "QT_QPA_PLATFORM", "QT_QPA_PLATFORMTHEME", "QT_SCALE_FACTOR",
	"SYSTEMROOT", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "TEMP", "PATHEXT", // Windows
}

// environment is what a program is given.
func (p *Prompter) environment() []string {
	all := p.Environ
	if all == nil {
		all = os.Environ()
	}
	var kept []string
	for _, v := range all {
		name, _, _ := strings.Cut(v, "=")
		if name = strings.ToUpper(name); slices.Contains(passed, name) || strings.HasPrefix(name, "LC_") || name == "GPG_TTY" {
			kept = append(kept, v)
		}
	}
	return kept
}

// get returns a variable, "" if it is not set; the last setting counts.
func (p *Prompter) get(name string) string {
	if p.Environ == nil {
		return os.Getenv(name)
	}
	return lookup(p.Environ, name)
}

func lookup(environ []string, name string) string {
	for _, v := range slices.Backward(environ) {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}
