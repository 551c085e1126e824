package agent

import "golang.org/x/sys/unix"

func credentials(fd int) (peer, error) {
	cred, err := unix.GetsockoptXucred(fd, unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	if err != nil {
		return peer{}, err
	}
	// The pid serves limits and logs only; a client that is gone has none.
	pid, err := unix.GetsockoptInt(fd, unix.SOL_LOCAL, unix.LOCAL_PEERPID)
	if err != nil {
		pid = 0
	}
	return peer{uid: int(cred.Uid), pid: pid}, nil
}
