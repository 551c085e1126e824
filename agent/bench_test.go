package agent

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// roundTrips has each of so many clients send the request and read the answer,
// again and again, and reports the median and the 99th percentile of the time
// that takes.
func roundTrips(b *testing.B, path string, clients int, request []byte) {
	b.Helper()
	conns := make([]net.Conn, clients)
	answers := make([][]byte, clients)
	for i := range conns {
		conns[i] = dial(b, path)
		if _, err := conns[i].Write(request); err != nil {
			b.Fatal(err)
		}
		answer, err := readFrame(conns[i])
		if err != nil || answer[0] == msgFailure {
			b.Fatalf("answer % x, %v", answer, err)
		}
		answers[i] = make([]byte, 4+len(answer))
	}
	times := make([]time.Duration, b.N)
	b.ReportAllocs()
	b.ResetTimer()
	var running sync.WaitGroup
	for i, conn := range conns {
		running.Go(func() {
			for n := i; n < b.N; n += clients {
				start := time.Now()
				if _, err := conn.Write(request); err != nil {
					b.Error(err)
					return
				}
				if _, err := io.ReadFull(conn, answers[i]); err != nil {
					b.Error(err)
					return
				}
				times[n] = time.Since(start)
			}
		})
	}
	running.Wait()
	b.StopTimer()
	slices.Sort(times)
	b.ReportMetric(float64(times[b.N/2].Nanoseconds()), "p50-ns")
	b.ReportMetric(float64(times[b.N*99/100].Nanoseconds()), "p99-ns")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "op/s")
}

func BenchmarkSign(b *testing.B) {
	a, signer := warm(b)
	request := frame(newAttempt(a, signer).request()...)
	path := serve(b, a)
	for _, clients := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("%dclients", clients), func(b *testing.B) { roundTrips(b, path, clients, request) })
	}
}

func BenchmarkList(b *testing.B) {
	a, _ := warm(b)
	path := serve(b, a)
	for _, clients := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("%dclients", clients), func(b *testing.B) {
			roundTrips(b, path, clients, frame(msgRequestIdentities))
		})
	}
}

// BenchmarkFloor is what no agent in this language can be faster than: one
// Ed25519 signature over the same data, and the same number of bytes read and
// written on a socket.
func BenchmarkFloor(b *testing.B) {
	a, signer := warm(b)
	at := newAttempt(a, signer)
	request := frame(at.request()...)
	answer := frame(ask(at.s, at.request()...)...)
	data := at.signed()
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

	l, err := Listen(filepath.Join(socketDir(b), "s"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				buf := make([]byte, len(request))
				for {
					if _, err := io.ReadFull(conn, buf); err != nil {
						return
					}
					ed25519.Sign(key, data)
					if _, err := conn.Write(answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	for _, clients := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("%dclients", clients), func(b *testing.B) {
			roundTrips(b, l.Addr().String(), clients, request)
		})
	}
}

// BenchmarkSession is a list and a signature without the socket.
func BenchmarkSession(b *testing.B) {
	a, signer := warm(b)
	at := newAttempt(a, signer)
	s := at.s
	for name, message := range map[string][]byte{"list": {msgRequestIdentities}, "sign": at.request()} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.handle(context.Background(), message)
			}
		})
	}
}
