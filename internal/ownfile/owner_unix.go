//go:build unix

package ownfile

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

const modesMatter = true

// nonblocking: to open a pipe would wait for somebody to write into it.
const nonblocking = syscall.O_NONBLOCK

func owner(f fs.FileInfo) (uint32, bool) {
	st, ok := f.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return st.Uid, true
}

func ownedByRoot(f fs.FileInfo) bool {
	uid, ok := owner(f)
	return ok && uid == 0
}

// checkOwner: only root, who can do anything to us anyway, and we ourselves.
func checkOwner(f fs.FileInfo, path string) error {
	uid, ok := owner(f)
	if !ok || uid != 0 && int64(uid) != int64(os.Getuid()) {
		return fmt.Errorf("it belongs to user %d, neither to you nor to root: run this as that user, or chown %d %s", uid, os.Getuid(), path)
	}
	return nil
}
