package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/sshmint/sshmint/agent"
	"github.com/sshmint/sshmint/internal/control"
	"github.com/sshmint/sshmint/internal/prompt"
)

// asker is the agent's Confirmer: a dialog on the person's screen.
type asker struct{ prompter *prompt.Prompter }

func (a asker) Confirm(ctx context.Context, q agent.Question) error {
	err := a.prompter.Confirm(ctx, q.String())
	if errors.Is(err, prompt.ErrDeclined) {
		return fmt.Errorf("%w: %w", agent.ErrDeclined, err)
	}
	return err
}

// promptStatus tells how a person would be asked now.
func (d *daemon) promptStatus() control.Prompt {
	program, err := d.prompter.Program()
	if err != nil {
		return control.Prompt{Error: err.Error()}
	}
	return control.Prompt{Kind: string(program.Kind), Program: program.Path, Why: program.Why}
}

// confirmation reads profile.NAME.confirm; what it does not know is asked each
// time.
func confirmation(s string) agent.Confirmation {
	switch s {
	case "never":
		return agent.ConfirmNever
	case "connection":
		return agent.ConfirmConnection
	}
	return agent.ConfirmSignature
}
