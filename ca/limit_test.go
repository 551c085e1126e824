package ca

import (
	"errors"
	"fmt"
	"net"
	"testing"
	"time"
)

func TestLimiter(t *testing.T) {
	l := newLimiter(10)
	now := time.Now()
	for i := range 10 {
		if d := l.wait("a", now); d != 0 {
			t.Fatalf("event %d has to wait %s", i+1, d)
		}
	}
	if d := l.wait("a", now); d != 6*time.Second {
		t.Errorf("the 11th has to wait %s, want 6s", d)
	}
	if d := l.wait("a", now.Add(5*time.Second)); d != time.Second {
		t.Errorf("5 s later: %s, want 1s; a refused event must not count", d)
	}
	if d := l.wait("a", now.Add(6*time.Second)); d != 0 {
		t.Errorf("6 s later: %s", d)
	}
	if d := l.wait("b", now); d != 0 {
		t.Errorf("another key has to wait %s", d)
	}
	if d := l.wait("a", now.Add(2*time.Minute)); d != 0 {
		t.Errorf("two minutes later: %s", d)
	}
}

func TestLimiterForgetsTheIdleOnly(t *testing.T) {
	l := newLimiter(1)
	now := time.Now()
	l.wait("busy", now)
	for i := range 3 * maxLimited {
		l.wait(fmt.Sprint(i), now)
		if i%maxLimited == 0 && l.wait("busy", now) == 0 {
			t.Fatalf("a key in use was forgotten after %d others", i)
		}
	}
	if n := len(l.young) + len(l.old); n > 2*maxLimited+1 {
		t.Errorf("%d keys are kept", n)
	}
}

func TestAddressKey(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.1:1":                   "192.0.2.1",
		"[::ffff:192.0.2.1]:1":          "192.0.2.1",
		"[2001:db8:1:2:3:4:5:6]:1":      "2001:db8:1:2::/64",
		"[2001:db8:1:2:ffff::1]:1":      "2001:db8:1:2::/64",
		"[fe80::1%eth0]:1":              "fe80::/64",
		"pipe":                          "pipe",
		"[2001:db8:1:3:0000:4:5:6]:443": "2001:db8:1:3::/64",
	} {
		if got := addressKey(remote); got != want {
			t.Errorf("%s counts as %s, want %s", remote, got, want)
		}
	}
}

// listen gives a bounded listener on loopback whose accepted connections
// arrive on a channel.
func listenBounded(t *testing.T, maxConns, perAddress int) (address string, accepted <-chan net.Conn) {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := newBoundedListener(inner, maxConns, perAddress)
	conns := make(chan net.Conn)
	go func() {
		defer close(conns)
		for {
			c, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			conns <- c
		}
	}()
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		for c := range conns {
			_ = c.Close()
		}
	})
	return inner.Addr().String(), conns
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestConnectionsOfOneAddressAreBounded(t *testing.T) {
	address, accepted := listenBounded(t, 10, 2)
	dial(t, address)
	first := <-accepted
	dial(t, address)
	<-accepted
	third := dial(t, address)
	if _, err := third.Read(make([]byte, 1)); err == nil {
		t.Error("the third connection was not closed")
	}
	// Closing twice, as http does, gives one place back and not two.
	for range 2 {
		_ = first.Close()
	}
	dial(t, address)
	<-accepted
	if _, err := dial(t, address).Read(make([]byte, 1)); err == nil {
		t.Error("a place too many")
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	address, accepted := listenBounded(t, 1, 10)
	dial(t, address)
	first := <-accepted
	dial(t, address)
	select {
	case <-accepted:
		t.Fatal("a second connection was accepted beside the first")
	case <-time.After(50 * time.Millisecond):
	}
	_ = first.Close()
	<-accepted // now there is a place
}
