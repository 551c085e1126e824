package agent

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Harden keeps other processes of the user from reading the keys of this one
// where the system allows: no core dumps, no debugger. It is for the whole
// process and cannot be undone.
func Harden() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("turning off core dumps: %w", err)
	}
	// Covers ptrace and /proc/PID/mem as well (prctl(2), ptrace(2)).
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("closing the process to debuggers: %w", err)
	}
	return nil
}
