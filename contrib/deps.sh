#!/usr/bin/env bash
# Installs what is missing of the programs that building, tests and the demo need, and nothing else.
# Also brings OpenSSH 10 where the system has an older one, for the tests that run both.
#
# usage: deps.sh         everything
#        deps.sh demo    what the demo needs
# Where apt is absent, or root is out of reach, it says what to install; it fails if that is something
# required.
set -euo pipefail

cache=${XDG_CACHE_HOME:-$HOME/.cache}/sshmint
PATH=$PATH:/usr/sbin:/sbin # sshd

have() { command -v "$1" >/dev/null; }
say() { echo "deps: $*" >&2; }

# The packages are Debian's; other systems name them much the same.
missing() {
	have ssh && have ssh-add && have ssh-agent && have ssh-keygen || echo openssh-client
	have sshd || echo openssh-server
	have openssl || echo openssl
	[ "$what" = demo ] && return
	# OpenSSH's own tests of ssh-agent; one of them needs gdb.
	[ "$(uname)" = Darwin ] || [ -e /usr/lib/openssh/regress/test-exec.sh ] || echo openssh-tests
	[ "$(uname)" = Darwin ] || have gdb || echo gdb
	[ "$(uname)" != Linux ] || have pinentry-curses || echo pinentry-curses
	have git || echo git
	have make || echo make
	have gcc || echo gcc
	[ -e /usr/include/stdlib.h ] || [ "$(uname)" = Darwin ] || echo libc6-dev
	[ "$(uname)" = Darwin ] || [ -e /etc/ssl/certs/ca-certificates.crt ] || [ -d /etc/pki ] || echo ca-certificates
}

# Their absence weakens only `make lint`, and the tests with other SSH clients.
missing_optional() {
	[ "$what" = demo ] && return
	have shellcheck || echo shellcheck
	[ "$(uname)" = Linux ] || return 0
	have systemd-socket-activate || echo systemd
	# The agents that run behind ours in tests.
	have gpg-agent && have gpgconf || echo gpg-agent gpgconf
	have gnome-keyring-daemon || echo gnome-keyring
	have dbus-run-session || echo dbus-daemon
	have rsync || echo rsync
	have ansible || echo ansible-core
	have plink || echo putty-tools
	have dbclient || echo dropbear-bin
	have javac || echo default-jdk-headless
	have ruby || echo ruby
	[ -e /usr/include/libssh/libssh.h ] || echo libssh-dev
	[ -e /usr/include/libssh2.h ] || echo libssh2-1-dev
	[ -e /usr/lib/python3/dist-packages/paramiko ] || echo python3-paramiko
	[ -e /usr/lib/python3/dist-packages/asyncssh ] || echo python3-asyncssh
	[ -e /usr/share/java/jsch.jar ] || echo libjsch-java
	[ -e /usr/share/java/jsch.agentproxy.core.jar ] || echo libjsch-agent-proxy-java
	compgen -G '/usr/share/rubygems-integration/all/gems/net-ssh-*' >/dev/null || echo ruby-net-ssh
}

as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

install_packages() {
	if ! have apt-get; then
		say "there is no apt here; install by your system's means: $*"
		return 1
	fi
	if [ "$(id -u)" != 0 ] && ! have sudo; then
		say "not root, and there is no sudo; have root run: apt-get install --no-install-recommends $*"
		return 1
	fi
	say "installing $*"
	[[ " $* " != *" openssh-server "* ]] || say "note: Debian starts the sshd that it installs"
	as_root apt-get update -qq
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

check_go() {
	local want=1.26 got
	if ! have go; then
		say "there is no go; install Go $want or newer"
		return 1
	fi
	got=$(GOTOOLCHAIN=local go env GOVERSION)
	got=${got#go}
	[ "$(printf '%s\n' "$want" "$got" | sort -V | head -n 1)" = "$want" ] && return
	# From 1.21 on, go fetches the toolchain that go.mod asks for.
	[ "$(printf '%s\n' 1.21 "$got" | sort -V | head -n 1)" = 1.21 ] && [ "$(go env GOTOOLCHAIN)" != local ] && return
	say "go is $got; install Go $want or newer"
	return 1
}

ssh_version() { "$1" -V 2>&1 | sed -n 's/^OpenSSH_\([0-9]*\).*/\1/p'; }

# Debian's backports have OpenSSH 10. The packages are unpacked beside the system's OpenSSH, never
# installed; apt verifies them with the keys that it has.
bring_openssh10() {
	local dest=$cache/openssh-10 codename mirror keyring work
	[ -x "$dest/usr/bin/ssh" ] && return
	have ssh || return 0
	if [ "$(ssh_version ssh)" -ge 10 ]; then
		# The system's is what the tests look for there.
		mkdir -p "$dest"/usr/{bin,sbin}
		ln -sf "$(command -v ssh)" "$(command -v ssh-add)" "$(command -v ssh-agent)" "$(command -v ssh-keygen)" "$dest/usr/bin"
		! have sshd || ln -sf "$(command -v sshd)" "$dest/usr/sbin"
		return
	fi
	if ! have apt-get || ! have dpkg-deb; then
		say "OpenSSH 10 is not here and there is no apt to bring it; tests use the system's alone"
		return
	fi
	# shellcheck source=/dev/null
	codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	# shellcheck disable=SC2016 # apt expands these
	mirror=$(apt-get indextargets --format '$(RELEASE) $(ORIGIN) $(REPO_URI)' 'Created-By: Packages' |
		awk -v suite="$codename" '$1 == suite && $2 == "Debian" {print $3; exit}')
	if [ -z "$mirror" ]; then
		say "apt knows no Debian mirror for ${codename:-this system}; tests use the system's OpenSSH alone"
		return
	fi

	say "bringing OpenSSH 10 from $codename-backports into $dest"
	mkdir -p "$cache"
	work=$(mktemp -d "$cache/openssh-10.XXXXXX")
	keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	mkdir -p "$work"/{lists/partial,cache/archives/partial,debs,root}
	echo "deb $([ ! -e $keyring ] || echo "[signed-by=$keyring]") $mirror $codename-backports main" >"$work/backports.list"
	# A private apt state, so that neither root nor the system's lists are needed or touched.
	local apt=(-qq
		-o "Dir::Etc::sourcelist=$work/backports.list" -o Dir::Etc::sourceparts=/dev/null
		-o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/cache"
		-o APT::Sandbox::User= -o Acquire::http::Timeout=20 -o Acquire::Retries=1)
	if (
		apt-get update "${apt[@]}" &&
			cd "$work/debs" &&
			apt-get download "${apt[@]}" openssh-{server,client,sftp-server}/"$codename-backports" &&
			for deb in *.deb; do dpkg-deb -x "$deb" "$work/root"; done &&
			[ "$(ssh_version "$work/root/usr/bin/ssh")" -ge 10 ]
	) >&2; then
		rm -rf "$dest"
		mv "$work/root" "$dest"
	else
		say "warning: could not bring OpenSSH 10; tests use the system's alone"
	fi
	rm -rf "$work"
}

what=${1:-all}
case $what in
all | demo) ;;
*)
	echo "usage: deps.sh [demo]" >&2
	exit 2
	;;
esac

failed=0
mapfile -t packages < <(missing)
mapfile -t optional < <(missing_optional)
if [ ${#packages[@]} -gt 0 ]; then
	install_packages "${packages[@]}" "${optional[@]}" || failed=1
elif [ ${#optional[@]} -gt 0 ]; then
	install_packages "${optional[@]}" || say "going on without: ${optional[*]}"
fi
if [ "$what" = all ]; then
	check_go || failed=1
	bring_openssh10
fi
exit "$failed"
