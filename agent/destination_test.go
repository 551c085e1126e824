package agent

import (
	"errors"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDestinations(t *testing.T) {
	for command, want := range map[string]string{
		"":                                 "",
		"ssh":                              "",
		"ssh db7":                          "db7",
		"ssh DB7 uptime -p 9":              "db7",
		"ssh alice@corp@db7":               "db7",
		"ssh -A -i key -l bob db7":         "db7",
		"ssh -vvp2222 db7":                 "[db7]:2222",
		"ssh -p 2222 db7":                  "[db7]:2222",
		"ssh db7 -p 2222 uptime":           "[db7]:2222",
		"ssh db7 -p 22":                    "db7",
		"ssh -p 2222 -p 2223 db7":          "[db7]:2222",
		"ssh -p ssh db7":                   "db7",
		"ssh -- db7 -p 2222":               "db7",
		"ssh -oPort=2222 db7":              "[db7]:2222",
		"ssh -o port=2222 -p 2223 db7":     "[db7]:2222",
		"ssh -o HostName=10.0.0.7 db7":     "10.0.0.7 db7",
		"ssh -oHostName=%h.corp db7":       "db7.corp db7",
		"ssh -oHostKeyAlias=DBs -p 9 db7":  "[db7]:9 dbs",
		"ssh -o Compression db7":           "db7",
		"ssh -W [db7]:22 bastion":          "bastion",
		"ssh -J bastion db7":               "db7",
		"ssh ssh://alice@db7:2222":         "[db7]:2222",
		"ssh ssh://db7/":                   "db7",
		"ssh ssh://[2001:db8::7]:2222":     "[2001:db8::7]:2222",
		"ssh ssh://[2001:db8::7]":          "2001:db8::7",
		"ssh alice@2001:db8::7":            "2001:db8::7",
		"ssh -p":                           "",
		"ssh -":                            "-",
		"ssh -oHostName=a -oHostName=b db": "a db",
		"git@x --upload-pack=y db7":        "db7",
	} {
		if got := strings.Join(destinations(strings.Fields(command)), " "); got != want {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
	if got := destinations([]string{"ssh", "-o", "HostName 10.0.0.7", "-o", ` Port = "2222" `, "db7"}); !slices.Equal(got, []string{"[10.0.0.7]:2222", "[db7]:2222"}) {
		t.Errorf("options with blanks: %q", got)
	}
}

func TestCommandLine(t *testing.T) {
	argv := []string{"sleep", "60", ""}
	cmd := &exec.Cmd{Path: program(t, "sleep"), Args: argv[:2]}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	// Start returns when the new program is about to run, and Linux gives it
	// its arguments a moment later.
	got, err := commandLine(cmd.Process.Pid)
	for deadline := time.Now().Add(10 * time.Second); err == nil && slices.Equal(got, []string{""}) && time.Now().Before(deadline); {
		got, err = commandLine(cmd.Process.Pid)
	}
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil || !slices.Equal(got, argv[:2]) {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := commandLine(1 << 30); err == nil {
		t.Errorf("a process that is not there has %q", got)
	}
}

// TestTypedName: a hashed entry is found by what ssh was told to connect to.
func TestTypedName(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows does not tell the arguments of other programs")
	}
	ca := newAuthority(t)
	host := newKey(t, "ed25519")
	a := knowing(t, hashHosts(t, knownLine("[db7.example.com]:2222", host.PublicKey())))
	a.Set(Settings{Profiles: []Profile{
		{Name: "other", Hosts: hostsOf(t, "*.example.org"), Source: &source{current: ca.certify(t, newKey(t, "ed25519"), time.Hour, "alice")}},
		{Name: "named", Hosts: hostsOf(t, "*.example.com"), Source: &source{current: ca.certify(t, newKey(t, "ed25519"), time.Hour, "alice")}},
	}})
	list := func(argv ...string) []string {
		// A program with ssh's arguments that lives as long as its stdin.
		cmd := &exec.Cmd{Path: program(t, "sh"), Args: append([]string{"sh", "-c", "cat"}, argv...)}
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() {
			_ = in.Close()
			_ = cmd.Wait()
		}()
		s := a.session(peer{pid: cmd.Process.Pid}, "")
		ask(s, bindMessage(t, host, sessionOne, false)...)
		return listed(t, s)
	}
	if got := list("x", "db8.example.com"); !slices.Equal(got, []string{"other", "named"}) {
		t.Errorf("with another name: %q", got)
	}
	// sh takes -c and cat for itself; ssh takes -c for a cipher, cat.
	if got := list("-p", "2222", "alice@db7.example.com"); !slices.Equal(got, []string{"named"}) {
		t.Errorf("with the name: %q", got)
	}
	// A name that was proven once stays so.
	if got := list("-p", "2222", "db8.example.com"); !slices.Equal(got, []string{"named"}) {
		t.Errorf("later: %q", got)
	}
}

func FuzzDestinations(f *testing.F) {
	for _, command := range []string{
		"ssh -p 2222 alice@db7 uptime", "ssh ssh://[2001:db8::7]:2222", "ssh -oHostName=%h.corp -o HostKeyAlias=x db7", "ssh -- -x", "ssh -o", "ssh ssh://:", "ssh @",
	} {
		f.Add(strings.ReplaceAll(command, " ", "\x00"))
	}
	f.Fuzz(func(t *testing.T, command string) {
		names := destinations(strings.Split(command, "\x00"))
		if len(names) > maxTyped {
			t.Errorf("%d names", len(names))
		}
		for _, name := range names {
			if name == "" || name != strings.ToLower(name) {
				t.Errorf("name %q", name)
			}
		}
	})
}
