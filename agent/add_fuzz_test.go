package agent

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// FuzzAdd has an addition refused, or a key that is what the message says: its
// public half is listed, signs, and is bound by every constraint.
func FuzzAdd(f *testing.F) {
	for _, message := range sshAddMessages(f) {
		f.Add(message)
	}
	ca := newAuthority(f)
	host := newKey(f, "ed25519")
	for _, kind := range keyKinds {
		key := newPrivate(f, kind)
		cert, ok := ca.certify(f, sshSigner(f, key), time.Hour, "alice").PublicKey().(*ssh.Certificate)
		if !ok {
			f.Fatal("not a certificate")
		}
		plain, certified := newAddition(f, key, nil), newAddition(f, key, cert)
		plain.constraints = constrainedFor(time.Hour)
		certified.constraints = slices.Concat([]byte{constrainConfirm}, constrainedTo(
			destinationOf(localHop, hopOf("al*", "db7", plainHost(host))),
			destinationOf(hopOf("", "db7", plainHost(host)), hopOf("", "*.example.com", caHost(ca.signer)))))
		f.Add(plain.message())
		f.Add(certified.message())
	}
	data := []byte("data")
	f.Fuzz(func(t *testing.T, message []byte) {
		if len(message) == 0 || message[0] != msgAddIdentity && message[0] != msgAddConstrained {
			return
		}
		a := new(Agent)
		s := &session{agent: a}
		if ask(s, message...)[0] != msgSuccess {
			if n := len(a.added.all()); n != 0 {
				t.Fatalf("refused, and %d keys were kept", n)
			}
			return
		}
		all := a.added.all()
		if len(all) == 0 || all[0].life.over(time.Now()) {
			return // a lifetime of none
		}
		k := all[0]
		public, err := ssh.ParsePublicKey([]byte(k.blob))
		if err != nil {
			t.Fatalf("what is listed cannot be read: %v", err)
		}
		if blobs := listedBlobs(t, s); len(blobs) != 1 || blobs[0] != k.blob {
			t.Fatal("not listed")
		}
		signature := signRequest(t, s, []byte(k.blob), data, flagSHA512)
		if free := !k.confirm && k.restrictions == nil; (signature != nil) != free {
			t.Fatalf("confirm %t, %d restrictions, signed %t: %s", k.confirm, len(k.restrictions), signature != nil, lastReason(a))
		}
		if signature != nil {
			if err := public.Verify(data, signature); err != nil {
				t.Fatalf("the private half is of another key: %v", err)
			}
		}
		for _, r := range k.restrictions {
			if r.to.host == "" || len(r.to.keys) == 0 || r.from.user != "" || len(r.to.user) > maxUserPattern {
				t.Fatalf("restriction %+v", r)
			}
		}
	})
}

// sshAddMessages are what the system's ssh-add sends.
func sshAddMessages(f *testing.F) (messages [][]byte) {
	dir := f.TempDir()
	l, err := net.Listen("unix", filepath.Join(socketDir(f), "s"))
	if err != nil {
		f.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	arrived := make(chan []byte, 100)
	go func() {
		defer close(arrived)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			for {
				message, err := readFrame(conn)
				if err != nil {
					break
				}
				arrived <- message
				if _, err := conn.Write(frame(msgSuccess)); err != nil {
					break
				}
			}
			_ = conn.Close() // the client is gone
		}
	}()
	file := func(name string) string { return filepath.Join(dir, name) }
	must := func(argv ...string) {
		f.Helper()
		if out, err := run(f, l.Addr().String(), argv...); err != nil {
			f.Fatalf("%s: %v\n%s", argv, err, out)
		}
	}
	must("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file("ca"))
	ca, err := os.ReadFile(file("ca.pub"))
	if err != nil {
		f.Fatal(err)
	}
	if err := os.WriteFile(file("known_hosts"), append([]byte("db7 "), ca...), 0o600); err != nil {
		f.Fatal(err)
	}
	for _, kind := range []string{"rsa", "ecdsa", "ed25519"} {
		must("ssh-keygen", "-q", "-t", kind, "-N", "", "-f", file(kind))
		must("ssh-keygen", "-q", "-s", file("ca"), "-I", "id", "-n", "alice", file(kind+".pub"))
		must("ssh-add", "-q", file(kind))
		must("ssh-add", "-q", "-c", "-t", "60", "-h", "db7", "-h", "db7>alice@db7", "-H", file("known_hosts"), file(kind))
	}
	if err := l.Close(); err != nil {
		f.Fatal(err)
	}
	for message := range arrived {
		messages = append(messages, message)
	}
	if len(messages) != 12 { // a key and its certificate, twice, of three kinds
		f.Fatalf("ssh-add sent %d messages", len(messages))
	}
	return messages
}
