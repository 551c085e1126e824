package agent

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// processOf reads /proc/PID/stat (proc_pid_stat(5)).
func processOf(pid int) (p Process, parent int, err error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return Process{}, 0, fmt.Errorf("asking for the name of process %d: %w", pid, err)
	}
	return parseStat(pid, text)
}

// parseStat reads name, parent and start of a process. The name stands in
// parentheses and may hold some, and spaces: it ends at the last one.
func parseStat(pid int, text []byte) (p Process, parent int, err error) {
	malformed := fmt.Errorf("asking for the name of process %d: /proc/%[1]d/stat is malformed", pid)
	begin, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if begin < 0 || end < begin {
		return Process{}, 0, malformed
	}
	const ppid, starttime = 4 - 3, 22 - 3 // fields of the manual page, the third being the first here
	fields := bytes.Fields(text[end+1:])
	if len(fields) <= starttime {
		return Process{}, 0, malformed
	}
	parent, err = strconv.Atoi(string(fields[ppid]))
	if err != nil {
		return Process{}, 0, malformed
	}
	started, err := strconv.ParseUint(string(fields[starttime]), 10, 64)
	if err != nil {
		return Process{}, 0, malformed
	}
	return Process{PID: pid, Name: string(text[begin+1 : end]), started: started}, parent, nil
}
