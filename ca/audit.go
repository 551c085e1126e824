package ca

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// Decisions that an Entry may tell of.
const (
	Granted = "granted"
	Refused = "refused"
)

// An Entry is one line of the audit log: what was decided, for whom, and what
// was handed out. Fields that a refusal came too early for are absent.
type Entry struct {
	Time         time.Time  `json:"time"`
	Request      string     `json:"request"`  // as in the key id
	Decision     string     `json:"decision"` // Granted or Refused
	Code         string     `json:"code,omitempty"`
	Rule         string     `json:"rule,omitempty"`
	Trust        string     `json:"trust,omitempty"`
	Person       string     `json:"person,omitempty"`
	KeyID        string     `json:"key_id,omitempty"`
	Serial       string     `json:"serial,omitempty"` // decimal, as sshd logs it
	Principals   []string   `json:"principals,omitempty"`
	ValidAfter   *time.Time `json:"valid_after,omitempty"`
	ValidBefore  *time.Time `json:"valid_before,omitempty"`
	Key          string     `json:"key,omitempty"`    // fingerprint of the key that was certified
	CAKey        string     `json:"ca_key,omitempty"` // fingerprint of the key that signed
	X509Issuer   string     `json:"x509_issuer,omitempty"`
	X509Subject  string     `json:"x509_subject,omitempty"`
	X509Serial   string     `json:"x509_serial,omitempty"` // hex
	X509NotAfter *time.Time `json:"x509_not_after,omitempty"`
	Source       string     `json:"source"` // address and port, or "local"
	Detail       string     `json:"detail,omitempty"`
}

// maxAuditText bounds what one text of an Entry may take: names come from
// outside and may be tens of kilobytes long.
const maxAuditText = 1024

// line is the entry as one line of printable ASCII, whatever a name holds: a
// log is read in terminals, and JSON itself would let through DEL, C1
// controls and marks that reverse the direction of writing.
func (e Entry) line() ([]byte, error) {
	for _, s := range []*string{&e.Person, &e.Trust, &e.Rule, &e.X509Issuer, &e.X509Subject, &e.X509Serial, &e.Detail} {
		*s = cut(*s, maxAuditText)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, err
	}
	out := make([]byte, 0, b.Len())
	for s := b.String(); s != ""; {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r < 0x7f:
			out = append(out, s[0])
		case r < 0x10000:
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			hi, lo := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
		}
		s = s[n:]
	}
	return out, nil
}

// cut shortens s to at most n bytes and never in the middle of a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n -= len("..."); n > 0 && !utf8.RuneStart(s[n]); n-- {
	}
	return s[:n] + "..."
}

// An Audit is the log of decisions: JSON lines, appended. An entry is on the
// disk when Append returns. Entries that arrive while the disk is busy are
// written and flushed together, so that many grants cost one flush.
//
// Several processes may append to one file.
type Audit struct {
	path string

	mu       sync.Mutex
	file     *os.File // nil after a fault, until the next write opens it anew
	next     *batch
	flushing bool // a goroutine runs flush, and has the file
	closing  bool // it is to close the file before the next batch
}

type batch struct {
	lines []byte
	done  chan struct{}
	err   error // to be read when done is closed
}

// OpenAudit opens the log in a CA's folder, and makes it if there is none.
func OpenAudit(dir string) (*Audit, error) {
	a := &Audit{path: filepath.Join(dir, fileAudit)}
	f, err := openAudit(a.path)
	if err != nil {
		return nil, err
	}
	a.file = f
	return a, nil
}

func openAudit(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600) // #nosec G304 -- the administrator's folder
	if err != nil {
		return nil, fmt.Errorf("opening the audit log: %w", err)
	}
	if info, err := f.Stat(); err == nil && info.Size() == 0 {
		syncFolder(filepath.Dir(path))
	}
	return f, nil
}

// syncFolder makes a new file's name durable where the system has a way to.
func syncFolder(path string) {
	if d, err := os.Open(path); err == nil { // #nosec G304 -- the administrator's folder
		_ = d.Sync() // not to be had on Windows
		_ = d.Close()
	}
}

// Append writes the entry and returns when it is on the disk, or with the
// reason why it is not sure to be.
func (a *Audit) Append(e *Entry) error {
	line, err := e.line()
	if err != nil {
		return fmt.Errorf("writing the audit log: %w", err)
	}
	a.mu.Lock()
	if a.next == nil {
		a.next = &batch{done: make(chan struct{})}
	}
	b := a.next
	b.lines = append(b.lines, line...)
	if !a.flushing {
		a.flushing = true
		go a.flush()
	}
	a.mu.Unlock()
	<-b.done
	return b.err
}

// flush writes batch after batch until there is none.
func (a *Audit) flush() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.next != nil {
		a.obeyClose()
		b, f := a.next, a.file
		a.next, a.file = nil, nil // the file is ours while the lock is open
		a.mu.Unlock()
		f, b.err = a.write(f, b.lines)
		close(b.done)
		a.mu.Lock()
		a.file = f
	}
	a.obeyClose()
	a.flushing = false
}

// obeyClose does what Close could not while flush had the file.
func (a *Audit) obeyClose() {
	if a.closing && a.file != nil {
		_ = a.file.Close() // synced already
		a.file = nil
	}
	a.closing = false
}

// write gives back the file, or nil after a fault: what a descriptor says of
// its data after a failed fsync is worth nothing, and a new one may have been
// put in the place of a full or broken file.
func (a *Audit) write(f *os.File, lines []byte) (_ *os.File, err error) {
	if f == nil {
		if f, err = openAudit(a.path); err != nil {
			return nil, err
		}
	}
	if torn(f) {
		lines = append([]byte{'\n'}, lines...)
	}
	_, err = f.Write(lines)
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("writing the audit log: %w", err), f.Close())
	}
	return f, nil
}

// torn tells whether a crash or a full disk left a line without its end.
func torn(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return false
	}
	last := make([]byte, 1)
	_, err = f.ReadAt(last, info.Size()-1)
	return (err == nil || errors.Is(err, io.EOF)) && last[0] != '\n'
}

// Close closes the file. An entry that is appended later opens anew what is at
// the path by then, so a log is rotated by renaming it and closing it here.
func (a *Audit) Close() error {
	a.mu.Lock()
	f := a.file
	a.file, a.closing = nil, a.flushing // flush has the file, if it runs
	a.mu.Unlock()
	if f == nil {
		return nil
	}
	return f.Close()
}
