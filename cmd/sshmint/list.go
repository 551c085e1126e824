package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/sshmint/sshmint/internal/control"
)

// patience bounds a question to the agent, which answers within 60 s.
const patience = 70 * time.Second

func ask(c *cli.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(c.Context, patience)
}

func listCommand() *cli.Command {
	return &cli.Command{
		Name:      "list",
		Usage:     "show the certificates that ssh is offered now, minted if need be",
		ArgsUsage: "[PROFILE]",
		Description: "With --for HOST, by the name that known_hosts has, it tells what would be offered\n" +
			"there, in which order, what not, and why. Nothing is minted for that.",
		Flags: []cli.Flag{
			socketFlag(), configFlag(),
			&cli.StringFlag{Name: "for", Usage: "tell what would be offered to `HOST`"},
			&cli.IntFlag{Name: "port", Usage: "the `PORT` of the host, with --for"},
			&cli.BoolFlag{Name: "lines", Aliases: []string{"L"}, Usage: "print the certificates themselves, one a line, as ssh-add -L does"},
		},
		Action: func(c *cli.Context) error {
			if c.IsSet("for") {
				return listFor(c)
			}
			if err := args(c, 1, "takes one profile"); err != nil {
				return err
			}
			agent, err := client(c)
			if err != nil {
				return err
			}
			ctx, cancel := ask(c)
			defer cancel()
			list, err := agent.List(ctx, c.Args().First())
			if err != nil {
				return err
			}
			if len(list) == 0 {
				return errors.New("there is no certificate; sshmint status tells why")
			}
			for i := range list {
				if c.Bool("lines") {
					fmt.Fprintf(c.App.Writer, "%s %s\n", list[i].Line, list[i].Profile)
					continue
				}
				printCertificate(c, &list[i], "")
			}
			return nil
		},
	}
}

func printCertificate(c *cli.Context, cert *control.Certificate, indent string) {
	w := c.App.Writer
	fmt.Fprintf(w, "%s%s: %s\n", indent, cert.Profile, strings.Join(cert.Principals, ", "))
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%s  %-12s %s\n", indent, name, fmt.Sprintf(format, args...))
	}
	row("valid", "until %s (%s)", clock(cert.ValidBefore), roughly(time.Until(cert.ValidBefore)))
	row("key id", "%s", cert.KeyID)
	row("serial", "%d", cert.Serial)
	row("key", "%s %s", cert.Type, cert.Fingerprint)
	row("signed by", "%s", cert.CA)
}

// clock shows a time: today's without the day.
func clock(t time.Time) string {
	t = t.Local()
	if day := time.DateOnly; t.Format(day) == time.Now().Format(day) {
		return t.Format(time.TimeOnly)
	}
	return t.Format("2006-01-02 15:04")
}
