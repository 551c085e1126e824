package agent

import (
	"errors"
	"fmt"
	"net"
	"os/user"
	"strings"

	"github.com/Microsoft/go-winio"
	"golang.org/x/sys/windows"
)

// Listen makes a named pipe that only this user and the system can open, and
// nobody from another machine. If the name is taken, the error is ErrInUse.
func Listen(path string) (net.Listener, error) {
	token, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return nil, fmt.Errorf("listening on %s: asking who the user is: %w", path, err)
	}
	// Protected against inherited entries; all rights for the user and SYSTEM.
	descriptor := fmt.Sprintf("D:P(A;;GA;;;%s)(A;;GA;;;SY)", token.User.Sid)
	l, err := winio.ListenPipe(path, &winio.PipeConfig{
		SecurityDescriptor: descriptor,
		InputBufferSize:    keptBuffer,
		OutputBufferSize:   keptBuffer,
	})
	// The first instance of a pipe cannot be made twice.
	if errors.Is(err, windows.ERROR_ACCESS_DENIED) || errors.Is(err, windows.ERROR_PIPE_BUSY) || errors.Is(err, windows.ERROR_ALREADY_EXISTS) {
		return nil, fmt.Errorf("pipe %s: %w", path, ErrInUse)
	}
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", path, err)
	}
	return l, nil
}

// DefaultSocket returns the pipe on which the agent listens unless it is told
// otherwise. OpenSSH's own pipe is one for the whole machine.
func DefaultSocket() (string, error) {
	u, err := user.Current()
	if err != nil {
		return "", fmt.Errorf("choosing a pipe name: %w", err)
	}
	name := u.Username[strings.LastIndexByte(u.Username, '\\')+1:] // without the domain
	return `\\.\pipe\sshmint-` + name, nil
}
