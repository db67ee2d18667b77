#!/usr/bin/env bash
# Builds everything for systems that releases are made for and CI does not run on.
set -euo pipefail
cd "$(dirname "$0")/.."

for target in linux/arm64 darwin/arm64 windows/amd64; do
	echo "build for $target"
	CGO_ENABLED=0 GOOS=${target%/*} GOARCH=${target#*/} go build ./...
done
