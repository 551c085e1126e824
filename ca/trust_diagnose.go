package ca

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/sshmint/sshmint/internal/altname"
	"github.com/sshmint/sshmint/internal/wire"
)

// diagnose says why there is no chain. x509 tells most causes apart only in
// texts that are not for people, so it looks again with less strict eyes; the
// answer stays no.
func (t *trust) diagnose(presented []*x509.Certificate, leaf *Leaf, err error) *Refusal {
	untrusted := func(format string, args ...any) *Refusal {
		return &Refusal{Code: wire.UntrustedIssuer, Detail: fmt.Sprintf(format, args...), Err: err}
	}
	// related is for a chain that does lead to a root.
	related := func(format string, args ...any) *Refusal {
		r := untrusted(format, args...)
		r.progress = 1
		return r
	}
	yours := subjectOf(presented[0], true)
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) {
		switch invalid.Reason {
		case x509.CANotAuthorizedForThisName:
			return related("%s has a name that an authority above it may not issue for (name constraints)", yours)
		case x509.NoValidChains:
			return related("%s is outside of the certificate policies that an authority above it demands", yours)
		}
	}
	if weak := t.weakSignature(presented); weak != nil {
		return wrongUsage("%s is signed with %s, which is not accepted", subjectOf(weak, weak == presented[0]), weak.SignatureAlgorithm)
	}
	if chains, relaxedErr := t.chains(presented, leaf, true); relaxedErr == nil {
		for i, c := range chains[0] {
			for _, oid := range c.UnhandledCriticalExtensions {
				if i > 0 || oid.String() != altname.OID || !leaf.names.Understood() {
					return related("%s has a critical extension that this CA does not understand: %s", subjectOf(c, i == 0), oid)
				}
			}
		}
		return related("%s is below more authorities than one of them allows (path length)", yours)
	}
	top := presented[len(presented)-1]
	if len(presented) > 1 && !bytes.Equal(top.RawIssuer, top.RawSubject) {
		return untrusted("%s does not lead to a root that this CA trusts: the chain that was sent ends with %s, issued by %s",
			yours, nameText(top.RawSubject), nameText(top.RawIssuer))
	}
	if len(presented) > 1 {
		return untrusted("%s does not lead to a root that this CA trusts", yours)
	}
	if bytes.Equal(top.RawIssuer, top.RawSubject) {
		return untrusted("%s is self-signed; one that is issued by an authority is needed", yours)
	}
	return untrusted("%s is issued by %s, which this CA does not trust; if that is an intermediate authority, its certificate must be sent along",
		yours, nameText(presented[0].RawIssuer))
}

// weakSignature finds the certificate that does not verify because of an
// algorithm, if its issuer is somebody we know by name.
func (t *trust) weakSignature(presented []*x509.Certificate) *x509.Certificate {
	known := func(issuer []byte) bool {
		is := func(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, issuer) }
		return slices.ContainsFunc(t.roots, is) || slices.ContainsFunc(presented[1:], is)
	}
	for _, c := range presented {
		selfSigned := bytes.Equal(c.RawIssuer, c.RawSubject)
		if !selfSigned && !strongSignatures[c.SignatureAlgorithm] && known(c.RawIssuer) {
			return c
		}
	}
	return nil
}
