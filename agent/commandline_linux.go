package agent

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// maxCommandLine bounds what is read of a client's command line.
const maxCommandLine = 64 << 10

// commandLine returns a process's arguments, its name first.
func commandLine(pid int) ([]string, error) {
	f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/cmdline")
	if err != nil {
		return nil, fmt.Errorf("reading the command line of process %d: %w", pid, err)
	}
	defer f.Close() //nolint:errcheck // read only
	text, err := io.ReadAll(io.LimitReader(f, maxCommandLine))
	if err != nil {
		return nil, fmt.Errorf("reading the command line of process %d: %w", pid, err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00"), nil
}
