#!/usr/bin/env bash
# An X.509 certificate becomes a plain ssh login, on loopback and in a folder of its own, with nothing
# installed and no network. Every line after a "$" is the line that is run; every claim is checked, so
# exit status 0 means that all of it really happened.
#
# usage: demo.sh [--play]     --play: afterwards a shell with the agent, the CA and the server still there
set -euo pipefail
umask 077
export LC_ALL=C

play=false
case ${1:-} in
'') ;;
--play) play=true ;;
*)
	echo "usage: demo.sh [--play]" >&2
	exit 2
	;;
esac

top=$(cd "$(dirname "$0")/../.." && pwd)
PATH=$top/bin:$PATH:/usr/sbin:/sbin
for program in sshmint sshmint-ca ssh sshd ssh-add ssh-keygen openssl; do
	command -v "$program" >/dev/null || {
		echo "demo: there is no $program here; run: make deps build" >&2
		exit 1
	}
done
# sshd starts itself anew for each connection and needs its absolute path for that.
sshd=$(command -v sshd)
me=$(id -un)

# --- telling ---

bold='' faint='' red='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
	bold=$'\e[1m' faint=$'\e[2m' red=$'\e[31m' plain=$'\e[0m'
fi

chapter() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
tell() { printf '%s   %s%s\n' "$faint" "$*" "$plain"; }

fail() {
	printf '\n%sdemo: %s%s\n' "$red" "$*" "$plain" >&2
	local log
	for log in "$demo"/*.log "$demo"/home/*/.cache/sshmint/*.log; do
		[ -s "$log" ] || continue
		printf -- '--- the end of %s\n' "${log##*/}" >&2
		tail -n 15 "$log" >&2
	done
	exit 1
}

# execute prints a line, runs that line in this shell, shows what it said (also kept in $said), and gives
# its exit status. Without standard input, which ssh would take from the shell of --play.
said=''
execute() {
	local status=0
	printf ' %s$ %s%s\n' "$bold" "${1//$'\n'/$'\n   '}" "$plain"
	eval "$1" </dev/null >"$demo/said" 2>&1 || status=$?
	said=$(<"$demo/said")
	[ -z "$said" ] || printf '   %s\n' "${said//$'\n'/$'\n   '}"
	return "$status"
}

run() { execute "$1" || fail "that should have worked: $1"; }

# refused runs a line that must not work, and must say why.
refused() {
	! execute "$1" || fail "that was granted and should have been refused: $1"
	shows "$2"
}

# shows checks that the last line's output has a match of an extended regular expression.
shows() { grep -Eq -- "$1" <<<"$said" || fail "the output above should show: $1"; }

# background runs a line that ends in &, and remembers the process.
background() {
	run "$1"
	started+=("$!")
}

# await waits up to 10 s until a command succeeds.
await() {
	local n
	for ((n = 0; n < 200; n++)); do
		! "$@" >/dev/null 2>&1 || return 0
		sleep 0.05
	done
	fail "waited 10 s in vain for: $*"
}

# --- tidiness ---

# Short, because the path of a Unix socket must be.
demo=$(mktemp -d /tmp/sshmint-demo.XXXXXX)
started=()

clean_up() {
	trap '' INT TERM
	if [ ${#started[@]} -gt 0 ]; then
		kill "${started[@]}" 2>/dev/null || true
		local n
		for ((n = 0; n < 100; n++)); do
			kill -0 "${started[@]}" 2>/dev/null || break
			sleep 0.05
		done
		kill -KILL "${started[@]}" 2>/dev/null || true
		wait "${started[@]}" 2>/dev/null || true
	fi
	cd /
	rm -rf "$demo"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

cd "$demo"
export SHELL=$BASH
unset XDG_CONFIG_HOME XDG_CACHE_HOME XDG_RUNTIME_DIR XDG_DATA_HOME XDG_STATE_HOME

# be makes this shell that of a person with a home of their own, empty at first.
be() {
	mkdir -p "$demo/home/$1"
	export HOME=$demo/home/$1
	unset SSH_AUTH_SOCK SSH_AGENT_PID SSHMINT_SOCKET
}
be administrator

# --- the story ---

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Below the ports that the kernel gives to clients.
free_port() {
	local port
	while port=$((20000 + RANDOM % 12000)); do
		listens "$port" || break
	done
	echo "$port"
}

corporate_pki() {
	chapter "A company has an X.509 PKI, and Alice has a certificate"
	tell "Here openssl plays the PKI. It could be AD CS, a smartcard PKI, step-ca or Vault."
	run "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=Example Corp Root' \\
  -addext keyUsage=critical,keyCertSign -days 30 -keyout corp.key -out corp.pem 2>>openssl.log"
	extensions alice alice@corp.example.com
	request alice 'Alice Example'
	run "openssl x509 -req -in alice.csr -extfile alice.ext -CA corp.pem -CAkey corp.key -days 30 >>alice.pem 2>>openssl.log"
}

extensions() {
	run "cat >$1.ext <<'EOF'
basicConstraints = critical, CA:FALSE
keyUsage         = critical, digitalSignature
extendedKeyUsage = clientAuth
subjectAltName   = otherName:msUPN;UTF8:$2
EOF"
}

# The key goes first into the file that the certificate is added to.
request() {
	run "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=$2' \\
  -keyout $1.pem -out $1.csr 2>>openssl.log"
}

certificate_authority() {
	chapter "An administrator decides what such a certificate may become"
	run "sshmint-ca init --dir ca --host localhost --host 127.0.0.1"
	fingerprint=$(grep -Eo -m 1 'SHA256:[A-Za-z0-9+/=]+' <<<"$said") || fail "init should print the fingerprint to pin"
	tell "Trust the company's root for clients; a UPN of its domain becomes a principal. Nothing else is granted."
	run "cat >>ca/ca.toml <<'EOF'

[[trust]]
name  = \"corp\"
roots = \"../corp.pem\"

[[rule]]
name       = \"staff\"
trust      = \"corp\"
match      = 'size(local(cert.upns, \"corp.example.com\")) == 1'
principals = 'local(cert.upns, \"corp.example.com\")'
validity   = \"10h\"
EOF"
	run "sshmint-ca check --dir ca"
	background "sshmint-ca serve --dir ca --listen 127.0.0.1:0 2>ca.log &"
	await grep -Eq '127\.0\.0\.1:[1-9]' ca.log
	ca=https://$(grep -Eo -m 1 '127\.0\.0\.1:[1-9][0-9]*' ca.log)
	tell "It listens on $ca."
}

ssh_server() {
	chapter "A server with stock OpenSSH trusts that CA; no authorized_keys knows anybody"
	local port pam=no
	port=$(free_port)
	if [ "$(id -u)" = 0 ]; then
		# Without PAM sshd refuses an account whose password is locked, as root's often is.
		! grep -q "^$me:!" /etc/shadow || pam=yes
		# The empty folder that sshd runs its unprivileged part in. It stays: another sshd may use it by now.
		[ -d /run/sshd ] || mkdir -m 755 /run/sshd
	fi
	run "ssh-keygen -q -t ed25519 -N '' -C '' -f host_key"
	run "sshmint-ca sshd-config --dir ca >sshd_config"
	run "cat >>sshd_config <<EOF
# Only for this demo: a port of its own, without root's help.
ListenAddress 127.0.0.1:$port
HostKey $demo/host_key
AuthorizedKeysFile none
PasswordAuthentication no
KbdInteractiveAuthentication no
PidFile none
StrictModes no
UsePAM $pam
EOF"
	tell "The server maps principals to accounts: alice and bob may be $me here."
	run "printf '%s\n' alice bob >ca/principals/$me"
	background "$sshd -D -f $demo/sshd_config -E $demo/sshd.log &"
	await listens "$port"
	run "cat >ssh_config <<EOF
Host demo
    HostName 127.0.0.1
    Port $port
    User $me
    IdentityFile none
    BatchMode yes
    UserKnownHostsFile $demo/known_hosts
    GlobalKnownHostsFile none
EOF"
	run "echo \"[127.0.0.1]:$port \$(cat host_key.pub)\" >known_hosts"
}

enrol() {
	be "$1"
	run "sshmint init --profile work --identity file:$1.pem --ca $ca --fingerprint $fingerprint"
}

# An interruption in here would leave an agent behind that nobody knows of.
start_agent() {
	trap '' INT
	# shellcheck disable=SC2016 # it is execute that expands it
	run 'eval "$(sshmint agent --fork)"'
	started+=("$SSH_AGENT_PID")
	trap 'exit 130' INT
}

alice_logs_in() {
	chapter "Alice, once: this is my identity, this is the CA"
	enrol alice
	start_agent

	chapter "Alice, every day: ssh"
	run "ssh -F ssh_config demo id -un"
	[ "${said##*$'\n'}" = "$me" ] || fail "the login should have been as $me"
	tell "What ssh used was minted at that moment, for a key that lives in the agent's memory only:"
	run "ssh-add -L | ssh-keygen -L -f -"
	shows 'user certificate'
	shows 'Key ID: "alice@corp\.example\.com x509='
	shows '^ +alice$'
	shows 'Valid: from .* to '
	run "sshmint status"
	shows 'work'
	tell "And the server's log names the person, whatever the account is:"
	run "grep 'Accepted publickey' sshd.log"
	shows "Accepted publickey for $me .* ID alice@corp\.example\.com"
}

# gets_nothing shows what the owner of an identity sees that no certificate is given for.
gets_nothing() {
	start_agent
	refused "sshmint mint" "$1"
	refused "ssh -F ssh_config demo id -un" 'Permission denied'
}

others_do_not() {
	chapter "Mallory has a certificate that says alice, from a CA of his own"
	run "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=Example Corp Root' \\
  -addext keyUsage=critical,keyCertSign -days 30 -keyout foreign.key -out foreign.crt 2>>openssl.log"
	request mallory 'Alice Example'
	run "openssl x509 -req -in mallory.csr -extfile alice.ext -CA foreign.crt -CAkey foreign.key -days 30 >>mallory.pem 2>>openssl.log"
	enrol mallory
	gets_nothing untrusted_issuer

	chapter "Bob's certificate is good, but no rule is about him"
	extensions bob bob@partner.example.org
	request bob 'Bob Example'
	run "openssl x509 -req -in bob.csr -extfile bob.ext -CA corp.pem -CAkey corp.key -days 30 >>bob.pem 2>>openssl.log"
	enrol bob
	gets_nothing no_rule

	chapter "Alice's other computer has a certificate that expires and is not renewed"
	run "cp alice.pem laptop.pem"
	enrol laptop
	request laptop 'Alice Example'
	run "openssl x509 -req -in laptop.csr -extfile alice.ext -CA corp.pem -CAkey corp.key -days -1 >>laptop.pem 2>>openssl.log"
	gets_nothing 'expired at'
	tell "That was Alice's own agent. The CA would not have it either:"
	refused "sshmint-ca explain --dir ca --cert laptop.pem" identity_expired
}

corporate_pki
certificate_authority
ssh_server
alice_logs_in
others_do_not

if $play; then
	chapter "Yours to play with"
	tell "ssh demo; ssh-add -l; sshmint status; sshmint forget; ssh-add -x. The files are in $demo."
	tell "exit ends it and removes everything."
	be alice
	eval "$(sshmint env)"
	cat >playrc <<EOF
ssh() { command ssh -F $demo/ssh_config "\$@"; }
PS1='(demo) \\w\\$ '
EOF
	bash --rcfile "$demo/playrc" -i || true
fi

chapter "Done: one login granted, three refused, nothing left behind"
