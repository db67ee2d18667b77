#!/usr/bin/env bash
# Runs an S3-compatible server (versitygw) on a free port of this machine, with
# an empty folder of its own, and prints its address once it answers. It stops,
# and the folder is removed, when standard input ends or a signal comes.
#
#   scripts/s3server.sh --build    builds the server only
#   scripts/s3server.sh DIR        keeps the objects in DIR, in a folder a bucket
#
# The access key is "test", the secret "testsecret", the region us-east-1.
set -euo pipefail
cd "$(dirname "$0")/s3server"

# Pinned in a module of its own, so that no one who uses our packages inherits it.
server=../../bin/tools/versitygw
if [ ! -x "$server" ] || [ go.mod -nt "$server" ]; then
	mkdir -p ../../bin/tools
	built=$(mktemp "$server.XXXXXX")
	CGO_ENABLED=0 go build -o "$built" github.com/versity/versitygw/cmd/versitygw || { rm -f "$built"; exit 1; }
	mv "$built" "$server" # at once, for tests that build it at the same time
fi
if [ "${1-}" = --build ]; then exit; fi

own=$(mktemp -d)
data=${1-$own/objects}
mkdir -p "$data" "$own/metadata"
pid=
stop() {
	trap - EXIT
	if [ -n "$pid" ]; then kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true; fi
	rm -rf "$own"
}
trap stop EXIT
trap exit INT TERM HUP

answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

for _ in 1 2 3 4 5 6 7 8 9 10; do
	port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
	if answers "$port"; then continue; fi
	# Metadata beside the objects, since not every file system has attributes.
	"$server" --quiet --access test --secret testsecret --port "127.0.0.1:$port" \
		posix --sidecar "$own/metadata" "$data" >"$own/log" 2>&1 &
	pid=$!
	until answers "$port"; do
		if ! kill -0 "$pid" 2>/dev/null; then pid=; break; fi
		sleep 0.1
	done
	if [ -n "$pid" ]; then break; fi
done
if [ -z "$pid" ]; then
	cat "$own/log" >&2
	exit 1
fi
echo "http://127.0.0.1:$port"
cat >/dev/null # until standard input ends
