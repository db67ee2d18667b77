#!/usr/bin/env bash
# Runs a PostgreSQL server, made for this and gone with it, on a free port of this
# machine until standard input ends. Prints the URL of an empty database once it
# answers. Exit status 3: there is no PostgreSQL here (Debian: postgresql).
set -euo pipefail

bin=$(dirname "$(readlink -f "$(command -v initdb || ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null | tail -1)")" 2>/dev/null || true)
if [ ! -x "$bin/postgres" ]; then
	echo "postgres.sh: no PostgreSQL here: apt-get install postgresql" >&2
	exit 3
fi

dir=$(mktemp -d "${TMPDIR:-/tmp}/lcp-postgres.XXXXXX")
as=()
if [ "$(id -u)" -eq 0 ]; then # the server refuses to be root
	user=postgres
	id "$user" >/dev/null 2>&1 || user=nobody
	as=(setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups)
	chown "$user" "$dir"
fi
server=
finish() {
	[ -z "$server" ] || { kill -QUIT "$server" 2>/dev/null && wait "$server" 2>/dev/null; } || true
	rm -rf "$dir"
}
trap finish EXIT
trap 'exit 1' INT TERM

cd "$dir"
password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
(umask 077 && echo "$password" >password)
[ ${#as[@]} -eq 0 ] || chown "$user" password
"${as[@]}" "$bin/initdb" -D "$dir/data" -U lcp --auth=scram-sha-256 --pwfile=password --no-sync --encoding=UTF8 \
	--locale=C.UTF-8 >initdb.log 2>&1 || { cat initdb.log >&2; exit 1; }

# start runs the server on a port, and fails if that is taken.
start() {
	"${as[@]}" "$bin/postgres" -D "$dir/data" -c port="$1" -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
		-c max_connections=300 -c shared_buffers=128MB -c "fsync=${LCP_TEST_FSYNC:-off}" -c "synchronous_commit=${LCP_TEST_FSYNC:-off}" \
		-c log_min_messages=fatal >server.log 2>&1 </dev/null &
	server=$!
	for _ in $(seq 300); do
		kill -0 "$server" 2>/dev/null || return 1
		PGPASSWORD=$password "$bin/psql" -h 127.0.0.1 -p "$1" -U lcp -d postgres -qc 'SELECT 1' >/dev/null 2>&1 && return 0
		sleep 0.1
	done
	return 1
}

for _ in $(seq 10); do
	port=$((20000 + RANDOM % 20000))
	if start "$port"; then
		PGPASSWORD=$password "$bin/psql" -h 127.0.0.1 -p "$port" -U lcp -d postgres -qc 'CREATE DATABASE lcp'
		echo "postgres://lcp:$password@127.0.0.1:$port/lcp?sslmode=disable"
		cat >/dev/null # until standard input ends
		exit 0
	fi
	server=
done
cat server.log >&2
exit 1
