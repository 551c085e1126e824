package main

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/crypto/ssh"

	"github.com/sshmint/sshmint/ca"
	"github.com/sshmint/sshmint/internal/ownfile"
)

func signCommand() *cli.Command {
	return &cli.Command{
		Name:  "sign",
		Usage: "certify a key here, by the same rules and with the same audit log",
		Description: "Prints the certificate, to be kept as KEY-cert.pub beside the private key. You answer for it that the\n" +
			"key belongs to the person of the X.509 certificate: no proof is asked for.",
		Flags: []cli.Flag{
			dirFlag(),
			&cli.StringFlag{Name: "key", Usage: "SSH public key `FILE`"},
			&cli.StringFlag{Name: "cert", Usage: "X.509 certificate `FILE`, PEM or DER, with its intermediates"},
			&cli.StringFlag{Name: "principals", Usage: "only these principals, `A,B`"},
			&cli.StringFlag{Name: "validity", Usage: "no longer than `DURATION`"},
		},
		Action: func(c *cli.Context) (err error) {
			dir, err := need(c, "dir")
			if err != nil {
				return err
			}
			req := &ca.Request{Vouched: true, Source: "local"}
			if err := fillRequest(c, req); err != nil {
				return err
			}
			if _, err := ca.ReadConfig(dir); err != nil {
				return err // before a log is made in a folder that is no CA's
			}
			audit, err := ca.OpenAudit(dir)
			if err != nil {
				return err
			}
			defer func() {
				if closeErr := audit.Close(); err == nil {
					err = closeErr
				}
			}()
			// What goes to the log of a server is said once here, by the error.
			authority, err := ca.OpenAuthority(dir, audit, slog.New(slog.DiscardHandler))
			if err != nil {
				return err
			}
			m, err := authority.Mint(c.Context, req)
			if err != nil {
				return err
			}
			_, err = c.App.Writer.Write(ssh.MarshalAuthorizedKey(m.Certificate))
			return err
		},
	}
}

func fillRequest(c *cli.Context, req *ca.Request) error {
	keyFile, err := need(c, "key")
	if err != nil {
		return err
	}
	certFile, err := need(c, "cert")
	if err != nil {
		return err
	}
	if s := c.String("validity"); s != "" {
		if req.Validity, err = ca.ParseValidity(s); err != nil {
			return usageError{fmt.Errorf("--validity: %w", err)}
		}
	}
	if s := c.String("principals"); s != "" {
		req.Principals = strings.Split(s, ",")
	}
	text, err := ownfile.ReadPublic(keyFile)
	if err != nil {
		return fmt.Errorf("reading the SSH public key: %w", err)
	}
	if req.PublicKey, err = ca.ParsePublicKey(string(text)); err != nil {
		return fmt.Errorf("reading the SSH public key %s: %w", keyFile, err)
	}
	req.Chain, err = readChain(certFile)
	return err
}
