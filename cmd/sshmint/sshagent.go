//go:build unix

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/sshmint/sshmint/agent"
)

// sshAgentCommands are the drop-in for ssh-agent and what it runs behind the
// shell.
func sshAgentCommands() []*cli.Command {
	return []*cli.Command{
		{
			Name:            "ssh-agent",
			Usage:           "run the agent as ssh-agent, with its options and its output",
			ArgsUsage:       "[OPTION ...] [COMMAND [ARGUMENT ...]]",
			SkipFlagParsing: true,
			Action: func(c *cli.Context) error {
				if status := runSSHAgent(c.Args().Slice(), c.App.Writer, c.App.ErrWriter); status != 0 {
					return exitStatus(status)
				}
				return nil
			},
		},
		{
			Name:   "ssh-agent-daemon",
			Hidden: true,
			Flags: []cli.Flag{
				&cli.StringFlag{Name: "socket", Required: true},
				&cli.BoolFlag{Name: "own-folder", Usage: "remove the socket's folder at the end"},
				&cli.DurationFlag{Name: "life"},
				&cli.IntFlag{Name: "parent", Usage: "end when the parent, process `PID`, does"},
			},
			Action: func(c *cli.Context) error { return sshAgentDaemon(c) },
		},
	}
}

// runSSHAgent is the whole of ssh-agent. It is what sshmint does if it is called
// by that name.
func runSSHAgent(args []string, stdout, stderr io.Writer) int {
	o, err := parseSSHAgent(args)
	if err == nil {
		err = o.run(stdout, stderr)
	}
	var (
		said *sshAgentError
		code exitStatus
	)
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &said):
		if said.text != "" {
			fmt.Fprintln(stderr, said.text)
		}
		if said.usage {
			fmt.Fprint(stderr, sshAgentUsage)
		}
		return said.status
	}
	fmt.Fprintf(stderr, "ssh-agent: %v\n", err)
	return sshAgentFailed
}

func (o *sshAgentOptions) run(stdout, stderr io.Writer) error {
	switch {
	case o.kill:
		return o.killAgent(stdout)
	case o.foreground:
		return o.serveHere(stdout, stderr)
	}
	return o.serveBehind(stdout)
}

// killAgent ends the agent that SSH_AGENT_PID names.
func (o *sshAgentOptions) killAgent(stdout io.Writer) error {
	text, ok := os.LookupEnv("SSH_AGENT_PID")
	if !ok {
		return &sshAgentError{"SSH_AGENT_PID not set, cannot kill agent", false, sshAgentFailed}
	}
	pid, err := strconv.ParseInt(text, 10, 32)
	why := ""
	switch {
	case errors.Is(err, strconv.ErrRange) && pid > 0:
		why = "too large"
	case err == nil && pid < 2, errors.Is(err, strconv.ErrRange):
		why = "too small"
	case err != nil:
		why = "invalid"
	}
	if why != "" {
		return &sshAgentError{fmt.Sprintf("SSH_AGENT_PID=\"%s\", which is not a good PID: %s", text, why), false, sshAgentFailed}
	}
	if err := syscall.Kill(int(pid), syscall.SIGTERM); err != nil {
		return &sshAgentError{"kill: " + sentence(err), false, sshAgentFailed}
	}
	unset := "unset %s;\n"
	if o.csh {
		unset = "unsetenv %s;\n"
	}
	_, err = fmt.Fprintf(stdout, unset+unset+"echo Agent pid %d killed;\n", "SSH_AUTH_SOCK", "SSH_AGENT_PID", pid)
	return err
}

// sentence writes a system's error as perror(3) does: with a capital.
func sentence(err error) string {
	text := err.Error()
	if text != "" && text[0] >= 'a' && text[0] <= 'z' {
		text = string(text[0]-'a'+'A') + text[1:]
	}
	return text
}

// serveBehind starts the agent in the background, and prints what the shell
// needs or becomes the command. As with ssh-agent, the command has our pid, and
// the agent is its child, which ends when it does.
func (o *sshAgentOptions) serveBehind(stdout io.Writer) error {
	argv := []string{"ssh-agent-daemon", "--life", o.life.String()}
	socket, err := filepath.Abs(o.socket)
	if err != nil {
		return fmt.Errorf("choosing a socket path: %w", err)
	}
	if o.socket == "" {
		if socket, err = sshAgentSocket(); err != nil {
			return err
		}
		argv = append(argv, "--own-folder")
	}
	argv = append(argv, "--socket", socket)
	if len(o.command) > 0 {
		argv = append(argv, "--parent", strconv.Itoa(os.Getpid()))
	}
	child, _, err := behind("ssh-agent.log", argv)
	if err != nil {
		if o.socket == "" {
			_ = os.RemoveAll(filepath.Dir(socket))
		}
		return err
	}
	if len(o.command) > 0 {
		err := become(o.command, environment(socket, child.Pid))
		return errors.Join(err, child.Signal(syscall.SIGTERM)) // it did not
	}
	if err := o.print(stdout, socket, child.Pid, "SSH_AGENT_PID"); err != nil {
		return err
	}
	return child.Release()
}

// become replaces this process by a command.
func become(command []string, vars []variable) error {
	path, err := exec.LookPath(command[0])
	if err != nil {
		return sshAgentCannotRun(command[0], err)
	}
	for _, v := range vars {
		if err := os.Setenv(v.name, v.value); err != nil {
			return fmt.Errorf("running %s: %w", command[0], err)
		}
	}
	err = syscall.Exec(path, command, os.Environ()) // #nosec G204 G702 -- the user's own command
	return sshAgentCannotRun(command[0], err)
}

func sshAgentCannotRun(program string, err error) error {
	errno := syscall.ENOENT // what exec.ErrNotFound means
	errors.As(err, &errno)
	return &sshAgentError{program + ": " + sentence(errno), false, sshAgentFailed}
}

// print writes what ssh-agent writes: the socket, in the background also the
// pid, and an echo of that.
func (o *sshAgentOptions) print(w io.Writer, socket string, pid int, pidName ...string) error {
	shell := "sh"
	if o.csh {
		shell = "csh"
	}
	vars := []variable{{"SSH_AUTH_SOCK", socket}}
	for _, name := range pidName {
		vars = append(vars, variable{name, strconv.Itoa(pid)})
	}
	if err := printEnv(w, shell, vars); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "echo Agent pid %d;\n", pid)
	return err
}

// sshAgentSocket makes a private folder for a socket as ssh-agent does: in
// $TMPDIR, and named after the process that made it.
func sshAgentSocket() (string, error) {
	dir, err := os.MkdirTemp("", "ssh-*")
	if err != nil {
		return "", fmt.Errorf("making a private folder for the socket: %w", err)
	}
	return filepath.Join(dir, "agent."+strconv.Itoa(os.Getpid())), nil
}

// listenHere takes the socket that systemd opened, unless -a names another, or
// makes one.
func (o *sshAgentOptions) listenHere() (s *sshAgentServer, err error) {
	s = &sshAgentServer{life: o.life}
	if o.socket != "" {
		s.l, err = agent.ListenNew(o.socket)
		return s, err
	}
	if s.l, err = agent.Activated(); s.l != nil || err != nil {
		s.activated = true
		return s, err
	}
	socket, err := sshAgentSocket()
	if err != nil {
		return nil, err
	}
	s.folder = filepath.Dir(socket)
	if s.l, err = agent.ListenNew(socket); err != nil {
		_ = os.RemoveAll(s.folder)
	}
	return s, err
}
