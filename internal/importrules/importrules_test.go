package importrules

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestImports(t *testing.T) {
	for _, goos := range []string{"linux", "darwin", "windows"} {
		t.Run(goos, func(t *testing.T) {
			g := make(graph)
			for _, p := range list(t, "GOOS="+goos, "CGO_ENABLED=0") {
				g[p.ImportPath] = p.Imports
			}
			if len(g) < 100 {
				t.Fatalf("go list -deps gave %d packages; the rules were not checked", len(g))
			}
			for _, r := range rules {
				for _, chain := range r.check(g) {
					t.Errorf("%s: %s\n\t%s", r.name, chain, r.why)
				}
			}
		})
	}
}

// A program without cgo is one thing, a tree that no C compiler is needed for another: a file that
// imports "C" would silently be left out of the former.
func TestOnlyTheHelperHasC(t *testing.T) {
	for _, p := range list(t, "CGO_ENABLED=1") {
		if len(p.CgoFiles) > 0 && own(p.ImportPath) && !under(p.ImportPath, []string{"pkcs11", "cmd/sshmint-pkcs11"}) {
			t.Errorf(`%s imports "C" in %s; only the PKCS#11 helper may, all else is built with CGO_ENABLED=0`, p.ImportPath, p.CgoFiles)
		}
	}
}

// TestRules breaks each rule on purpose: a rule that cannot fail would be worse than none.
func TestRules(t *testing.T) {
	tests := []struct {
		breaks string // empty: no rule
		graph  graph
	}{
		{"", graph{"agent": {"golang.org/x/crypto/ssh"}, "golang.org/x/crypto/ssh": {"crypto/x509"}}},
		{"", graph{"cmd/sshmint": {"agent", "signer", "identity", "github.com/urfave/cli/v2"}, "identity": {"github.com/zalando/go-keyring"}}},
		{"", graph{"cmd/sshmint-ca": {"ca"}, "ca": {"cel.dev/cel-go/cel", "database/sql"}}},
		{"", graph{"cmd/sshmint-pkcs11": {"pkcs11/module"}, "pkcs11/module": {"github.com/miekg/pkcs11"}}},
		{"", graph{"internal/cache": {"crypto/x509"}, "internal/caller": {"internal/agents"}}}, // ca and agent are no prefixes of names
		{"agent stands alone", graph{"agent": {"internal/x"}, "internal/x": {"signer"}}},
		{"identity stands alone", graph{"identity": {"pkcs11"}}},
		{"pkcs11 stands alone", graph{"pkcs11/module": {"identity"}}},
		{"signer stands alone", graph{"signer": {"ca/policy"}}},
		{"ca stands alone", graph{"ca": {"signer"}}},
		{"agent sees no X.509", graph{"agent": {"internal/x"}, "internal/x": {"crypto/tls"}}},
		{"signer sees no agent socket", graph{"signer": {"internal/control"}}},
		{"command lines only under cmd", graph{"internal/x": {"github.com/urfave/cli/v2"}}},
		{"PKCS#11 modules only in the helper", graph{"cmd/sshmint": {"pkcs11"}, "pkcs11": {"github.com/miekg/pkcs11"}}},
		{"keyring only in identity", graph{"internal/x": {"github.com/zalando/go-keyring"}}},
		{"policy language and databases only in the CA", graph{"cmd/sshmint": {"example.org/x"}, "example.org/x": {"database/sql"}}},
		{"policy is evaluated under ca", graph{"cmd/sshmint-ca": {"cel.dev/cel-go/cel"}}},
		{"the agent's program holds no CA", graph{"cmd/sshmint": {"ca"}}},
		{"the CA's program holds no agent", graph{"cmd/sshmint-ca": {"agent"}}},
		{"static programs hold no cgo", graph{"cmd/sshmint": {"net"}, "net": {"runtime/cgo"}}},
		{"no test support in programs", graph{"cmd/sshmint": {"internal/x"}, "internal/x": {"testing"}}},
	}

	tried := make(map[string]bool)
	for _, tt := range tests {
		g := make(graph)
		for path, imports := range tt.graph {
			g[absolute(path)] = nil
			for _, i := range imports {
				g[absolute(path)] = append(g[absolute(path)], absolute(i))
			}
		}
		var broken []string
		for _, r := range rules {
			if len(r.check(g)) > 0 {
				broken = append(broken, r.name)
			}
		}
		if tt.breaks == "" && len(broken) > 0 || tt.breaks != "" && !slices.Contains(broken, tt.breaks) {
			t.Errorf("%v breaks %q, want %q", tt.graph, broken, tt.breaks)
		}
		tried[tt.breaks] = true
	}
	for _, r := range rules {
		if !tried[r.name] {
			t.Errorf("no example breaks the rule %q", r.name)
		}
	}
}

// absolute completes the short paths of the examples; dependencies have a dot in their first element,
// and the standard library's packages that are named there are known.
func absolute(path string) string {
	first, _, _ := strings.Cut(path, "/")
	std := []string{"crypto", "database", "net", "runtime", "testing"}
	if strings.Contains(first, ".") || slices.Contains(std, first) {
		return path
	}
	return module + "/" + path
}

type listed struct {
	ImportPath string
	Imports    []string
	CgoFiles   []string
}

// list runs go list over the whole module and all that it depends on.
func list(t *testing.T, env ...string) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Imports,CgoFiles", "./...")
	cmd.Dir = filepath.Join("..", "..")
	noteSources(t, cmd.Dir)
	cmd.Env = append(os.Environ(), env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, &stderr)
	}

	var packages []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		if err != nil {
			t.Fatalf("reading go list's output: %v", err)
		}
		packages = append(packages, p)
	}
}

// noteSources reads every directory of the module. go test reuses a result as long as the files that the
// test itself looked at are the same; it does not see what go list reads.
func noteSources(t *testing.T, root string) {
	t.Helper()
	err := filepath.WalkDir(root, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == ".git" {
			return filepath.SkipDir
		}
		return err
	})
	if err != nil {
		t.Fatalf("reading the module's directories: %v", err)
	}
}
