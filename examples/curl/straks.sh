#!/usr/bin/env bash
# Sends an SMS through straks, follows the feed of status changes, and verifies a person's number by a code.
# Needs curl and jq. STRAKS_URL is the base URL, STRAKS_TOKEN the bearer token.
#
#   straks.sh send PHONE TEXT     prints the shipment's id
#   straks.sh follow FILE [N]     prints each change, ends after N of them; FILE keeps the cursor
#   straks.sh start PHONE         sends a code, prints the verification's id
#   straks.sh check ID CODE       prints approved, pending and the attempts left, or ended and why
set -euo pipefail
: "${STRAKS_URL:?}" "${STRAKS_TOKEN:?}"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# call prints the status of the answer, 000 where there is none. The body is in $scratch/body.
# The token goes in by a file: a command line can be read by every user of the machine.
(umask 077; printf 'header = "Authorization: Bearer %s"\n' "$STRAKS_TOKEN" >"$scratch/auth")
call() {
	: >"$scratch/body"; : >"$scratch/head"
	curl -sS -K "$scratch/auth" --max-time 35 -D "$scratch/head" -o "$scratch/body" -w '%{http_code}' "$@" 2>/dev/null || true
}

# pause waits for as long as the answer's Retry-After says, else for a second.
pause() {
	local seconds
	seconds=$(sed -n 's/^[Rr]etry-[Aa]fter: *\([0-9]\{1,\}\).*/\1/p' "$scratch/head" | head -1)
	sleep "${seconds:-1}"
}

# persist posts $scratch/order to a path until there is an answer, for some seconds.
persist() {
	local deadline=$((SECONDS + $2)) status
	while :; do
		status=$(call -H 'Content-Type: application/json' --data-binary "@$scratch/order" "$STRAKS_URL$1")
		case $status in
		200 | 201 | 410) return ;; # 410: the verification has ended
		000 | 408 | 429 | 5??) # no answer, or "not now": repeat with the same key
			((SECONDS < deadline)) || { echo "given up; the last answer was $status" >&2; exit 1; }
			pause ;;
		*) echo "refused with $status:" >&2; cat "$scratch/body" >&2; exit 1 ;; # repeating does not help
		esac
	done
}

send() {
	local key
	# One key for one message, made before the first attempt and the same in each. It makes the repeat
	# safe: straks sends a key once, however often it comes. Keep it with what the message is about.
	key=$(cat /proc/sys/kernel/random/uuid)
	jq -n --arg key "$key" --arg to "$1" --arg text "$2" '{idempotencyId: $key,
		recipientSms: {phoneNumber: $to, timeToLiveInSeconds: 300, smsSettings: {body: $text}}}' >"$scratch/order"
	persist /future/orders/instant/sms 60
	jq -r .notification.shipmentId "$scratch/body"
}

# start sends a code. Keep the id in the person's session, and take it from nowhere else.
start() {
	jq -n --arg key "$(cat /proc/sys/kernel/random/uuid)" --arg to "$1" '{idempotencyId: $key, recipientSms: {phoneNumber: $to}}' >"$scratch/order"
	persist /verifications 60
	jq -r .verificationId "$scratch/body"
}

# check says what came of a code. The right one is approved again for 10 seconds, so a repeat may ask for so long.
check() {
	jq -n --arg code "$2" '{$code}' >"$scratch/order"
	persist "/verifications/$1/check" 10
	jq -r 'if .code then "ended \(.code)" elif .status == "approved" then .status else "pending \(.attemptsLeft)" end' "$scratch/body"
}

follow() {
	local file=$1 left=${2:-0} cursor status
	cursor=$(cat "$file" 2>/dev/null || echo 0)
	while :; do
		status=$(call "$STRAKS_URL/future/shipment/feed?seq=$cursor&wait=30")
		case $status in
		200) ;;
		000 | 408 | 429 | 5??) pause; continue ;;
		*) echo "refused with $status:" >&2; cat "$scratch/body" >&2; exit 1 ;;
		esac
		jq -r '.[] | "\(.sequenceNumber) \(.shipmentId) \(.recipients[0].status)"' "$scratch/body" >"$scratch/entries"
		while read -r seq shipment state; do
			echo "$seq $shipment $state"
			echo "$seq" >"$file" # only when the entry is dealt with: after a crash it comes again
			cursor=$seq
			((--left != 0)) || return 0
		done <"$scratch/entries"
	done
}

case ${1:-} in
send) send "$2" "$3" ;;
follow) follow "$2" "${3:-}" ;;
start) start "$2" ;;
check) check "$2" "$3" ;;
*) sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
