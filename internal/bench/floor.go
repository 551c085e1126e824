package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
)

// floorCommand makes this program what no agent in Go can be faster than: it
// reads so many bytes from a socket, makes one Ed25519 signature over a part of
// them and writes so many bytes. Nothing is parsed, looked up or checked.
const floorCommand = "floor"

// startFloor starts it for a request of that login and an answer of so many
// bytes, and gives the socket.
func startFloor(ctx context.Context, l *lab, login *login, answer int) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("starting the floor: %w", err)
	}
	socket := l.path("floor.sock")
	p, err := l.start(ctx, "floor", self, floorCommand, socket,
		strconv.Itoa(len(login.request)), strconv.Itoa(len(login.data)), strconv.Itoa(answer))
	if err != nil {
		return "", err
	}
	return socket, p.listening(ctx, "unix", socket)
}

func serveFloor(args []string) error {
	if len(args) != 4 {
		return errors.New("the floor takes SOCKET REQUEST DATA ANSWER")
	}
	var sizes [3]int
	for i := range sizes {
		var err error
		if sizes[i], err = strconv.Atoi(args[i+1]); err != nil {
			return fmt.Errorf("reading a size: %w", err)
		}
	}
	request, data, answer := sizes[0], sizes[1], sizes[2]
	if data+4 > request || answer < 5+ed25519.SignatureSize {
		return errors.New("the sizes of the floor do not fit")
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("making a key: %w", err)
	}
	l, err := net.Listen("unix", args[0])
	if err != nil {
		return err
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close() //nolint:errcheck // its client is gone
			in, out := make([]byte, request), make([]byte, answer)
			binary.BigEndian.PutUint32(out, uint32(answer-4)) //nolint:gosec // G115: checked above
			out[4] = msgSignResponse
			for {
				if _, err := io.ReadFull(conn, in); err != nil {
					return
				}
				signature := ed25519.Sign(key, in[request-4-data:request-4])
				copy(out[answer-len(signature):], signature)
				if _, err := conn.Write(out); err != nil {
					return
				}
			}
		}()
	}
}
