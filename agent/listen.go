package agent

import "errors"

// ErrInUse is returned by Listen, wrapped, if another agent is listening.
var ErrInUse = errors.New("another agent is listening")
