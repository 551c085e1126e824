package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/sshmint/sshmint/internal/control"
)

func statusCommand() *cli.Command {
	return &cli.Command{
		Name:  "status",
		Usage: "show profiles, identities, certificates, errors, and what was hidden from whom",
		Flags: []cli.Flag{socketFlag(), configFlag(), &cli.BoolFlag{Name: "json", Usage: "for programs"}},
		Action: func(c *cli.Context) error {
			if err := args(c, 0, "takes no argument"); err != nil {
				return err
			}
			agent, err := client(c)
			if err != nil {
				return err
			}
			ctx, cancel := ask(c)
			defer cancel()
			s, err := agent.Status(ctx)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				e := json.NewEncoder(c.App.Writer)
				e.SetIndent("", "  ")
				return e.Encode(s)
			}
			printStatus(c.App.Writer, s)
			return nil
		},
	}
}

// shownRefusals is how many of the refusals that the agent keeps are worth a
// person's screen.
const shownRefusals = 5

func printStatus(w io.Writer, s *control.Status) {
	fmt.Fprintf(w, "agent    pid %d, on %s since %s\n", s.PID, s.Socket, clock(s.Started))
	if len(s.Config) > 0 {
		fmt.Fprintf(w, "config   %s\n", strings.Join(s.Config, ", "))
	}
	if s.ConfigError != "" {
		fmt.Fprintf(w, "error    the configuration on disk is not in force: %s\n", s.ConfigError)
	}
	if s.Locked {
		fmt.Fprintln(w, "locked   nothing is listed, signed or minted; unlock with ssh-add -X")
	}
	asks := slices.ContainsFunc(s.Profiles, func(p control.Profile) bool { return p.Confirm != "never" || p.Forward == "confirm" })
	switch {
	case s.Prompt.Error == "":
		fmt.Fprintf(w, "prompts  by %s: %s\n", s.Prompt.Program, s.Prompt.Why)
	case asks:
		fmt.Fprintf(w, "prompts  impossible, so what must be confirmed is refused: %s\n", s.Prompt.Error)
	default:
		fmt.Fprintln(w, "prompts  impossible here, and no profile needs one")
	}
	printUpstreams(w, s)
	if len(s.Profiles) == 0 {
		fmt.Fprintln(w, "There is no profile; sshmint init adds one.")
	}
	for i := range s.Profiles {
		printProfile(w, &s.Profiles[i])
	}
	for _, h := range s.Hidden {
		fmt.Fprintf(w, "\nhidden   %s, %d times, last at %s: %s\n", h.Profile, h.Count, clock(h.Last), h.Why)
	}
	if len(s.Refusals) > 0 {
		fmt.Fprintln(w, "\nlast refusals")
	}
	for _, r := range s.Refusals[max(0, len(s.Refusals)-shownRefusals):] {
		fmt.Fprintf(w, "  %s %s for process %d: %s\n", clock(r.Time), r.Asked, r.PID, r.Why)
	}
}

func printProfile(w io.Writer, p *control.Profile) {
	fmt.Fprintf(w, "\n%s\n", p.Name)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "  %-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	row("identity", "%s", p.Identity.URI)
	switch id := p.Identity; {
	case id.Error != "":
		row("error", "%s", id.Error)
	case id.NotAfter != nil:
		row("", "%s, until %s (%s)", id.Subject, clock(*id.NotAfter), roughly(time.Until(*id.NotAfter)))
	}
	if p.Identity.Warning != "" {
		row("warning", "%s", p.Identity.Warning)
	}
	row("CA", "%s", strings.Join(p.CA, ", "))
	if len(p.Hosts) > 0 {
		row("hosts", "%s", strings.Join(p.Hosts, ", "))
	}
	switch p.Forward {
	case "confirm":
		row("forward", "on forwarded connections it signs logins that a person confirms")
	case "allow":
		row("forward", "on forwarded connections it signs logins")
	}
	if p.Socket != "" {
		row("socket", "%s", p.Socket)
	}
	if p.Export != "" {
		row("export", "%s", p.Export)
	}
	if p.ExportError != "" {
		row("error", "%s", p.ExportError)
	}
	switch p.Confirm {
	case "connection":
		row("confirm", "each connection's use is confirmed by a person")
	case "sign":
		row("confirm", "each signature is confirmed by a person")
	}
	switch cert := p.Certificate; {
	case cert != nil:
		row("certificate", "%s, until %s (%s)", strings.Join(cert.Principals, ", "), clock(cert.ValidBefore), roughly(time.Until(cert.ValidBefore)))
		row("", "%s serial %d", cert.KeyID, cert.Serial)
	case p.Minting:
		row("certificate", "being minted")
	default:
		row("certificate", "none yet; the next ssh has one minted")
	}
	if p.Error == "" {
		return
	}
	again := "the next use tries again"
	if p.RetryAt != nil && time.Now().Before(*p.RetryAt) {
		again = "tried again from " + clock(*p.RetryAt) + ", or now by sshmint mint " + p.Name
	}
	row("last error", "%s", p.Error)
	if p.FailedAt != nil {
		row("", "at %s; %s", clock(*p.FailedAt), again)
	}
}
