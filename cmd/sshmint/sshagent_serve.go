//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/sshmint/sshmint/agent"
	"github.com/sshmint/sshmint/internal/control"
)

// A sshAgentServer is the agent as it runs in ssh-agent's place: the same daemon
// with the same profiles, which ends as ssh-agent does. SIGHUP ends it too; its
// configuration is read anew through the control socket (sshmint init).
type sshAgentServer struct {
	l         net.Listener
	activated bool   // l was opened by systemd
	folder    string // removed at the end, if not ""
	life      time.Duration
	parent    int // ends when this process does, if not 0
}

// serveHere is -D and -d.
func (o *sshAgentOptions) serveHere(stdout, stderr io.Writer) error {
	if err := agent.Harden(); err != nil {
		return fmt.Errorf("keeping other programs out of the agent's memory: %w", err)
	}
	s, err := o.listenHere()
	if err != nil {
		return err
	}
	level := slog.LevelInfo
	if o.debug {
		level = slog.LevelDebug
	}
	return s.serve(slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level})), func() error {
		if s.activated { // clients are told by who opened it
			return nil
		}
		return o.print(stdout, s.l.Addr().String(), os.Getpid())
	})
}

// sshAgentDaemon is the agent behind the shell. It says that it is ready by a
// byte on stdout, which it closes.
func sshAgentDaemon(c *cli.Context) error {
	if err := agent.Harden(); err != nil {
		return fmt.Errorf("keeping other programs out of the agent's memory: %w", err)
	}
	signal.Ignore(syscall.SIGINT)
	s := &sshAgentServer{life: c.Duration("life"), parent: c.Int("parent")}
	var err error
	if s.l, err = agent.ListenNew(c.String("socket")); err != nil {
		return err
	}
	if c.Bool("own-folder") {
		s.folder = filepath.Dir(c.String("socket"))
	}
	return s.serve(slog.New(slog.NewTextHandler(c.App.ErrWriter, nil)), func() error {
		if _, err := c.App.Writer.Write([]byte("\n")); err != nil {
			return err
		}
		if out, ok := c.App.Writer.(io.Closer); ok {
			return out.Close()
		}
		return nil
	})
}

// serve serves until a signal comes or the parent ends. Its error has the status
// that ssh-agent would exit with.
func (s *sshAgentServer) serve(log *slog.Logger, ready func() error) error {
	stayLean()
	// Not the context of the program: which signal it was decides on the status.
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	arrived := make(chan os.Signal, 4)
	ends := []os.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1}
	if !signal.Ignored(syscall.SIGINT) {
		ends = append(ends, syscall.SIGINT)
	}
	signal.Notify(arrived, ends...)
	defer signal.Stop(arrived)

	socket := s.l.Addr().String()
	defer s.cleanUp(socket)
	d := newDaemon(os.Getenv("SSHMINT_CONFIG"), socket, log)
	d.agent.AddedLifetime = s.life
	d.beside = !s.activated
	side, err := d.open(s.l)
	if err != nil {
		return err
	}
	serving, closeControl := d.begin(ctx, s.l, side)
	log.Info("listening", "socket", socket, "pid", os.Getpid())
	if err := ready(); err != nil {
		return err
	}
	outcome := s.wait(d, arrived, serving)
	stop()
	closeControl()
	if outcome == nil || errors.As(outcome, new(exitStatus)) {
		if err := <-serving; err != nil {
			return err
		}
		log.Info("ended")
	}
	return outcome
}

func (s *sshAgentServer) wait(d *daemon, arrived <-chan os.Signal, serving <-chan error) error {
	var look <-chan time.Time
	if s.parent != 0 {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		look = ticker.C
	}
	for {
		select {
		case sig := <-arrived:
			switch {
			case sig == syscall.SIGUSR1:
				d.dropKeys()
				continue
			case sig == syscall.SIGTERM && s.activated:
				return nil
			}
			return exitStatus(sshAgentSignaled)
		case <-look:
			if os.Getppid() != s.parent {
				return nil
			}
		case err := <-serving:
			return err
		}
	}
}

// cleanUp removes the folders, whose sockets are gone.
func (s *sshAgentServer) cleanUp(socket string) {
	_ = os.Remove(filepath.Dir(control.Path(socket))) // only if it is empty
	if s.folder != "" {
		_ = os.RemoveAll(s.folder)
	}
}
