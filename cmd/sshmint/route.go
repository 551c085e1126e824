package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sshmint/sshmint/agent"
	"github.com/sshmint/sshmint/internal/control"
)

// Routes tells what ssh would be offered for a host.
func (d *daemon) Routes(host string, port int) []control.Route {
	all := []control.Route{}
	for _, r := range d.agent.Explain(host, port) {
		route := control.Route{Keys: []control.HostKey{}, Names: r.Names, Offers: []control.Offer{}}
		for _, k := range r.Keys {
			route.Keys = append(route.Keys, control.HostKey(k))
		}
		for _, o := range r.Offers {
			route.Offers = append(route.Offers, control.Offer{Profile: o.Profile, Place: place(o), Why: o.Why})
		}
		all = append(all, route)
	}
	return all
}

func place(o agent.Offer) string {
	switch {
	case o.Hidden:
		return "hidden"
	case o.Last:
		return "last"
	}
	return "first"
}

// listFor is `sshmint list --for HOST`.
func listFor(c *cli.Context) error {
	host, port := c.String("for"), c.Int("port")
	switch {
	case c.NArg() > 0 || c.Bool("lines"):
		return usageError{errors.New("list: --for shows all profiles, and takes neither one of them nor --lines")}
	case port < 0 || port > 65535:
		return usageError{fmt.Errorf("list: there is no port %d", port)}
	}
	agent, err := client(c)
	if err != nil {
		return err
	}
	ctx, cancel := ask(c)
	defer cancel()
	routes, err := agent.Routes(ctx, host, port)
	if err != nil {
		return err
	}
	for i := range routes {
		if i > 0 {
			fmt.Fprintln(c.App.Writer)
		}
		printRoute(c.App.Writer, host, &routes[i])
	}
	return nil
}

func printRoute(w io.Writer, host string, r *control.Route) {
	if len(r.Keys) == 0 {
		fmt.Fprintf(w, "known_hosts has no key of %s; when ssh has asked you, and written it:\n", printable(host))
	}
	for _, k := range r.Keys {
		what := "host key"
		switch {
		case k.Revoked:
			what = "revoked"
		case k.Authority:
			what = "authority"
		}
		fmt.Fprintf(w, "%-10s %s %s (%s:%d)\n", what, k.Type, k.Fingerprint, k.File, k.Line)
	}
	if len(r.Names) > 0 {
		fmt.Fprintf(w, "%-10s %s\n", "names", printable(strings.Join(r.Names, ", ")))
	}
	if len(r.Offers) == 0 {
		fmt.Fprintln(w, "There is no profile; sshmint init adds one.")
	}
	for _, o := range r.Offers {
		fmt.Fprintf(w, "%-10s %s: %s\n", o.Place, o.Profile, printable(o.Why))
	}
}
