package main

import (
	"errors"

	"github.com/urfave/cli/v2"
)

func mintCommand() *cli.Command {
	return &cli.Command{
		Name:      "mint",
		Usage:     "have a new certificate made now, and tell why not",
		ArgsUsage: "[PROFILE]",
		Flags:     []cli.Flag{socketFlag(), configFlag()},
		Action: func(c *cli.Context) error {
			if err := args(c, 1, "takes one profile"); err != nil {
				return err
			}
			agent, err := client(c)
			if err != nil {
				return err
			}
			ctx, cancel := ask(c)
			defer cancel()
			cert, err := agent.Mint(ctx, c.Args().First())
			if err != nil {
				return err
			}
			printCertificate(c, cert, "")
			return nil
		},
	}
}

func forgetCommand() *cli.Command {
	return &cli.Command{
		Name:      "forget",
		Usage:     "drop certificates and their keys; the next use mints anew",
		ArgsUsage: "[PROFILE]",
		Description: "Without a PROFILE all of them are dropped, as by ssh-add -D. To keep new ones from\n" +
			"being minted, lock the agent with ssh-add -x.",
		Flags: []cli.Flag{socketFlag(), configFlag()},
		Action: func(c *cli.Context) error {
			if err := args(c, 1, "takes one profile"); err != nil {
				return err
			}
			if c.NArg() == 1 && c.Args().First() == "" {
				return usageError{errors.New("forget: the profile has no name")}
			}
			agent, err := client(c)
			if err != nil {
				return err
			}
			ctx, cancel := ask(c)
			defer cancel()
			return agent.Forget(ctx, c.Args().First())
		},
	}
}
