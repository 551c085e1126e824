// Package docrules holds what the documents promise about the tree.
package docrules

import (
	"bufio"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const top = "../.."

var (
	row      = regexp.MustCompile(`^\| .* \| .* \| (.*) \|$`)
	testName = regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]+)(?:/([a-z_]+))?`")
	declared = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Za-z0-9]+)\(`)
)

// TestThreatsNameTheirTests: a threat without a test is a hope.
func TestThreatsNameTheirTests(t *testing.T) {
	tests, scripts := testsOf(t)
	f, err := os.Open(filepath.Join(top, "docs", "threat-model.md"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // read only
	rows := 0
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		m := row.FindStringSubmatch(lines.Text())
		if m == nil || m[1] == "held by" {
			continue
		}
		rows++
		named := testName.FindAllStringSubmatch(m[1], -1)
		if len(named) == 0 {
			t.Errorf("no test: %s", lines.Text())
		}
		for _, n := range named {
			if !tests[n[1]] {
				t.Errorf("there is no test %s: %s", n[1], lines.Text())
			}
			if n[2] != "" && !scripts[n[2]] {
				t.Errorf("there is no script %s: %s", n[2], lines.Text())
			}
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if rows < 30 {
		t.Errorf("only %d threats: is the table still read right?", rows)
	}
}

// testsOf finds the tests and the scripts of the tree.
func testsOf(t *testing.T) (tests, scripts map[string]bool) {
	t.Helper()
	tests, scripts = map[string]bool{}, map[string]bool{}
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		switch name := d.Name(); {
		case strings.HasSuffix(name, ".txtar"):
			scripts[strings.TrimSuffix(name, ".txtar")] = true
		case strings.HasSuffix(name, "_test.go"):
			text, err := os.ReadFile(path) // #nosec G304 -- our own tree
			if err != nil {
				return err
			}
			for _, m := range declared.FindAllStringSubmatch(string(text), -1) {
				tests[m[1]] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests, scripts
}
