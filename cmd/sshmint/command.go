package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/urfave/cli/v2"
)

// runCommand runs a command that finds the agent in its environment. Its exit
// status becomes ours.
func runCommand(ctx context.Context, c *cli.Context, argv []string, vars []variable) error {
	command := exec.CommandContext(ctx, argv[0], argv[1:]...) // #nosec G204 -- the user's own command
	command.Stdin, command.Stdout, command.Stderr = c.App.Reader, c.App.Writer, c.App.ErrWriter
	command.Env = os.Environ()
	for _, v := range vars {
		command.Env = append(command.Env, v.name+"="+v.value)
	}
	command.Cancel = func() error { return command.Process.Signal(terminate) }
	command.WaitDelay = 5 * time.Second
	err := command.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		return exitStatus(exit.ExitCode())
	case errors.As(err, &exit):
		return exitStatus(128 + signalOf(exit))
	case err != nil:
		return fmt.Errorf("running %s: %w", argv[0], err)
	}
	return nil
}
