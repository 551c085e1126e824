package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// describe says where and of what the figures are.
func describe(l *lab) string {
	return fmt.Sprintf("%s; %d cores, %s, %s/%s; %s; %s; load at the end %s",
		time.Now().Format(time.DateOnly), runtime.NumCPU(), processor(), runtime.GOOS, runtime.GOARCH,
		version(l.program("sshmint"), "version"), version("ssh", "-V"), busy())
}

func processor() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "processor not known"
	}
	for line := range bytes.Lines(info) {
		if name, value, found := strings.Cut(string(line), ":"); found && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "processor not known"
}

// pressure is for how much of the last minute something waited for a processor,
// in percent, or 0 where the system does not tell (Linux, psi).
func pressure() float64 {
	text, err := os.ReadFile("/proc/pressure/cpu")
	if err != nil {
		return 0
	}
	percent, err := strconv.ParseFloat(field(string(text), "avg60"), 64)
	if err != nil {
		return 0
	}
	return percent
}

func busy() string {
	average, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "not known"
	}
	return strings.Join(strings.Fields(string(average))[:3], " ")
}

// version is all that a program says of itself, on one line.
func version(program string, args ...string) string {
	out, err := exec.Command(program, args...).CombinedOutput() // #nosec G204 -- what is measured
	if err != nil {
		return program + ", version not known"
	}
	return strings.Join(strings.Fields(string(out)), " ")
}
