package ca

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	_ "embed"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sshmint/sshmint/internal/ownfile"
)

// Files of a CA's folder, besides ConfigFile.
const (
	fileTLSRoot    = "tls-root.pem"
	fileTLSRootKey = "tls-root.key"
	fileUserCA     = "user_ca"
	fileHostCA     = "host_ca"
	fileKRL        = "revoked.krl"
	fileAudit      = "audit.jsonl"
)

// folderMode lets others pass through a CA's folder, so that sshd on the same
// host, which reads an AuthorizedPrincipalsFile as the user who logs in, can
// be pointed into it. They cannot list it, and its secrets are 0600.
const folderMode = 0o711

//go:embed init.toml
var configTemplate string

// Init makes a new CA in the folder dir, which must be absent or empty, for a
// server that clients reach by the given names: an X.509 root for the server
// itself, the SSH user CA and host CA keys, and a ca.toml that refuses
// everyone until it is edited. It returns the fingerprint that clients pin.
//
// A folder that was absent appears complete or not at all. One that is there is
// filled where it is: it may be a mount point, or the folder one stands in.
func Init(dir string, hosts []string) (fingerprint string, err error) {
	if len(hosts) == 0 {
		return "", errors.New("the server needs a name")
	}
	for _, h := range hosts {
		if err := checkHost(h); err != nil {
			return "", err
		}
	}
	if err := checkUnused(dir); err != nil {
		return "", err
	}
	dir = filepath.Clean(dir)
	if _, err := os.Stat(dir); err == nil {
		return fillEmpty(dir, hosts)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+".*")
	if err != nil {
		return "", fmt.Errorf("making the folder of the CA: %w", err)
	}
	if fingerprint, err = fillEmpty(tmp, hosts); err == nil {
		err = os.Rename(tmp, dir)
	}
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(tmp))
	}
	return fingerprint, nil
}

// fillEmpty leaves dir as empty as it was if it fails.
func fillEmpty(dir string, hosts []string) (fingerprint string, err error) {
	if err := os.Chmod(dir, 0o700); err != nil { // #nosec G302 -- a folder; nobody puts a file between ours
		return "", err
	}
	if fingerprint, err = fill(dir, hosts, time.Now()); err == nil {
		err = os.Chmod(dir, folderMode) // #nosec G302 -- see folderMode
	}
	if err != nil {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			err = errors.Join(err, os.Remove(filepath.Join(dir, e.Name())))
		}
		return "", err
	}
	return fingerprint, nil
}

func checkUnused(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		switch e.Name() {
		case ConfigFile, fileTLSRoot, fileTLSRootKey, fileUserCA, fileHostCA:
			return fmt.Errorf("%s holds a CA already (%s is there)", dir, e.Name())
		}
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s is not empty", dir)
	}
	return nil
}

func fill(dir string, hosts []string, now time.Time) (fingerprint string, err error) {
	root, err := newServerRoot(hosts[0], now)
	if err != nil {
		return "", err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(root.key)
	if err != nil {
		return "", fmt.Errorf("encoding the TLS root's key: %w", err)
	}
	if err := writePEM(filepath.Join(dir, fileTLSRoot), "CERTIFICATE", root.cert.Raw, 0o644); err != nil {
		return "", err
	}
	if err := writePEM(filepath.Join(dir, fileTLSRootKey), "PRIVATE KEY", keyDER, 0o600); err != nil {
		return "", err
	}
	for _, name := range []string{fileUserCA, fileHostCA} {
		comment := strings.ReplaceAll(name, "_", " ") + " of " + hosts[0]
		if err := writeSSHKey(filepath.Join(dir, name), comment); err != nil {
			return "", err
		}
	}
	if err := ownfile.Create(filepath.Join(dir, fileKRL), EmptyKRL(now), 0o644); err != nil {
		return "", err
	}
	if err := ownfile.Create(filepath.Join(dir, fileAudit), nil, 0o600); err != nil {
		return "", err
	}
	quoted := make([]string, len(hosts))
	for i, h := range hosts {
		quoted[i] = `"` + h + `"` // checkHost lets through nothing that TOML would need escaped
	}
	config := strings.Replace(configTemplate, "@HOSTS@", strings.Join(quoted, ", "), 1)
	if err := ownfile.Create(filepath.Join(dir, ConfigFile), []byte(config), 0o600); err != nil {
		return "", err
	}
	return Fingerprint(root.cert), nil
}

// writeSSHKey makes an Ed25519 key and writes it the way ssh-keygen does.
func writeSSHKey(path, comment string) error {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("making an SSH key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(private, comment)
	if err != nil {
		return fmt.Errorf("encoding an SSH key: %w", err)
	}
	if err := ownfile.Create(path, pem.EncodeToMemory(block), 0o600); err != nil {
		return err
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		return fmt.Errorf("encoding an SSH key: %w", err)
	}
	return ownfile.Create(path+".pub", []byte(authorizedKey(key)+" "+comment+"\n"), 0o644)
}

// authorizedKey is a key in authorized_keys form, without comment or newline.
func authorizedKey(key ssh.PublicKey) string {
	return strings.TrimSuffix(string(ssh.MarshalAuthorizedKey(key)), "\n")
}

var dnsName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$`)

// checkHost tells whether h can stand in the server's certificate.
func checkHost(h string) error {
	if a, err := netip.ParseAddr(h); err == nil && a.Zone() == "" {
		return nil
	}
	if len(h) > 253 || !dnsName.MatchString(h) {
		return fmt.Errorf("%q is neither a DNS name nor an IP address (no scheme, no port)", h)
	}
	return nil
}
