package agent

import (
	"bytes"
	"errors"
	"fmt"
)

// maxSessionID is OpenSSH's AGENT_MAX_SID_LEN. A session id is a hash (RFC 4253
// section 7.2).
const maxSessionID = 128

// An authRequest is what ssh signs to log in: RFC 4252 section 7, or OpenSSH's
// PROTOCOL section 3.1 (publickey-hostbound), which adds the server's host key.
// Its fields are parts of the signed data.
type authRequest struct {
	session   []byte
	user      []byte
	algorithm []byte
	key       []byte
	hostKey   []byte // nil in a plain publickey request
}

// parseAuthRequest accepts data only if all of it is one user authentication
// request, so that a signature means nothing but a login (OpenSSH,
// parse_userauth_request).
func parseAuthRequest(data []byte) (authRequest, error) {
	r := reader{rest: data}
	var q authRequest
	q.session = r.string()
	kind := r.byte()
	q.user = r.string()
	service := r.string()
	method := r.string()
	signed := r.byte()
	q.algorithm = r.string()
	q.key = r.string()
	hostbound := string(method) == "publickey-hostbound-v00@openssh.com"
	if hostbound {
		q.hostKey = r.string()
	}
	const userauthRequest = 50 // SSH_MSG_USERAUTH_REQUEST
	why := ""
	switch {
	case r.short:
		why = "it ends early"
	case len(q.session) == 0 || len(q.session) > maxSessionID:
		why = fmt.Sprintf("its session id has %d bytes", len(q.session))
	case kind != userauthRequest:
		why = fmt.Sprintf("its message type is %d", kind)
	case bytes.IndexByte(q.user, 0) >= 0:
		why = "its user name has a NUL"
	case string(service) != "ssh-connection":
		why = "its service is not ssh-connection"
	case !hostbound && string(method) != "publickey":
		why = "its method is not publickey"
	case signed != 1:
		why = "it announces no signature"
	case hostbound && len(q.hostKey) == 0:
		why = "its host key is empty"
	case len(r.rest) > 0:
		why = "bytes follow it"
	default:
		return q, nil
	}
	return authRequest{}, errors.New("the data is not an SSH authentication request: " + why)
}
