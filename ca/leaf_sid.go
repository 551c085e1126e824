package ca

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Microsoft's security identifier, which ties a certificate to an account of
// Active Directory (KB5014754). AD CS writes an extension; where the subject
// names come from the request, as with an MDM, it stands in a URI name.
const (
	oidSIDExtension = "1.3.6.1.4.1.311.25.2"
	oidSID          = "1.3.6.1.4.1.311.25.2.1"
	sidURIPrefix    = "tag:microsoft.com,2022-09-14:sid:"
)

var sidForm = regexp.MustCompile(`^S-1-[0-9]{1,15}(-[0-9]{1,10}){1,15}$`)

// parseSIDExtension reads SEQUENCE { [0] { type-id, [0] EXPLICIT OCTET STRING } }.
func parseSIDExtension(der []byte) (string, error) {
	in := cryptobyte.String(der)
	var list, other, value, sid cryptobyte.String
	if !in.ReadASN1(&list, asn1.SEQUENCE) || !in.Empty() ||
		!list.ReadASN1(&other, asn1.Tag(0).ContextSpecific().Constructed()) || !list.Empty() {
		return "", errors.New("malformed")
	}
	oid, ok := readOID(&other)
	if !ok || oid != oidSID ||
		!other.ReadASN1(&value, asn1.Tag(0).ContextSpecific().Constructed()) || !other.Empty() ||
		!value.ReadASN1(&sid, asn1.OCTET_STRING) || !value.Empty() {
		return "", errors.New("malformed")
	}
	return checkSID(string(sid))
}

func checkSID(s string) (string, error) {
	if !sidForm.MatchString(s) {
		return "", errors.New("not a security identifier")
	}
	return s, nil
}

// soleSID is the one that extension and URIs agree on.
func soleSID(sid string, uris []string) (string, error) {
	for _, uri := range uris {
		text, found := strings.CutPrefix(uri, sidURIPrefix)
		if !found {
			continue
		}
		s, err := checkSID(text)
		if err != nil {
			return "", fmt.Errorf("URI %s...: %w", sidURIPrefix, err)
		}
		if sid != "" && sid != s {
			return "", errors.New("it has two different security identifiers")
		}
		sid = s
	}
	return sid, nil
}
