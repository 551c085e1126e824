package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/binary"
	"fmt"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// measureAdded has the agents sign with keys from ssh-add, and list twenty.
func measureAdded(ctx context.Context, l *lab, p plan, r *report) error {
	for _, kind := range []struct {
		name  string
		flags uint32
		make  func() (any, error)
		goal  goal // of the median with one client
		rate  goal // with 64
	}{
		{
			"Ed25519", 0,
			func() (any, error) { _, key, err := ed25519.GenerateKey(rand.Reader); return &key, err },
			goal{aim: 0.2, unit: "x"},
			goal{aim: 12, least: true, unit: "x"},
		},
		{
			"ECDSA P-256", 0,
			func() (any, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) },
			goal{aim: 0.35, unit: "x"},
			goal{},
		},
		{
			"RSA 3072", uint32(agent.SignatureFlagRsaSha512),
			func() (any, error) { return rsa.GenerateKey(rand.Reader, 3072) },
			goal{aim: 1, unit: "x"},
			goal{},
		},
	} {
		key, err := kind.make()
		if err != nil {
			return fmt.Errorf("making a key: %w", err)
		}
		signer, err := ssh.NewSignerFromKey(key)
		if err != nil {
			return fmt.Errorf("making a key: %w", err)
		}
		ours, theirs, err := l.keepers(ctx, "added-"+signer.PublicKey().Type(), agent.AddedKey{PrivateKey: key})
		if err != nil {
			return err
		}
		login := newAddedLogin(signer.PublicKey(), kind.flags)
		for _, clients := range p.clients {
			s, err := inTurns(ctx, p, []func() (*load, error){
				func() (*load, error) { return newLoad(ctx, ours, clients, nil, login.request, login.verify) },
				func() (*load, error) { return newLoad(ctx, theirs, clients, nil, login.request, login.verify) },
			})
			if err != nil {
				return err
			}
			r.added("sign, added "+kind.name+", "+count(clients), clients, s[0], s[1], kind.goal, kind.rate)
		}
	}
	return l.measureTwenty(ctx, p, r)
}

func (l *lab) measureTwenty(ctx context.Context, p plan, r *report) error {
	var keys []agent.AddedKey
	for range 20 {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return fmt.Errorf("making a key: %w", err)
		}
		keys = append(keys, agent.AddedKey{PrivateKey: &key, Comment: "alice@laptop.corp.example.com"})
	}
	ours, theirs, err := l.keepers(ctx, "twenty", keys...)
	if err != nil {
		return err
	}
	for _, clients := range p.clients {
		s, err := inTurns(ctx, p, []func() (*load, error){
			func() (*load, error) { return newLoad(ctx, ours, clients, nil, listRequest, anything) },
			func() (*load, error) { return newLoad(ctx, theirs, clients, nil, listRequest, anything) },
		})
		if err != nil {
			return err
		}
		r.added("list, 20 added keys, "+count(clients), clients, s[0], s[1], goal{}, goal{})
	}
	return nil
}

// keepers gives the sockets of sshmint in the place of ssh-agent, and of
// ssh-agent, with the same keys.
func (l *lab) keepers(ctx context.Context, name string, keys ...agent.AddedKey) (ours, theirs string, err error) {
	if ours, err = l.keeper(ctx, name, []string{l.program("sshmint"), "ssh-agent"}, keys); err != nil {
		return "", "", err
	}
	theirs, err = l.sshAgent(ctx, name+"-openssh", keys...)
	return ours, theirs, err
}

// An addedLogin is a request to sign as many bytes as a login has.
type addedLogin struct {
	key     ssh.PublicKey
	data    []byte
	request []byte // a frame
}

func newAddedLogin(key ssh.PublicKey, flags uint32) *addedLogin {
	l := &addedLogin{key: key, data: make([]byte, 200)}
	rand.Read(l.data) // never fails
	b := text(text([]byte{msgSignRequest}, key.Marshal()), l.data)
	l.request = frame(binary.BigEndian.AppendUint32(b, flags))
	return l
}

func (l *addedLogin) verify(body []byte) error {
	signature, err := signatureIn(body)
	if err != nil {
		return err
	}
	return l.key.Verify(l.data, signature)
}

// added is about one kind of key.
func (r *report) added(title string, clients int, ours, theirs []sample, latency, rate goal) {
	if clients != 1 {
		latency = goal{}
	}
	if clients != 64 {
		rate = goal{}
	}
	r.ratio(title+", p50", sshAgent, micro, each(ours, p50), each(theirs, p50), latency)
	r.ratio(title+", p99", sshAgent, micro, each(ours, p99), each(theirs, p99), goal{})
	r.ratio(title, sshAgent, perSecond, each(ours, rateOf), each(theirs, rateOf), rate)
}
