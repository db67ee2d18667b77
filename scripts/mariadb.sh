#!/usr/bin/env bash
# Runs a MariaDB server, made for this and gone with it, on a free port of this
# machine until standard input ends. Prints the name of an empty database once it
# answers. Exit status 3: there is no MariaDB here (Debian: mariadb-server).
set -euo pipefail

PATH=$PATH:/usr/sbin:/usr/local/sbin
for program in mariadbd mariadb-install-db mariadb; do
	if ! command -v "$program" >/dev/null; then
		echo "mariadb.sh: no MariaDB here: apt-get install mariadb-server" >&2
		exit 3
	fi
done

dir=$(mktemp -d "${TMPDIR:-/tmp}/lcp-mariadb.XXXXXX")
user=$(id -un)
if [ "$(id -u)" -eq 0 ] && id mysql >/dev/null 2>&1; then
	user=mysql
	chown "$user" "$dir"
fi
server=
finish() {
	[ -z "$server" ] || { kill -KILL "$server" 2>/dev/null && wait "$server" 2>/dev/null; } || true
	rm -rf "$dir"
}
trap finish EXIT
trap 'exit 1' INT TERM

cd "$dir"
password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
mariadb-install-db --no-defaults --datadir="$dir/data" --user="$user" --auth-root-authentication-method=normal \
	--skip-test-db >install.log 2>&1 || { cat install.log >&2; exit 1; }
cat >init.sql <<SQL
CREATE USER 'lcp'@'127.0.0.1' IDENTIFIED BY '$password';
GRANT ALL ON *.* TO 'lcp'@'127.0.0.1';
CREATE DATABASE lcp;
SQL

# start runs the server on a port, and fails if that is taken. Statistics are not
# gathered in the background: tests make and drop tables by the hundred, and
# MariaDB 10.11 was seen to crash while they did.
start() {
	mariadbd --no-defaults --datadir="$dir/data" --user="$user" --socket="$dir/socket" --pid-file="$dir/pid" --port="$1" \
		--bind-address=127.0.0.1 --skip-name-resolve --max-connections=300 --innodb-buffer-pool-size=128M \
		--innodb-flush-log-at-trx-commit="${LCP_TEST_FLUSH:-2}" --skip-log-bin --innodb-stats-auto-recalc=OFF >server.log 2>&1 </dev/null &
	server=$!
	for _ in $(seq 300); do
		kill -0 "$server" 2>/dev/null || return 1
		mariadb --no-defaults -h 127.0.0.1 -P "$1" -u root -e 'SELECT 1' >/dev/null 2>&1 && return 0
		mariadb --no-defaults -S "$dir/socket" -u root -e 'SELECT 1' >/dev/null 2>&1 && return 0
		sleep 0.1
	done
	return 1
}

for _ in $(seq 10); do
	port=$((20000 + RANDOM % 20000))
	if start "$port"; then
		mariadb --no-defaults -S "$dir/socket" -u root <init.sql
		echo "mysql://lcp:$password@tcp(127.0.0.1:$port)/lcp"
		cat >/dev/null # until standard input ends
		grep -A 40 'got signal' server.log >&2 || true # it crashed: say where
		exit 0
	fi
	server=
done
cat server.log >&2
exit 1
