package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/crypto/ssh"

	"github.com/sshmint/sshmint/identity"
	"github.com/sshmint/sshmint/internal/config"
	"github.com/sshmint/sshmint/internal/control"
	"github.com/sshmint/sshmint/internal/ownfile"
	"github.com/sshmint/sshmint/internal/wire"
	"github.com/sshmint/sshmint/signer"
)

func initCommand() *cli.Command {
	return &cli.Command{
		Name:  "init",
		Usage: "write a profile: an identity, a CA, and what to trust of it",
		Description: "The CA's root is fetched and accepted by its fingerprint, which sshmint-ca init printed\n" +
			"and which the administrator tells. The SSH CA keys that the CA names are pinned.\n" +
			"A running agent reads the new profile at once.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "profile", Usage: "`NAME` of the profile", Value: "default"},
			&cli.StringFlag{Name: "identity", Usage: "`URI` of the X.509 identity, such as file:alice.pem"},
			&cli.StringSliceFlag{Name: "ca", Usage: "`URL` of the CA; again for further ones with the same keys"},
			&cli.StringFlag{Name: "fingerprint", Usage: "of the CA's root: `SHA256:...`"},
			&cli.StringFlag{Name: "root", Usage: "PEM `FILE` with the CA's root, instead of a fingerprint; without both, the system's roots", TakesFile: true},
			&cli.StringFlag{Name: "chain", Usage: "`FILE` with issuers that the identity does not hold", TakesFile: true},
			configFlag(), socketFlag(),
		},
		Action: runInit,
	}
}

// Time that init takes for its questions, and for one CA of several.
const (
	initTime = 30 * time.Second
	oneCA    = 5 * time.Second
)

func runInit(c *cli.Context) error {
	if err := args(c, 0, "takes no argument"); err != nil {
		return err
	}
	if c.String("identity") == "" || len(c.StringSlice("ca")) == 0 {
		return usageError{errors.New("init: --identity and --ca are needed; see sshmint init --help")}
	}
	if c.String("fingerprint") != "" && c.String("root") != "" {
		return usageError{errors.New("init: --fingerprint and --root say the same thing twice")}
	}
	path, err := configFile(c)
	if err != nil {
		return err
	}
	p := &config.Profile{Name: c.String("profile"), File: path}
	if err := config.CheckName(p.Name); err != nil {
		return usageError{err}
	}
	if err := config.Free(path, p.Name); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Context, initTime)
	defer cancel()
	if err := useIdentity(ctx, c, p); err != nil {
		return err
	}
	created, err := useCA(ctx, c, p)
	if err == nil {
		err = config.Add(path, p)
	}
	if err != nil {
		if created != "" {
			err = errors.Join(err, os.Remove(created))
		}
		return err
	}
	fmt.Fprintf(c.App.Writer, "profile %s is in %s\n", p.Name, path)
	return tellAgent(ctx, c, path)
}

func configFile(c *cli.Context) (string, error) {
	if f := c.String("config"); f != "" {
		return filepath.Abs(f)
	}
	return config.UserFile()
}

// useIdentity opens the identity, so that what is wrong with it is said now.
func useIdentity(ctx context.Context, c *cli.Context, p *config.Profile) error {
	dir, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("finding the working folder: %w", err)
	}
	if p.Chain = c.String("chain"); p.Chain != "" {
		if p.Chain, err = filepath.Abs(p.Chain); err != nil {
			return err
		}
	}
	file, err := identity.Open(c.String("identity"), identity.Options{Dir: dir, Chain: p.Chain})
	if err != nil {
		return err
	}
	cert, err := file.Certificate(ctx)
	if err != nil {
		return err
	}
	p.Identity = file.URI()
	fmt.Fprintf(c.App.Writer, "identity %s, until %s\n", printable(cert.Leaf.Subject.String()), clock(cert.Leaf.NotAfter))
	if warning := expiry(cert.Leaf, time.Now()); warning != "" {
		fmt.Fprintf(c.App.ErrWriter, "sshmint: warning: %s\n", warning)
	}
	return nil
}

// useCA finds the CA's root and its SSH keys, which are the same at all URLs. It
// returns the file that it created for the root, if any, also with an error.
func useCA(ctx context.Context, c *cli.Context, p *config.Profile) (created string, err error) {
	for _, u := range c.StringSlice("ca") {
		base, err := config.BaseURL(u)
		if err != nil {
			return created, usageError{err}
		}
		p.CA.URLs = append(p.CA.URLs, base)
	}
	switch {
	case c.String("root") != "":
		root, err := filepath.Abs(c.String("root"))
		if err != nil {
			return created, err
		}
		p.CA.Root = root
	case c.String("fingerprint") != "":
		root, err := firstAnswer(ctx, p.CA.URLs, func(ctx context.Context, ca string) (*x509.Certificate, error) {
			return signer.FetchRoot(ctx, ca, c.String("fingerprint"))
		})
		if err != nil {
			return created, err
		}
		var isNew bool
		if p.CA.Root, isNew, err = keepRoot(p, root); err != nil {
			return created, err
		}
		if isNew {
			created = p.CA.Root
		}
	}
	return created, pinUserCAs(ctx, c, p)
}

// keepRoot puts the root beside the configuration. It replaces nothing: another
// file of that name may be another profile's.
func keepRoot(p *config.Profile, root *x509.Certificate) (path string, isNew bool, err error) {
	if err := os.MkdirAll(p.Dir(), 0o700); err != nil {
		return "", false, fmt.Errorf("keeping the CA's root: %w", err)
	}
	path = filepath.Join(p.Dir(), p.Name+"-root.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw})
	if old, err := ownfile.ReadPublic(path); err == nil && bytes.Equal(old, text) {
		return path, false, nil
	}
	if err := ownfile.Create(path, text, 0o644); err != nil {
		return "", false, fmt.Errorf("keeping the CA's root: %w", err)
	}
	return path, true, nil
}

func pinUserCAs(ctx context.Context, c *cli.Context, p *config.Profile) error {
	keys, err := firstAnswer(ctx, p.CA.URLs, func(ctx context.Context, ca string) (*signer.Authorities, error) {
		return signer.FetchAuthorities(ctx, ca, signer.Trust{Root: p.CA.Root})
	})
	if err != nil {
		return err
	}
	for _, a := range keys.User {
		if a.State == wire.Current || a.State == wire.Next {
			f := ssh.FingerprintSHA256(a.Key)
			p.CA.UserCA = append(p.CA.UserCA, f)
			fmt.Fprintf(c.App.Writer, "CA %s, user CA key %s (%s)\n", strings.Join(p.CA.URLs, ", "), f, a.State)
		}
	}
	if len(p.CA.UserCA) == 0 {
		return fmt.Errorf("%s: the CA names no user CA key", p.CA.URLs[0])
	}
	return nil
}

// firstAnswer asks one CA after the other, all of which have the same keys: one
// that is down is no reason not to write a profile that names it.
func firstAnswer[T any](ctx context.Context, cas []string, ask func(ctx context.Context, ca string) (T, error)) (answer T, err error) {
	var all error
	for _, ca := range cas {
		turn, cancel := context.WithTimeout(ctx, oneCA)
		answer, err = ask(turn, ca)
		cancel()
		if err == nil {
			return answer, nil
		}
		all = errors.Join(all, err)
	}
	return answer, all
}

// tellAgent has a running agent read the new profile. That none runs is fine, and
// so is one that reads other files.
func tellAgent(ctx context.Context, c *cli.Context, path string) error {
	agent, err := client(c)
	if err != nil {
		return err
	}
	err = agent.Reload(ctx)
	if errors.Is(err, control.ErrNoAgent) {
		fmt.Fprintf(c.App.Writer, "no agent is running yet: eval \"$(sshmint agent --fork)\"\n")
		return nil
	}
	if err != nil {
		return fmt.Errorf("the profile is written, but the running agent did not take it: %w", err)
	}
	s, err := agent.Status(ctx)
	if err != nil {
		return err
	}
	if !slices.Contains(s.Config, path) {
		fmt.Fprintf(c.App.Writer, "the running agent reads other files: start one with --config %s\n", path)
		return nil
	}
	fmt.Fprintln(c.App.Writer, "the running agent has read it")
	return nil
}
