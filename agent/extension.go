package agent

import (
	"errors"
	"fmt"
)

const sessionBind = "session-bind@openssh.com"

// errExtensionFailed marks a request that an extension refused, as opposed to
// one for an extension that is not known (RFC 9987 section 5.10).
var errExtensionFailed = errors.New("extension failed")

func (s *session) extension(body []byte) error {
	r := reader{rest: body}
	name := string(r.string())
	if r.short {
		return errShort
	}
	switch {
	case name == sessionBind:
		err := s.binds.bind(r.rest)
		s.keepBind(body, err == nil)
		if err != nil {
			return fmt.Errorf("%s: %w: %w", name, errExtensionFailed, err)
		}
		return s.succeed()
	case name == agentPath:
		s.takePath(r.rest)
		return nil
	case s.agent.Locked():
		return errLocked
	case name == "query":
		s.out = append(s.out, msgExtensionResponse)
		s.out = appendString(s.out, name)
		s.out = appendString(s.out, sessionBind)
		return nil
	}
	return fmt.Errorf("extension %q is not known", printable(name, 64))
}
