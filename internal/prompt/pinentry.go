package prompt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxLine is the Assuan protocol's limit of a line, its end included.
const maxLine = 1000

// confirmByPinentry asks with CONFIRM, of which OK is a yes.
func confirmByPinentry(ctx context.Context, path string, environ []string, text string) error {
	d, err := startPinentry(ctx, path, environ)
	if err != nil {
		return err
	}
	defer d.end()
	for _, line := range []string{"SETDESC " + escape(text, maxLine-20), "SETOK Allow", "SETCANCEL Deny"} {
		if err := d.command(line); err != nil {
			return err
		}
	}
	return d.command("CONFIRM")
}

// A dialog is a conversation with a running pinentry, in the Assuan protocol
// (libassuan's manual, chapter 2).
type dialog struct {
	program *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
}

// startPinentry starts the program and tells it where to show itself.
func startPinentry(ctx context.Context, path string, environ []string) (*dialog, error) {
	cmd := command(ctx, path)
	cmd.Env = environ
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("starting it: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting it: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting it: %w", err)
	}
	d := &dialog{program: cmd, in: in, out: bufio.NewReaderSize(out, maxLine)}
	if err := d.reply("its greeting"); err != nil {
		d.end()
		return nil, err
	}
	options := [][2]string{
		{"ttyname", lookup(environ, "GPG_TTY")},
		{"ttytype", lookup(environ, "TERM")},
		{"lc-ctype", firstOf(environ, "LC_ALL", "LC_CTYPE", "LANG")},
		{"lc-messages", firstOf(environ, "LC_ALL", "LC_MESSAGES", "LANG")},
	}
	for _, option := range options {
		if option[1] == "" {
			continue
		}
		// One that it does not know makes no difference to an answer.
		if err := d.command("OPTION " + option[0] + "=" + escape(option[1], 200)); err != nil && !errors.As(err, new(refusal)) {
			d.end()
			return nil, err
		}
	}
	return d, nil
}

// command sends a line and waits until it is done.
func (d *dialog) command(line string) error {
	name, _, _ := strings.Cut(line, " ")
	if _, err := io.WriteString(d.in, line+"\n"); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return d.reply(name)
}

// Codes of libgpg-error, the lower 16 bits of what ERR carries.
const (
	codeCanceled     = 99
	codeNotConfirmed = 114
	codeFullyCancel  = 198
)

// A refusal is ERR, with its code and text.
type refusal struct{ text string }

func (r refusal) Error() string { return r.text }

// reply reads until OK or ERR. Status and comment lines may come before.
func (d *dialog) reply(to string) error {
	for {
		raw, err := d.out.ReadSlice('\n')
		if err != nil { // also of a line that is too long
			if errors.Is(err, io.EOF) {
				err = errors.New("it ended without an answer")
			}
			return fmt.Errorf("%s: %w", to, err)
		}
		line := strings.TrimSuffix(string(raw), "\n")
		word, rest, _ := strings.Cut(line, " ")
		switch {
		case word == "OK":
			return nil
		case word == "S" || strings.HasPrefix(line, "#"):
			continue
		case word != "ERR":
			return fmt.Errorf("%s: the answer is not of the Assuan protocol", to)
		}
		number, what, _ := strings.Cut(rest, " ")
		code, err := strconv.ParseUint(number, 10, 32)
		if err != nil {
			return fmt.Errorf("%s: the answer is not of the Assuan protocol", to)
		}
		switch code & 0xffff {
		case codeCanceled, codeNotConfirmed, codeFullyCancel:
			return ErrDeclined
		}
		return refusal{fmt.Sprintf("%s: error %d %s", to, code, what)}
	}
}

// end closes the dialog, whatever it is doing.
func (d *dialog) end() {
	_ = d.in.Close()
	_ = killAll(d.program.Process)
	_ = d.program.Wait() // it was killed: that is not news
}

// escape writes text as an Assuan parameter of at most limit bytes.
func escape(text string, limit int) string {
	var b strings.Builder
	for _, r := range text {
		var c string
		switch {
		case r == '%' || r == '\n':
			c = fmt.Sprintf("%%%02X", r)
		case r < ' ' || r == 0x7f || r == utf8.RuneError:
			c = "?"
		default:
			c = string(r)
		}
		if b.Len()+len(c) > limit {
			break
		}
		b.WriteString(c)
	}
	return b.String()
}

func firstOf(environ []string, names ...string) string {
	for _, name := range names {
		if v := lookup(environ, name); v != "" {
			return v
		}
	}
	return ""
}
