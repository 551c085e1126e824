package agent

import (
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// A way is a key that is restricted to destinations, and a connection that uses
// it over some hops.
type way struct {
	restrictions [][]byte
	binds        [][]byte
	login        login
	wantSigned   bool
	wantListed   bool
}

// TestRestricted has each hop that is not allowed beside one that is: for a
// signature, and for being listed, removed and added anew.
func TestRestricted(t *testing.T) {
	jump, db, other := newKey(t, "ed25519"), newKey(t, "ecdsa"), newKey(t, "ed25519")
	ca, otherCA := newAuthority(t), newAuthority(t)
	caKey := caHost(ca.signer)
	rsaCA := newKey(t, "rsa")
	chooses, ok := rsaCA.(ssh.AlgorithmSigner)
	if !ok {
		t.Fatal("not an AlgorithmSigner")
	}
	sha1CA, err := ssh.NewSignerWithAlgorithms(chooses, []string{ssh.KeyAlgoRSA})
	if err != nil {
		t.Fatal(err)
	}
	hostCert := func(by *authority, edit func(*ssh.Certificate)) ssh.Signer {
		cert := &ssh.Certificate{
			CertType:        ssh.HostCert,
			ValidPrincipals: []string{"db7", "*.corp.example.com"},
			ValidAfter:      uint64(time.Now().Add(-time.Hour).Unix()),
			ValidBefore:     uint64(time.Now().Add(time.Hour).Unix()),
			Key:             db.PublicKey(),
		}
		if edit != nil {
			edit(cert)
		}
		return by.sign(t, cert, db)
	}
	one, two := []byte("session 1"), []byte("session 2")
	toDB := destinationOf(localHop, hopOf("", "db7", plainHost(db)))
	toDBAs := func(user string) []byte { return destinationOf(localHop, hopOf(user, "db7", plainHost(db))) }
	toJump := destinationOf(localHop, hopOf("", "jump", plainHost(jump)))
	jumpToDB := destinationOf(hopOf("", "jump", plainHost(jump)), hopOf("", "db7", plainHost(db)))
	toCertified := func(name string) []byte { return destinationOf(localHop, hopOf("", name, caKey)) }
	auth := func(host ssh.Signer, session []byte) []byte { return bindMessage(t, host, session, false) }
	forward := func(host ssh.Signer, session []byte) []byte { return bindMessage(t, host, session, true) }
	broken := auth(db, one)
	broken = broken[:len(broken)-1]
	loginTo := func(session []byte) login {
		return login{session: session, kind: 50, user: "alice", service: "ssh-connection", method: "publickey", signed: 1}
	}
	boundTo := func(session []byte, host ssh.Signer) login {
		l := loginTo(session)
		l.method, l.hostKey = hostbound, host.PublicKey().Marshal()
		return l
	}
	as := func(l login, edit func(*login)) login {
		edit(&l)
		return l
	}
	all := func(messages ...[]byte) [][]byte { return messages }

	for name, tt := range map[string]struct{ good, bad way }{
		"no bind at all": {
			way{all(toDB), all(auth(db, one)), loginTo(one), true, true},
			way{all(toDB), nil, loginTo(one), false, true},
		},
		"bind that failed": {
			way{all(toDB), all(auth(db, one)), loginTo(one), true, true},
			way{all(toDB), all(broken), loginTo(one), false, false},
		},
		"bind that failed after one that did not": {
			way{all(toDB), all(auth(db, one)), loginTo(one), true, true},
			way{all(toDB), all(auth(db, one), broken), loginTo(one), false, false},
		},
		"another host": {
			way{all(toDB), all(auth(db, one)), loginTo(one), true, true},
			way{all(toDB), all(auth(other, one)), loginTo(one), false, false},
		},
		"one of two hosts": {
			way{all(toJump, toDB), all(auth(db, one)), loginTo(one), true, true},
			way{all(toJump, toDB), all(auth(other, one)), loginTo(one), false, false},
		},
		"from another host alone": {
			way{all(toDB), all(auth(db, one)), loginTo(one), true, true},
			way{all(jumpToDB), all(auth(db, one)), loginTo(one), false, false},
		},
		"key of the host as that of an authority": {
			way{all(toDB), all(auth(db, one)), loginTo(one), true, true},
			way{all(destinationOf(localHop, hopOf("", "db7", caHost(db)))), all(auth(db, one)), loginTo(one), false, false},
		},
		"user": {
			way{all(toDBAs("alice")), all(auth(db, one)), loginTo(one), true, true},
			way{all(toDBAs("bob")), all(auth(db, one)), loginTo(one), false, true},
		},
		"user pattern": {
			way{all(toDBAs("al*e")), all(auth(db, one)), loginTo(one), true, true},
			way{all(toDBAs("al?e")), all(auth(db, one)), loginTo(one), false, true},
		},
		"user pattern is no list": { // OpenSSH takes it for one pattern as well
			way{all(toDBAs("*")), all(auth(db, one)), loginTo(one), true, true},
			way{all(toDBAs("bob,alice")), all(auth(db, one)), loginTo(one), false, true},
		},
		"user of another destination": {
			way{all(toDBAs("alice"), destinationOf(localHop, hopOf("bob", "jump", plainHost(jump)))), all(auth(db, one)), loginTo(one), true, true},
			way{all(toDBAs("bob"), destinationOf(localHop, hopOf("alice", "jump", plainHost(jump)))), all(auth(db, one)), loginTo(one), false, true},
		},
		"session": {
			way{all(toDB), all(auth(db, one)), loginTo(one), true, true},
			way{all(toDB), all(auth(db, one)), loginTo(two), false, true},
		},
		"host key in the login": {
			way{all(toDB), all(auth(db, one)), boundTo(one, db), true, true},
			way{all(toDB), all(auth(db, one)), boundTo(one, other), false, true},
		},
		"algorithm of another type": {
			way{all(toDB), all(auth(db, one)), loginTo(one), true, true},
			way{all(toDB), all(auth(db, one)), as(loginTo(one), func(l *login) { l.algorithm = ssh.KeyAlgoECDSA256 }), false, true},
		},
		"no login": {
			way{all(toDB), all(auth(db, one)), loginTo(one), true, true},
			way{all(toDB), all(auth(db, one)), as(loginTo(one), func(l *login) { l.kind = 51 }), false, true},
		},
		"login with another key": {
			way{all(toDB), all(auth(db, one)), loginTo(one), true, true},
			way{all(toDB), all(auth(db, one)), as(loginTo(one), func(l *login) { l.key = other.PublicKey().Marshal() }), false, true},
		},

		// Certificates of hosts.
		"certificate of another authority": {
			way{all(toCertified("db7")), all(auth(hostCert(ca, nil), one)), loginTo(one), true, true},
			way{all(toCertified("db7")), all(auth(hostCert(otherCA, nil), one)), loginTo(one), false, false},
		},
		"principal": {
			way{all(toCertified("db7")), all(auth(hostCert(ca, nil), one)), loginTo(one), true, true},
			way{all(toCertified("db8")), all(auth(hostCert(ca, nil), one)), loginTo(one), false, false},
		},
		"principal that is a pattern": {
			way{all(toCertified("db8.corp.example.com")), all(auth(hostCert(ca, nil), one)), loginTo(one), true, true},
			way{all(toCertified("db8.example.com")), all(auth(hostCert(ca, nil), one)), loginTo(one), false, false},
		},
		"name that is a pattern": { // it is a name there, and the principal the pattern
			way{all(toCertified("db7")), all(auth(hostCert(ca, nil), one)), loginTo(one), true, true},
			way{all(toCertified("*")), all(auth(hostCert(ca, nil), one)), loginTo(one), false, false},
		},
		"certificate without principals": {
			way{all(toCertified("db7")), all(auth(hostCert(ca, nil), one)), loginTo(one), true, true},
			way{all(toCertified("db7")), all(auth(hostCert(ca, func(c *ssh.Certificate) { c.ValidPrincipals = nil }), one)), loginTo(one), false, false},
		},
		"certificate of a user": {
			way{all(toCertified("db7")), all(auth(hostCert(ca, nil), one)), loginTo(one), true, true},
			way{all(toCertified("db7")), all(auth(hostCert(ca, func(c *ssh.Certificate) { c.CertType = ssh.UserCert }), one)), loginTo(one), false, false},
		},
		"certificate that has expired": {
			way{all(toCertified("db7")), all(auth(hostCert(ca, nil), one)), loginTo(one), true, true},
			way{all(toCertified("db7")), all(auth(hostCert(ca, func(c *ssh.Certificate) { c.ValidBefore = uint64(time.Now().Unix()) }), one)), loginTo(one), false, false},
		},
		"certificate of tomorrow": {
			way{all(toCertified("db7")), all(auth(hostCert(ca, nil), one)), loginTo(one), true, true},
			way{all(toCertified("db7")), all(auth(hostCert(ca, func(c *ssh.Certificate) { c.ValidAfter = uint64(time.Now().Add(time.Hour).Unix()) }), one)), loginTo(one), false, false},
		},
		"certificate with a critical option": {
			way{all(toCertified("db7")), all(auth(hostCert(ca, nil), one)), loginTo(one), true, true},
			way{all(toCertified("db7")), all(auth(hostCert(ca, func(c *ssh.Certificate) { c.CriticalOptions = map[string]string{"x": ""} }), one)), loginTo(one), false, false},
		},
		"certificate that was signed with SHA-1": {
			way{all(destinationOf(localHop, hopOf("", "db7", caHost(rsaCA)))), all(auth(hostCert(&authority{signer: rsaCA}, nil), one)), loginTo(one), true, true},
			way{all(destinationOf(localHop, hopOf("", "db7", caHost(rsaCA)))), all(auth(hostCert(&authority{signer: sha1CA}, nil), one)), loginTo(one), false, false},
		},
		"certificate where the plain key is meant": {
			way{all(toDB), all(auth(db, one)), loginTo(one), true, true},
			way{all(toDB), all(auth(hostCert(ca, nil), one)), loginTo(one), false, false},
		},

		// Several hops.
		"beyond the host": {
			way{all(toJump, jumpToDB), all(forward(jump, one), auth(db, two)), boundTo(two, db), true, true},
			way{all(toJump, toDB), all(forward(jump, one), auth(db, two)), boundTo(two, db), false, false},
		},
		"not by the host between": {
			way{all(toJump, jumpToDB), all(forward(jump, one), auth(db, two)), boundTo(two, db), true, true},
			way{all(toDB, jumpToDB), all(forward(other, one), auth(db, two)), boundTo(two, db), false, false},
		},
		"the host between alone": {
			way{all(toJump, jumpToDB), all(forward(jump, one), auth(db, two)), boundTo(two, db), true, true},
			way{all(jumpToDB), all(forward(jump, one), auth(db, two)), boundTo(two, db), false, false},
		},
		"two hops and no host key in the login": {
			way{all(toJump, jumpToDB), all(forward(jump, one), auth(db, two)), boundTo(two, db), true, true},
			way{all(toJump, jumpToDB), all(forward(jump, one), auth(db, two)), loginTo(two), false, true},
		},
		"two hops and the session of the first": {
			way{all(toJump, jumpToDB), all(forward(jump, one), auth(db, two)), boundTo(two, db), true, true},
			way{all(toJump, jumpToDB), all(forward(jump, one), auth(db, two)), boundTo(one, db), false, true},
		},
		"two hops and the host of the first": {
			way{all(toJump, jumpToDB), all(forward(jump, one), auth(db, two)), boundTo(two, db), true, true},
			way{all(toJump, jumpToDB), all(forward(jump, one), auth(db, two)), boundTo(two, jump), false, true},
		},
		"user at the last hop": {
			way{all(toJump, destinationOf(hopOf("", "jump", plainHost(jump)), hopOf("al*", "db7", plainHost(db)))), all(forward(jump, one), auth(db, two)), boundTo(two, db), true, true},
			way{all(toJump, destinationOf(hopOf("", "jump", plainHost(jump)), hopOf("bob", "db7", plainHost(db)))), all(forward(jump, one), auth(db, two)), boundTo(two, db), false, true},
		},
		"user at the first hop is not known": {
			way{all(destinationOf(localHop, hopOf("bob", "jump", plainHost(jump))), jumpToDB), all(forward(jump, one), auth(db, two)), boundTo(two, db), true, true},
			way{all(destinationOf(localHop, hopOf("bob", "jump", plainHost(jump)))), all(auth(jump, one)), loginTo(one), false, true},
		},
		"where it was forwarded to": { // listed if there is a way on, never signing there
			way{all(toJump, jumpToDB), all(auth(jump, one)), loginTo(one), true, true},
			way{all(toJump, jumpToDB), all(forward(jump, one)), boundTo(one, jump), false, true},
		},
		"where it was forwarded to and there is no way on": {
			way{all(toJump), all(auth(jump, one)), loginTo(one), true, true},
			way{all(toJump), all(forward(jump, one)), boundTo(one, jump), false, false},
		},
	} {
		for which, w := range map[string]way{"good": tt.good, "bad": tt.bad} {
			t.Run(name+"/"+which, func(t *testing.T) { w.check(t) })
		}
	}
}

func (w way) check(t *testing.T) {
	a := new(Agent)
	key, addition := add(t, a, "ed25519", constrainedTo(w.restrictions...)...)
	blob := key.PublicKey().Marshal()
	s := &session{agent: a}
	for _, b := range w.binds {
		ask(s, b...)
	}
	if w.login.key == nil {
		w.login.key = blob
	}
	if w.login.algorithm == "" {
		w.login.algorithm = key.PublicKey().Type()
	}
	signature := signRequest(t, s, blob, w.login.marshal(), 0)
	if (signature != nil) != w.wantSigned {
		t.Errorf("signed: %t: %s", signature != nil, lastReason(a))
	}
	if signature != nil {
		if err := key.PublicKey().Verify(w.login.marshal(), signature); err != nil {
			t.Error(err)
		}
	}
	if listed := slices.Contains(listedBlobs(t, s), string(blob)); listed != w.wantListed {
		t.Errorf("listed: %t", listed)
	}
	// A key that is not seen cannot be freed of its restrictions, or dropped.
	again := *addition
	if answer := ask(s, again.message()...); (answer[0] == msgSuccess) != w.wantListed {
		t.Errorf("adding it anew was answered with %d: %s", answer[0], lastReason(a))
	}
	if answer := ask(s, appendString([]byte{msgRemoveIdentity}, blob)...); (answer[0] == msgSuccess) != w.wantListed {
		t.Errorf("removing it was answered with %d: %s", answer[0], lastReason(a))
	}
	if !w.wantListed {
		ask(s, msgRemoveAll)
		if a.added.find(blob) == nil {
			t.Error("a key that is not seen was removed with all")
		}
	}
}

// TestHopAfterLogin has hops that no message can bring about: one that was not
// forwarded, and another one after it.
func TestHopAfterLogin(t *testing.T) {
	jump, db := newKey(t, "ed25519"), newKey(t, "ed25519")
	blob := func(key ssh.Signer) string { return string(key.PublicKey().Marshal()) }
	k := &addedKey{restrictions: []restriction{
		{to: hop{host: "jump", keys: []hopKey{plainHost(jump)}}},
		{from: hop{host: "jump", keys: []hopKey{plainHost(jump)}}, to: hop{host: "db7", keys: []hopKey{plainHost(db)}}},
	}}
	for _, forwarding := range []bool{true, false} {
		b := &bindings{hops: []binding{
			{hostKey: blob(jump), session: "1", forwarding: forwarding},
			{hostKey: blob(db), session: "2"},
		}}
		if err := k.hidden(b); (err == nil) != forwarding {
			t.Errorf("first hop forwarding %t: %v", forwarding, err)
		}
	}
}

// TestRestrictedData has a restricted key refuse what is no login.
func TestRestrictedData(t *testing.T) {
	a := new(Agent)
	host := newKey(t, "ed25519")
	key, _ := add(t, a, "ed25519", constrainedTo(destinationOf(localHop, hopOf("", "db7", plainHost(host))))...)
	free, _ := add(t, a, "ed25519")
	s := &session{agent: a}
	ask(s, bindMessage(t, host, sessionOne, false)...)
	sshsig := appendString(appendString(appendString(appendString([]byte(sshsigMagic), "git"), ""), "sha512"), make([]byte, 64))
	for name, data := range map[string][]byte{"text": []byte("data"), "nothing": {}, "SSHSIG": sshsig} {
		if signRequest(t, s, key.PublicKey().Marshal(), data, 0) != nil {
			t.Errorf("%s: signed by a restricted key", name)
		}
		if !strings.Contains(lastReason(a), "restricted to destinations") {
			t.Errorf("%s: refused because %q", name, lastReason(a))
		}
		if signRequest(t, s, free.PublicKey().Marshal(), data, 0) == nil {
			t.Errorf("%s: refused by a key that is not restricted: %s", name, lastReason(a))
		}
	}
}

// TestProofIsNotSigned has no client make a proof to a CA with an added key.
func TestProofIsNotSigned(t *testing.T) {
	a := new(Agent)
	key, _ := add(t, a, "ed25519")
	for namespace, want := range map[string]bool{"git": true, "proof@sshmint.example.com": true, "proof@sshmint": false} {
		data := appendString(appendString(appendString(appendString([]byte(sshsigMagic), namespace), ""), "sha512"), make([]byte, 64))
		if got := signRequest(t, &session{agent: a}, key.PublicKey().Marshal(), data, 0) != nil; got != want {
			t.Errorf("namespace %s: signed is %t: %s", namespace, got, lastReason(a))
		}
	}
}

// TestMatchPattern is OpenSSH's table of patterns (regress/unittests/match), and
// one that is slow to match by trying all ways.
func TestMatchPattern(t *testing.T) {
	for _, tt := range []struct {
		s, pattern string
		want       bool
	}{
		{"", "", true},
		{"aaa", "", false},
		{"", "aaa", false},
		{"aaa", "aaaa", false},
		{"aaaa", "aaa", false},
		{"", "*", true},
		{"a", "?", true},
		{"aa", "a?", true},
		{"a", "*", true},
		{"aa", "a*", true},
		{"aa", "?*", true},
		{"aa", "**", true},
		{"aa", "?a", true},
		{"aa", "*a", true},
		{"ba", "a?", false},
		{"ba", "a*", false},
		{"ab", "?a", false},
		{"ab", "*a", false},
		{"abcbd", "a*b?", true},
		{"abc", "!abc", false},
		{"Alice", "alice", false},
		{strings.Repeat("a", 5000), strings.Repeat("a*", 128) + "b", false},
		{strings.Repeat("a", 5000) + "b", strings.Repeat("*a", 127) + "*b", true},
	} {
		if got := matchPattern(tt.s, tt.pattern); got != tt.want {
			t.Errorf("matchPattern(%.20q, %.20q) = %t", tt.s, tt.pattern, got)
		}
	}
}
