package config

import (
	"github.com/sshmint/sshmint/agent"
	"github.com/sshmint/sshmint/internal/conffile"
)

// checkAgent returns what is wrong with the settings of the agent itself.
func (t *text) checkAgent(file string, data []byte) (errs []error) {
	for _, namespace := range t.Agent.SSHSIG {
		if err := agent.CheckNamespace(namespace); err != nil {
			errs = append(errs, conffile.Errorf(file, data, "agent.sshsig", "%s", err))
		}
	}
	if u := or(t.Agent.Unknown, "offer"); u != "offer" && u != "hide" {
		errs = append(errs, conffile.Errorf(file, data, "agent.unknown", `%q is neither "offer" nor "hide"`, u))
	}
	return errs
}
