package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/sshmint/sshmint/agent"
	"github.com/sshmint/sshmint/internal/control"
)

func agentCommand() *cli.Command {
	return &cli.Command{
		Name:      "agent",
		Usage:     "run the agent, in the foreground or with --fork behind the shell",
		ArgsUsage: "[-- COMMAND [ARGUMENT ...]]",
		Description: "The agent prints what a shell needs to use it, and logs to stderr.\n" +
			"With a COMMAND it runs that with the agent's socket, on a socket of its own unless\n" +
			"--socket says otherwise, and ends with it. Without either it takes the socket that\n" +
			"systemd opened for it (LISTEN_FDS).\n\n" +
			"SIGHUP reads the configuration anew, SIGUSR1 drops all keys and certificates.",
		Flags: []cli.Flag{
			socketFlag(), configFlag(), shellFlag(),
			&cli.BoolFlag{Name: "fork", Usage: "go to the background, and log to a file"},
			&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "log more"},
		},
		Action: runAgent,
	}
}

func runAgent(c *cli.Context) error {
	command := c.Args().Slice()
	switch {
	case c.Bool("fork") && len(command) > 0:
		return usageError{errors.New("agent: --fork and a command do not go together: a command has its own agent")}
	case c.Bool("fork"):
		return fork(c)
	}
	if err := agent.Harden(); err != nil {
		return fmt.Errorf("keeping other programs out of the agent's memory: %w", err)
	}
	stayLean()
	level := slog.LevelInfo
	if c.Bool("verbose") {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(c.App.ErrWriter, &slog.HandlerOptions{Level: level}))
	l, cleanUp, err := listen(c, command)
	if err != nil {
		return err
	}
	defer cleanUp()
	d := newDaemon(c.String("config"), l.Addr().String(), log)
	d.beside = len(command) > 0 && c.String("socket") == "" // on a socket of its own
	side, err := d.open(l)
	if err != nil {
		return err
	}
	return d.run(c, l, side, command)
}

// listen takes the socket that systemd opened for an agent which is not told
// where to listen, or makes one.
func listen(c *cli.Context, command []string) (net.Listener, func(), error) {
	if len(command) == 0 && c.String("socket") == "" {
		if l, err := agent.Activated(); l != nil || err != nil {
			return l, func() {}, err
		}
	}
	socket, cleanUp, err := socketFor(c, command)
	if err != nil {
		return nil, nil, err
	}
	l, err := agent.Listen(socket)
	if err != nil {
		cleanUp()
		return nil, nil, err
	}
	return l, cleanUp, nil
}

// socketFor gives where to listen. An agent for one command has a socket of its
// own, as ssh-agent's has, so that it does not get in the way of the session's.
func socketFor(c *cli.Context, command []string) (string, func(), error) {
	if len(command) == 0 || c.String("socket") != "" {
		socket, err := socketOf(c)
		return socket, func() {}, err
	}
	base, err := agent.DefaultSocket()
	if err != nil {
		return "", nil, err
	}
	return ownSocket(base)
}

// run serves until ctx ends or the command does.
func (d *daemon) run(c *cli.Context, l, side net.Listener, command []string) error {
	ctx, stop := context.WithCancel(c.Context)
	if len(command) > 0 {
		// Ctrl-C is the command's to act on: it gets it too.
		ctx, stop = signal.NotifyContext(context.WithoutCancel(c.Context), syscall.SIGTERM)
	}
	defer stop()
	serving, closeControl := d.begin(ctx, l, side)
	defer d.signals(ctx)()

	d.log.Info("listening", "socket", d.socket, "pid", os.Getpid())
	var outcome error
	if len(command) > 0 {
		outcome = runCommand(ctx, c, command, environment(d.socket, os.Getpid()))
	} else {
		if err := announce(c, d.socket); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case err := <-serving:
			return err
		}
	}
	stop()
	closeControl()
	if err := <-serving; err != nil && outcome == nil {
		return err
	}
	d.log.Info("ended")
	return outcome
}

// begin serves the agent's socket and the control socket until ctx ends. serving
// gives what ended the first of them; that is nil if ctx did.
func (d *daemon) begin(ctx context.Context, l, side net.Listener) (serving <-chan error, closeControl func()) {
	ended := make(chan error, 2)
	go func() { ended <- d.agent.Serve(ctx, l) }()
	server := control.NewServer(d)
	server.ErrorLog = slog.NewLogLogger(d.log.Handler(), slog.LevelDebug)
	go func() {
		if err := server.Serve(agent.OwnUser(side)); !errors.Is(err, http.ErrServerClosed) {
			ended <- fmt.Errorf("serving %s: %w", control.Path(d.socket), err)
		}
	}()
	closeControl = func() {
		_ = server.Close()
		d.close()
	}
	context.AfterFunc(ctx, closeControl)
	return ended, closeControl
}

// announce prints what a shell needs, as ssh-agent -D does. Nothing more is
// written to stdout: who waits for the end of it may go on.
func announce(c *cli.Context, socket string) error {
	if err := printEnv(c.App.Writer, c.String("shell"), environment(socket, os.Getpid())); err != nil {
		return err
	}
	if out, ok := c.App.Writer.(io.Closer); ok && !isTerminal(c.App.Writer) {
		return out.Close()
	}
	return nil
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// logFile is where an agent in the background logs.
func logFile(name string) (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding a place for the log: %w", err)
	}
	dir = filepath.Join(dir, "sshmint")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("making a place for the log: %w", err)
	}
	return filepath.Join(dir, name), nil
}
