package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// usageError is about the command line itself.
type usageError struct{ error }

// errAnswered ends a command whose output has told already that the answer is no.
var errAnswered = errors.New("the answer is no")

func run(args []string, stdout, stderr io.Writer) int {
	err := newApp(stdout, stderr).Run(args)
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errAnswered):
		return exitFailure
	}
	// An error may be many, one on each line.
	_, _ = fmt.Fprintf(stderr, "sshmint-ca: %s\n", strings.ReplaceAll(err.Error(), "\n", "\nsshmint-ca: "))
	if errors.As(err, &usage) {
		_, _ = fmt.Fprintf(stderr, "sshmint-ca: --help tells more\n")
		return exitUsage
	}
	return exitFailure
}

func newApp(stdout, stderr io.Writer) *cli.App {
	commands := []*cli.Command{
		initCommand(), serveCommand(), checkCommand(), explainCommand(), signCommand(), sshdConfigCommand(), versionCommand(),
	}
	for _, c := range commands {
		c.OnUsageError = onUsageError
		c.HideHelpCommand = true
		c.Before = noArguments
	}
	return &cli.App{
		Name:            "sshmint-ca",
		Usage:           "X.509 client certificates in, short-lived OpenSSH certificates out",
		UsageText:       "sshmint-ca COMMAND --dir DIR [options]",
		HideVersion:     true,
		HideHelpCommand: true,
		Writer:          stdout,
		ErrWriter:       stderr,
		Commands:        commands,
		OnUsageError:    onUsageError,
		ExitErrHandler:  func(*cli.Context, error) {}, // run prints and decides
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usageError{fmt.Errorf("there is no command %q", c.Args().First())}
			}
			return cli.ShowAppHelp(c)
		},
	}
}

func onUsageError(_ *cli.Context, err error, _ bool) error { return usageError{err} }

func noArguments(c *cli.Context) error {
	if c.Args().Present() {
		return usageError{fmt.Errorf("%s takes no argument such as %q", c.Command.Name, c.Args().First())}
	}
	return nil
}

// need gives a flag that must be there.
func need(c *cli.Context, name string) (string, error) {
	v := c.String(name)
	if v == "" {
		return "", usageError{fmt.Errorf("%s needs --%s", c.Command.Name, name)}
	}
	return v, nil
}

func dirFlag() cli.Flag {
	return &cli.StringFlag{Name: "dir", Usage: "the CA's `FOLDER`"}
}
