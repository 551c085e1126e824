package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"
)

// measureMemory is what an agent takes after a real mint and many signatures.
func measureMemory(ctx context.Context, l *lab, p plan, r *report) error {
	if runtime.GOOS != "linux" {
		r.value("memory", "not measured on "+runtime.GOOS, "", 0, goal{})
		return nil
	}
	agent, socket, err := l.agent(ctx, "memory")
	if err != nil {
		return err
	}
	defer agent.stop()
	cert, err := certificateOf(ctx, socket)
	if err != nil {
		return err
	}
	minted, err := memoryOf(agent)
	if err != nil {
		return err
	}
	const clients = 8
	load, err := signLoad(ctx, socket, clients, newLogin(cert))
	if err != nil {
		return err
	}
	defer load.close()
	made := clients
	for made < p.signatures {
		s, err := load.run(ctx, p.slice)
		if err != nil {
			return err
		}
		made += int(s.rate * p.slice.Seconds())
	}
	time.Sleep(time.Second) // what is about to be given back to the system is no longer in use
	m, err := memoryOf(agent)
	if err != nil {
		return err
	}
	r.value(fmt.Sprintf("RSS after a mint and %d signatures", made), mega(m.rss),
		fmt.Sprintf("of it private %s, highest %s; after the mint %s", mega(m.private), mega(m.highest), mega(minted.rss)),
		float64(m.rss)/1e6, goal{floor: 18, aim: 15, unit: " MB"})
	return nil
}

// memory is in bytes: resident, resident of the process alone and backed by no
// file, and the most that was ever resident.
type memory struct{ rss, private, highest int }

func memoryOf(p *process) (memory, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return memory{}, fmt.Errorf("reading the memory of %s: %w", p.name, err)
	}
	var m memory
	for name, v := range map[string]*int{"VmRSS:": &m.rss, "RssAnon:": &m.private, "VmHWM:": &m.highest} {
		_, rest, found := bytes.Cut(status, []byte("\n"+name))
		words := bytes.Fields(rest)
		if !found || len(words) < 2 || string(words[1]) != "kB" {
			return memory{}, fmt.Errorf("reading the memory of %s: there is no %s", p.name, name)
		}
		kilo, err := strconv.Atoi(string(words[0]))
		if err != nil {
			return memory{}, fmt.Errorf("reading the memory of %s: %w", p.name, err)
		}
		*v = kilo * 1024 // proc(5) says kB and means KiB
	}
	return m, nil
}

func mega(n int) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
