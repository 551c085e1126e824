package main

import (
	"io"

	"github.com/urfave/cli/v2"
)

// On Windows ssh-agent is a service and takes no options; there is nothing to be
// a drop-in for.
func sshAgentCommands() []*cli.Command { return nil }

func runSSHAgent(_ []string, _, stderr io.Writer) int {
	_, _ = io.WriteString(stderr, "ssh-agent: on Windows run: sshmint agent\n")
	return 1
}
