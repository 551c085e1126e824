// Package ownfile reads files whose owner and mode matter, and writes files so
// that a reader sees the old content or the new, never half of one.
//
// Owner and mode are taken from the open descriptor, so a file that is swapped
// between the check and the read is not missed. On Windows, where a profile's
// access list already keeps other users out, they are not looked at.
package ownfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// maxSize bounds what is read into memory: nothing that this project keeps in
// a file is near it.
const maxSize = 4 << 20

// ReadSecret reads a private key or another secret. A file that somebody else
// can read or write is refused; its group may read it when root owns it, the
// way Debian's ssl-cert group is used.
func ReadSecret(path string) ([]byte, error) {
	return read(path, func(f fs.FileInfo) error {
		mode := f.Mode().Perm()
		allowed := fs.FileMode(0o700)
		if ownedByRoot(f) {
			allowed = 0o740
		}
		if mode&^allowed != 0 {
			return fmt.Errorf("others can read it (mode %04o): chmod 600 %s", mode, path)
		}
		return checkOwner(f, path)
	})
}

// ReadTrusted reads a configuration: a file that decides what we do and that
// may be read by anyone. One that somebody else can write is refused.
func ReadTrusted(path string) ([]byte, error) {
	return read(path, func(f fs.FileInfo) error {
		if mode := f.Mode().Perm(); mode&0o022 != 0 {
			return fmt.Errorf("others can write it (mode %04o): chmod go-w %s", mode, path)
		}
		return checkOwner(f, path)
	})
}

// ReadPublic reads a file whose owner and mode do not matter, such as a
// certificate.
func ReadPublic(path string) ([]byte, error) {
	return read(path, func(fs.FileInfo) error { return nil })
}

func read(path string, check func(fs.FileInfo) error) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|nonblocking, 0) // #nosec G304 -- the path is the user's own choice
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // read only
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	if modesMatter {
		if err := check(info); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxSize {
		return nil, fmt.Errorf("%s is larger than %d MiB", path, maxSize>>20)
	}
	return b, nil
}

// Write replaces path with data by way of a temporary file in the same folder,
// synced before it is renamed.
func Write(path string, data []byte, mode fs.FileMode) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// Create writes a file that must not exist yet.
func Create(path string, data []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode) // #nosec G304 -- the path is the user's own choice
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}
