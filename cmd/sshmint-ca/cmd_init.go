package main

import (
	"fmt"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/sshmint/sshmint/ca"
)

func initCommand() *cli.Command {
	return &cli.Command{
		Name:  "init",
		Usage: "make a new CA: keys, server root and a ca.toml to edit",
		Flags: []cli.Flag{
			dirFlag(),
			&cli.StringSliceFlag{Name: "host", Usage: "DNS name or IP `ADDRESS` that clients reach the CA by; may be repeated"},
		},
		Action: func(c *cli.Context) error {
			dir, err := need(c, "dir")
			if err != nil {
				return err
			}
			hosts := c.StringSlice("host")
			if len(hosts) == 0 {
				return usageError{fmt.Errorf("init needs --host: the name that clients reach the CA by")}
			}
			fingerprint, err := ca.Init(dir, hosts)
			if err != nil {
				return fmt.Errorf("making a CA: %w", err)
			}
			_, err = fmt.Fprintf(c.App.Writer, `made a CA in %[1]s
fingerprint to pin: %[2]s

what next:
  edit %[3]s: whom to trust, who gets what
  sshmint-ca check --dir %[1]s
  sshmint-ca serve --dir %[1]s
  sshmint-ca sshd-config --dir %[1]s     what your servers need
and for each person:
  sshmint init --profile work --identity file:ME.pem --ca https://%[4]s:8443 --fingerprint %[2]s
`, dir, fingerprint, filepath.Join(dir, ca.ConfigFile), urlHost(hosts[0]))
			return err
		},
	}
}
