package agent

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// commandLine returns a process's arguments, its name first. sysctl's
// KERN_PROCARGS2 gives their number, the path of the program, NULs, and then the
// arguments, each with a NUL after it.
func commandLine(pid int) ([]string, error) {
	b, err := unix.SysctlRaw("kern.procargs2", pid)
	if err != nil {
		return nil, fmt.Errorf("reading the command line of process %d: %w", pid, err)
	}
	if len(b) < 4 {
		return nil, fmt.Errorf("reading the command line of process %d: it is malformed", pid)
	}
	count := int(binary.NativeEndian.Uint32(b))
	_, b, _ = bytes.Cut(b[4:], []byte{0})
	b = bytes.TrimLeft(b, "\x00")
	var argv []string
	for len(argv) < count && len(b) > 0 {
		arg, rest, _ := bytes.Cut(b, []byte{0})
		argv, b = append(argv, string(arg)), rest
	}
	return argv, nil
}
