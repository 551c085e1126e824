package ca

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func openTestAudit(t *testing.T) (*Audit, string) {
	t.Helper()
	dir := t.TempDir()
	a, err := OpenAudit(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a, filepath.Join(dir, fileAudit)
}

func auditLines(t *testing.T, path string) []string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
}

func TestAuditIsOneLineOfASCII(t *testing.T) {
	for _, name := range []string{
		"plain", "new\nline", "carriage\rreturn", "nul\x00", "esc\x1b[2J", "del\x7f", "c1\u009b2J", "bidi \u202egpj", "line\u2028separator",
		"z\u00fcrich", "\U0001f600", "bad utf-8 \xff\xfe", `quote " and \ backslash`, `{"decision":"granted"}`, "<&>",
	} {
		e := &Entry{Decision: Refused, X509Subject: name, Person: name, Detail: name, Principals: []string{name}}
		b, err := e.line()
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range b {
			if last := i == len(b)-1; last != (c == '\n') || !last && (c < ' ' || c > '~') {
				t.Errorf("%q: byte %#x at %d of %q", name, c, i, b)
			}
		}
		var back Entry
		if err := json.Unmarshal(b, &back); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		if want := strings.ToValidUTF8(name, "\ufffd"); strings.ReplaceAll(back.Detail, "\ufffd\ufffd", "\ufffd") != want {
			t.Errorf("%q comes back as %q", name, back.Detail)
		}
	}
}

func TestAuditCutsLongNames(t *testing.T) {
	e := &Entry{X509Subject: strings.Repeat("\u00fc", 30<<10), Detail: strings.Repeat("x", 30<<10)}
	b, err := e.line()
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > 6*maxAuditText {
		t.Errorf("%d bytes", len(b))
	}
}

func TestAuditKeepsEveryEntry(t *testing.T) {
	a, path := openTestAudit(t)
	const writers, each = 16, 50
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if err := a.Append(&Entry{Request: fmt.Sprintf("%d/%d", w, i)}); err != nil {
					t.Error(err)
				}
				if i == each/2 && w == 0 {
					// As a rotation does, in the middle of everything.
					if err := a.Close(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, l := range auditLines(t, path) {
		var e Entry
		if err := json.Unmarshal([]byte(l), &e); err != nil {
			t.Fatalf("%v in %q", err, l)
		}
		seen[e.Request] = true
	}
	if len(seen) != writers*each {
		t.Errorf("%d entries of %d", len(seen), writers*each)
	}
}

func TestAuditIsWrittenWhenAppendReturns(t *testing.T) {
	a, path := openTestAudit(t)
	for i := range 3 {
		if err := a.Append(&Entry{Request: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
		if got := len(auditLines(t, path)); got != i+1 {
			t.Errorf("%d lines after entry %d", got, i+1)
		}
	}
}

func TestAuditAfterACrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), fileAudit)
	if err := os.WriteFile(path, []byte(`{"request":"whole"}`+"\n"+`{"request":"to`), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := OpenAudit(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Append(&Entry{Request: "next", Time: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	lines := auditLines(t, path)
	if len(lines) != 3 || !json.Valid([]byte(lines[2])) {
		t.Errorf("lines %q", lines)
	}
}

func TestAuditRotation(t *testing.T) {
	a, path := openTestAudit(t)
	write := func(id string) {
		t.Helper()
		if err := a.Append(&Entry{Request: id}); err != nil {
			t.Fatal(err)
		}
	}
	write("old")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write("still old")
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	write("new")
	if old, fresh := auditLines(t, path+".1"), auditLines(t, path); len(old) != 2 || len(fresh) != 1 {
		t.Errorf("old file %q, new file %q", old, fresh)
	}
}

func TestAuditFaultsAndHeals(t *testing.T) {
	a, path := openTestAudit(t)
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full here")
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	for _, device := range []string{"/dev/full", "/dev/null"} { // no space; nothing that can be flushed
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(device, path); err != nil {
			t.Fatal(err)
		}
		if err := a.Append(&Entry{Request: "lost"}); err == nil {
			t.Errorf("an entry is on the disk, says the log, of %s", device)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := a.Append(&Entry{Request: "kept"}); err != nil {
		t.Errorf("the fault is gone, and still: %v", err)
	}
}
