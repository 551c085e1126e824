package agent

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"

	"golang.org/x/crypto/ssh"
)

// maxIdentities is how many keys OpenSSH's clients take in a list
// (MAX_AGENT_IDENTITIES); of a longer one they take none.
const maxIdentities = 2048

// An identity is a key as an agent lists it (RFC 9987 section 4.4): parts of the
// answer.
type identity struct {
	blob  []byte
	entry []byte // blob and comment as they came
}

// parseIdentities reads an answer to a request for the list.
func parseIdentities(answer []byte) ([]identity, error) {
	if answer[0] != msgIdentitiesAnswer {
		return nil, fmt.Errorf("it answered a request for its keys with message %d", answer[0])
	}
	r := reader{rest: answer[1:]}
	count := r.uint32()
	if count > maxIdentities {
		return nil, fmt.Errorf("it lists %d keys; %d are allowed", count, maxIdentities)
	}
	var keys []identity
	for range count {
		rest := r.rest
		blob, comment := r.string(), r.string()
		if r.short {
			break
		}
		if !readable(blob) || bytes.IndexByte(comment, 0) >= 0 {
			continue
		}
		keys = append(keys, identity{blob: blob, entry: rest[:len(rest)-len(r.rest)]})
	}
	if err := r.whole(); err != nil {
		return nil, fmt.Errorf("reading its keys: %w", err)
	}
	return keys, nil
}

// readable tells whether OpenSSH can read a key, or does not know its type: one
// broken key costs a client the whole list, ours included.
func readable(blob []byte) bool {
	r := reader{rest: blob}
	kind := string(r.string())
	if r.short || kind == "" {
		return false
	}
	switch kind {
	case ssh.KeyAlgoRSA, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoED25519,
		ssh.KeyAlgoSKECDSA256, ssh.KeyAlgoSKED25519, ssh.InsecureKeyAlgoDSA:
		_, err := ssh.ParsePublicKey(blob)
		return err == nil
	case ssh.CertAlgoRSAv01, ssh.CertAlgoECDSA256v01, ssh.CertAlgoECDSA384v01, ssh.CertAlgoECDSA521v01, ssh.CertAlgoED25519v01,
		ssh.CertAlgoSKECDSA256v01, ssh.CertAlgoSKED25519v01, "ssh-dss-cert-v01@openssh.com":
		key, err := ssh.ParsePublicKey(blob)
		cert, ok := key.(*ssh.Certificate)
		return err == nil && ok && verifyCertificate(cert, blob) == nil
	}
	return true
}

// An upstreamList is what one upstream lists to this connection.
type upstreamList struct {
	relay *relay
	keys  []identity
	err   error
}

// upstreamLists are under way until somebody waited for them; nil: nobody was
// asked.
type upstreamLists struct {
	session *session
	lists   []upstreamList
	running sync.WaitGroup
}

func (l *upstreamLists) wait() {
	l.running.Wait()
	l.session.agent.askers.end(l.session.peer.pid)
}

// askUpstreams asks all upstreams for their keys at once, while the caller does
// something else. Each has 3 s, so that it is over by then.
func (s *session) askUpstreams(ctx context.Context) *upstreamLists {
	relays := s.upstreams()
	if len(relays) == 0 || s.agent.Locked() || !s.mayAsk() {
		return nil
	}
	all := &upstreamLists{session: s, lists: make([]upstreamList, len(relays))}
	for i, r := range relays {
		all.lists[i].relay = r
		all.running.Go(func() { all.lists[i].keys, all.lists[i].err = s.listOf(ctx, r) })
	}
	return all
}

// listOf asks one upstream for its keys and remembers them for sign requests.
func (s *session) listOf(ctx context.Context, r *relay) (keys []identity, err error) {
	defer func() {
		if p := recover(); p != nil { // in a goroutine of its own
			keys, err = nil, errors.New("listing broke")
			s.agent.log().Error("an upstream's list broke the agent", "path", r.to.path, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	r.asked, r.listed = true, nil
	answer, err := s.request(ctx, r, upstreamTime, msgRequestIdentities, nil, nil)
	if err != nil {
		return nil, err
	}
	keys, err = parseIdentities(answer)
	if err != nil {
		r.hangUp()
		err = fmt.Errorf("upstream agent %s: %w", r.to.path, err)
		if r.to.note(err) {
			s.agent.log().Warn("upstream agent cannot be used", "path", r.to.path, "err", err)
		}
		return nil, err
	}
	// A key that we hold ourselves is ours to offer or to hide: one that comes
	// back through a loop of agents would be seen where we hide it.
	keys = slices.DeleteFunc(keys, func(k identity) bool { return s.holds(k.blob) })
	for _, k := range keys {
		r.listed = append(r.listed, string(k.blob))
	}
	return keys, nil
}

// holds reports whether the key is one of ours, hidden ones included.
func (s *session) holds(blob []byte) bool {
	return len(s.agent.set().byBlob[string(blob)]) > 0 || s.agent.added.find(blob) != nil
}

// appendUpstreams waits for the upstreams' lists and appends to the list in
// s.out what is not in it yet.
func (s *session) appendUpstreams(all *upstreamLists) {
	if all == nil {
		return
	}
	all.wait()
	if s.agent.Locked() { // meanwhile
		return
	}
	ours := reader{rest: s.out[5:]}
	count := ours.uint32()
	seen := make(map[string]bool)
	for range count {
		seen[string(ours.string())] = true
		ours.string()
	}
	for _, l := range all.lists {
		for _, k := range l.keys {
			if seen[string(k.blob)] {
				continue
			}
			if len(s.out)-4+len(k.entry) > maxMessage || count == maxIdentities {
				s.agent.log().Warn("keys of an upstream agent left out of the list, which is full", "path", l.relay.to.path)
				break
			}
			seen[string(k.blob)] = true
			s.out = append(s.out, k.entry...)
			count++
		}
	}
	binary.BigEndian.PutUint32(s.out[5:], count)
}

// relayOf returns the upstream that listed the key to this connection, or nil.
// One that was not asked yet is asked now: a client may know its keys from
// another connection.
func (s *session) relayOf(ctx context.Context, blob []byte) *relay {
	if s.agent.Locked() || s.holds(blob) {
		return nil
	}
	all := s.upstreams()
	if slices.ContainsFunc(all, func(r *relay) bool { return !r.asked }) {
		if lists := s.askUpstreams(ctx); lists != nil {
			lists.wait()
		}
	}
	for _, r := range all {
		if slices.Contains(r.listed, string(blob)) {
			return r
		}
	}
	return nil
}
