package main

import (
	"io"

	"github.com/urfave/cli/v2"

	"github.com/sshmint/sshmint/internal/buildinfo"
)

// version is set by a release's linker flags; else the build information tells.
var version string

func versionCommand() *cli.Command {
	return &cli.Command{
		Name:  "version",
		Usage: "tell version, commit and Go version",
		Action: func(c *cli.Context) error {
			_, err := io.WriteString(c.App.Writer, buildinfo.Text("sshmint-ca", version))
			return err
		},
	}
}
