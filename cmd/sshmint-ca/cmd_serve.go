package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/sshmint/sshmint/ca"
)

func serveCommand() *cli.Command {
	return &cli.Command{
		Name:  "serve",
		Usage: "answer requests until SIGTERM; SIGHUP reads ca.toml again",
		Flags: []cli.Flag{
			dirFlag(),
			&cli.StringFlag{Name: "listen", Usage: "`ADDRESS` to listen on, instead of the one in ca.toml"},
			&cli.BoolFlag{Name: "verbose", Usage: "log failed handshakes too"},
		},
		Action: func(c *cli.Context) error {
			dir, err := need(c, "dir")
			if err != nil {
				return err
			}
			level := slog.LevelInfo
			if c.Bool("verbose") {
				level = slog.LevelDebug
			}
			log := slog.New(slog.NewTextHandler(c.App.ErrWriter, &slog.HandlerOptions{Level: level}))
			return serve(c.Context, log, dir, c.String("listen"))
		},
	}
}

func serve(ctx context.Context, log *slog.Logger, dir, listen string) error {
	// Before anything is read: a signal from here on means what it says.
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)

	server, err := ca.NewServer(dir, log)
	if err != nil {
		return err
	}
	if listen == "" {
		listen = server.ListenAddress()
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("listening on %s: %w", listen, err)
	}
	log.Info("listening", "address", l.Addr().String(), "fingerprint", server.Fingerprint())

	go func() {
		for {
			select {
			case <-hangup:
				if err := server.Reload(); err != nil {
					log.Error("the configuration stays as it was", "err", oneLine(err))
				} else {
					log.Info("reloaded")
				}
			case <-ctx.Done():
				stop() // a second signal ends us at once
				return
			}
		}
	}()
	return server.Serve(ctx, l)
}

// oneLine is a joined error on one line of the log.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
