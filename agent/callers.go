package agent

// maxCallers is how far up a question tells where it comes from: enough for
// ssh <- git <- make <- a shell <- its terminal.
const maxCallers = 6

// callers returns the process, its parent and so on, as the system has them at
// this moment; none for pid 0 or a process that is gone. Processes choose their
// own names and parents: the chain helps an honest person, and is no proof.
func callers(pid int) []Process {
	var chain []Process
	for pid > 1 && len(chain) < maxCallers {
		p, parent, err := processOf(pid)
		if err != nil {
			break
		}
		chain = append(chain, p)
		if parent == pid {
			break
		}
		pid = parent
	}
	return chain
}
