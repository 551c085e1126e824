//go:build unix

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
)

const terminate = syscall.SIGTERM

// rootDir is where an agent in the background works, so that it keeps no other
// file system busy.
const rootDir = "/"

// detached makes a child survive its shell and the shell's terminal.
func detached() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

func signalOf(exit *exec.ExitError) int {
	if s, ok := exit.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		return int(s.Signal())
	}
	return 0
}

// signals acts on SIGHUP and SIGUSR1 until ctx ends or it is stopped.
func (d *daemon) signals(ctx context.Context) (stop func()) {
	arrived := make(chan os.Signal, 4)
	signal.Notify(arrived, syscall.SIGHUP, syscall.SIGUSR1)
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case s := <-arrived:
				if s == syscall.SIGUSR1 {
					d.dropKeys()
					continue
				}
				_ = d.Reload() // which logs what is wrong
			}
		}
	}()
	return func() { signal.Stop(arrived) }
}

// dropKeys is what SIGUSR1 asks for, as of ssh-agent.
func (d *daemon) dropKeys() {
	d.log.Info("all keys dropped", "by", "SIGUSR1")
	d.agent.Forget()
	d.agent.RemoveAdded()
}

// ownSocket gives a socket in a folder of its own beside the usual one.
func ownSocket(usual string) (string, func(), error) {
	parent := filepath.Dir(usual)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return "", nil, fmt.Errorf("making a folder for the socket: %w", err)
	}
	dir, err := os.MkdirTemp(parent, "run-")
	if err != nil {
		return "", nil, fmt.Errorf("making a folder for the socket: %w", err)
	}
	return filepath.Join(dir, "agent.sock"), func() { _ = os.RemoveAll(dir) }, nil
}
