package agent

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// BenchmarkUpstream is a list of 20 keys, and a signature, of an upstream that
// costs nothing itself: what passing on costs.
func BenchmarkUpstream(b *testing.B) {
	var keys []string
	for i := range 20 {
		keys = append(keys, string(newKey(b, "ed25519").PublicKey().Marshal()), fmt.Sprint("key ", i))
	}
	list := listing(keys...)
	signature := frame(appendString([]byte{msgSignResponse}, ssh.Marshal(ssh.Signature{Format: ssh.KeyAlgoED25519, Blob: make([]byte, 64)}))...)
	f := startFake(b, func(message []byte) []byte {
		if message[0] == msgRequestIdentities {
			return list
		}
		return signature
	})
	a := new(Agent)
	a.Set(Settings{Upstream: []string{f.path}})
	path := serve(b, a)
	for name, request := range map[string][]byte{
		"list": {msgRequestIdentities},
		"sign": relayRequest(keys[0], string(make([]byte, 300)), 0),
	} {
		for _, clients := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/%dclients", name, clients), func(b *testing.B) { roundTrips(b, path, clients, frame(request...)) })
			b.Run(fmt.Sprintf("%s/%dclients/direct", name, clients), func(b *testing.B) { roundTrips(b, f.path, clients, frame(request...)) })
		}
	}
	for _, u := range a.Upstreams(b.Context()) {
		if u.LastError != "" {
			b.Errorf("%s: %s", u.LastError, time.Since(u.FailedAt))
		}
	}
}
