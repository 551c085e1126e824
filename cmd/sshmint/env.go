package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/urfave/cli/v2"
)

func shellFlag() cli.Flag {
	return &cli.StringFlag{Name: "shell", Usage: "write for `SHELL`: sh, csh, fish or powershell (default: by $SHELL)"}
}

func envCommand() *cli.Command {
	return &cli.Command{
		Name:  "env",
		Usage: "print what makes a shell use the agent",
		Description: "sh, bash, zsh:  eval \"$(sshmint env)\"\n" +
			"csh, tcsh:      eval `sshmint env`\n" +
			"fish:           sshmint env | source\n" +
			"PowerShell:     sshmint env | Out-String | Invoke-Expression",
		Flags: []cli.Flag{socketFlag(), configFlag(), shellFlag()},
		Action: func(c *cli.Context) error {
			if err := args(c, 0, "takes no argument"); err != nil {
				return err
			}
			socket, err := socketOf(c)
			if err != nil {
				return err
			}
			return printEnv(c.App.Writer, c.String("shell"), environment(socket, 0))
		},
	}
}

type variable struct{ name, value string }

// environment is what a client needs, and sshmint itself to find an agent whose
// socket is not where it would look.
func environment(socket string, pid int) []variable {
	vars := []variable{{"SSH_AUTH_SOCK", socket}}
	if pid != 0 {
		vars = append(vars, variable{"SSH_AGENT_PID", fmt.Sprint(pid)})
	}
	return append(vars, variable{"SSHMINT_SOCKET", socket})
}

func printEnv(w io.Writer, shell string, vars []variable) error {
	if shell == "" {
		shell = defaultShell()
	}
	line := map[string]string{
		"sh":         "%s=%s; export %[1]s;\n",
		"csh":        "setenv %s %s;\n",
		"fish":       "set -gx %s %s;\n",
		"powershell": "$env:%s = %s\n",
	}[shell]
	if line == "" {
		return usageError{fmt.Errorf("there is no shell %q: sh, csh, fish or powershell", shell)}
	}
	for _, v := range vars {
		if _, err := fmt.Fprintf(w, line, v.name, quote(shell, v.value)); err != nil {
			return err
		}
	}
	return nil
}

func defaultShell() string {
	shell := filepath.Base(os.Getenv("SHELL"))
	switch {
	case runtime.GOOS == "windows" && os.Getenv("SHELL") == "":
		return "powershell"
	case shell == "csh" || shell == "tcsh":
		return "csh"
	case shell == "fish":
		return "fish"
	case shell == "pwsh":
		return "powershell"
	}
	return "sh"
}

// quote writes a value so that the shell takes it literally.
func quote(shell, s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+,:@%", r)
	}
	switch {
	case shell == "powershell":
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	case s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0:
		return s
	case shell == "fish":
		return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'"
	case shell == "csh":
		return "'" + strings.NewReplacer("'", `'\''`, "!", `\!`).Replace(s) + "'"
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
