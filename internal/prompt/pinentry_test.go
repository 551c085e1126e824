package prompt

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// withPinentry is a Prompter whose pinentry is a script.
func withPinentry(t *testing.T, body string, more ...string) *Prompter {
	path := script(t, "pinentry", body)
	return &Prompter{Environ: append([]string{"DISPLAY=:99", "PATH=" + filepath.Dir(path) + ":" + os.Getenv("PATH")}, more...)}
}

// obedient is a pinentry that agrees to everything until it gets to CONFIRM.
func obedient(confirm string) string {
	return `echo "OK Pleased to meet you"
while read -r command rest; do
	case $command in
	CONFIRM) ` + confirm + ` ;;
	*) echo OK ;;
	esac
done`
}

func TestPinentryAnswers(t *testing.T) {
	for _, tt := range []struct{ name, body, want, says string }{
		{"OK", obedient("echo OK"), "yes", ""},
		{"OK with text", obedient("echo OK closing"), "yes", ""},
		{"OK after status and comment", obedient("echo '# hello'; echo S BUTTON; echo OK"), "yes", ""},
		{"cancelled", obedient("echo ERR 83886179 Operation cancelled"), "no", ""},
		{"not confirmed", obedient("echo ERR 83886194 Not confirmed"), "no", ""},
		{"fully cancelled", obedient("echo ERR 83886278 cancelled"), "no", ""},
		{"time-out of its own", obedient("echo ERR 83886142 Timeout"), "broken", "CONFIRM: error 83886142 Timeout"},
		{"no display", obedient("echo ERR 83918950 Inappropriate ioctl for device"), "broken", "Inappropriate ioctl"},
		{"error without a code", obedient("echo ERR"), "broken", "not of the Assuan protocol"},
		{"error with a huge code", obedient("echo ERR 99999999999999999999 x"), "broken", "not of the Assuan protocol"},
		{"OKAY", obedient("echo OKAY"), "broken", "not of the Assuan protocol"},
		{"ok", obedient("echo ok"), "broken", "not of the Assuan protocol"},
		{"an empty line", obedient("echo"), "broken", "not of the Assuan protocol"},
		{"data", obedient("echo D yes"), "broken", "not of the Assuan protocol"},
		{"an inquiry", obedient("echo INQUIRE X"), "broken", "not of the Assuan protocol"},
		{"OK without a line's end", obedient("printf OK; exit"), "broken", "ended without an answer"},
		{"a line without end", obedient("head -c 2000 /dev/zero"), "broken", "CONFIRM: bufio: buffer full"},
		{"status without end", obedient("echo S; exit"), "broken", "ended without an answer"},
		{"gone at CONFIRM", obedient("exit 0"), "broken", "ended without an answer"},
		{"killed at CONFIRM", obedient("kill -9 $$"), "broken", "ended without an answer"},
		{"gone at once", "exit 0", "broken", "ended without an answer"},
		{"error for a greeting", "echo ERR 1 x; cat", "broken", "its greeting: error 1 x"},
		{"garbage for a greeting", "echo hello; cat", "broken", "not of the Assuan protocol"},
		{"does not know SETDESC", "echo OK; while read -r c; do case $c in SETDESC*) echo ERR 536871187 Unknown command;; *) echo OK;; esac; done", "broken", "SETDESC: error"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := withPinentry(t, tt.body).Confirm(t.Context(), "Really?")
			if got := outcome(err); got != tt.want || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s: %v; want %s, %q", got, err, tt.want, tt.says)
			}
		})
	}
}

// TestPinentryIsTold looks at the conversation; an option that is not known is
// passed over.
func TestPinentryIsTold(t *testing.T) {
	heard := filepath.Join(t.TempDir(), "heard")
	p := withPinentry(t, `echo OK
while read -r line; do
	echo "$line" >> `+heard+`
	case $line in
	OPTION*) echo ERR 83886254 Unknown option ;;
	*) echo OK ;;
	esac
done`, "GPG_TTY=/dev/pts/7", "TERM=xterm", "LANG=de_DE.UTF-8", "SSH_AUTH_SOCK=/x")
	if err := p.Confirm(t.Context(), "100% sure?\r\nAsked by: ssh (1) für \x1b\xff\n"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(heard)
	if err != nil {
		t.Fatal(err)
	}
	want := `OPTION ttyname=/dev/pts/7
OPTION ttytype=xterm
OPTION lc-ctype=de_DE.UTF-8
OPTION lc-messages=de_DE.UTF-8
SETDESC 100%25 sure??%0AAsked by: ssh (1) für ??%0A
SETOK Allow
SETCANCEL Deny
CONFIRM
`
	if string(text) != want {
		t.Errorf("heard:\n%s\nwant:\n%s", text, want)
	}
}

func TestEscape(t *testing.T) {
	for text, want := range map[string]string{
		"abc":                      "abc",
		"%\n":                      "%25%0A",
		"a\x00b\x7f":               "a?b?",
		strings.Repeat("x", 30):    strings.Repeat("x", 20),
		strings.Repeat("%", 30):    strings.Repeat("%25", 6),
		"1234567890123456789ü1234": "1234567890123456789",
	} {
		if got := escape(text, 20); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// FuzzReply takes nothing for OK but a line that says so, with nothing before it
// but status and comments.
func FuzzReply(f *testing.F) {
	for _, seed := range []string{"OK\n", "OK closing\n", "S x\n# y\nOK\n", "ERR 83886179 no\n", "ERR x\n", "OKAY\n", "OK", "\nOK\n", "D OK\n", "S\nERR 1\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		d := &dialog{out: bufio.NewReaderSize(bytes.NewReader(said), maxLine)}
		if err := d.reply("CONFIRM"); err != nil {
			if err.Error() == "" {
				t.Error("an error without words")
			}
			return
		}
		for line := range strings.Lines(string(said)) {
			switch {
			case line == "OK\n", strings.HasPrefix(line, "OK ") && strings.HasSuffix(line, "\n"):
				return
			case strings.HasPrefix(line, "#"), line == "S\n", strings.HasPrefix(line, "S "):
				continue
			}
			t.Fatalf("%q is taken for a yes", said)
		}
		t.Fatalf("%q is taken for a yes", said)
	})
}
