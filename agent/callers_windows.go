package agent

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/windows"
)

// processOf looks through a snapshot of all processes, which is the only way to
// learn a parent. A parent may be gone and its number used again; whoever was
// started after its child is not taken for one.
func processOf(pid int) (p Process, parent int, err error) {
	snapshot, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPPROCESS, 0)
	if err != nil {
		return Process{}, 0, fmt.Errorf("asking for the name of process %d: %w", pid, err)
	}
	defer func() { err = errors.Join(err, windows.CloseHandle(snapshot)) }()
	entry := windows.ProcessEntry32{}
	entry.Size = uint32(unsafe.Sizeof(entry))
	for err = windows.Process32First(snapshot, &entry); err == nil; err = windows.Process32Next(snapshot, &entry) {
		if int(entry.ProcessID) != pid {
			continue
		}
		parent = int(entry.ParentProcessID)
		started := startOf(entry.ProcessID)
		if startOf(entry.ParentProcessID) > started {
			parent = 0
		}
		return Process{PID: pid, Name: windows.UTF16ToString(entry.ExeFile[:]), started: started}, parent, nil
	}
	return Process{}, 0, fmt.Errorf("asking for the name of process %d: %w", pid, err)
}

// startOf returns when a process began, in units of 100 ns, or 0 if the system
// does not tell.
func startOf(pid uint32) uint64 {
	process, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, pid)
	if err != nil {
		return 0
	}
	defer windows.CloseHandle(process) //nolint:errcheck // only asked
	var created, exited, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(process, &created, &exited, &kernel, &user); err != nil {
		return 0
	}
	return uint64(created.HighDateTime)<<32 | uint64(created.LowDateTime)
}
