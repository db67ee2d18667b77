#!/bin/sh
# The nightly job of a publisher: encrypt what is new or corrected in a delivery
# folder, store it, register it with the license server, and tell somebody.
#
#   nightly.sh SETTINGS
#
# SETTINGS is a file of shell variables; nightly.conf beside this script shows
# them. Run it from cron or a timer, as often as you like: what is done and
# unchanged is passed over, a run that was killed is continued by the next, and two
# at a time are refused. The exit code is that of lcp encrypt: 0 when all is done,
# 3 when some publications failed and the others are done, 1 when nothing went.
set -eu

. "${1:?give the file with the settings}"
: "${DELIVERY:?}" "${STORAGE:?}" "${URL:?}" "${STATE:?}" "${LCP_SERVER:?}"
export LCP_SERVER

night=$(date +%Y-%m-%d-%H%M%S)
reports=$STATE/reports
mkdir -p "$reports"
report=$reports/$night.csv
log=$reports/$night.log

# Optional parts of the command line. Those for a bucket are in S3_FLAGS.
set -- --recursive --altid --cover --verify
for feed in "$DELIVERY"/*.onix.xml; do
	if [ -f "$feed" ]; then set -- "$@" --onix "$feed"; fi
done
if [ -n "${CREDENTIALS:-}" ]; then set -- "$@" --credentials-file "$CREDENTIALS"; fi
if [ -n "${NOTIFY:-}" ]; then set -- "$@" --notify "$NOTIFY"; fi

# More failures than these are the fault of the delivery, or of a disk, not of the
# books: somebody should look before the rest goes on.
code=0
# S3_FLAGS is several words.
# shellcheck disable=SC2086
lcp encrypt "$DELIVERY" "$@" --storage "$STORAGE" --url "$URL" ${S3_FLAGS:-} \
	--journal "$STATE/catalogue.journal" --report "$report" --max-failures "${MAX_FAILURES:-50}" \
	>"$reports/$night.ndjson" 2>"$log" || code=$?

count() { grep -c "$1" "$report" || true; } 2>/dev/null
case $code in
0) outcome="all done" ;;
3) outcome="SOME FAILED" ;;
130) outcome="interrupted, to be continued" ;;
*) outcome="FAILED" ;;
esac
summary() {
	echo "lcp $night: $outcome (exit code $code)"
	if [ -f "$report" ]; then
		echo "new or corrected: $(count ',done,')"
		echo "unchanged:        $(count ',kept,')"
		echo "failed:           $(count ',failed,')"
	fi
	if [ "$code" -ne 0 ]; then
		echo
		tail -n 50 "$log"
		echo
		echo "The whole: $log and $report"
	fi
}
if [ -n "${MAILTO:-}" ] && command -v mail >/dev/null; then
	summary | mail -s "lcp $night: $outcome" "$MAILTO"
else
	summary # cron mails it
fi

# Reports of the last 60 nights will do.
find "$reports" -type f -mtime +60 -exec rm -f {} +
exit "$code"
