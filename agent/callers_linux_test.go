package agent

import (
	"bufio"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

func TestParseStat(t *testing.T) {
	rest := " S 42 1 1 34816 1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1000 100 18446744073709551615\n"
	for _, tt := range []struct {
		text, name string
		parent     int
		started    uint64 // 0: malformed
	}{
		{"7 (ssh)" + rest, "ssh", 42, 987654},
		{"7 (a b) S 1 (c))" + rest, "a b) S 1 (c)", 42, 987654},
		{"7 ()" + rest, "", 42, 987654},
		{"", "", 0, 0},
		{"7 (ssh", "", 0, 0},
		{"7 )ssh(" + rest, "", 0, 0},
		{"7 (ssh) S 42 1", "", 0, 0},
		{"7 (ssh)" + strings.Replace(rest, "42", "x", 1), "", 0, 0},
		{"7 (ssh)" + strings.Replace(rest, "987654", "-1", 1), "", 0, 0},
	} {
		p, parent, err := parseStat(7, []byte(tt.text))
		if (err == nil) != (tt.started != 0) || p.Name != tt.name || parent != tt.parent || p.started != tt.started {
			t.Errorf("%q: %+v, parent %d, %v", tt.text, p, parent, err)
		}
	}
}

// TestCallers follows a real chain: a process, the shell that started it, and
// this test.
func TestCallers(t *testing.T) {
	shell := exec.Command(program(t, "sh"), "-c", "cat <&3 & echo $!; wait")
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = read.Close() }()
	shell.ExtraFiles = []*os.File{read}
	out, err := shell.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := write.Close(); err != nil {
			t.Error(err)
		}
		if err := shell.Wait(); err != nil {
			t.Error(err)
		}
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	chain := callers(pid)
	if len(chain) < 3 || chain[0].PID != pid || chain[1].PID != shell.Process.Pid || chain[2].PID != os.Getpid() {
		t.Fatalf("%+v", chain)
	}
	if chain[1].Name == "" || chain[0].started < chain[1].started || chain[1].started < chain[2].started || len(chain) > maxCallers {
		t.Errorf("%+v", chain)
	}
	if none := callers(0); none != nil {
		t.Errorf("pid 0 has callers: %+v", none)
	}
}
