package ca

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sshmint/sshmint/internal/ownfile"
)

func TestReadTable(t *testing.T) {
	for _, c := range []struct {
		text string
		says string // "": no error
		name string
		want string
	}{
		{"", "", "x", ""},
		{"# comment\n\n  alice@x = admin,dba \r\n", "", "alice@x", "admin dba"},
		{"alice@x\t=\tadmin\n", "", "alice@x", "admin"},
		{"CN=alice,O=corp = admin\n", "", "CN=alice,O=corp", "admin"},
		{"a b = c", "", "a b", "c"},
		{"alice=admin\n", "1: ", "", ""},
		{"alice\n", "1: ", "", ""},
		{"alice =\n", "1: ", "", ""},
		{" = admin\n", "1: ", "", ""},
		{"alice = admin = dba\n", "1: ", "", ""},
		{"a = x\n\nb = x,\n", "3: ", "", ""},
		{"a = x y\n", "a blank", "", ""},
		{"a = x\na = y\n", `2: "a" is there twice`, "", ""},
		{"a = " + strings.Repeat("x", 256) + "\n", "255 bytes", "", ""},
		{"a = " + strings.Repeat("x", 1<<16), "reading", "", ""},
	} {
		path := filepath.Join(t.TempDir(), "t")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		rows, err := readTable(path)
		if c.says != "" {
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%.40q: got %v, want %q", c.text, err, c.says)
			}
			continue
		}
		if got := strings.Join(rows[c.name], " "); err != nil || got != c.want {
			t.Errorf("%q: %q, %v", c.text, got, err)
		}
	}
}

// TestTableFollowsFile changes the file in each way that a file changes in.
func TestTableFollowsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "roles.txt")
	write := func(text string, age time.Duration) {
		t.Helper()
		if err := ownfile.Write(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		then := time.Now().Add(-age)
		if err := os.Chtimes(path, then, then); err != nil {
			t.Fatal(err)
		}
	}
	var log strings.Builder
	logger := slog.New(slog.NewTextHandler(&log, nil))
	write("alice = one\n", time.Hour)
	table, err := openTable("roles", path)
	if err != nil {
		t.Fatal(err)
	}
	want := func(want, logged string) {
		t.Helper()
		got, err := table.lookup(logger, []string{"nobody", "alice"})
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
		if (logged == "") != (log.Len() == 0) || !strings.Contains(log.String(), logged) {
			t.Errorf("logged %q, want %q", log.String(), logged)
		}
		log.Reset()
	}
	want("one", "")
	write("alice = two\n", time.Minute)
	want("two", "table reloaded")

	// In place, of the same size and in the same tick of the clock: only the fresh timestamp says that
	// the file may have changed.
	now := time.Now()
	for _, text := range []string{"alice = six\n", "alice = ten\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, now, now); err != nil {
			t.Fatal(err)
		}
		want(strings.Fields(text)[2], "table reloaded")
	}

	write("alice\n", time.Minute)
	want("ten", "the old one stays in use")
	want("ten", "") // and is not complained about again
	write("alice = six\n", 30*time.Second)
	want("six", "table reloaded")
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	want("six", "others can write")

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got, err := table.lookup(logger, []string{"alice"}); err == nil {
		t.Errorf("lookup in a table whose file is gone gave %q", got)
	}
	write("", time.Minute)
	want("", "table reloaded")
}

func TestTableKeepsValuesApart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "roles.txt")
	if err := os.WriteFile(path, []byte("a = x, y\nb = z\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	table, err := openTable("roles", path)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time from memory that the first must not have written to
		got, err := table.lookup(slog.New(slog.DiscardHandler), []string{"a", "b"})
		if err != nil || !slices.Equal(got, []string{"x", "y", "z"}) {
			t.Errorf("got %q, %v", got, err)
		}
	}
}
