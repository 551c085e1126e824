package agent

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"
)

// Key constraints of RFC 9987 section 5.2.7.
const (
	constrainLifetime  = 1
	constrainConfirm   = 2
	constrainExtension = 255
)

// Limits of OpenSSH's agent: AGENT_MAX_DEST_CONSTRAINTS and
// AGENT_USER_CONSTRAINT_MAX_LEN.
const (
	maxDestinations = 1024
	maxUserPattern  = 256
)

const restrictDestination = "restrict-destination-v00@openssh.com"

// readConstraints reads to the end of the message. One that is not known, or
// comes twice, makes all of them fail: a key is never kept with less than what
// was asked for.
func (k *addedKey) readConstraints(r *reader, now time.Time) error {
	for len(r.rest) > 0 {
		var err error
		switch kind := r.byte(); kind {
		case constrainLifetime:
			seconds := r.uint32()
			if k.life.limited {
				err = errors.New("lifetime given twice")
			}
			k.life = life{from: now, limit: time.Duration(seconds) * time.Second, limited: true}
		case constrainConfirm:
			if k.confirm {
				err = errors.New("confirmation asked for twice")
			}
			k.confirm = true
		case constrainExtension:
			err = k.readExtension(r)
		default:
			err = fmt.Errorf("constraint %d is not known", kind)
		}
		if r.short {
			return errShort
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (k *addedKey) readExtension(r *reader) error {
	name := string(r.string())
	switch {
	case r.short:
		return errShort
	case name != restrictDestination:
		return fmt.Errorf("constraint %q is not known", printable(name, 64))
	case k.restrictions != nil:
		return errors.New("destinations given twice")
	}
	list := reader{rest: r.string()}
	if r.short {
		return errShort
	}
	for len(list.rest) > 0 {
		if len(k.restrictions) == maxDestinations {
			return fmt.Errorf("more than %d destinations", maxDestinations)
		}
		d, err := readRestriction(list.string())
		if err == nil && list.short {
			err = errShort
		}
		if err != nil {
			return fmt.Errorf("reading destination %d: %w", len(k.restrictions)+1, err)
		}
		k.restrictions = append(k.restrictions, d)
	}
	if len(k.restrictions) == 0 {
		// OpenSSH's agent takes that for no restriction.
		return errors.New("restricted to destinations, of which there are none")
	}
	return nil
}

func readRestriction(body []byte) (d restriction, err error) {
	r := reader{rest: body}
	from, to, reserved := r.string(), r.string(), r.string()
	switch {
	case r.short:
		return d, errShort
	case len(reserved) > 0:
		return d, errors.New("it has extensions that are not known")
	}
	if d.from, err = readHop(from); err != nil {
		return d, err
	}
	if d.to, err = readHop(to); err != nil {
		return d, err
	}
	switch {
	case d.from.user != "":
		return d, errors.New("it names a user to come from")
	case (d.from.host == "") != (len(d.from.keys) == 0):
		return d, errors.New("the host to come from needs both name and keys")
	case d.to.host == "" || len(d.to.keys) == 0:
		return d, errors.New("the host to go to needs both name and keys")
	}
	return d, nil
}

func readHop(body []byte) (hop, error) {
	r := reader{rest: body}
	user, host, reserved := r.string(), r.string(), r.string()
	switch {
	case r.short:
		return hop{}, errShort
	case len(reserved) > 0:
		return hop{}, errors.New("it has extensions that are not known")
	case len(user) > maxUserPattern:
		return hop{}, fmt.Errorf("user pattern of %d bytes; %d are allowed", len(user), maxUserPattern)
	case bytes.IndexByte(user, 0) >= 0 || bytes.IndexByte(host, 0) >= 0:
		return hop{}, errors.New("a name has a NUL")
	}
	h := hop{user: string(user), host: string(host)}
	for len(r.rest) > 0 {
		blob, authority := r.string(), r.byte()
		if r.short {
			return hop{}, errShort
		}
		if err := checkHostKey(blob); err != nil {
			return hop{}, err
		}
		h.keys = append(h.keys, hopKey{string(blob), authority != 0})
	}
	return h, nil
}

// checkHostKey looks for a key that can be read. One of a type that is not known
// here is left alone, as known_hosts may have such beside others: no connection
// can be bound to it.
func checkHostKey(blob []byte) error {
	r := reader{rest: blob}
	keyType := string(r.string())
	if r.short || keyType == "" {
		return errors.New("reading a host key: it has no type")
	}
	if _, err := ssh.ParsePublicKey(blob); err != nil && slices.Contains(ssh.SupportedAlgorithms().HostKeys, keyType) {
		return fmt.Errorf("reading a host key: %w", err)
	}
	return nil
}
