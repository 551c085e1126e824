package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// A process is a program that runs until it is stopped or the lab is closed.
type process struct {
	name string
	log  string // file with what it writes
	cmd  *exec.Cmd
	stop func()
	done chan struct{} // closed when it has ended
}

// start runs a program with its output in a file of the lab.
func (l *lab) start(ctx context.Context, name, program string, args ...string) (*process, error) {
	log, err := os.OpenFile(filepath.Join(l.dir, name+".log"), os.O_CREATE|os.O_TRUNC|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	defer log.Close() //nolint:errcheck // the program's own, which has it already
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, program, args...) // #nosec G204 -- what is to be measured
	cmd.Dir, cmd.Env = l.dir, l.env
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second // then it is killed
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	p := &process{name: name, log: log.Name(), cmd: cmd, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // that it was terminated is what we asked for
		close(p.done)
	}()
	p.stop = func() {
		cancel()
		<-p.done
	}
	l.processes = append(l.processes, p)
	return p, nil
}

// await asks ready again and again until it says so, the process ends, or 10 s
// have passed.
func (p *process) await(ctx context.Context, pause time.Duration, ready func() bool) error {
	limit := time.After(10 * time.Second)
	for !ready() {
		select {
		case <-time.After(pause):
		case <-p.done:
			return p.failure("it ended at once")
		case <-limit:
			return p.failure("it was not ready within 10 s")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (p *process) failure(why string) error {
	said, err := os.ReadFile(p.log)
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %s", p.name, why), err)
	}
	return fmt.Errorf("%s: %s; it said:\n%s", p.name, why, said)
}

// logged waits for a line with text, and gives that line.
func (p *process) logged(ctx context.Context, text string) (string, error) {
	found := ""
	err := p.await(ctx, 5*time.Millisecond, func() bool {
		said, err := os.ReadFile(p.log)
		if err != nil {
			return false
		}
		for line := range bytes.Lines(said) {
			if bytes.Contains(line, []byte(text)) {
				found = string(line)
				return true
			}
		}
		return false
	})
	return found, err
}

// listening waits until somebody accepts connections.
func (p *process) listening(ctx context.Context, network, address string) error {
	return p.await(ctx, 5*time.Millisecond, func() bool {
		conn, err := net.Dial(network, address)
		if err != nil {
			return false
		}
		_ = conn.Close() // nothing was said on it
		return true
	})
}

// execute runs a program to its end and gives what it wrote to stdout.
func (l *lab) execute(ctx context.Context, program string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, program, args...) // #nosec G204 -- what is to be measured
	cmd.Dir, cmd.Env = l.dir, l.env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", cmd, err, stderr.Bytes())
	}
	return out, nil
}

// find also looks where sshd is, which is seldom on a person's PATH.
func find(program string) (string, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		path, err = exec.LookPath(filepath.Join("/usr/sbin", program))
	}
	return path, err
}
