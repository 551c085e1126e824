package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/sshmint/sshmint/internal/control"
)

// fork starts this program again, in the background and away from the terminal,
// and ends once that listens: its output, which it closes then, is what the shell
// evaluates. Where an agent listens already, a second login's shell is given that
// one.
func fork(c *cli.Context) error {
	socket, err := socketOf(c)
	if err != nil {
		return err
	}
	ctx, cancel := ask(c)
	defer cancel()
	running := control.Client{Socket: socket}
	if s, err := running.Status(ctx); err == nil {
		fmt.Fprintf(c.App.ErrWriter, "sshmint: the agent with pid %d listens on %s already\n", s.PID, socket)
		return printEnv(c.App.Writer, c.String("shell"), environment(socket, s.PID))
	}
	argv := []string{"agent"}
	for _, flag := range []string{"socket", "config"} {
		if v := c.String(flag); v != "" {
			if v, err = filepath.Abs(v); err != nil {
				return fmt.Errorf("going to the background: %w", err)
			}
			argv = append(argv, "--"+flag, v)
		}
	}
	if c.Bool("verbose") {
		argv = append(argv, "--verbose")
	}
	shell := c.String("shell")
	if shell == "" {
		shell = defaultShell()
	}
	child, lines, err := behind("agent.log", append(argv, "--shell", shell))
	if err != nil {
		return err
	}
	if _, err := c.App.Writer.Write(lines); err != nil {
		return err
	}
	return child.Release()
}

// behind starts this program again with other arguments, away from the terminal
// and with a log for its stderr, waits until it closes its stdout, and returns
// what it wrote there. A program that ends before it has written is an error.
func behind(logName string, argv []string) (*os.Process, []byte, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, fmt.Errorf("going to the background: %w", err)
	}
	path, err := logFile(logName)
	if err != nil {
		return nil, nil, err
	}
	log, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600) // #nosec G304 -- our own cache folder
	if err != nil {
		return nil, nil, fmt.Errorf("opening the log: %w", err)
	}
	defer log.Close()                    //nolint:errcheck // the child's
	child := exec.Command(self, argv...) // #nosec G204 G702 -- ourselves
	child.Args[0] = "sshmint"            // not ssh-agent, as a link may have it
	child.Stderr = log
	child.Dir = rootDir
	child.SysProcAttr = detached()
	out, err := child.StdoutPipe()
	if err != nil {
		return nil, nil, fmt.Errorf("going to the background: %w", err)
	}
	if err := child.Start(); err != nil {
		return nil, nil, fmt.Errorf("going to the background: %w", err)
	}
	lines, err := io.ReadAll(out)
	if err != nil {
		return nil, nil, fmt.Errorf("waiting for the agent to listen: %w", err)
	}
	if len(lines) == 0 {
		_ = child.Wait() // it ended before it listened, and the log says why
		return nil, nil, sayWhy(path)
	}
	return child.Process, lines, nil
}

// sayWhy passes on the last words of an agent that did not come up.
func sayWhy(path string) error {
	text, err := os.ReadFile(path) // #nosec G304 -- our own cache folder
	if err != nil {
		return fmt.Errorf("the agent ended at once; its log cannot be read: %w", err)
	}
	var said []byte
	for line := range bytes.Lines(text) {
		if words, ok := bytes.CutPrefix(line, []byte("sshmint: ")); ok {
			said = append(said, words...)
		}
	}
	if said = bytes.TrimSpace(said); len(said) == 0 {
		return fmt.Errorf("the agent ended at once; see %s", path)
	}
	return fmt.Errorf("%s", said)
}
