package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/sshmint/sshmint/agent"
	"github.com/sshmint/sshmint/internal/config"
	"github.com/sshmint/sshmint/internal/control"
)

// run is the whole program; it returns the exit status: 0, 1 for what went
// wrong, 2 for a wrong command line, or what a command that it ran returned.
// Called by the name of ssh-agent, it is that.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) > 0 && filepath.Base(args[0]) == "ssh-agent" {
		return runSSHAgent(args[1:], stdout, stderr)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	app := newApp()
	app.Reader, app.Writer, app.ErrWriter = stdin, stdout, stderr
	return status(stderr, app.RunContext(ctx, args))
}

func newApp() *cli.App {
	usage := func(_ *cli.Context, err error, _ bool) error { return usageError{err} }
	app := &cli.App{
		Name:            "sshmint",
		Usage:           "an ssh-agent that mints certificates on demand",
		HideVersion:     true,
		HideHelpCommand: true,
		OnUsageError:    usage,
		ExitErrHandler:  func(*cli.Context, error) {}, // status decides
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usageError{fmt.Errorf("there is no command %q; see sshmint --help", c.Args().First())}
			}
			return cli.ShowAppHelp(c)
		},
		Commands: append([]*cli.Command{
			initCommand(), agentCommand(), envCommand(), statusCommand(), listCommand(),
			mintCommand(), forgetCommand(), identityCommand(), versionCommand(),
		}, sshAgentCommands()...),
	}
	for _, c := range app.Commands {
		c.OnUsageError = usage
		for _, sub := range c.Subcommands {
			sub.OnUsageError = usage
		}
	}
	return app
}

// usageError is a wrong command line.
type usageError struct{ error }

// exitStatus is that of a command which sshmint ran; it has said itself what
// was wrong.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// status tells what went wrong, once, and what may help.
func status(stderr io.Writer, err error) int {
	var (
		code  exitStatus
		usage usageError
	)
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	}
	fmt.Fprintf(stderr, "sshmint: %s\n", strings.ReplaceAll(err.Error(), "\n", "\nsshmint: "))
	if hint := hint(err); hint != "" {
		fmt.Fprintf(stderr, "sshmint: %s\n", hint)
	}
	if errors.As(err, &usage) {
		return 2
	}
	return 1
}

func hint(err error) string {
	switch {
	case errors.Is(err, control.ErrNoAgent):
		return `start one with: eval "$(sshmint agent --fork)"`
	case errors.Is(err, agent.ErrInUse):
		return `use it with: eval "$(sshmint env)", or choose another path with --socket`
	}
	return ""
}

func socketFlag() cli.Flag {
	return &cli.StringFlag{Name: "socket", Usage: "the agent's socket `PATH`", EnvVars: []string{"SSHMINT_SOCKET"}, TakesFile: true}
}

func configFlag() cli.Flag {
	return &cli.StringFlag{Name: "config", Usage: "read this `FILE` alone, not the system's and the user's", EnvVars: []string{"SSHMINT_CONFIG"}, TakesFile: true}
}

// socketOf finds the agent: --socket, the configuration, the default. Never
// SSH_AUTH_SOCK, which may be a forwarded agent's.
func socketOf(c *cli.Context) (string, error) {
	if s := c.String("socket"); s != "" {
		return filepath.Abs(s) // clients have other working folders
	}
	// A configuration that cannot be read must not keep one from asking the agent
	// what is wrong with it.
	if conf, err := config.Load(c.String("config")); err == nil && conf.Socket != "" {
		return conf.Socket, nil
	}
	return agent.DefaultSocket()
}

func client(c *cli.Context) (*control.Client, error) {
	socket, err := socketOf(c)
	return &control.Client{Socket: socket}, err
}

// args checks how many arguments there are.
func args(c *cli.Context, most int, what string) error {
	if c.NArg() > most {
		return usageError{fmt.Errorf("%s: %s, but there is %q", c.Command.FullName(), what, c.Args().Get(most))}
	}
	return nil
}
