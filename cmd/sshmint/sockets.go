package main

import (
	"errors"
	"log/slog"
	"net"
	"runtime/debug"
	"time"

	"github.com/sshmint/sshmint/agent"
	"github.com/sshmint/sshmint/internal/control"
	"github.com/sshmint/sshmint/internal/prompt"
)

// newDaemon gives an agent that is to listen on the socket, with the
// configuration in file ("" for the usual ones) still to be read.
func newDaemon(file, socket string, log *slog.Logger) *daemon {
	prompter := new(prompt.Prompter)
	return &daemon{agent: &agent.Agent{Log: log, Confirmer: asker{prompter}}, prompter: prompter, log: log, file: file, socket: socket, started: time.Now()}
}

// open makes the control socket beside the agent's own, l, and reads the
// configuration. If it fails, it closes l as well.
func (d *daemon) open(l net.Listener) (side net.Listener, err error) {
	side, err = agent.Listen(control.Path(d.socket))
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if err := d.load(); err != nil {
		return nil, errors.Join(err, l.Close(), side.Close())
	}
	return side, nil
}

// stayLean has the collector keep an agent small that runs all day. Little is in
// use at any time, so collecting often is cheap. By default the heap grows to
// 4 MB first, and after a burst of connections it would stay at twice of what
// that took.
func stayLean() {
	debug.SetGCPercent(25)
	debug.SetMemoryLimit(16 << 20) // not a hard limit
}
