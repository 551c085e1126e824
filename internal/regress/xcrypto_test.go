//go:build linux

package regress

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// xcrypto are the tests of golang.org/x/crypto/ssh/agent that start an ssh-agent
// and put their questions to it as well as to the package's own keyring.
var xcrypto = []string{"TestAgent", "TestCert", "TestAuth", "TestLockOpenSSHAgent", "TestAgentExtensions", "TestSetupForwardAgent"}

// TestXCrypto runs x/crypto's own tests with our agent as the first ssh-agent in
// PATH.
func TestXCrypto(t *testing.T) {
	t.Parallel()
	dir := stage(t, build(t))
	bin := filepath.Join(dir, "bin")
	// A witness tells that it was us who were asked.
	witness := filepath.Join(dir, "asked")
	real := filepath.Join(bin, "sshmint-as", "ssh-agent")
	if err := os.Mkdir(filepath.Dir(real), 0o755); err != nil { //nolint:gosec // G301: as its parent
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(bin, "ssh-agent"), real); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\necho asked >>'" + witness + "'\nexec '" + real + "' \"$@\"\n"
	if err := os.WriteFile(filepath.Join(bin, "ssh-agent"), []byte(script), 0o755); err != nil { //nolint:gosec // G306: a program
		t.Fatal(err)
	}
	t.Cleanup(func() { killAgents(t, real) })
	cmd := exec.Command(program(t, "go"), "test", "-vet=off", "-count=1", "-v", "-run", "^("+strings.Join(xcrypto, "|")+")$",
		"golang.org/x/crypto/ssh/agent")
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range xcrypto {
		if !strings.Contains(string(out), "--- PASS: "+name+" ") {
			t.Errorf("%s did not pass:\n%s", name, out)
		}
	}
	asked, err := os.ReadFile(witness)
	if err != nil {
		t.Fatalf("our agent was not started: %v\n%s", err, out)
	}
	if n := strings.Count(string(asked), "asked"); n < 5 {
		t.Errorf("our agent was started %d times:\n%s", n, out)
	}
}
