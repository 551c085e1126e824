//go:build unix

package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// dialAgent connects to another agent of this user, or of root. Another user's
// would be told what is signed, and given the keys that are added.
func dialAgent(ctx context.Context, path string) (net.Conn, error) {
	if !filepath.IsAbs(path) { // whatever folder this is
		return nil, fmt.Errorf("%s is no absolute path", path)
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	owner, err := peerOf(conn)
	if err == nil && owner.check() != nil {
		err = fmt.Errorf("%s is served by user %d, not by user %d", path, owner.uid, os.Getuid())
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}
