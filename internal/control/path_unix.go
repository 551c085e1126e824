//go:build unix

package control

func controlPath(socket string) string { return socket + ".d/control" }
