package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// Windows knows no SIGTERM: a command is ended.
var terminate = os.Kill

// rootDir is empty: the folder that the shell is in.
const rootDir = ""

const detachedProcess = 0x00000008 // DETACHED_PROCESS

func detached() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP | detachedProcess, HideWindow: true}
}

func signalOf(*exec.ExitError) int { return 0 }

// signals: there are none to act on; sshmint forget, and sshmint init, which has
// the agent read its configuration, do the same.
func (d *daemon) signals(context.Context) (stop func()) { return func() {} }

// ownSocket gives a pipe of its own beside the usual one.
func ownSocket(usual string) (string, func(), error) {
	return fmt.Sprintf("%s-%d", usual, os.Getpid()), func() {}, nil
}
