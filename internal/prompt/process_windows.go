package prompt

import (
	"os"
	"syscall"
)

func ownSession() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

// killAll ends the program alone: a group cannot be ended by force here.
func killAll(leader *os.Process) error { return leader.Kill() }
