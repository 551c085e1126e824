package ca

import (
	"net"
	"sync"
)

// boundedListener accepts no more connections than max at a time, the rest
// wait in the kernel's queue; and of one address no more than perAddress, the
// rest are closed unheard. Nobody can take every place by opening connections
// and saying nothing.
type boundedListener struct {
	net.Listener
	perAddress int
	places     chan struct{}

	closing sync.Once
	closed  chan struct{}

	mu     sync.Mutex
	counts map[string]int
}

func newBoundedListener(l net.Listener, maxConns, perAddress int) *boundedListener {
	return &boundedListener{
		Listener: l, perAddress: perAddress,
		places: make(chan struct{}, maxConns), closed: make(chan struct{}),
		counts: map[string]int{},
	}
}

func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		select {
		case l.places <- struct{}{}:
		case <-l.closed:
			return nil, net.ErrClosed
		}
		c, err := l.Listener.Accept()
		if err != nil {
			<-l.places
			return nil, err
		}
		key := addressKey(c.RemoteAddr().String())
		if l.enter(key) {
			return &boundedConn{Conn: c, leave: func() { l.leave(key) }}, nil
		}
		<-l.places
		_ = c.Close() // nothing was said on it
	}
}

func (l *boundedListener) Close() error {
	l.closing.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

func (l *boundedListener) enter(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.counts[key] >= l.perAddress {
		return false
	}
	l.counts[key]++
	return true
}

func (l *boundedListener) leave(key string) {
	l.mu.Lock()
	if l.counts[key]--; l.counts[key] == 0 {
		delete(l.counts, key)
	}
	l.mu.Unlock()
	<-l.places
}

type boundedConn struct {
	net.Conn
	once  sync.Once
	leave func()
}

func (c *boundedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.leave)
	return err
}
