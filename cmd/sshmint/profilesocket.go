package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/sshmint/sshmint/agent"
)

// profileSockets are the profiles' own sockets that are served.
type profileSockets struct {
	mu     sync.Mutex
	open   map[string]*profileSocket // by path
	closed bool
}

type profileSocket struct {
	profile string
	cancel  context.CancelFunc
	ended   chan struct{}
}

func (s *profileSocket) close() {
	s.cancel()
	<-s.ended
}

// listen opens the sockets that profiles name and that are not there yet. What
// it opened is served by serve, or closed by drop.
func (o *profileSockets) listen(profiles []*profile, agentSocket string) (fresh map[string]net.Listener, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	fresh = make(map[string]net.Listener)
	var moved []*profile // to a socket that is another profile's now
	for _, p := range profiles {
		old := o.open[p.Socket]
		switch {
		case p.Socket == "":
		case p.Socket == agentSocket:
			err = fmt.Errorf("profile %s: its socket %s is the agent's own", p.Name, p.Socket)
		case old == nil:
			err = open(p, fresh)
		case old.profile != p.Name:
			moved = append(moved, p)
		}
		if err != nil {
			return nil, errors.Join(err, drop(fresh))
		}
	}
	// Last, when nothing else can stand in the way of the configuration.
	for _, p := range moved {
		o.open[p.Socket].close()
		delete(o.open, p.Socket)
		if err := open(p, fresh); err != nil {
			return nil, errors.Join(err, drop(fresh))
		}
	}
	return fresh, nil
}

func open(p *profile, fresh map[string]net.Listener) error {
	l, err := agent.Listen(p.Socket)
	if err != nil {
		return fmt.Errorf("profile %s: %w", p.Name, err)
	}
	fresh[p.Socket] = l
	return nil
}

func drop(fresh map[string]net.Listener) error {
	var errs []error
	for _, l := range fresh {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

// serve serves the fresh sockets, and closes those that no profile names any
// more.
func (o *profileSockets) serve(d *daemon, profiles []*profile, fresh map[string]net.Listener) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		_ = drop(fresh) // we are going
		return
	}
	if o.open == nil {
		o.open = make(map[string]*profileSocket)
	}
	named := make(map[string]bool)
	for _, p := range profiles {
		named[p.Socket] = true
		l := fresh[p.Socket]
		if l == nil {
			continue
		}
		ctx, cancel := context.WithCancel(context.Background())
		s := &profileSocket{profile: p.Name, cancel: cancel, ended: make(chan struct{})}
		o.open[p.Socket] = s
		go func() {
			defer close(s.ended)
			if err := d.agent.ServeProfile(ctx, l, s.profile); err != nil {
				d.log.Error("serving a profile's own socket", "profile", s.profile, "err", err)
			}
		}()
		d.log.Info("listening", "socket", p.Socket, "profile", p.Name)
	}
	for path, s := range o.open {
		if !named[path] {
			s.close()
			delete(o.open, path)
		}
	}
}

func (o *profileSockets) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	for path, s := range o.open {
		s.close()
		delete(o.open, path)
	}
}
