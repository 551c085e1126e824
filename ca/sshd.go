package ca

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sshmint/sshmint/internal/ownfile"
)

// filePrincipals is the folder, beside the CA's files or on a server, with one
// AuthorizedPrincipalsFile for each account.
const filePrincipals = "principals"

// WriteSSHDConfig writes to w what a server needs to take the certificates of
// the CA in dir: an sshd_config fragment whose comments tell the rest.
//
// The paths in it lie in sshdDir. Where that is "" they lie in dir itself, and
// the empty key revocation list and the folder of principals files are made
// there if they are missing, so that the lines work on this machine as they
// are.
func WriteSSHDConfig(w io.Writer, dir, sshdDir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	user, err := readPublicKey(filepath.Join(dir, fileUserCA+".pub"))
	if err != nil {
		return err
	}
	host, err := readPublicKey(filepath.Join(dir, fileHostCA+".pub"))
	if err != nil {
		return err
	}
	if err := ensureKRL(filepath.Join(dir, fileKRL)); err != nil {
		return err
	}
	// On servers a path has slashes, whatever this system has.
	at, local := sshdDir, sshdDir == ""
	if local {
		at = filepath.ToSlash(dir)
		if err := os.Mkdir(filepath.Join(dir, filePrincipals), 0o755); err != nil && !errors.Is(err, fs.ErrExist) { // #nosec G301 -- sshd reads it as the user who logs in
			return fmt.Errorf("making the folder of principals files: %w", err)
		}
	}
	if !local && !path.IsAbs(at) || strings.ContainsAny(at, "\"\\\n\r\x00") {
		return fmt.Errorf("%q cannot stand in sshd_config: an absolute path without quotes is needed", at)
	}
	_, err = io.WriteString(w, sshdFragment(dir, at, local, user, host)+unreachable(at, local))
	return err
}

func ensureKRL(path string) error {
	err := ownfile.Create(path, EmptyKRL(time.Now()), 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

func sshdFragment(dir, at string, local bool, user, host ssh.PublicKey) string {
	principals := path.Join(at, filePrincipals)
	s := fmt.Sprintf(`# sshd_config lines for a server that takes the certificates of this CA
# (user CA key %s).
# Put all of this into a file in /etc/ssh/sshd_config.d/, then: sshd -t, and reload sshd.

TrustedUserCAKeys %s
AuthorizedPrincipalsFile %s
RevokedKeys %s

`, ssh.FingerprintSHA256(user),
		sshdArg(path.Join(at, fileUserCA+".pub")),
		sshdArg(strings.ReplaceAll(principals, "%", "%%")+"/%u"),
		sshdArg(path.Join(at, fileKRL)))

	if local {
		s += fmt.Sprintf(`# The paths are of the machine that the CA is on. For another server:
#   sshmint-ca sshd-config --dir %s --sshd-dir /etc/ssh/sshmint
#
`, shellArg(dir))
	} else {
		s += fmt.Sprintf(`# Before that, on the server, as root:
#   install -d -m 755 %[1]s %[2]s
# and copy there, from the CA:
#   scp %[3]s %[4]s root@SERVER:%[1]s/
# Copy the second one again whenever it changes. Without it sshd refuses every key.
#
`, shellArg(at), shellArg(principals), shellArg(filepath.Join(dir, fileUserCA+".pub")), shellArg(filepath.Join(dir, fileKRL)))
	}
	return s + fmt.Sprintf(`# Who may log in as whom: one file for each account, one principal on each line.
# A certificate carries the person and the person's roles; the server says what
# they may be here. An account without a file takes no certificate.
#   echo alice > %[1]s     alice, and nobody else
#   echo dba   > %[2]s  everyone with the role dba
#   echo admin > %[3]s      everyone with the role admin
# The files belong to root or to the account; nobody else may write them.
#
# For clients to know servers by host certificates of this CA, without asking,
# one line in their known_hosts, with your servers' names for the pattern:
#   @cert-authority *.example.com %[4]s
`, shellArg(path.Join(principals, "alice")), shellArg(path.Join(principals, "postgres")), shellArg(path.Join(principals, "root")), authorizedKey(host))
}

// sshdArg quotes an argument the way sshd_config(5) wants it.
func sshdArg(s string) string {
	if strings.ContainsAny(s, " \t#'") {
		return `"` + s + `"`
	}
	return s
}

// shellArg quotes an argument for a POSIX shell.
func shellArg(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:@") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// unreachable says, in comments, why sshd would not read principals files
// below dir: it does so as the user who logs in, and with StrictModes only
// where nobody else can write.
func unreachable(dir string, local bool) (notes string) {
	if !local || runtime.GOOS == "windows" {
		return ""
	}
	for {
		info, err := os.Stat(dir)
		if err != nil {
			return notes
		}
		if info.Mode().Perm()&0o001 == 0 {
			notes += fmt.Sprintf("# Note: %s is closed to other users, as whom sshd reads the principals files.\n", dir)
		}
		if info.Mode().Perm()&0o022 != 0 {
			notes += fmt.Sprintf("# Note: others can write %s, so with StrictModes sshd ignores files below it.\n", dir)
		}
		above := filepath.Dir(dir)
		if above == dir {
			return notes
		}
		dir = above
	}
}
