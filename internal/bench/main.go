// Command bench measures the programs in bin/ beside OpenSSH's ssh-agent and
// beside what the hardware allows, and prints a table.
//
// Whatever is compared runs in one run, in turns, again and again, so that a busy
// machine slows both alike; the table shows medians of these repetitions, and
// the quartiles of the ratios. A figure that misses its floor is marked, and
// the exit status is that of the measuring alone: speed is no pass or fail.
//
// Everything runs on loopback and below one temporary folder, which is removed
// at the end with all that was started.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	// The floor is measured against a process of its own: this program again.
	if len(os.Args) > 1 && os.Args[1] == floorCommand {
		exit(serveFloor(os.Args[2:]))
	}
	bin := flag.String("bin", "bin", "`FOLDER` with sshmint and sshmint-ca")
	quick := flag.Bool("quick", false, "show that everything runs; the figures mean little")
	only := flag.String("only", "", "measure `PART` alone: "+partNames())
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	p := full
	if *quick {
		p = quickly
	}
	exit(run(ctx, os.Stdout, os.Stderr, *bin, *only, p))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1) //nolint:forbidigo // a main function
	}
	os.Exit(0) //nolint:forbidigo // a main function
}

// A plan is how often and how long things are measured.
type plan struct {
	repetitions int           // of everything that is measured in turns
	slice       time.Duration // one turn of a load
	clients     []int

	colds      int // mints on a cold agent
	starts     int
	signatures int // before the memory is looked at
	flushes    int // of the disk
	logins     int // pairs, or fewer
	loginTime  time.Duration
}

var (
	full = plan{
		repetitions: 9, slice: 500 * time.Millisecond, clients: []int{1, 8, 64},
		colds: 60, starts: 40, signatures: 100_000, flushes: 200, logins: 200, loginTime: 3 * time.Minute,
	}
	quickly = plan{
		repetitions: 2, slice: 30 * time.Millisecond, clients: []int{1, 8, 64},
		colds: 3, starts: 3, signatures: 1000, flushes: 5, logins: 2, loginTime: time.Minute,
	}
)

// A part measures one subject and adds rows to the report.
type part struct {
	name    string
	measure func(context.Context, *lab, plan, *report) error
}

var parts = []part{
	{"socket", measureSocket},
	{"added", measureAdded},
	{"mint", measureMint},
	{"start", measureStart},
	{"memory", measureMemory},
	{"ca", measureCA},
	{"login", measureLogin},
}

func partNames() string {
	names := ""
	for i, p := range parts {
		if i > 0 {
			names += ", "
		}
		names += p.name
	}
	return names
}

// longest is far more than measuring takes; something has come to a halt then.
const longest = 15 * time.Minute

func run(ctx context.Context, out, progress io.Writer, bin, only string, p plan) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, longest, fmt.Errorf("it is not through after %s", longest))
	defer cancel()
	bin, err = filepath.Abs(bin)
	if err != nil {
		return err
	}
	l, err := newLab(ctx, bin)
	if err != nil {
		return err
	}
	defer func() {
		if closed := l.close(); err == nil {
			err = closed
		}
	}()
	r := &report{pressure: pressure()}
	measured := false
	for _, part := range parts {
		if only != "" && only != part.name {
			continue
		}
		measured = true
		began := time.Now()
		if fault := part.measure(ctx, l, p, r); fault != nil {
			// The other parts may be worth having.
			err = errors.Join(err, fmt.Errorf("measuring %s: %w", part.name, fault))
			r.rows = append(r.rows, row{what: part.name, value: "not measured, or not whole", verdict: "not judged"})
		}
		if _, err := fmt.Fprintf(progress, "bench: %s ended after %s\n", part.name, time.Since(began).Round(time.Second)); err != nil {
			return err
		}
	}
	if !measured {
		return fmt.Errorf("there is no part %q; there are: %s", only, partNames())
	}
	return errors.Join(err, context.Cause(ctx), r.write(out, describe(l)))
}
