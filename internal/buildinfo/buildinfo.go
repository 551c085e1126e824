// Package buildinfo tells what a program was built from.
package buildinfo

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
)

// Version is what a release's linker flags say, or else the build information.
func Version(linked string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return cmp.Or(linked, info.Main.Version, "(devel)")
	}
	return cmp.Or(linked, "(devel)")
}

// Text names program, version, commit and Go version, on three lines.
func Text(program, linked string) string {
	commit, dirty := "unknown", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				commit = s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				dirty = " (modified)"
			}
		}
	}
	return fmt.Sprintf("%s %s\ncommit %s%s\n%s %s/%s\n", program, Version(linked), commit, dirty, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
