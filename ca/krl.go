package ca

import (
	"encoding/binary"
	"time"
)

// EmptyKRL is a key revocation list that revokes nothing, in the form of
// OpenSSH's PROTOCOL.krl, section 2: a header with no section after it. sshd
// refuses every key when the file that RevokedKeys names is missing, so this
// one has to be there before that line is.
func EmptyKRL(made time.Time) []byte {
	const (
		magic         = 0x5353484b524c0a00 // "SSHKRL\n\0"
		formatVersion = 1
	)
	var b []byte
	b = binary.BigEndian.AppendUint64(b, magic)
	b = binary.BigEndian.AppendUint32(b, formatVersion)
	b = binary.BigEndian.AppendUint64(b, 0)                   // krl_version: any list made later replaces it
	b = binary.BigEndian.AppendUint64(b, uint64(made.Unix())) // #nosec G115 -- after 1970
	b = binary.BigEndian.AppendUint64(b, 0)                   // flags
	b = binary.BigEndian.AppendUint32(b, 0)                   // reserved: an empty string
	return binary.BigEndian.AppendUint32(b, 0)                // comment: an empty string
}
