package agent

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

const (
	// maxMessage is OpenSSH's AGENT_MAX_LEN, the type byte included.
	maxMessage = 256 << 10
	// keptBuffer is what an idle connection keeps. A sign request with a
	// certificate has less than 3 KiB.
	keptBuffer = 4 << 10
	// frameTime is how long a message may take from its first byte to its last.
	// Between messages a client may wait for ever, as ssh does for its session.
	frameTime = 30 * time.Second
)

// Messages larger than an added key with its certificates are rare. So that many
// of them that do not end cannot fill the memory, only maxLarge connections have
// a buffer of more than smallBuffer at a time; others wait, as for their bytes.
const (
	smallBuffer = 16 << 10
	maxLarge    = 4
)

// A largeBuffers gives leave to have one. The zero value is ready.
type largeBuffers struct {
	init sync.Once
	held chan struct{}
}

func (l *largeBuffers) take(ctx context.Context, limit time.Duration) bool {
	l.init.Do(func() { l.held = make(chan struct{}, maxLarge) })
	select {
	case l.held <- struct{}{}:
		return true
	case <-ctx.Done():
	case <-time.After(limit):
	}
	return false
}

func (l *largeBuffers) give() { <-l.held }

var errFrame = errors.New("message cannot be read")

// A frameReader cuts a connection into messages. The buffer grows with the bytes
// that arrive, never with the length that a client claims.
type frameReader struct {
	conn       net.Conn
	large      *largeBuffers   // nil: no limit
	ctx        context.Context // of the connection: it bounds the wait for a large buffer
	isLarge    bool
	buf        []byte
	start, end int // of what has arrived and is not yet consumed
	timed      bool
}

// next returns the next message without its length, valid until the next call.
// Its error is errFrame, wrapped, or that of the connection.
func (f *frameReader) next() ([]byte, error) {
	for {
		arrived := f.buf[f.start:f.end]
		if len(arrived) >= 4 {
			size := binary.BigEndian.Uint32(arrived)
			if size == 0 || size > maxMessage {
				return nil, fmt.Errorf("%w: it has %d bytes; 1 to %d are allowed", errFrame, size, maxMessage)
			}
			if need := 4 + int(size); len(arrived) >= need {
				f.start += need
				f.setTime(false)
				return arrived[4:need:need], nil
			}
		}
		f.setTime(len(arrived) > 0)
		if err := f.makeRoom(); err != nil {
			return nil, err
		}
		n, err := f.conn.Read(f.buf[f.end:])
		f.end += n
		switch {
		case n > 0 || err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, fmt.Errorf("%w: it did not end within %s", errFrame, frameTime)
		default:
			return nil, err
		}
	}
}

// consumed wipes a message, which may hold a password or a private key.
func (f *frameReader) consumed(message []byte) {
	clear(message)
}

// setTime starts the clock of a message that has begun, and stops it when it is
// there. Most messages arrive in one piece and never see a clock. A deadline
// cannot be set on a closed connection only, which the next read reports.
func (f *frameReader) setTime(begun bool) {
	if begun == f.timed {
		return
	}
	f.timed = begun
	var deadline time.Time
	if begun {
		deadline = time.Now().Add(frameTime)
	}
	_ = f.conn.SetReadDeadline(deadline)
}

// makeRoom moves what has arrived to the front, and grows a buffer that is full,
// or drops a large one that is empty.
func (f *frameReader) makeRoom() error {
	switch {
	case f.start == f.end && len(f.buf) != keptBuffer:
		f.buf = make([]byte, keptBuffer)
		f.start, f.end = 0, 0
		f.close()
	case f.start > 0:
		moved := copy(f.buf, f.buf[f.start:f.end])
		clear(f.buf[moved:f.end])
		f.start, f.end = 0, moved
	case f.end == len(f.buf):
		size := min(2*len(f.buf), 4+maxMessage)
		if size > smallBuffer && f.large != nil && !f.isLarge {
			if !f.large.take(f.ctx, frameTime) {
				return fmt.Errorf("%w: %d others have large messages that do not end", errFrame, maxLarge)
			}
			f.isLarge = true
		}
		larger := make([]byte, size)
		copy(larger, f.buf)
		clear(f.buf)
		f.buf = larger
	}
	return nil
}

// close lets others have a large buffer.
func (f *frameReader) close() {
	if f.isLarge {
		f.isLarge = false
		f.large.give()
	}
}
