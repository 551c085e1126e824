package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/sshmint/sshmint/identity"
	"github.com/sshmint/sshmint/internal/config"
	"github.com/sshmint/sshmint/signer"
)

// profile is one profile of the configuration at work.
type profile struct {
	config.Profile
	identity *watched
	minter   *signer.Minter
	export   *exporter
}

func newProfile(p config.Profile, log *slog.Logger, paused func() bool) (*profile, error) {
	file, err := identity.Open(p.Identity, identity.Options{Dir: p.Dir(), Chain: p.Chain})
	if err != nil {
		return nil, fmt.Errorf("profile %s: %w", p.Name, err)
	}
	id := &watched{Identity: file, profile: p.Name, log: log}
	trust := signer.Trust{Root: p.CA.Root}
	if p.CA.MinTLS == "1.2" {
		trust.MinTLS = tls.VersionTLS12
	}
	issuers := make([]signer.Issuer, len(p.CA.URLs))
	for i, url := range p.CA.URLs {
		issuers[i] = &signer.SSHMint{URL: url, Trust: trust, Identity: id}
	}
	minter := &signer.Minter{
		Profile:    p.Name,
		Identity:   id,
		Issuer:     &signer.Failover{Issuers: issuers},
		KeyType:    signer.KeyType(p.Key),
		Principals: p.Principals,
		Validity:   p.Validity,
		UserCAs:    p.CA.UserCA,
		Paused:     paused,
		Log:        log,
	}
	export := &exporter{profile: p.Name, current: minter.Current, log: log}
	minter.Changed = export.changed
	return &profile{p, id, minter, export}, nil
}

// watched remembers the leaf that was last used, and warns while there is time
// to renew it.
type watched struct {
	signer.Identity
	profile string
	log     *slog.Logger
	leaf    atomic.Pointer[x509.Certificate]
}

func (w *watched) Certificate(ctx context.Context) (*tls.Certificate, error) {
	cert, err := w.Identity.Certificate(ctx)
	if err != nil {
		return nil, err
	}
	w.leaf.Store(cert.Leaf)
	if warning := expiry(cert.Leaf, time.Now()); warning != "" {
		w.log.Warn(warning, "profile", w.profile)
	}
	return cert, nil
}

// warnBefore is how long before its end a person is told to renew an identity.
const warnBefore = 14 * 24 * time.Hour

func expiry(leaf *x509.Certificate, now time.Time) string {
	left := leaf.NotAfter.Sub(now)
	if left > warnBefore {
		return ""
	}
	return fmt.Sprintf("the X.509 identity %s expires in %s, at %s: renew it",
		leaf.Subject, roughly(left), leaf.NotAfter.Local().Format("2006-01-02 15:04"))
}

// roughly is a duration as a person says it.
func roughly(d time.Duration) string {
	switch {
	case d < 0:
		return "no time"
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %02d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours())/24)
}
