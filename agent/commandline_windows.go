package agent

import (
	"errors"
	"fmt"
)

// commandLine has no documented way to another process's arguments on Windows.
func commandLine(pid int) ([]string, error) {
	return nil, fmt.Errorf("reading the command line of process %d: %w", pid, errors.ErrUnsupported)
}
