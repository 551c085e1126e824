//go:build linux

package regress

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
)

// TestMain stands in for sudo where the tests run as root: some scripts want a
// normal user who has sudo, and root alone cannot show that.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "sudo" {
		fmt.Fprintln(os.Stderr, "sudo:", asOther(os.Args[1:]))
		os.Exit(127)
	}
	os.Exit(m.Run())
}

// becomeNormal has the command run as a normal user, who owns the folder and
// can use sudo.
func becomeNormal(t *testing.T, cmd *exec.Cmd, dir string) {
	t.Helper()
	if os.Getuid() != 0 {
		if out, err := exec.Command("sudo", "-n", "true").CombinedOutput(); err != nil {
			unable(t, "needs root, or sudo that asks nothing: %v\n%s", err, out)
		}
		return
	}
	var other *user.User
	for _, name := range []string{"games", "daemon", "bin"} {
		if u, err := user.Lookup(name); err == nil && u.Uid != "0" {
			other = u
			break
		}
	}
	if other == nil {
		unable(t, "needs a normal user, such as games")
	}
	uid, err := strconv.ParseUint(other.Uid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.ParseUint(other.Gid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(uid), int(gid))
	})
	if err != nil {
		t.Fatal(err)
	}
	// In a folder of that user's own, as it gives root to whoever runs it.
	own := filepath.Join(dir, "sudo")
	if err := os.Mkdir(own, 0o700); err != nil {
		t.Fatal(err)
	}
	sudo := filepath.Join(own, "sudo")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	copyFile(t, self, sudo)
	if err := os.Chmod(sudo, 0o755|os.ModeSetuid); err != nil { //nolint:gosec // G302: setuid is the point
		t.Fatal(err)
	}
	if err := os.Chown(own, int(uid), int(gid)); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(cmd.Env, "PATH="+own+":"+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"), "HOME="+dir, "LOGNAME="+other.Username)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	if out, err := asUser(cmd, sudo, "-u", "root", "id", "-u"); err != nil || out != "0\n" {
		unable(t, "setuid has no effect in %s: %v\n%s", dir, err, out)
	}
}

// asUser runs another command as the one given would run.
func asUser(like *exec.Cmd, argv ...string) (string, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env, cmd.SysProcAttr = like.Env, like.SysProcAttr
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// asOther becomes "sudo [-n] [-S] [-u USER] COMMAND [ARGUMENT ...]", and returns
// only if it cannot. The environment stays.
func asOther(args []string) error {
	name := "root"
	for len(args) > 0 && args[0] != "" && args[0][0] == '-' {
		if args[0] == "-u" && len(args) > 1 {
			name, args = args[1], args[1:]
		}
		args = args[1:]
	}
	if len(args) == 0 {
		return errors.New("no command")
	}
	u, err := user.Lookup(name)
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return err
	}
	path, err := exec.LookPath(args[0])
	if err != nil {
		return err
	}
	for _, become := range []func() error{
		func() error { return syscall.Setgroups(nil) },
		func() error { return syscall.Setresgid(gid, gid, gid) },
		func() error { return syscall.Setresuid(uid, uid, uid) },
	} {
		if err := become(); err != nil {
			return err
		}
	}
	return syscall.Exec(path, slices.Clone(args), os.Environ())
}
