// Package knownhosts tells by which names ssh knows a host key, from the files
// where ssh keeps them (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT), and matches such
// names with patterns as ssh_config(5) has them.
//
// # What it guarantees
//
// A name is proven by an entry for that very key; or by a @cert-authority entry
// that fits a principal of a host certificate which is valid now. A key, or an
// authority, that any file marks @revoked proves nothing. A hashed entry gives
// no name away: it proves those of the candidates that it fits, and leaves it
// open whether there are others.
//
// Names are written as in the files: "db7", or "[db7]:2222" where the port is
// not 22, in lower case. Lines that cannot be read are passed over, as ssh does,
// and logged; a file that somebody else can write, or that is larger than 4 MiB,
// is passed over whole.
package knownhosts

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sshmint/sshmint/internal/ownfile"
)

// Files are known_hosts files, which are read anew when they change.
type Files struct {
	Paths []string     // nil: those that ssh reads unless its configuration says otherwise
	Log   *slog.Logger // nil discards

	last atomic.Pointer[Hosts]
}

// Hosts are all files as they were at one moment. Only what is learned of hashed
// entries is added later.
type Hosts struct {
	versions []version
	entries  []*entry // in the order of files and lines
	byKey    map[string][]*entry
	troubles []string
}

// A version of a file is told from another by what ssh cannot write without
// changing it.
type version struct {
	path    string
	info    fs.FileInfo // nil: there is none
	changed time.Time
	size    int64
}

func (v version) same(o version) bool {
	if v.path != o.path || v.info == nil || o.info == nil {
		return v.path == o.path && v.info == nil && o.info == nil
	}
	return v.size == o.size && v.changed.Equal(o.changed) && os.SameFile(v.info, o.info)
}

// Defaults are the files that ssh reads by itself: the user's and the system's.
func Defaults() []string {
	var paths []string
	if home, err := os.UserHomeDir(); err == nil {
		paths = append(paths, filepath.Join(home, ".ssh", "known_hosts"), filepath.Join(home, ".ssh", "known_hosts2"))
	}
	system := "/etc/ssh"
	if runtime.GOOS == "windows" {
		system = filepath.Join(os.Getenv("ProgramData"), "ssh")
	}
	return append(paths, filepath.Join(system, "ssh_known_hosts"), filepath.Join(system, "ssh_known_hosts2"))
}

// Read returns what the files say now. It looks whether they changed, and reads
// them only then; what it could not read, and could the last time, it logs.
func (f *Files) Read() *Hosts {
	paths := f.Paths
	if paths == nil {
		paths = Defaults()
	}
	versions := make([]version, len(paths))
	for i, path := range paths {
		versions[i] = version{path: path}
		if info, err := os.Stat(path); err == nil {
			versions[i] = version{path, info, info.ModTime(), info.Size()}
		}
	}
	last := f.last.Load()
	if last != nil && slices.EqualFunc(last.versions, versions, version.same) {
		return last
	}
	hosts := &Hosts{versions: versions, byKey: make(map[string][]*entry)}
	for _, path := range paths {
		if err := hosts.add(path); err != nil {
			hosts.troubles = append(hosts.troubles, err.Error())
			if f.Log != nil && (last == nil || !slices.Contains(last.troubles, err.Error())) {
				f.Log.Warn("known hosts passed over", "err", err)
			}
		}
	}
	if last != nil {
		hosts.keepNames(last)
	}
	f.last.Store(hosts)
	return hosts
}

// add reads one more file, and returns what it could not.
func (h *Hosts) add(path string) error {
	data, err := ownfile.ReadTrusted(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	number, wrong := 0, 0
	var first error
	for line := range bytes.Lines(data) {
		number++
		e, err := parse(string(line))
		if err != nil {
			if wrong++; first == nil {
				first = fmt.Errorf("line %d: %w", number, err)
			}
			continue
		}
		if e != nil {
			e.file, e.line = path, number
			h.entries = append(h.entries, e)
			h.byKey[e.key] = append(h.byKey[e.key], e)
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%s: lines that cannot be read: %d, of which the first is %w", path, wrong, first)
	}
	return nil
}

// keepNames takes over which names hashed entries were found to have.
func (h *Hosts) keepNames(old *Hosts) {
	found := make(map[string]*string)
	for _, e := range old.entries {
		if name := e.found.Load(); name != nil {
			found[e.hosts] = name
		}
	}
	for _, e := range h.entries {
		if e.sum != nil {
			e.found.Store(found[e.hosts])
		}
	}
}
