package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/sshmint/sshmint/internal/config"
	"github.com/sshmint/sshmint/internal/control"
)

// upstreamPaths gives where the other agents are, once it is sure that none of
// them is this one: own are its sockets.
func upstreamPaths(upstreams []config.Upstream, own []string) ([]string, error) {
	var paths []string
	for _, u := range upstreams {
		if u.Path == "" {
			// It keeps its place, so that no key is added to another one. That
			// it cannot be reached is so, and status tells why.
			paths = append(paths, u.Text)
			continue
		}
		for _, socket := range own {
			if sameSocket(u.Path, socket) {
				return nil, fmt.Errorf("agent.upstream: %s is this agent's own socket: name another agent's, or leave it out", u.Text)
			}
		}
		paths = append(paths, u.Path)
	}
	return paths, nil
}

func sameSocket(a, b string) bool {
	if filepath.Clean(a) == filepath.Clean(b) {
		return true
	}
	of, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(of, other)
}

func (d *daemon) upstreamStatus(ctx context.Context) []control.Upstream {
	d.mu.Lock()
	configured := d.upstream
	d.mu.Unlock()
	asked := d.agent.Upstreams(ctx)
	var all []control.Upstream
	for _, u := range configured {
		s := control.Upstream{Name: u.Text, Path: u.Path, LastError: u.Why}
		for _, now := range asked {
			if now.Path != u.Path {
				continue
			}
			s.Reachable, s.Keys, s.LastError = now.Reachable, now.Keys, now.LastError
			if !now.FailedAt.IsZero() {
				s.FailedAt = &now.FailedAt
			}
		}
		all = append(all, s)
	}
	return all
}

func printUpstreams(w io.Writer, s *control.Status) {
	for _, u := range s.Upstreams {
		state := "not reachable"
		switch {
		case s.Locked:
			state = "not asked while this agent is locked"
		case u.Path == "":
			state = "not used"
		case u.Reachable && u.Keys == 1:
			state = "1 key"
		case u.Reachable:
			state = fmt.Sprintf("%d keys", u.Keys)
		}
		fmt.Fprintf(w, "upstream %s: %s\n", u.Name, state)
		switch {
		case u.FailedAt != nil:
			fmt.Fprintf(w, "         last error at %s: %s\n", clock(*u.FailedAt), u.LastError)
		case u.LastError != "":
			fmt.Fprintf(w, "         %s\n", u.LastError)
		}
	}
}
