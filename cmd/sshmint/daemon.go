package main

import (
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"github.com/sshmint/sshmint/agent"
	"github.com/sshmint/sshmint/internal/config"
	"github.com/sshmint/sshmint/internal/prompt"
)

// daemon is the running agent with the configuration that it serves.
type daemon struct {
	agent    *agent.Agent
	prompter *prompt.Prompter
	log      *slog.Logger
	file     string // --config
	socket   string
	started  time.Time

	reading sync.Mutex // one reload at a time

	mu          sync.Mutex
	files       []string
	profiles    []*profile
	configError error
}

// load reads the configuration. One that cannot be used leaves the one before
// in force, and `sshmint status` tells. A profile that did not change keeps its
// certificate.
func (d *daemon) load() error {
	d.reading.Lock()
	defer d.reading.Unlock()
	conf, profiles, err := d.read()
	if err != nil {
		d.mu.Lock()
		d.configError = err
		d.mu.Unlock()
		return err
	}

	d.mu.Lock()
	old := d.profiles
	d.files, d.profiles, d.configError = conf.Files, profiles, nil
	d.mu.Unlock()

	served := make([]agent.Profile, len(profiles))
	kept := map[*profile]bool{}
	for i, p := range profiles {
		served[i] = agent.Profile{Name: p.Name, Source: p.minter, Confirm: confirmation(p.Confirm)}
		kept[p] = true
	}
	d.agent.Set(agent.Settings{Profiles: served, SSHSIG: conf.SSHSIG})
	for _, p := range old {
		if !kept[p] {
			p.minter.Forget()
		}
	}
	d.tell(conf)
	return nil
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
		if p := present[c.Name]; p != nil && reflect.DeepEqual(p.Profile, c) {
			profiles[i] = p
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
