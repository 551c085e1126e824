package ownfile

import "io/fs"

const modesMatter = false

func ownedByRoot(fs.FileInfo) bool { return false }

func checkOwner(fs.FileInfo, string) error { return nil }
