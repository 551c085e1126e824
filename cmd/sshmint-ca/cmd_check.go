package main

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sshmint/sshmint/ca"
)

func checkCommand() *cli.Command {
	return &cli.Command{
		Name:  "check",
		Usage: "read the CA's folder as serve would, and say what is wrong",
		Flags: []cli.Flag{dirFlag()},
		Action: func(c *cli.Context) error {
			dir, err := need(c, "dir")
			if err != nil {
				return err
			}
			s, err := ca.Check(dir, slog.New(slog.NewTextHandler(c.App.ErrWriter, nil)))
			if err != nil {
				return err
			}
			pin := "fingerprint to pin " + s.Fingerprint
			if s.Fingerprint == "" {
				pin = "no root in the chain of tls_cert to pin: clients need it as a file"
			}
			_, err = fmt.Fprintf(c.App.Writer, "ok: %s, %s, %s\nserver:  %s, %s\nuser CA: %s\nhost CA: %s\n",
				count(s.Trusts, "trust"), count(s.Tables, "table"), count(s.Rules, "rule"),
				strings.Join(s.Hosts, ", "), pin, s.UserCA, s.HostCA)
			if err == nil && s.Rules == 0 {
				_, err = fmt.Fprintf(c.App.Writer, "note: there is no rule, so everyone is refused\n")
			}
			return err
		},
	}
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
