package knownhosts

import (
	"crypto/hmac"
	"crypto/sha1" // #nosec G505 -- what known_hosts has; it hides names, it proves none
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
	"sync/atomic"
)

// A mark says what a line is about, if not a host's own key.
type mark string

const (
	authority mark = "@cert-authority"
	revoked   mark = "@revoked"
)

// An entry is a line of a file.
type entry struct {
	file  string
	line  int
	mark  mark
	hosts string // lower case if not hashed
	key   string // on the wire

	salt, sum []byte                 // of a hashed entry
	found     atomic.Pointer[string] // the name that a hashed entry was found to have
}

// parse reads a line; it returns nil for one that is empty or a comment.
func parse(line string) (*entry, error) {
	fields := strings.Fields(line)
	if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
		return nil, nil
	}
	e := new(entry)
	if strings.HasPrefix(fields[0], "@") {
		switch e.mark = mark(fields[0]); e.mark {
		case authority, revoked:
		default:
			return nil, errors.New("the marker is not known")
		}
		fields = fields[1:]
	}
	if len(fields) < 3 {
		return nil, errors.New("it has no host, type and key")
	}
	blob, err := base64.StdEncoding.DecodeString(fields[2])
	if err != nil {
		return nil, errors.New("the key is not base64")
	}
	// RFC 4253 section 6.6: the type comes first.
	if name := binary.BigEndian.AppendUint32(nil, uint32(len(fields[1]))); !strings.HasPrefix(string(blob), string(name)+fields[1]) { // #nosec G115 -- of a file of 4 MiB
		return nil, errors.New("the key is not of the type that the line names")
	}
	e.key = string(blob)
	if strings.HasPrefix(fields[0], "|") {
		e.hosts = fields[0]
		return e, e.parseHash()
	}
	e.hosts = strings.ToLower(fields[0])
	return e, nil
}

// parseHash reads |1|salt|HMAC-SHA1 of the name|.
func (e *entry) parseHash() error {
	part := strings.Split(e.hosts, "|")
	if len(part) != 4 || part[1] != "1" {
		return errors.New("the kind of hash is not known")
	}
	var err [2]error
	e.salt, err[0] = base64.StdEncoding.DecodeString(part[2])
	e.sum, err[1] = base64.StdEncoding.DecodeString(part[3])
	if errors.Join(err[:]...) != nil || len(e.sum) != sha1.Size || len(e.salt) != sha1.Size {
		return errors.New("its hash is malformed")
	}
	return nil
}

// fits tells whether ssh would find the entry for that name, or, where the port
// is another than 22, for the name without it, which ssh tries then.
func (e *entry) fits(name string) bool {
	if e.is(name) {
		return true
	}
	host, _ := split(name)
	return host != name && e.is(host)
}

func (e *entry) is(name string) bool {
	if e.sum == nil {
		return matchList(name, strings.Split(e.hosts, ","))
	}
	mac := hmac.New(sha1.New, e.salt)
	_, _ = mac.Write([]byte(name)) // a hash takes all
	return hmac.Equal(mac.Sum(nil), e.sum)
}
