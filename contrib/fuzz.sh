#!/usr/bin/env bash
# Runs every fuzz target of the module for $FUZZTIME, one after the other, and fails at the end if any
# failed. go test fuzzes one target of one package at a time, hence the loop. By default it spends a minute
# on making one input smaller, which it finds again and again where coverage depends on chance (RSA).
# usage: [FUZZTIME=10m] fuzz.sh [PACKAGE ...]
set -euo pipefail

go=${GO:-go}
time=${FUZZTIME:-10m}
[ $# -gt 0 ] || set -- ./...

failed=()
for pkg in $("$go" list "$@"); do
	if ! listed=$("$go" test -list '^Fuzz' "$pkg" 2>&1); then
		printf '%s\n' "$listed" >&2
		failed+=("$pkg (does not build)")
		continue
	fi
	for target in $(grep '^Fuzz' <<<"$listed" || true); do
		echo "== $pkg $target, $time"
		"$go" test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 10x "$pkg" || failed+=("$pkg $target")
	done
done

if [ ${#failed[@]} -gt 0 ]; then
	printf 'fuzz: failed: %s\n' "${failed[@]}" >&2
	exit 1
fi
