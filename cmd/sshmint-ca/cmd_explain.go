package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/urfave/cli/v2"

	"github.com/sshmint/sshmint/ca"
)

func explainCommand() *cli.Command {
	return &cli.Command{
		Name:        "explain",
		Usage:       "what would this X.509 certificate get, and why?",
		Description: "Exits 0 if it would get an SSH certificate, and 1 if it would be refused.",
		Flags: []cli.Flag{
			dirFlag(),
			&cli.StringFlag{Name: "cert", Usage: "X.509 certificate `FILE`, PEM or DER, with its intermediates"},
			&cli.BoolFlag{Name: "json", Usage: "for scripts"},
		},
		Action: func(c *cli.Context) error {
			dir, err := need(c, "dir")
			if err != nil {
				return err
			}
			certFile, err := need(c, "cert")
			if err != nil {
				return err
			}
			chain, err := readChain(certFile)
			if err != nil {
				return err
			}
			authority, err := ca.OpenAuthority(dir, nil, slog.New(slog.DiscardHandler))
			if err != nil {
				return err
			}
			x := authority.Explain(c.Context, chain)
			if c.Bool("json") {
				enc := json.NewEncoder(c.App.Writer)
				enc.SetIndent("", "  ")
				enc.SetEscapeHTML(false)
				err = enc.Encode(x)
			} else {
				err = writeExplanation(c.App.Writer, x)
			}
			if err == nil && !x.Granted {
				err = errAnswered
			}
			return err
		},
	}
}

func writeExplanation(w io.Writer, x *ca.Explanation) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			_, _ = fmt.Fprintf(t, "  %s\t%s\n", shown(name), value) // errors come out of Flush
		}
	}
	section := func(title string) { _, _ = fmt.Fprintf(t, "%s\n", title) }
	if l := x.Leaf; l != nil {
		section("X.509 certificate")
		row("subject", shown(l.Subject))
		row("issuer", shown(l.Issuer))
		row("serial", l.Serial)
		row("valid", l.NotBefore.Format(time.RFC3339)+" to "+l.NotAfter.Format(time.RFC3339))
		row("common_names", list(l.CommonNames))
		row("organizational_units", list(l.OrganizationalUnits))
		row("upns", list(l.UPNs))
		row("emails", list(l.Emails))
		row("uris", list(l.URIs))
		row("dns_names", list(l.DNSNames))
		row("fasc_ns", list(l.FASCNs))
		row("sid", shown(l.SID))
		row("eku", list(l.EKU))
		row("policies", list(l.Policies))
		row("spki_sha256", l.SPKISHA256)
	}
	if len(x.Trusts) > 0 {
		section("trusts")
	}
	for _, o := range x.Trusts {
		switch {
		case !o.Verified:
			row(o.Trust, o.Code+": "+shown(o.Detail))
		case o.Constrained:
			row(o.Trust, "verified; an issuer has name constraints, so rules see no CN, OU, subject, UPN, FASC-N and SID")
		default:
			row(o.Trust, "verified")
		}
	}
	if len(x.Rules) > 0 {
		section("rules")
	}
	for _, o := range x.Rules {
		row(o.Rule, o.Outcome) // why it refuses comes at the end
	}
	if c := x.Certificate; c != nil {
		section("SSH certificate")
		row("key id", c.KeyID)
		row("principals", list(c.Principals))
		row("valid", c.ValidAfter.Format(time.RFC3339)+" to "+c.ValidBefore.Format(time.RFC3339))
		for _, name := range slices.Sorted(maps.Keys(c.CriticalOptions)) {
			row(name, shown(c.CriticalOptions[name]))
		}
		row("extensions", list(c.Extensions))
		row("signed by", c.SignatureKey)
	} else {
		section("refused: " + x.Code)
		row("the person is told", shown(x.Detail))
		row("cause", shown(x.Cause))
	}
	return t.Flush()
}

func list(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = shown(n)
	}
	return strings.Join(out, ", ")
}

// shown is a text from a certificate as it may go to a terminal.
func shown(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.QuoteToASCII(s)
	}
	return s
}
