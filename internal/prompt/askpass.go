package prompt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// maxAnswer is how much a program may say, in bytes.
const maxAnswer = 1 << 10

// confirmByAskpass asks as OpenSSH's ask_permission does (readpass.c): the
// question is the argument, SSH_ASKPASS_PROMPT tells that no password is wanted,
// and yes is an exit status of 0 with no output, or with "yes".
func confirmByAskpass(ctx context.Context, path string, environ []string, text string) error {
	cmd := command(ctx, path, text)
	cmd.Env = append(environ, "SSH_ASKPASS_PROMPT=confirm")
	var answer, complaint limited
	cmd.Stdout, cmd.Stderr = &answer, &complaint
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.Exited():
		// What goes wrong in the program looks the same as a no.
		return fmt.Errorf("%w (exit status %d%s)", ErrDeclined, exit.ExitCode(), complaint.quote())
	case err != nil:
		return fmt.Errorf("asking for confirmation: %w%s", err, complaint.quote())
	}
	first := answer.b.String()
	if i := strings.IndexAny(first, "\r\n"); i >= 0 {
		first = first[:i]
	}
	switch {
	case answer.over:
		return fmt.Errorf("asking for confirmation: more than %d bytes of answer", maxAnswer)
	case first == "" || strings.EqualFold(first, "yes"):
		return nil
	case strings.EqualFold(first, "no"):
		return ErrDeclined
	}
	return errors.New("asking for confirmation: the answer is neither yes nor no; it may be a program that can only ask for passwords")
}

// command prepares a program that runs in a session of its own, so that it can
// be ended together with all that it starts and does not get signals of our
// terminal.
func command(ctx context.Context, path string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, path, args...) // #nosec G204 -- the user's own program, by its own environment
	cmd.SysProcAttr = ownSession()
	cmd.Cancel = func() error { return killAll(cmd.Process) }
	cmd.WaitDelay = killed
	return cmd
}

// limited keeps the first maxAnswer bytes that a program writes.
type limited struct {
	b    bytes.Buffer
	over bool
}

func (l *limited) Write(p []byte) (int, error) {
	room := maxAnswer - l.b.Len()
	l.over = l.over || len(p) > room
	l.b.Write(p[:min(room, len(p))])
	return len(p), nil
}

// quote gives what a program complained of, for an error.
func (l *limited) quote() string {
	line, _, _ := strings.Cut(strings.TrimSpace(l.b.String()), "\n")
	if line == "" {
		return ""
	}
	return ": " + line[:min(len(line), 200)]
}
