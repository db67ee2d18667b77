#!/usr/bin/env bash
# Writes the shell completions and man pages of a release into bin/release.
set -euo pipefail
cd "$(dirname "$0")/.."

rm -rf bin/release
mkdir -p bin/release/completions bin/release/man
go build -o bin/release/lcp ./cmd/lcp
for shell in bash zsh fish powershell; do
	bin/release/lcp completion "$shell" >"bin/release/completions/lcp.$shell"
done
bin/release/lcp man bin/release/man
