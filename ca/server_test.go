package ca

import (
	"bytes"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sshmint/sshmint/internal/wire"
)

func TestMint(t *testing.T) {
	c := newTestCA(t, staffRules)
	_, address := c.serve(t)
	id, key := c.alice(t), newSSHKey(t)
	before := time.Now()
	body := goodRequest(t, id, key)
	body["principals"] = []string{"ops", "alice", "ops"}
	body["validity"] = "2h"
	httpStatus, answer, problem := post(t, c.client(t, id), address, marshal(t, body))
	if httpStatus != http.StatusCreated {
		t.Fatalf("%d: %+v", httpStatus, problem)
	}
	cert := parseCertificate(t, answer.Certificate)

	userCA, err := readPublicKey(filepath.Join(c.dir, fileUserCA+".pub"))
	if err != nil {
		t.Fatal(err)
	}
	checker := ssh.CertChecker{IsUserAuthority: func(k ssh.PublicKey) bool {
		return bytes.Equal(k.Marshal(), userCA.Marshal())
	}}
	if err := checker.CheckCert("alice", cert); err != nil {
		t.Error(err)
	}
	if !checker.IsUserAuthority(cert.SignatureKey) {
		t.Error("signed by another key than the user CA's")
	}
	if !bytes.Equal(cert.Key.Marshal(), key.PublicKey().Marshal()) || cert.CertType != ssh.UserCert {
		t.Error("not a user certificate for the key")
	}
	if got := strings.Join(cert.ValidPrincipals, " "); got != "ops alice" {
		t.Errorf("principals %q", got)
	}
	if got := certTime(cert.ValidBefore); got.After(before.Add(2*time.Hour+5*time.Second)) || got.Before(before.Add(2*time.Hour-2*time.Second)) {
		t.Errorf("valid before %s, now is %s", got, before)
	}
	if got := certTime(cert.ValidAfter); before.Sub(got) < backdate-time.Second || before.Sub(got) > backdate+2*time.Second {
		t.Errorf("valid after %s, now is %s", got, before)
	}
	if cert.Serial == 0 || answer.Serial != strconv.FormatUint(cert.Serial, 10) || answer.Rule != "staff" {
		t.Errorf("serial %d, answer %+v", cert.Serial, answer)
	}
	if _, ok := cert.Extensions["permit-port-forwarding"]; !ok || len(cert.Extensions) != 2 || len(cert.CriticalOptions) != 0 {
		t.Errorf("extensions %v, options %v", cert.Extensions, cert.CriticalOptions)
	}

	e := c.entries(t)
	if len(e) != 1 {
		t.Fatalf("%d audit lines", len(e))
	}
	if want := "alice@corp.example.com x509=" + e[0].X509Serial + "@"; !strings.HasPrefix(cert.KeyId, want) ||
		!strings.HasSuffix(cert.KeyId, " req="+e[0].Request) || cert.KeyId != e[0].KeyID {
		t.Errorf("key id %q, want %q... and the request %s", cert.KeyId, want, e[0].Request)
	}
	if e[0].Decision != Granted || e[0].Serial != answer.Serial || e[0].Rule != "staff" || e[0].Trust != "corp" ||
		e[0].Key != ssh.FingerprintSHA256(key.PublicKey()) || e[0].CAKey != ssh.FingerprintSHA256(userCA) ||
		e[0].X509Subject != "CN=alice" || !strings.HasPrefix(e[0].Source, "127.0.0.1:") ||
		!e[0].ValidBefore.Equal(certTime(cert.ValidBefore)) {
		t.Errorf("audit line %+v", e[0])
	}
}

func TestPublicPaths(t *testing.T) {
	c := newTestCA(t, staffRules)
	_, address := c.serve(t)
	for _, row := range []struct {
		method, path string
		status       int
		allow        string
		body         string // what the body holds
	}{
		{"GET", wire.PathHealth, 200, "", "ok"},
		{"HEAD", wire.PathHealth, 200, "", ""},
		{"POST", wire.PathHealth, 405, "GET, HEAD", `"code":"bad_request"`},
		{"GET", wire.PathAuthorities, 200, "", strings.TrimSpace(c.read(t, fileUserCA+".pub"))[:80]},
		{"GET", wire.PathAuthorities, 200, "", strings.TrimSpace(c.read(t, fileHostCA+".pub"))[:80]},
		{"DELETE", wire.PathAuthorities, 405, "GET, HEAD", `"code":"bad_request"`},
		{"GET", wire.PathUserCertificates, 405, "POST", `"code":"bad_request"`},
		{"GET", "/", 404, "", `"code":"bad_request"`},
		{"GET", wire.PathAuthorities + "/", 404, "", `"code":"bad_request"`},
		{"POST", "/v1//user-certificates", 404, "", `"code":"bad_request"`},
	} {
		r, err := http.NewRequest(row.method, "https://"+address+row.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := c.client(t, nil).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != row.status || answer.Header.Get("Allow") != row.allow || !strings.Contains(string(text), row.body) {
			t.Errorf("%s %s: %s, Allow %q, %q", row.method, row.path, answer.Status, answer.Header.Get("Allow"), text)
		}
		if answer.ProtoMajor != 1 || !answer.Close {
			t.Errorf("%s %s: %s, connection kept: %v", row.method, row.path, answer.Proto, !answer.Close)
		}
		if answer.StatusCode >= 400 && answer.Header.Get("Content-Type") != wire.ProblemType {
			t.Errorf("%s %s: type %q", row.method, row.path, answer.Header.Get("Content-Type"))
		}
	}
	if e := c.entries(t); len(e) != 0 {
		t.Errorf("%d audit lines, where nothing was decided", len(e))
	}
}
