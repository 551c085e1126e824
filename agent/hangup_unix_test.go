//go:build unix

package agent

import (
	"net"
	"runtime"
	"testing"
)

// TestHungUp tells a client that is gone from one that only sends no more.
func TestHungUp(t *testing.T) {
	for name, tt := range map[string]struct {
		do   func(*net.UnixConn) error
		want bool
	}{
		"open":          {func(*net.UnixConn) error { return nil }, false},
		"sends no more": {(*net.UnixConn).CloseWrite, false},
		"closed":        {(*net.UnixConn).Close, true},
	} {
		client, server := socketPair(t)
		if err := tt.do(client); err != nil {
			t.Fatal(err)
		}
		raw, err := server.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		if err := raw.Control(func(fd uintptr) {
			if got := hungUp(int(fd)); got != tt.want && (name != "sends no more" || runtime.GOOS == "linux") {
				t.Errorf("%s: %t", name, got)
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestOnHangUpTakesNothing has a byte arrive before, or while, the connection is
// watched.
func TestOnHangUpTakesNothing(t *testing.T) {
	client, server := socketPair(t)
	for i := range 200 {
		if _, err := client.Write([]byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
		stop := onHangUp(server, func() { t.Error("the client is still there") })
		for range i % 20 {
			runtime.Gosched()
		}
		stop()
		var got [1]byte
		if _, err := server.Read(got[:]); err != nil || got[0] != byte(i) {
			t.Fatalf("read %d, %v; want %d", got, err, byte(i))
		}
	}
}

func socketPair(t *testing.T) (client, server *net.UnixConn) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socketDir(t) + "/s", Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	client, err = net.DialUnix("unix", nil, &net.UnixAddr{Name: l.Addr().String(), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	server, err = l.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return client, server
}
