#!/usr/bin/env bash
# Runs every fuzz target for a while, one after the other: scripts/fuzz.sh [30s]
# An input that fails is kept by go test under testdata/fuzz of its package.
set -euo pipefail
cd "$(dirname "$0")/.."

duration=${1:-30s}
grep -rhoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' cmd pkg >/dev/null || {
	echo "no fuzz targets"
	exit 0
}
grep -roE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' cmd pkg | sort |
	while IFS=: read -r file func; do
		target=${func#func }
		echo "== $(dirname "$file") $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$duration" "./$(dirname "$file")" </dev/null
	done
