package ca

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sshmint/sshmint/internal/ownfile"
)

// table is a file of lines "name = value, value" that is read again when it
// changes. A changed file that is broken is logged, and the last good one stays
// in use; while there is none at all, every lookup fails, and with it the rule:
// somebody who took the file away may have meant to take the access away.
type table struct {
	name, path string

	mu     sync.Mutex
	rows   map[string][]string
	seen   fs.FileInfo // what rows, or the complaint about the file, is from
	seenAt time.Time
}

func openTable(name, path string) (*table, error) {
	t := &table{name: name, path: path}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	rows, err := readTable(path)
	if err != nil {
		return nil, err
	}
	t.rows, t.seen, t.seenAt = rows, info, time.Now()
	return t, nil
}

// lookup gives the values of all names that are in the table.
func (t *table) lookup(log *slog.Logger, names []string) ([]string, error) {
	rows, err := t.current(log)
	if err != nil {
		return nil, err
	}
	var values []string
	for _, n := range names {
		values = append(values, rows[n]...)
	}
	return values, nil
}

func (t *table) current(log *slog.Logger) (map[string][]string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	info, err := os.Stat(t.path)
	if err != nil {
		return nil, fmt.Errorf("table %s: %w", t.name, err)
	}
	if t.unchanged(info) {
		return t.rows, nil
	}
	rows, err := readTable(t.path)
	t.seen, t.seenAt = info, time.Now()
	if err != nil {
		log.Error("table not reloaded, the old one stays in use", "table", t.name, "err", err)
		return t.rows, nil
	}
	if !sameRows(rows, t.rows) {
		log.Info("table reloaded", "table", t.name, "names", len(rows))
	}
	t.rows = rows
	return t.rows, nil
}

// racy is how long after a change a file may change again with the same
// timestamp; within it the timestamp proves nothing.
const racy = 2 * time.Second

func (t *table) unchanged(info fs.FileInfo) bool {
	return os.SameFile(info, t.seen) && info.Size() == t.seen.Size() && info.Mode() == t.seen.Mode() &&
		info.ModTime().Equal(t.seen.ModTime()) && t.seenAt.Sub(info.ModTime()).Abs() > racy
}

func sameRows(a, b map[string][]string) bool {
	if len(a) != len(b) {
		return false
	}
	for name, values := range a {
		if !slices.Equal(values, b[name]) {
			return false
		}
	}
	return true
}

func readTable(path string) (map[string][]string, error) {
	data, err := ownfile.ReadTrusted(path)
	if err != nil {
		return nil, err
	}
	rows := make(map[string][]string)
	lines := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name, values, err := parseRow(line)
		if err == nil && rows[name] != nil {
			err = fmt.Errorf("%q is there twice", name)
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n, err)
		}
		rows[name] = values
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return rows, nil
}

// parseRow cuts at the one "=" that stands alone, so that a name may be a
// distinguished name.
func parseRow(line string) (string, []string, error) {
	parts := strings.Split(strings.ReplaceAll(line, "\t", " "), " = ")
	if len(parts) != 2 || strings.TrimSpace(parts[0]) == "" {
		return "", nil, fmt.Errorf(`%q is no line such as "name = value, value", with blanks around the "="`, line)
	}
	var values []string
	for v := range strings.SplitSeq(parts[1], ",") {
		v = strings.TrimSpace(v)
		if err := checkPrincipal(v); err != nil {
			return "", nil, fmt.Errorf("value %q: %w", v, err)
		}
		values = append(values, v)
	}
	return strings.TrimSpace(parts[0]), values, nil
}
