package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// rivals are the sockets of agents that hold the same kind of certificate.
type rivals struct {
	sshmint string
	openssh string // ssh-agent with a certificate alone, as sshmint lists it
	both    string // ssh-agent as ssh-add fills it, with the plain key too

	minted, held *ssh.Certificate
}

func newRivals(ctx context.Context, l *lab) (*rivals, error) {
	var r rivals
	var err error
	if _, r.sshmint, err = l.agent(ctx, "agent"); err != nil {
		return nil, err
	}
	if r.minted, err = certificateOf(ctx, r.sshmint); err != nil {
		return nil, fmt.Errorf("sshmint: %w", err)
	}
	key, err := l.certifiedKey(ctx)
	if err != nil {
		return nil, err
	}
	r.held = key.Certificate
	if r.openssh, err = l.sshAgent(ctx, "ssh-agent", key); err != nil {
		return nil, err
	}
	r.both, err = l.sshAgent(ctx, "ssh-agent-both", agent.AddedKey{PrivateKey: key.PrivateKey}, key)
	return &r, err
}

// measureSocket has the agents and the floor answer in turns.
func measureSocket(ctx context.Context, l *lab, p plan, r *report) error {
	a, err := newRivals(ctx, l)
	if err != nil {
		return err
	}
	login := newLogin(a.minted)
	const answer = 4 + 1 + 4 + 4 + len(ssh.KeyAlgoED25519) + 4 + ed25519.SignatureSize
	floor, err := startFloor(ctx, l, login, answer)
	if err != nil {
		return err
	}
	for _, clients := range p.clients {
		s, err := inTurns(ctx, p, []func() (*load, error){
			func() (*load, error) { return signLoad(ctx, a.sshmint, clients, login) },
			func() (*load, error) { return signLoad(ctx, a.openssh, clients, newLogin(a.held)) },
			func() (*load, error) { return signLoad(ctx, a.both, clients, newKeyLogin(a.held)) },
			func() (*load, error) { return newLoad(ctx, floor, clients, nil, login.request, anything) },
			func() (*load, error) { return newLoad(ctx, a.sshmint, clients, nil, listRequest, anything) },
			func() (*load, error) { return newLoad(ctx, a.openssh, clients, nil, listRequest, anything) },
		})
		if err != nil {
			return err
		}
		r.sign(clients, s[0], s[1], s[2], s[3])
		r.list(clients, s[4], s[5])
	}
	return a.measureBound(ctx, p, r)
}

// measureBound is the same on connections that ssh has bound to a session.
func (a *rivals) measureBound(ctx context.Context, p plan, r *report) error {
	minted, err := newBoundLogin(a.minted)
	if err != nil {
		return err
	}
	held, err := newBoundLogin(a.held)
	if err != nil {
		return err
	}
	s, err := inTurns(ctx, p, []func() (*load, error){
		func() (*load, error) { return signLoad(ctx, a.sshmint, 1, minted) },
		func() (*load, error) { return signLoad(ctx, a.openssh, 1, held) },
	})
	if err != nil {
		return err
	}
	r.bound(s[0], s[1])
	return nil
}

// inTurns runs the loads one after the other, p.repetitions times, every other
// time from last to first, and gives the samples of each.
func inTurns(ctx context.Context, p plan, open []func() (*load, error)) ([][]sample, error) {
	loads := make([]*load, len(open))
	for i := range open {
		var err error
		if loads[i], err = open[i](); err != nil {
			return nil, err
		}
		defer loads[i].close()
		if _, err := loads[i].run(ctx, p.slice/4); err != nil { // warm
			return nil, err
		}
	}
	samples := make([][]sample, len(open))
	for n := range p.repetitions {
		for i := range loads {
			if n%2 == 1 {
				i = len(loads) - 1 - i
			}
			s, err := loads[i].run(ctx, p.slice)
			if err != nil {
				return nil, err
			}
			samples[i] = append(samples[i], s)
		}
	}
	return samples, nil
}

func signLoad(ctx context.Context, socket string, clients int, login *login) (*load, error) {
	return newLoad(ctx, socket, clients, login.bind, login.request, login.verify)
}

func anything(body []byte) error {
	if len(body) == 0 {
		return errors.New("the answer is empty")
	}
	return nil
}

func certificateOf(ctx context.Context, socket string) (*ssh.Certificate, error) {
	conn, err := dial(ctx, socket)
	if err != nil {
		return nil, err
	}
	defer conn.Close() //nolint:errcheck // the answer has been read
	return listed(conn)
}

// certifiedKey has the lab's CA certify a new key.
func (l *lab) certifiedKey(ctx context.Context) (agent.AddedKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return agent.AddedKey{}, fmt.Errorf("making a key: %w", err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		return agent.AddedKey{}, fmt.Errorf("making a key: %w", err)
	}
	cert, err := l.issuer("alice.pem").Issue(ctx, l.request(signer))
	if err != nil {
		return agent.AddedKey{}, fmt.Errorf("getting a certificate for ssh-agent: %w", err)
	}
	return agent.AddedKey{PrivateKey: &key, Certificate: cert}, nil
}

// sshAgent starts OpenSSH's agent with keys, and gives its socket.
func (l *lab) sshAgent(ctx context.Context, name string, keys ...agent.AddedKey) (string, error) {
	return l.keeper(ctx, name, []string{"ssh-agent"}, keys)
}

// keeper is sshAgent for a command that stands in for it.
func (l *lab) keeper(ctx context.Context, name string, command []string, keys []agent.AddedKey) (string, error) {
	socket := l.path(name + ".sock")
	p, err := l.start(ctx, name, command[0], append(command[1:], "-D", "-a", socket)...)
	if err != nil {
		return "", err
	}
	if err := p.listening(ctx, "unix", socket); err != nil {
		return "", err
	}
	conn, err := dial(ctx, socket)
	if err != nil {
		return "", err
	}
	defer conn.Close() //nolint:errcheck // the answers have been read
	client := agent.NewClient(conn)
	for _, key := range keys {
		// ssh-add of OpenSSH 9 cannot add a certificate alone.
		if err := client.Add(key); err != nil {
			return "", fmt.Errorf("adding a key to %s: %w", name, err)
		}
	}
	return socket, nil
}
