package main

import (
	"fmt"
	"reflect"

	"github.com/sshmint/sshmint/agent"
	"github.com/sshmint/sshmint/internal/config"
)

// served is the profile as the agent has it.
func (p *profile) served() (agent.Profile, error) {
	hosts, err := agent.ParseHosts(p.Hosts)
	if err != nil {
		return agent.Profile{}, fmt.Errorf("profile %s: %w", p.Name, err)
	}
	return agent.Profile{
		Name: p.Name, Source: p.minter, Hosts: hosts,
		Forward: forwarding(p.Forward), Confirm: confirmation(p.Confirm),
	}, nil
}

// forwarding reads profile.NAME.forward; what it does not know is denied.
func forwarding(s string) agent.Forwarding {
	switch s {
	case "confirm":
		return agent.ForwardConfirm
	case "allow":
		return agent.ForwardAllow
	}
	return agent.ForwardDeny
}

// sameCertificate tells whether a profile's certificate stays what it is when
// its configuration becomes the other.
func sameCertificate(a, b config.Profile) bool {
	a.Use, b.Use = config.Use{}, config.Use{}
	a.Confirm, b.Confirm = "", ""
	return reflect.DeepEqual(a, b)
}

// reconfigured is the profile with its certificate under another configuration.
func (p *profile) reconfigured(c config.Profile) *profile {
	next := *p
	next.Profile = c
	return &next
}

// end is for a profile that is not served any more.
func (p *profile) end() {
	p.minter.Forget()
	p.export.set("")
}
