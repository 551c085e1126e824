package agent

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

func hostsOf(t testing.TB, patterns ...string) Hosts {
	t.Helper()
	h, err := ParseHosts(patterns)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// knowing returns an agent that reads these known_hosts lines.
func knowing(t testing.TB, lines ...string) *Agent {
	t.Helper()
	path := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	return &Agent{KnownHosts: []string{path}}
}

func knownLine(hosts string, key ssh.PublicKey) string {
	return hosts + " " + string(ssh.MarshalAuthorizedKey(key))
}

func hashHosts(t testing.TB, lines string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(path, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, "", "ssh-keygen", "-H", "-f", path); err != nil {
		t.Fatalf("ssh-keygen -H: %v\n%s", err, out)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// on returns a session with these binds; a forwarding bind is to a jump host.
func on(t testing.TB, a *Agent, binds ...[]byte) *session {
	t.Helper()
	s := a.session(peer{}, "")
	for _, bind := range binds {
		if answer := ask(s, bind...); answer[0] != msgSuccess {
			t.Fatalf("session-bind was answered with %d", answer[0])
		}
	}
	return s
}

// listed returns the profiles whose certificates a list has.
func listed(t testing.TB, s *session) []string {
	t.Helper()
	answer := ask(s, msgRequestIdentities)
	r := reader{rest: answer[1:]}
	profiles := []string{}
	for range r.uint32() {
		r.string()
		profile, _, _ := strings.Cut(string(r.string()), " ")
		profiles = append(profiles, profile)
	}
	if err := r.whole(); err != nil || answer[0] != msgIdentitiesAnswer {
		t.Fatalf("list: % x: %v", answer, err)
	}
	return profiles
}

// TestRouting lists for servers whose names are known, in part or not at all.
func TestRouting(t *testing.T) {
	ca, hostCA := newAuthority(t), newAuthority(t)
	host := newKey(t, "ed25519")
	key := host.PublicKey()
	certified := hostCertificate(t, hostCA, newKey(t, "ecdsa"))
	cert, ok := certified.PublicKey().(*ssh.Certificate)
	if !ok {
		t.Fatal("not a certificate")
	}
	trust := knownLine("@cert-authority *.example.com", hostCA.signer.PublicKey())

	for _, tt := range []struct {
		name    string
		known   string
		host    ssh.Signer // nil: unbound
		offered string     // all of named, other, all, asks in order
		hide    string     // the same with agent.unknown = "hide"
	}{
		{"unbound", knownLine("db7.example.com", key), nil, "all named other", "all"},
		{"nothing known", "", host, "all named other", "all"},
		{"named", knownLine("db7.example.com", key), host, "named all", "named all"},
		{"named with a port", knownLine("[db7.example.com]:2222", key), host, "named all", "named all"},
		{"named by one of its names", knownLine("10.0.0.7,db7.example.com", key), host, "named all", "named all"},
		{"named otherwise", knownLine("git.example.net", key), host, "all", "all"},
		{"both", knownLine("db7.example.com,db8.example.org", key), host, "named other all", "named other all"},
		{"an exception", knownLine("db7.example.com,secret.example.com", key), host, "all", "all"},
		{"another host's", knownLine("db7.example.com", newKey(t, "ed25519").PublicKey()), host, "all named other", "all"},
		{"hashed, a name that hosts write out", hashHosts(t, knownLine("db8.example.org", key)), host, "other all", "other all"},
		{"hashed, a name that only a pattern fits", hashHosts(t, knownLine("db7.example.com", key)), host, "all named other", "all"},
		{"hashed exception", hashHosts(t, knownLine("secret.example.com", key)), host, "all", "all"},
		{"wildcard", knownLine("*.example.org", key), host, "other all named", "other all"},
		{"certificate", trust, certified, "named all", "named all"},
		{"certificate of an unknown authority", knownLine("@cert-authority *", newKey(t, "ed25519").PublicKey()), certified, "all named other", "all"},
		{"certificate of an authority for others", knownLine("@cert-authority *.example.org", hostCA.signer.PublicKey()), certified, "all named other", "all"},
		{"certificate, known by its plain key", knownLine("db8.example.org", cert.Key), certified, "other all", "other all"},
		{"revoked", knownLine("db7.example.com", key) + knownLine("@revoked *", key), host, "", ""},
		{"revoked authority", trust + knownLine("@revoked *", hostCA.signer.PublicKey()), certified, "", ""},
		{"malformed line", "nonsense\n" + knownLine("db7.example.com", key), host, "named all", "named all"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := knowing(t, tt.known)
			profiles := []Profile{
				{Name: "all", Source: &source{current: ca.certify(t, newKey(t, "ed25519"), time.Hour, "alice")}},
				{Name: "named", Hosts: hostsOf(t, "*.example.com", "!secret.example.com")},
				{Name: "other", Hosts: hostsOf(t, "*.example.org", "db8.example.org")},
			}
			for i := range profiles[1:] {
				signer := ca.certify(t, newKey(t, "ed25519"), time.Hour, "alice")
				profiles[i+1].Source = &source{mint: func(context.Context) (ssh.Signer, error) { return signer, nil }}
			}
			for hide, want := range map[bool]string{false: tt.offered, true: tt.hide} {
				a.Set(Settings{Profiles: profiles, HideUnknown: hide})
				a.Forget()
				profiles[0].Source.(*source).set(ca.certify(t, newKey(t, "ed25519"), time.Hour, "alice")) //nolint:errcheck // made above
				var s *session
				if tt.host == nil {
					s = on(t, a)
				} else {
					s = on(t, a, bindMessage(t, tt.host, sessionOne, false))
				}
				got := listed(t, s)
				if strings.Join(got, " ") != want {
					t.Errorf("hide %v: offered %q, want %q", hide, got, want)
				}
				// What is not listed was not minted, and cannot be named either.
				for _, p := range profiles {
					shown := slices.Contains(got, p.Name)
					signer := p.Source.Current()
					if p.Name != "all" && shown != (signer != nil) {
						t.Errorf("hide %v: %s is listed: %v, minted: %v", hide, p.Name, shown, signer != nil)
					}
					if len(a.KeysOf(context.Background(), p.Name)) != 1 {
						t.Fatalf("%s cannot be had at all", p.Name)
					}
					signer = p.Source.Current()
					at := newAttempt(a, signer)
					at.s = s
					if at.granted(t) != shown {
						t.Errorf("hide %v: %s is listed: %v, signs: %v (%s)", hide, p.Name, shown, !shown, lastReason(a))
					}
					if answer := ask(s, appendString([]byte{msgRemoveIdentity}, signer.PublicKey().Marshal())...); (answer[0] == msgSuccess) != shown {
						t.Errorf("hide %v: %s is listed: %v, remove was answered with %d", hide, p.Name, shown, answer[0])
					}
				}
			}
		})
	}
}

// TestNobodyIsAskedInVain: where the server cannot be named, nothing is minted
// that takes a person.
func TestNobodyIsAskedInVain(t *testing.T) {
	ca := newAuthority(t)
	host := newKey(t, "ed25519")
	a := knowing(t, knownLine("db7", host.PublicKey()))
	mint := func(person bool) *source {
		return &source{person: person, mint: func(context.Context) (ssh.Signer, error) {
			return ca.certify(t, newKey(t, "ed25519"), time.Hour, "alice"), nil
		}}
	}
	token, file, everywhere := mint(true), mint(false), mint(true)
	a.Set(Settings{Profiles: []Profile{
		{Name: "token", Source: token, Hosts: hostsOf(t, "db7")},
		{Name: "file", Source: file, Hosts: hostsOf(t, "db7")},
		{Name: "everywhere", Source: everywhere},
	}})
	stranger := bindMessage(t, newKey(t, "ed25519"), sessionOne, false)
	for _, s := range []*session{on(t, a), on(t, a, stranger)} {
		if got := listed(t, s); !slices.Equal(got, []string{"everywhere", "file"}) {
			t.Errorf("offered %q", got)
		}
	}
	if minted, _ := token.counts(); minted != 0 {
		t.Error("the token's person was asked")
	}
	known := bindMessage(t, host, sessionOne, false)
	if got := listed(t, on(t, a, known)); !slices.Equal(got, []string{"token", "file", "everywhere"}) {
		t.Errorf("where it is for, offered %q", got)
	}
	// What is there now is offered last.
	if got := listed(t, on(t, a, stranger)); !slices.Equal(got, []string{"everywhere", "token", "file"}) {
		t.Errorf("offered %q", got)
	}
}

// TestReloadedHosts: a connection that is open goes by the new rules, and the
// certificate stays.
func TestReloadedHosts(t *testing.T) {
	host := newKey(t, "ed25519")
	a := knowing(t, knownLine("db7", host.PublicKey()))
	src := &source{current: newAuthority(t).certify(t, newKey(t, "ed25519"), time.Hour, "alice")}
	s := on(t, a, bindMessage(t, host, sessionOne, false))
	at := newAttempt(a, src.current)
	at.s = s
	for _, tt := range []struct {
		hosts   []string
		allowed bool
	}{{nil, true}, {[]string{"db8"}, false}, {[]string{"db7"}, true}, {[]string{"*", "!db7"}, false}, {nil, true}} {
		a.Set(Settings{Profiles: []Profile{{Name: "corp", Source: src, Hosts: hostsOf(t, tt.hosts...)}}})
		a.KeysOf(context.Background(), "corp")
		if at.granted(t) != tt.allowed || (len(listed(t, s)) == 1) != tt.allowed {
			t.Errorf("hosts %q: want %v (%s)", tt.hosts, tt.allowed, lastReason(a))
		}
	}
	if !slices.ContainsFunc(a.Hidden(), func(h Hidden) bool { return h.Profile == "corp" && h.Reason == errOtherHost.Error() && h.Count > 1 }) {
		t.Errorf("not counted: %+v", a.Hidden())
	}
}

// TestForward has for each profile's rule what a forwarded connection may do.
func TestForward(t *testing.T) {
	ca := newAuthority(t)
	jump, far := newKey(t, "ed25519"), newKey(t, "ecdsa")
	toJump, toFar := bindMessage(t, jump, sessionOne, true), bindMessage(t, far, sessionTwo, false)
	known := knownLine("jump", jump.PublicKey()) + knownLine("far", far.PublicKey())
	login := func(at *attempt) {
		at.login.session, at.login.method, at.login.hostKey = sessionTwo, hostbound, far.PublicKey().Marshal()
	}
	for _, tt := range []struct {
		name    string
		rules   Profile
		confirm Confirmer // nil: nobody can be asked
		binds   [][]byte
		login   func(*attempt)
		shown   bool
		signs   bool
	}{
		{"deny", Profile{Forward: ForwardDeny}, &person{answer: yes}, [][]byte{toJump, toFar}, login, false, false},
		{"allow", Profile{Forward: ForwardAllow}, nil, [][]byte{toJump, toFar}, login, true, true},
		{"allow, for that host", Profile{Forward: ForwardAllow, Hosts: hostsOf(t, "far")}, nil, [][]byte{toJump, toFar}, login, true, true},
		{"allow, for the jump host", Profile{Forward: ForwardAllow, Hosts: hostsOf(t, "jump")}, nil, [][]byte{toJump, toFar}, login, false, false},
		{"allow, two jumps", Profile{Forward: ForwardAllow}, nil, [][]byte{toJump, bindMessage(t, newKey(t, "ed25519"), []byte("three"), true), toFar}, login, true, true},
		{"allow, but nobody logs in", Profile{Forward: ForwardAllow}, nil, [][]byte{toJump}, login, true, false},
		{"allow, another session", Profile{Forward: ForwardAllow}, nil, [][]byte{toJump, toFar}, func(at *attempt) { login(at); at.login.session = sessionOne }, true, false},
		{"allow, not hostbound", Profile{Forward: ForwardAllow}, nil, [][]byte{toJump, toFar}, func(at *attempt) { login(at); at.login.method = "publickey" }, true, false},
		{"allow, another host key", Profile{Forward: ForwardAllow}, nil, [][]byte{toJump, toFar}, func(at *attempt) { login(at); at.login.hostKey = jump.PublicKey().Marshal() }, true, false},
		{"confirm, yes", Profile{Forward: ForwardConfirm}, &person{answer: yes}, [][]byte{toJump, toFar}, login, true, true},
		{"confirm, no", Profile{Forward: ForwardConfirm}, &person{answer: no}, [][]byte{toJump, toFar}, login, true, false},
		{"confirm, and nobody to ask", Profile{Forward: ForwardConfirm}, nil, [][]byte{toJump, toFar}, login, true, false},
		{"confirm does not ask at home", Profile{Forward: ForwardConfirm}, &person{answer: no}, [][]byte{toFar}, login, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := knowing(t, known)
			a.Confirmer = tt.confirm
			src := &source{current: ca.certify(t, newKey(t, "ed25519"), time.Hour, "alice")}
			tt.rules.Name, tt.rules.Source = "corp", src
			never := &source{mint: func(context.Context) (ssh.Signer, error) {
				t.Error("minted for a forwarded connection")
				return nil, errNoMint
			}}
			if tt.binds[0][len(tt.binds[0])-1] == 0 {
				never.mint = nil
			}
			a.Set(Settings{Profiles: []Profile{tt.rules, {Name: "cold", Source: never, Forward: tt.rules.Forward}}})
			a.KeysOf(context.Background(), "corp")
			s := on(t, a, tt.binds...)
			if got := len(listed(t, s)) == 1; got != tt.shown {
				t.Errorf("listed: %v, want %v", got, tt.shown)
			}
			at := newAttempt(a, src.current)
			at.s = s
			tt.login(at)
			if got := at.granted(t); got != tt.signs {
				t.Errorf("signs: %v, want %v (%s)", got, tt.signs, lastReason(a))
			}
			if s.binds.kind() != forwarded {
				return
			}
			for _, message := range [][]byte{
				appendString([]byte{msgRemoveIdentity}, src.current.PublicKey().Marshal()), {msgRemoveAll}, {msgRemoveAllV1}, lockMessage(msgLock, "x"),
			} {
				if answer := ask(s, message...); answer[0] != msgFailure {
					t.Errorf("message %d was answered with %d", message[0], answer[0])
				}
			}
			if _, forgot := src.counts(); forgot != 0 {
				t.Error("the certificate was dropped")
			}
			// A bind that fails hides it, whatever the profile allows.
			ask(s, rawBind(far.PublicKey().Marshal(), []byte("four"), []byte("no signature"), false)...)
			if len(listed(t, s)) != 0 || at.granted(t) {
				t.Error("after a failed bind it is still there")
			}
		})
	}
}

// TestOwnSocket serves a profile on a socket of its own.
func TestOwnSocket(t *testing.T) {
	ca := newAuthority(t)
	host := newKey(t, "ed25519")
	a := knowing(t, knownLine("db7", host.PublicKey()))
	corp := &source{person: true, mint: func(context.Context) (ssh.Signer, error) {
		return ca.certify(t, newKey(t, "ed25519"), time.Hour, "alice"), nil
	}}
	lab := &source{current: ca.certify(t, newKey(t, "ed25519"), time.Hour, "alice")}
	set := func(hosts ...string) {
		a.Set(Settings{HideUnknown: true, Profiles: []Profile{{Name: "lab", Source: lab}, {Name: "corp", Source: corp, Hosts: hostsOf(t, hosts...)}}})
	}
	set("*.example.com")
	a.Keys(context.Background())

	s := a.session(peer{}, "corp")
	if got := listed(t, s); !slices.Equal(got, []string{"corp"}) {
		t.Errorf("unbound, its socket offers %q", got)
	}
	at := newAttempt(a, lab.Current())
	at.s = s
	if at.granted(t) {
		t.Error("its socket signs for another profile")
	}
	at = newAttempt(a, corp.Current())
	at.s = s
	if !at.granted(t) {
		t.Errorf("its socket does not sign: %s", lastReason(a))
	}
	if got := listed(t, on(t, a)); !slices.Equal(got, []string{"lab"}) {
		t.Errorf("unbound, the agent's socket offers %q", got)
	}
	// Where a name speaks against it, that stays so.
	ask(s, bindMessage(t, host, sessionOne, false)...)
	if got := listed(t, s); len(got) != 0 {
		t.Errorf("for another host its socket offers %q", got)
	}
	if at.granted(t) {
		t.Error("for another host its socket signs")
	}
	set("db7")
	a.KeysOf(context.Background(), "corp")
	if got := listed(t, s); !slices.Equal(got, []string{"corp"}) {
		t.Errorf("for its host its socket offers %q", got)
	}
	// No other keys, and what it drops is its own.
	if answer := ask(s, msgAddIdentity, 0); answer[0] != msgFailure || !strings.Contains(lastReason(a), "alone") {
		t.Errorf("add was answered with %d: %s", answer[0], lastReason(a))
	}
	if answer := ask(s, msgRemoveAll); answer[0] != msgSuccess {
		t.Errorf("remove all was answered with %d", answer[0])
	}
	if _, forgot := corp.counts(); forgot != 1 {
		t.Errorf("corp was forgotten %d times", forgot)
	}
	if _, forgot := lab.counts(); forgot != 0 {
		t.Error("another profile was forgotten")
	}
	s = a.session(peer{}, "corp")
	ask(s, bindMessage(t, newKey(t, "ed25519"), sessionTwo, true)...)
	if got := listed(t, s); len(got) != 0 {
		t.Errorf("forwarded, its socket offers %q", got)
	}
}

// TestExplain asks for what a list then shows.
func TestExplain(t *testing.T) {
	ca := newAuthority(t)
	host, bad := newKey(t, "ed25519"), newKey(t, "ed25519").PublicKey()
	hashed := hashHosts(t, knownLine("db9", host.PublicKey()))
	a := knowing(t, knownLine("db7", host.PublicKey()), knownLine("@cert-authority *.corp", bad), knownLine("@revoked gone", bad), knownLine("gone", bad), hashed)
	a.Set(Settings{Profiles: []Profile{
		{Name: "all", Source: &source{current: ca.certify(t, newKey(t, "ed25519"), time.Hour, "alice")}},
		{Name: "db", Hosts: hostsOf(t, "db?", "*.corp"), Source: &source{current: ca.certify(t, newKey(t, "ed25519"), time.Hour, "alice")}},
		{Name: "git", Hosts: hostsOf(t, "[git]:2222"), Source: &source{current: ca.certify(t, newKey(t, "ed25519"), time.Hour, "alice")}},
	}})
	for _, tt := range []struct {
		host string
		port int
		keys int
		want string
	}{
		{"db7", 0, 1, "db all -git"},
		{"DB9", 22, 1, "db all -git"},
		{"db7", 2222, 1, "db all -git"}, // ssh looks without the port, too
		{"x.corp", 0, 1, "db all -git"},
		{"db1", 0, 0, "db all -git"},
		{"git", 2222, 0, "git all -db"},
		{"git", 0, 0, "all -db -git"},
		{"gone", 0, 2, "-all -db -git"},
	} {
		routes := a.Explain(tt.host, tt.port)
		if len(routes) != 1 {
			t.Fatalf("%s: %+v", tt.host, routes)
		}
		var got []string
		for _, o := range routes[0].Offers {
			name := o.Profile
			if o.Hidden {
				name = "-" + name
			}
			if o.Why == "" {
				t.Errorf("%s: no reason for %s", tt.host, name)
			}
			got = append(got, name)
		}
		if strings.Join(got, " ") != tt.want || len(routes[0].Keys) != tt.keys {
			t.Errorf("%s, port %d: %q by %d keys, want %q by %d", tt.host, tt.port, got, len(routes[0].Keys), tt.want, tt.keys)
		}
	}
	got := listed(t, on(t, a, bindMessage(t, host, sessionOne, false)))
	if !slices.Equal(got, []string{"db", "all"}) {
		t.Errorf("a list has %q", got)
	}
}

// TestKnownHostsGrow: a connection that is open goes by what known_hosts says at
// each list, and by the names that a reload adds.
func TestKnownHostsGrow(t *testing.T) {
	host := newKey(t, "ed25519")
	a := knowing(t)
	src := &source{current: newAuthority(t).certify(t, newKey(t, "ed25519"), time.Hour, "alice")}
	set := func(hosts ...string) {
		a.Set(Settings{HideUnknown: true, Profiles: []Profile{{Name: "corp", Source: src, Hosts: hostsOf(t, hosts...)}}})
		a.KeysOf(context.Background(), "corp")
	}
	set("db7")
	s := on(t, a, bindMessage(t, host, sessionOne, false))
	if got := listed(t, s); len(got) != 0 {
		t.Fatalf("without a name: %q", got)
	}
	if err := os.WriteFile(a.KnownHosts[0], []byte(knownLine("db7", host.PublicKey())), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := listed(t, s); len(got) != 1 {
		t.Error("what ssh wrote meanwhile is not seen")
	}
	// A hashed name that only the new hosts write out.
	if err := os.WriteFile(a.KnownHosts[0], []byte(hashHosts(t, knownLine("db7", host.PublicKey()))), 0o600); err != nil {
		t.Fatal(err)
	}
	set("*7")
	at := newAttempt(a, src.current)
	at.s = s
	if len(listed(t, s)) != 0 || at.granted(t) {
		t.Error("a hashed name is known to a pattern")
	}
	set("db7")
	if !at.granted(t) {
		t.Errorf("after the reload: %s", lastReason(a))
	}
}

// TestForwardedHasNoServer: what the agent was forwarded to is not where the
// login goes, and what the local ssh was told is not either.
func TestForwardedHasNoServer(t *testing.T) {
	jump := newKey(t, "ed25519")
	a := knowing(t, knownLine("jump", jump.PublicKey()))
	a.Set(Settings{HideUnknown: true, Profiles: []Profile{{
		Name: "corp", Hosts: hostsOf(t, "jump"), Forward: ForwardAllow,
		Source: &source{current: newAuthority(t).certify(t, newKey(t, "ed25519"), time.Hour, "alice")},
	}}})
	if got := listed(t, on(t, a, bindMessage(t, jump, sessionOne, false))); len(got) != 1 {
		t.Errorf("on the way to it: %q", got)
	}
	if got := listed(t, on(t, a, bindMessage(t, jump, sessionOne, true))); len(got) != 0 {
		t.Errorf("forwarded to it: %q", got)
	}
	if !slices.ContainsFunc(a.Hidden(), func(h Hidden) bool { return h.Reason == errUnbound.Error() }) {
		t.Errorf("hidden for another reason: %+v", a.Hidden())
	}
}

// TestOwnSocketHasNoOthers: neither other agents' keys, nor those of ssh-add.
func TestOwnSocketHasNoOthers(t *testing.T) {
	_, upstream := holding(t, "other")
	a, src := new(Agent), &source{current: newAuthority(t).certify(t, newKey(t, "ed25519"), time.Hour, "alice")}
	a.Set(Settings{Profiles: []Profile{{Name: "corp", Source: src}}, Upstream: []string{upstream}})
	for profile, want := range map[string][]string{"": {"corp", "other"}, "corp": {"corp"}} {
		s := a.session(peer{}, profile)
		if got := listed(t, s); !slices.Equal(got, want) {
			t.Errorf("socket of %q: %q, want %q", profile, got, want)
		}
		s.close()
	}
}

// TestSSHSIGWhereLoginsAreHidden: for an unbound client the namespaces alone
// decide, since an SSHSIG goes to no server.
func TestSSHSIGWhereLoginsAreHidden(t *testing.T) {
	host := newKey(t, "ed25519")
	a := knowing(t, knownLine("db8", host.PublicKey()))
	signer := newAuthority(t).certify(t, newKey(t, "ed25519"), time.Hour, "alice")
	a.Set(Settings{HideUnknown: true, SSHSIG: []string{"git"}, Profiles: []Profile{{Name: "corp", Hosts: hostsOf(t, "db7"), Source: &source{current: signer}}}})
	a.KeysOf(context.Background(), "corp")
	git := sshsigData("git", "", "sha512", 64)
	at := newAttempt(a, signer)
	if at.granted(t) {
		t.Error("unbound, a login is signed")
	}
	at.data = git
	if !at.granted(t) {
		t.Errorf("unbound, an SSHSIG is refused: %s", lastReason(a))
	}
	at.data = sshsigData("file", "", "sha512", 64)
	if at.granted(t) {
		t.Error("unbound, an SSHSIG in another namespace is signed")
	}
	at = newAttempt(a, signer)
	at.data = git
	at.bind(t, host, sessionOne, false)
	if at.granted(t) {
		t.Error("bound to another host, an SSHSIG is signed")
	}
}
