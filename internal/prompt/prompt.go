// Package prompt asks the person at the computer by a program with a dialog: the
// SSH_ASKPASS of OpenSSH, or GnuPG's pinentry.
//
// Only a clear yes is one. A program that is missing, crashes, says what is not
// understood or does not end in time has not said yes, and neither has a person
// whom there is no way to ask. One dialog is open at a time. The programs get an
// environment of their own: no agent socket, and nothing but what a dialog
// needs.
package prompt

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

var (
	// ErrDeclined: the person said no.
	ErrDeclined = errors.New("declined")
	// ErrNoProgram: there is no way to ask.
	ErrNoProgram = errors.New("no program for prompts")
)

// A Prompter asks. The zero value uses the environment of the process, and must
// not be copied once used.
type Prompter struct {
	// Environ is what the programs are found by, and given parts of. Nil: the
	// environment of the process.
	Environ []string

	init sync.Once
	turn chan struct{} // held while a dialog is open
}

// Confirm shows text, a few lines, and returns nil if the person says yes to it,
// ErrDeclined, wrapped, if the person says no, and why there was no answer
// otherwise. When ctx ends, the dialog goes away.
func (p *Prompter) Confirm(ctx context.Context, text string) error {
	program, err := p.Program()
	if err != nil {
		return err
	}
	p.init.Do(func() { p.turn = make(chan struct{}, 1) })
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return fmt.Errorf("waiting for another prompt to be answered: %w", context.Cause(ctx))
	}
	if err := ctx.Err(); err != nil { // both were ready
		return fmt.Errorf("waiting for another prompt to be answered: %w", context.Cause(ctx))
	}
	confirm := confirmByPinentry
	if program.Kind == Askpass {
		confirm = confirmByAskpass
	}
	err = confirm(ctx, program.Path, p.environment(), text)
	switch {
	case ctx.Err() != nil: // the program was killed, and what it said last is of no interest
		return fmt.Errorf("%s: %w", program.Path, context.Cause(ctx))
	case err != nil:
		return fmt.Errorf("%s: %w", program.Path, err)
	}
	return nil
}

// killed is how long the output of a program that was killed may be held open by
// others.
const killed = time.Second
