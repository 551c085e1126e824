package main

import (
	"github.com/urfave/cli/v2"

	"github.com/sshmint/sshmint/ca"
)

func sshdConfigCommand() *cli.Command {
	return &cli.Command{
		Name:  "sshd-config",
		Usage: "print what servers need, as an sshd_config fragment with comments",
		Flags: []cli.Flag{
			dirFlag(),
			&cli.StringFlag{Name: "sshd-dir", Usage: "`FOLDER` on the servers that the lines shall name, such as /etc/ssh/sshmint"},
		},
		Action: func(c *cli.Context) error {
			dir, err := need(c, "dir")
			if err != nil {
				return err
			}
			return ca.WriteSSHDConfig(c.App.Writer, dir, c.String("sshd-dir"))
		},
	}
}
