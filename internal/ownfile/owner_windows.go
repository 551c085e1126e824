package ownfile

import "io/fs"

const (
	modesMatter = false
	nonblocking = 0
)

func ownedByRoot(fs.FileInfo) bool { return false }

func checkOwner(fs.FileInfo, string) error { return nil }
