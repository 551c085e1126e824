package main

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/sshmint/sshmint/identity"
	"github.com/sshmint/sshmint/internal/altname"
)

func identityCommand() *cli.Command {
	return &cli.Command{
		Name:  "identity",
		Usage: "look at X.509 identities",
		Subcommands: []*cli.Command{{
			Name:      "show",
			Usage:     "open an identity, check it as the agent would, and show it",
			ArgsUsage: "URI",
			Flags:     []cli.Flag{&cli.StringFlag{Name: "chain", Usage: "`FILE` with issuers that the identity does not hold", TakesFile: true}},
			Action:    showIdentity,
		}},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return usageError{fmt.Errorf("identity: there is no command %q; see sshmint identity --help", c.Args().First())}
			}
			return cli.ShowSubcommandHelp(c)
		},
	}
}

func showIdentity(c *cli.Context) error {
	if c.NArg() != 1 {
		return usageError{errors.New("identity show: takes one URI, such as file:alice.pem")}
	}
	id, err := identity.Open(c.Args().First(), identity.Options{Chain: c.String("chain")})
	if err != nil {
		return err
	}
	cert, err := id.Certificate(c.Context)
	if err != nil {
		return err
	}
	for i, der := range cert.Certificate {
		x, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("reading certificate %d: %w", i+1, err)
		}
		if i > 0 {
			fmt.Fprintf(c.App.Writer, "issued by   %s, until %s\n", printable(x.Subject.String()), clock(x.NotAfter))
			continue
		}
		showLeaf(c, x)
	}
	return nil
}

func showLeaf(c *cli.Context, x *x509.Certificate) {
	row := func(name, format string, args ...any) {
		fmt.Fprintf(c.App.Writer, "%-11s %s\n", name, printable(fmt.Sprintf(format, args...)))
	}
	row("subject", "%s", x.Subject)
	row("issuer", "%s", x.Issuer)
	row("serial", "%x", x.SerialNumber)
	row("valid", "%s to %s (%s left)", clock(x.NotBefore), clock(x.NotAfter), roughly(time.Until(x.NotAfter)))
	row("key", "%s", keyText(x))
	names, err := altname.Of(x)
	if err != nil {
		row("names", "cannot be read: %s", err)
	}
	for _, kind := range []struct {
		name   string
		values []string
	}{{"UPN", names.UPNs}, {"e-mail", names.Emails}, {"URI", names.URIs}, {"DNS name", names.DNSNames}, {"FASC-N", names.FASCNs}} {
		for _, value := range kind.values {
			row(kind.name, "%s", value)
		}
	}
	if warning := expiry(x, time.Now()); warning != "" {
		row("warning", "%s", warning)
	}
}

func keyText(x *x509.Certificate) string {
	switch k := x.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA, %d bits", k.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA, " + k.Curve.Params().Name
	}
	return x.PublicKeyAlgorithm.String()
}
