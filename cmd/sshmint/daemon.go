package main

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/sshmint/sshmint/agent"
	"github.com/sshmint/sshmint/internal/config"
	"github.com/sshmint/sshmint/internal/control"
	"github.com/sshmint/sshmint/internal/prompt"
	"github.com/sshmint/sshmint/signer"
)

// daemon is the running agent with the configuration that it serves.
type daemon struct {
	agent    *agent.Agent
	prompter *prompt.Prompter
	log      *slog.Logger
	file     string // --config
	socket   string
	started  time.Time

	// beside: there may be an agent of the session as well, whose are the
	// profiles' own sockets and exports. Two would fight for them.
	beside bool

	reading sync.Mutex // one reload at a time

	mu          sync.Mutex
	files       []string
	profiles    []*profile
	upstream    []config.Upstream
	configError error

	own profileSockets
}

// load reads the configuration. One that cannot be used leaves the one before
// in force, and `sshmint status` tells. A profile that did not change keeps its
// certificate.
func (d *daemon) load() error {
	d.reading.Lock()
	defer d.reading.Unlock()
	conf, profiles, err := d.read()
	if err == nil {
		err = d.apply(conf, profiles)
	}
	if err != nil {
		d.mu.Lock()
		d.configError = err
		d.mu.Unlock()
		return err
	}
	d.tell(conf)
	return nil
}

// apply puts a configuration in force as a whole, or returns why it cannot be.
func (d *daemon) apply(conf *config.Config, profiles []*profile) error {
	settings := agent.Settings{SSHSIG: conf.SSHSIG, HideUnknown: conf.Unknown == "hide", AddUpstream: conf.AddUpstream}
	kept := map[*signer.Minter]bool{}
	for _, p := range profiles {
		served, err := p.served()
		if err != nil {
			return err
		}
		settings.Profiles = append(settings.Profiles, served)
		kept[p.minter] = true
	}
	own := []string{d.socket, control.Path(d.socket)}
	for _, p := range profiles {
		own = append(own, p.Socket)
	}
	var err error
	if settings.Upstream, err = upstreamPaths(conf.Upstream, own); err != nil {
		return err
	}
	fresh, err := d.own.listen(profiles, d.socket)
	if err != nil {
		return err
	}

	d.mu.Lock()
	old := d.profiles
	d.files, d.profiles, d.upstream, d.configError = conf.Files, profiles, conf.Upstream, nil
	d.mu.Unlock()

	d.agent.Set(settings)
	for _, p := range old {
		if !kept[p.minter] {
			p.end()
		}
	}
	for _, p := range profiles { // first those that go: two may change places
		if path, _ := p.export.status(); path != p.Export {
			p.export.set("")
		}
	}
	for _, p := range profiles {
		p.export.set(p.Export)
	}
	d.own.serve(d, profiles, fresh)
	return nil
}

// close ends what the daemon has beside the agent's sockets.
func (d *daemon) close() {
	d.own.close()
	for _, p := range d.current() {
		p.export.set("")
	}
}

func (d *daemon) read() (*config.Config, []*profile, error) {
	conf, err := config.Load(d.file)
	if err != nil {
		return nil, nil, err
	}
	present := map[string]*profile{}
	for _, p := range d.current() {
		present[p.Name] = p
	}
	profiles := make([]*profile, len(conf.Profiles))
	for i, c := range conf.Profiles {
		if d.beside {
			c.Socket, c.Export = "", ""
		}
		if c.Export != "" {
			if err := exportable(c.Export); err != nil {
				return nil, nil, fmt.Errorf("%s: profile %s: exporting the certificate to %s: %w", c.File, c.Name, c.Export, err)
			}
		}
		if p := present[c.Name]; p != nil && sameCertificate(p.Profile, c) {
			profiles[i] = p.reconfigured(c)
			continue
		}
		if profiles[i], err = newProfile(c, d.log, d.agent.Locked); err != nil {
			return nil, nil, err
		}
	}
	return conf, profiles, nil
}

func (d *daemon) tell(conf *config.Config) {
	switch {
	case len(conf.Files) == 0:
		d.log.Warn("there is no configuration, so there is nothing to serve; sshmint init writes one")
	case len(conf.Profiles) == 0:
		d.log.Warn("the configuration has no profile, so there is nothing to serve; sshmint init adds one", "config", conf.Files)
	default:
		names := make([]string, len(conf.Profiles))
		for i, p := range conf.Profiles {
			names[i] = p.Name
		}
		d.log.Info("configuration read", "config", conf.Files, "profiles", names)
	}
}

func (d *daemon) current() []*profile {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.profiles
}

// find gives a profile by name, or the only one for "".
func (d *daemon) find(name string) (*profile, error) {
	profiles := d.current()
	if name == "" && len(profiles) == 1 {
		return profiles[0], nil
	}
	names := ""
	for _, p := range profiles {
		if p.Name == name {
			return p, nil
		}
		names += " " + p.Name
	}
	switch {
	case len(profiles) == 0:
		return nil, fmt.Errorf("the agent has no profiles: sshmint init adds one")
	case name == "":
		return nil, fmt.Errorf("which profile? there are:%s", names)
	}
	return nil, fmt.Errorf("the agent has no profile %q; there are:%s", name, names)
}
