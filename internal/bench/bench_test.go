package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test binary be the floor too.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == floorCommand {
		exit(serveFloor(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// TestQuick runs the whole of it against the real programs. How fast they are is
// no matter.
func TestQuick(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no sshd")
	}
	for _, program := range []string{"ssh", "sshd", "ssh-agent", "ssh-keygen"} {
		if _, err := find(program); err == nil {
			continue
		}
		if os.Getenv("SSHMINT_REQUIRE_ALL") == "1" {
			t.Fatalf("there is no %s, and SSHMINT_REQUIRE_ALL=1", program)
		}
		t.Skipf("there is no %s", program)
	}
	bin := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", bin, "../../cmd/sshmint", "../../cmd/sshmint-ca").CombinedOutput(); err != nil {
		t.Fatalf("building the programs: %v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var out bytes.Buffer
	if err := run(ctx, &out, t.Output(), bin, "", quickly); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"sign, 1 client, p50", "sign, 64 clients", "list, 8 clients, p99", "sign, bound connection", "sign, added RSA", "list, 20 added keys", "cold mint",
		"start to the first answer", "RSS after a mint", "CA, 8 clients", "`ssh host true`",
	} {
		if !strings.Contains(out.String(), "| "+want) {
			t.Errorf("the table has no row %q:\n%s", want, &out)
		}
	}
	for row := range strings.Lines(out.String()) {
		if strings.HasPrefix(row, "|") && strings.Count(row, "|") != 8 {
			t.Errorf("not seven columns: %s", row)
		}
	}
	if strings.Contains(out.String(), "NaN") || strings.Contains(out.String(), "Inf") {
		t.Errorf("a figure is none:\n%s", &out)
	}
}

func TestQuantile(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i + 1)
	}
	tests := []struct {
		sorted  []time.Duration
		percent int
		want    time.Duration
	}{
		{hundred[:1], 50, 1},
		{hundred[:1], 99, 1},
		{hundred[:2], 50, 1},
		{hundred[:3], 50, 2},
		{hundred, 50, 50},
		{hundred, 99, 99},
		{hundred[:10], 99, 10},
		{hundred, 100, 100},
	}
	for _, tt := range tests {
		if got := quantile(tt.sorted, tt.percent); got != tt.want {
			t.Errorf("quantile of %d values, %d %%: %d, want %d", len(tt.sorted), tt.percent, got, tt.want)
		}
	}
}

func TestVerdict(t *testing.T) {
	most, least := goal{floor: 0.25, aim: 0.2, unit: "x"}, goal{floor: 10, aim: 12, least: true, unit: "x"}
	tests := []struct {
		goal goal
		v    float64
		want string
	}{
		{most, 0.2, "yes"},
		{most, 0.21, "aim missed"},
		{most, 0.26, "**floor missed**"},
		{least, 12, "yes"},
		{least, 11, "aim missed"},
		{least, 9, "**floor missed**"},
		{goal{aim: 1.5}, 1.6, "aim missed"},
		{goal{floor: 30}, 31, "**floor missed**"},
		{goal{}, 1000, ""},
	}
	for _, tt := range tests {
		if got := tt.goal.verdict(tt.v); got != tt.want {
			t.Errorf("%+v of %g: %q, want %q", tt.goal, tt.v, got, tt.want)
		}
	}
}

func TestFewerLoginsAreNotJudged(t *testing.T) {
	for _, tt := range []struct {
		planned int
		want    string
	}{{2, "yes"}, {3, "not judged: 3 pairs were planned"}} {
		var r report
		r.logins([]float64{1, 2}, []float64{1, 2}, tt.planned)
		if got := r.rows[0].verdict; got != tt.want {
			t.Errorf("2 pairs of %d: %q, want %q", tt.planned, got, tt.want)
		}
	}
}

func TestBusyMachineIsTold(t *testing.T) {
	for _, tt := range []struct {
		pressure float64
		told     bool
	}{{0, false}, {quiet, false}, {97, true}} {
		var out bytes.Buffer
		r := report{pressure: tt.pressure}
		if err := r.write(&out, "title"); err != nil {
			t.Fatal(err)
		}
		if told := strings.Contains(out.String(), "not those of a quiet machine"); told != tt.told {
			t.Errorf("pressure %g: told %t, want %t", tt.pressure, told, tt.told)
		}
	}
}
