package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"
)

// A load is one request, put again and again on so many connections at once.
type load struct {
	conns  []net.Conn
	ask    []byte // a frame
	answer int    // bytes of the answer's frame
	kind   byte   // of the answer
}

// newLoad opens the connections. Each is tried first, and check looks at what it
// answers; before, if not nil, is a frame that each sends once.
func newLoad(ctx context.Context, socket string, clients int, before, request []byte, check func([]byte) error) (*load, error) {
	l := &load{ask: request}
	for range clients {
		conn, err := dial(ctx, socket)
		if err != nil {
			return nil, err
		}
		l.conns = append(l.conns, conn)
		if before != nil {
			if _, err := ask(conn, before); err != nil {
				return nil, err
			}
		}
		body, err := ask(conn, request)
		if err != nil {
			return nil, err
		}
		if err := check(body); err != nil {
			return nil, err
		}
		l.answer, l.kind = 4+len(body), body[0]
	}
	return l, nil
}

func (l *load) close() {
	for _, c := range l.conns {
		_ = c.Close() // all answers have been read
	}
}

// A sample is what one turn of a load gave.
type sample struct {
	p50, p99 time.Duration
	rate     float64 // answers a second
}

// slack is by how many bytes answers may differ: the numbers in an ECDSA
// signature have no fixed length.
const slack = 16

// run is one turn: each client sends as soon as it has its answer.
func (l *load) run(ctx context.Context, slice time.Duration) (sample, error) {
	return clients(ctx, len(l.conns), slice, func(ctx context.Context, i int) func() error {
		answer := make([]byte, l.answer+slack)
		return func() error {
			if _, err := l.conns[i].Write(l.ask); err != nil {
				return err
			}
			n, err := io.ReadAtLeast(l.conns[i], answer, 5)
			if err != nil {
				return err
			}
			size := binary.BigEndian.Uint32(answer)
			whole := 4 + int(min(size, 1<<20))
			if whole < n || whole > len(answer) {
				return fmt.Errorf("an answer of %d bytes, the first one had %d", size, l.answer-4)
			}
			if _, err := io.ReadFull(l.conns[i], answer[n:whole]); err != nil {
				return err
			}
			if answer[4] != l.kind {
				return fmt.Errorf("the answer is message %d, not %d", answer[4], l.kind)
			}
			return nil
		}
	})
}

// clients has n of them repeat what they do until slice is over; each does it
// once at least.
func clients(ctx context.Context, n int, slice time.Duration, client func(context.Context, int) func() error) (sample, error) {
	times := make([][]time.Duration, n)
	errs := make([]error, n)
	for i := range times {
		times[i] = make([]time.Duration, 0, 1<<14)
	}
	ready := make(chan time.Time)
	var running sync.WaitGroup
	for i := range n {
		do := client(ctx, i)
		running.Go(func() {
			end := <-ready
			for begin := time.Now(); ; {
				if errs[i] = do(); errs[i] != nil {
					return
				}
				now := time.Now()
				times[i] = append(times[i], now.Sub(begin))
				if begin = now; now.After(end) || ctx.Err() != nil {
					return
				}
			}
		})
	}
	began := time.Now()
	for range n {
		ready <- began.Add(slice)
	}
	running.Wait()
	took := time.Since(began)
	for _, err := range errs {
		if err != nil {
			return sample{}, err
		}
	}
	all := slices.Concat(times...)
	if err := ctx.Err(); err != nil {
		return sample{}, err
	}
	slices.Sort(all)
	return sample{quantile(all, 50), quantile(all, 99), float64(len(all)) / took.Seconds()}, nil
}

// quantile is the least value that so many percent do not exceed.
func quantile[T any](sorted []T, percent int) T {
	return sorted[max(0, (len(sorted)*percent+99)/100-1)]
}

func median[T interface{ ~int64 | ~float64 }](values []T) T {
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	return quantile(sorted, 50)
}
