package config

import (
	"encoding/base64"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sshmint/sshmint/internal/conffile"
)

// read checks a profile and gives it its defaults. All that is wrong is said at
// once.
func (t *textProfile) read(name, file string, data []byte) (Profile, error) {
	var errs []error
	wrong := func(key, format string, args ...any) {
		errs = append(errs, conffile.Errorf(file, data, "profile."+name+key, format, args...))
	}
	p := Profile{
		Name:       name,
		File:       file,
		Identity:   t.Identity,
		Chain:      abs(file, t.Chain),
		Principals: t.Principals,
		Validity:   time.Duration(t.Validity),
		Key:        or(t.Key, "ed25519"),
		Confirm:    or(t.Confirm, "never"),
		CA: CA{
			Root:   abs(file, t.CA.Root),
			UserCA: t.CA.UserCA,
			MinTLS: or(t.CA.MinTLS, "1.3"),
		},
	}
	if err := CheckName(name); err != nil {
		wrong("", "%s", err)
	}
	if t.Identity == "" {
		wrong(".identity", "it is missing: the URI of the X.509 identity, such as file:alice.pem")
	}
	for _, principal := range t.Principals {
		if principal == "" || strings.ContainsAny(principal, ", \t\r\n\x00") {
			wrong(".principals", "%q is no principal", principal)
		}
	}
	if p.Key != "ed25519" && p.Key != "ecdsa" {
		wrong(".key", `%q is neither "ed25519" nor "ecdsa"; other keys: %s`, p.Key, notHere)
	}
	p.Use = t.use(file, wrong)
	if !slices.Contains([]string{"never", "connection", "sign"}, p.Confirm) {
		wrong(".confirm", `%q is neither "never", "connection" nor "sign"`, p.Confirm)
	}
	if k := or(t.CA.Type, "sshmint"); k != "sshmint" {
		wrong(".ca.type", `%q is not "sshmint"; other kinds of CA: %s`, k, notHere)
	}
	if p.CA.MinTLS != "1.2" && p.CA.MinTLS != "1.3" {
		wrong(".ca.min_tls", `%q is neither "1.3" nor "1.2"`, p.CA.MinTLS)
	}
	if len(t.CA.URLs) == 0 {
		wrong(".ca.urls", `it is missing: a list such as ["https://ca.example.com:8443"]`)
	}
	for _, u := range t.CA.URLs {
		base, err := BaseURL(u)
		if err != nil {
			wrong(".ca.urls", "%s", err)
		}
		p.CA.URLs = append(p.CA.URLs, base)
	}
	if len(t.CA.UserCA) == 0 {
		wrong(".ca.user_ca", "it is missing: the fingerprints of the SSH user CA keys that are accepted, which sshmint init writes")
	}
	for _, f := range t.CA.UserCA {
		sum, ok := strings.CutPrefix(f, "SHA256:")
		if b, err := base64.RawStdEncoding.DecodeString(sum); !ok || err != nil || len(b) != 32 {
			wrong(".ca.user_ca", "%q is no fingerprint such as ssh-keygen -l prints (SHA256:...)", f)
		}
	}
	return p, errors.Join(errs...)
}

// BaseURL checks the URL of a CA and gives it without a slash at the end.
func BaseURL(s string) (string, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil, u.Hostname() == "", u.Opaque != "":
		return "", errorURL(s, "is no URL such as https://ca.example.com:8443")
	case u.Scheme != "https":
		return "", errorURL(s, "does not begin with https://")
	case u.User != nil, u.RawQuery != "", u.Fragment != "":
		return "", errorURL(s, "carries more than host, port and path")
	}
	return strings.TrimRight(s, "/"), nil
}

func errorURL(s, text string) error {
	return errors.New("the CA's URL " + strings.ToValidUTF8(s, "?") + " " + text)
}
