package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sshmint/sshmint/internal/control"
)

// measureMint is a list on an agent that has just forgotten all it had: key,
// identity read from the disk, TLS handshake, certificate, its checks.
func measureMint(ctx context.Context, l *lab, p plan, r *report) error {
	agent, socket, err := l.agent(ctx, "cold")
	if err != nil {
		return err
	}
	defer agent.stop()
	conn, err := dial(ctx, socket)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // the answer has been read
	if _, err := listed(conn); err != nil {
		return err
	}
	side := &control.Client{Socket: socket}
	took := make([]time.Duration, p.colds)
	serials := make(map[uint64]bool)
	for i := range took {
		if err := side.Forget(ctx, ""); err != nil {
			return err
		}
		began := time.Now()
		cert, err := listed(conn)
		if err != nil {
			return err
		}
		took[i] = time.Since(began)
		serials[cert.Serial] = true
	}
	if len(serials) != len(took) {
		return fmt.Errorf("%d lists brought %d certificates", len(took), len(serials))
	}
	slices.Sort(took)
	ms := float64(quantile(took, 50)) / float64(time.Millisecond)
	r.value("cold mint, p50", milli(float64(quantile(took, 50))), "p99 "+milli(float64(quantile(took, 99))), ms, goal{floor: 15, unit: " ms"})
	return nil
}

// measureStart is from the start of a process until it has answered a request on
// its socket.
func measureStart(ctx context.Context, l *lab, p plan, r *report) error {
	ours, theirs := make([]float64, p.starts), make([]float64, p.starts)
	for i := range p.starts {
		name := fmt.Sprintf("start%d", i)
		socket := filepath.Join(l.dir, name, "s")
		took, err := l.timeStart(ctx, socket, l.program("sshmint"), "agent", "--socket", socket, "--config", l.config)
		if err != nil {
			return err
		}
		ours[i] = float64(took)
		socket += "2"
		if took, err = l.timeStart(ctx, socket, "ssh-agent", "-D", "-a", socket); err != nil {
			return err
		}
		theirs[i] = float64(took)
		if err := os.RemoveAll(filepath.Dir(socket)); err != nil {
			return err
		}
	}
	ms := median(ours) / float64(time.Millisecond)
	r.value("start to the first answer, p50", milli(median(ours)), sshAgent+" "+milli(median(theirs)), ms, goal{floor: 30, unit: " ms"})
	return nil
}

func (l *lab) timeStart(ctx context.Context, socket, program string, args ...string) (time.Duration, error) {
	began := time.Now()
	p, err := l.start(ctx, "start", program, args...)
	if err != nil {
		return 0, err
	}
	defer p.stop()
	var answered error
	err = p.await(ctx, 200*time.Microsecond, func() bool {
		conn, err := dial(ctx, socket)
		if err != nil {
			return false
		}
		defer conn.Close() //nolint:errcheck // the answer has been read
		// Either agent answers at once, whatever it knows of this.
		_, answered = ask(conn, frame(text([]byte{msgExtension}, "query")))
		return true
	})
	took := time.Since(began)
	if err == nil {
		err = answered
	}
	return took, err
}
