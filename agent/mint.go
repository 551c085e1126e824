package agent

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// mint asks the profiles' Sources, all at once, and returns what came of it in
// the order of the profiles, nil where there was an error or no answer in time.
func (a *Agent) mint(ctx context.Context, profiles []*profile) []*minted {
	ctx, cancel := context.WithTimeoutCause(ctx, listTime, fmt.Errorf("no answer within %s", listTime))
	defer cancel()
	type result struct {
		index int
		key   *minted
		err   error
	}
	results := make(chan result, len(profiles))
	for i, p := range profiles {
		go func() {
			m, err := a.mintOne(ctx, p)
			results <- result{i, m, err}
		}()
	}
	keys := make([]*minted, len(profiles))
	answered := make([]bool, len(profiles))
	for range profiles {
		select {
		case r := <-results:
			answered[r.index], keys[r.index] = true, r.key
			if r.err != nil {
				a.log().Warn("certificate not minted", "profile", profiles[r.index].Name, "err", r.err)
			}
		case <-ctx.Done(): // also of a Source that does not mind it
			for i, p := range profiles {
				if !answered[i] {
					a.log().Warn("certificate not minted", "profile", p.Name, "err", context.Cause(ctx))
				}
			}
			return keys
		}
	}
	return keys
}

func (a *Agent) mintOne(ctx context.Context, p *profile) (m *minted, err error) {
	defer func() {
		if r := recover(); r != nil {
			m, err = nil, fmt.Errorf("the source broke: %v", r)
			a.log().Error("a source broke", "profile", p.Name, "panic", r, "stack", string(debug.Stack()))
		}
	}()
	generation := p.generation.Load()
	signer, err := p.Source.Signer(ctx)
	if err != nil {
		return nil, err
	}
	if signer == nil {
		return nil, errors.New("the source gave neither a certificate nor an error")
	}
	m, err = a.remember(p, generation, signer)
	switch {
	case err != nil:
		return nil, err
	case m == nil:
		return nil, errors.New("the profile was forgotten meanwhile")
	case m.expired(time.Now()):
		return nil, errors.New("the source gave a certificate that has expired")
	}
	return m, nil
}
