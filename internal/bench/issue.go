package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sshmint/sshmint/identity"
	"github.com/sshmint/sshmint/signer"
)

// issuer is the CA as an identity in a file sees it.
func (l *lab) issuer(file string) *signer.SSHMint {
	path := l.path(file)
	return &signer.SSHMint{
		URL:      l.caURL,
		Trust:    signer.Trust{Root: l.caRoot},
		Identity: &identity.File{CertFile: path, KeyFile: path},
	}
}

func (l *lab) request(key ssh.Signer) *signer.Request {
	return &signer.Request{Key: key, UserCAs: []string{l.userCA}}
}

// measureCA has clients ask for certificates, each with an X.509 identity of its
// own, over a TLS connection for each. The clients verify what they get; their
// work is on the same processors as the CA's.
func measureCA(ctx context.Context, l *lab, p plan, r *report) error {
	const most = 8
	issuers := make([]*signer.SSHMint, most)
	keys := make([]ssh.Signer, most)
	for i := range issuers {
		file := fmt.Sprintf("alice%d.pem", i)
		if err := l.identity(file, int64(100+i)); err != nil {
			return err
		}
		issuers[i] = l.issuer(file)
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return fmt.Errorf("making a key: %w", err)
		}
		if keys[i], err = ssh.NewSignerFromKey(key); err != nil {
			return fmt.Errorf("making a key: %w", err)
		}
	}
	ask := func(ctx context.Context, i int) func() error {
		return func() error {
			_, err := issuers[i].Issue(ctx, l.request(keys[i]))
			return err
		}
	}
	for _, n := range []int{1, most} {
		var samples []sample
		for range p.repetitions {
			s, err := clients(ctx, n, max(p.slice, 100*time.Millisecond), ask)
			if err != nil {
				return err
			}
			samples = append(samples, s)
		}
		title := "CA, " + count(n)
		r.value(title+", p50", milli(median(each(samples, p50))), "", 0, goal{})
		r.value(title+", p99", milli(median(each(samples, p99))), "", 0, goal{})
		r.value(title, perSecond(median(each(samples, rateOf))), spread(each(samples, rateOf), perSecond), 0, goal{})
	}
	flush, err := measureFlush(l, p.flushes)
	if err != nil {
		return err
	}
	r.value("this disk: one line appended and flushed, p50", milli(float64(quantile(flush, 50))),
		"p99 "+milli(float64(quantile(flush, 99))), 0, goal{})
	return nil
}

func spread(values []float64, format func(float64) string) string {
	return format(slices.Min(values)) + " to " + format(slices.Max(values))
}

// measureFlush is what each certificate, or those of one moment together, cost
// before anything is computed: a line in the audit log.
func measureFlush(l *lab, times int) ([]time.Duration, error) {
	f, err := os.OpenFile(l.path("flushed"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // synced, and thrown away
	line := make([]byte, 800)
	took := make([]time.Duration, times)
	for i := range took {
		began := time.Now()
		if _, err := f.Write(line); err != nil {
			return nil, err
		}
		if err := f.Sync(); err != nil {
			return nil, err
		}
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	return took, nil
}
