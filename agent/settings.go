package agent

import "slices"

// Settings are what a reload changes.
type Settings struct {
	// Profiles are offered in this order. Their names must differ.
	Profiles []Profile

	// HideUnknown hides profiles that have Hosts from clients which go to a server
	// that known_hosts does not name, and from such that do not prove where they
	// go. Otherwise these are offered what is valid, after all else.
	HideUnknown bool

	// SSHSIG are the namespaces in which minted keys sign SSHSIG messages, for
	// clients on this computer.
	SSHSIG []string

	// Upstream are the sockets of other agents, whose keys are offered after
	// ours, in this order. One whose path is not absolute is never reached.
	Upstream []string
	// AddUpstream has the first of them keep the keys that clients add.
	AddUpstream bool
}

// Set replaces the settings. What clients were given by a profile that keeps
// both its name and its Source stays good, under the new rules; everything else
// stops signing at once. Sources that are left out are not told: they are the
// caller's. What settings refers to must not be changed any more.
func (a *Agent) Set(settings Settings) {
	a.change.Lock()
	defer a.change.Unlock()
	old := a.set()
	next := make([]*profile, len(settings.Profiles))
	for i := range settings.Profiles {
		p := &settings.Profiles[i]
		if j := slices.IndexFunc(old.profiles, func(q *profile) bool { return q.Name == p.Name && q.Source == p.Source }); j >= 0 {
			next[i] = old.profiles[j]
		} else {
			next[i] = &profile{Name: p.Name, Source: p.Source}
		}
		next[i].rules.Store(p)
	}
	for _, p := range old.profiles {
		if !slices.Contains(next, p) {
			p.drop()
		}
	}
	a.settings.Store(&settings)
	a.setUpstreams(settings.Upstream)
	a.keys.Store(newKeySet(next))
}

// current settings; never nil.
func (a *Agent) currentSettings() *Settings {
	if s := a.settings.Load(); s != nil {
		return s
	}
	return &noSettings
}

var noSettings Settings
