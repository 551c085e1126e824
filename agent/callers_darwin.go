package agent

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// processOf asks sysctl(3), KERN_PROC_PID.
func processOf(pid int) (p Process, parent int, err error) {
	info, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil {
		return Process{}, 0, fmt.Errorf("asking for the name of process %d: %w", pid, err)
	}
	if int(info.Proc.P_pid) != pid {
		return Process{}, 0, fmt.Errorf("asking for the name of process %d: there is none", pid)
	}
	name := unix.ByteSliceToString(info.Proc.P_comm[:])
	started := info.Proc.P_starttime
	return Process{PID: pid, Name: name, started: uint64(started.Sec)*1_000_000 + uint64(started.Usec)}, int(info.Eproc.Ppid), nil // #nosec G115 -- only compared
}
