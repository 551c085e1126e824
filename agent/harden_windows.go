package agent

// Harden has nothing to do on Windows: there are no core dumps to turn off (error
// reporting is the administrator's), and a process cannot close itself to
// debuggers of its own user.
func Harden() error { return nil }
