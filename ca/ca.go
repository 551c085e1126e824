// Package ca is the embedded CA: it takes an X.509 client certificate and gives
// an OpenSSH user certificate.
//
// # Policy
//
// Everything is refused that no rule of ca.toml grants. A [Policy] is the only
// place where an X.509 name becomes SSH principals; it sees a leaf only after
// its chain was verified against roots that the administrator named. Where the
// outcome of a check is unknown (an expression that fails, a table that cannot
// be read, an audit log that cannot be written) the answer is no.
//
// # Guarantees
//
//   - A certificate has at least one principal, a serial number that is not 0,
//     a key id that names the person and the X.509 certificate, and ends with
//     the earliest of the wish, the rule's validity, each notAfter of the chain
//     and 24 hours.
//   - It is for a key whose holder asked: an SSHSIG by that key, over the
//     X.509 leaf, comes with each request; or it is the leaf's own key.
//   - The line that tells of it is on the disk before it leaves.
//   - Every other request leaves a line too, but for those that are only too
//     many. A line is one line of printable ASCII, whatever a name holds.
//   - What is sent is bounded in size and time before it is looked at.
//
// The wire format is docs/protocol.md; ca.toml is docs/ca.md.
package ca
