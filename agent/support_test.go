package agent

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// newKey makes an SSH key of a kind: ed25519, ecdsa or rsa.
func newKey(t testing.TB, kind string) ssh.Signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch kind {
	case "ed25519":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	case "ecdsa":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "rsa":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	default:
		t.Fatalf("no key of kind %q", kind)
	}
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// An authority signs certificates as ssh-keygen -s would.
type authority struct {
	signer ssh.Signer
	serial atomic.Uint64
}

func newAuthority(t testing.TB) *authority {
	return &authority{signer: newKey(t, "ed25519")}
}

// certify returns a signer for key whose public key is a user certificate for
// the principals, valid from a minute ago for the lifetime.
func (a *authority) certify(t testing.TB, key ssh.Signer, lifetime time.Duration, principals ...string) ssh.Signer {
	t.Helper()
	now := time.Now()
	cert := &ssh.Certificate{
		Key:             key.PublicKey(),
		Serial:          a.serial.Add(1),
		CertType:        ssh.UserCert,
		KeyId:           "alice@corp.example.com x509=07@1234abcd req=1",
		ValidPrincipals: principals,
		ValidAfter:      uint64(now.Add(-time.Minute).Unix()),
		ValidBefore:     uint64(now.Add(lifetime).Unix()),
		Permissions:     ssh.Permissions{Extensions: map[string]string{"permit-pty": "", "permit-agent-forwarding": ""}},
	}
	return a.sign(t, cert, key)
}

func (a *authority) sign(t testing.TB, cert *ssh.Certificate, key ssh.Signer) ssh.Signer {
	t.Helper()
	if err := cert.SignCert(rand.Reader, a.signer); err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewCertSigner(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// A source is a Source that holds what it is given, and mints by a function.
type source struct {
	mint   func(ctx context.Context) (ssh.Signer, error) // nil: there is nothing to mint
	person bool                                          // minting asks one

	mu      sync.Mutex
	current ssh.Signer
	minted  int
	forgot  int
}

var errNoMint = errors.New("the CA is down")

func (s *source) Current() ssh.Signer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

func (s *source) Signer(ctx context.Context) (ssh.Signer, error) {
	if signer := s.Current(); signer != nil {
		return signer, nil
	}
	if s.mint == nil {
		return nil, errNoMint
	}
	signer, err := s.mint(ctx)
	if err == nil {
		s.mu.Lock()
		s.minted++
		s.mu.Unlock()
		s.set(signer)
	}
	return signer, err
}

func (s *source) NeedsPerson() bool { return s.person }

func (s *source) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = nil
	s.forgot++
}

func (s *source) set(signer ssh.Signer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = signer
}

func (s *source) counts() (minted, forgot int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.minted, s.forgot
}

// warm returns an agent with one profile "corp" that has a certificate.
func warm(t testing.TB) (*Agent, ssh.Signer) {
	signer := newAuthority(t).certify(t, newKey(t, "ed25519"), time.Hour, "alice")
	a := new(Agent)
	a.Set(Settings{Profiles: []Profile{{Name: "corp", Source: &source{current: signer}}}})
	a.Keys(context.Background()) // clients learn of a key by a list
	return a, signer
}

// socketDir returns a private directory whose name is short enough for sockets.
func socketDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "agent")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// serve serves the agent on a socket until the test ends.
func serve(t testing.TB, a *Agent) (path string) {
	t.Helper()
	path = filepath.Join(socketDir(t), "agent.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is still there: %v", err)
		}
	})
	return path
}

func dial(t testing.TB, path string) net.Conn {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func frame(message ...byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(message))), message...)
}

func readFrame(r io.Reader) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	message := make([]byte, binary.BigEndian.Uint32(size[:]))
	_, err := io.ReadFull(r, message)
	return message, err
}

// call sends a message and returns the answer.
func call(t testing.TB, conn net.Conn, message ...byte) []byte {
	t.Helper()
	if _, err := conn.Write(frame(message...)); err != nil {
		t.Fatal(err)
	}
	answer, err := readFrame(conn)
	if err != nil {
		t.Fatalf("reading the answer to message %d: %v", message[0], err)
	}
	return answer
}

// ask is call on a session that has no socket.
func ask(s *session, message ...byte) []byte {
	return append([]byte(nil), s.handle(context.Background(), append([]byte(nil), message...))[4:]...)
}

// program returns the path of a program that the test needs.
func program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if errors.Is(err, exec.ErrNotFound) && name == "sshd" {
		path, err = exec.LookPath("/usr/sbin/sshd")
	}
	if err != nil {
		if os.Getenv("SSHMINT_REQUIRE_ALL") == "1" {
			t.Fatalf("%s is required: %v", name, err)
		}
		t.Skipf("needs %s: %v", name, err)
	}
	return path
}

// run runs a program with SSH_AUTH_SOCK set and returns what it wrote.
func run(t testing.TB, socket string, argv ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program(t, argv[0]), argv[1:]...)
	cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK="+socket, "SSH_ASKPASS_REQUIRE=never")
	out, err := cmd.CombinedOutput()
	return string(out), err
}
