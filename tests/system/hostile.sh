#!/bin/sh
# Peers that say nothing, or too little, or rubbish, or come and go by the thousand: no crash, no
# leak, no unbounded memory, and others do not notice.
#
# shellcheck disable=SC2016,SC2119,SC2317 # formats; functions without arguments; called by others
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

configure 'server = { ping_interval = "300ms"; ping_max = 2; write_deadline = "1s"; max_pending = "4M"; };' \
        "listeners = ( { name = \"local\"; listen = \"$unix\"; }," \
        '              { name = "tcp"; listen = "tcp://127.0.0.1:0"; } );'
start_daemon
tcp=tcp://127.0.0.1:$(port_of tcp)

# --- those that say nothing ------------------------------------------------------------------------

# idle KIND ADDRESS: what such a peer gets, and when.
idle() {
        kind=$1
        address=$2
        shift 2
        "$support/peer" "$kind" "$address" "$@" >"$directory/idle" 2>&1
        check "$kind on ${address%%:*}: INFO, two PINGs, the error, the end" \
                'INFO PING PING -ERR (closed) ' "$(cut -d' ' -f2 "$directory/idle" | tr '\n' ' ')"
        check_matches "$kind on ${address%%:*}: the error of the protocol" "^[0-9]+ -ERR 'Stale Connection'\$" \
                "$(cat "$directory/idle")"
        closed_ms=$(sed -n 's/ (closed)$//p' "$directory/idle")
        check_at_most "$kind on ${address%%:*}: not before the pings went unanswered" "$closed_ms" 600
        check_at_most "$kind on ${address%%:*}: soon after" 6000 "$closed_ms"
}
idle silent "$unix"
idle silent "$tcp"

# --- garbage -----------------------------------------------------------------------------------------

configure 'server = { write_deadline = "1s"; max_pending = "4M"; };' \
        "listeners = ( { name = \"local\"; listen = \"$unix\"; }," \
        '              { name = "tcp"; listen = "tcp://127.0.0.1:0"; } );'
ctl reload >/dev/null
start_helper witness "$SOCKCTL" -s "$unix" --verbose sub witness
exec 9>"$directory/witness.in"
await_helper witness 'subscribed to' >/dev/null
witness() {
        ctl pub witness "$1"
        check "$1, others do not notice" "$1" "$(await_helper witness "^$1\$")"
}

check_does 'the first clients open what is kept' "$support/peer" churn "$unix" 200
check_does 'the first clients open what is kept' "$support/peer" flood "$tcp" 20 1
await_that ctl ping
settled() {
        [ "$(ctl_json connections status)" -eq 2 ]
}
check_does 'they are gone' await_that settled
n_subscriptions=$(ctl_json subscriptions status)
n_descriptors=$(count_descriptors "$daemon")
rss_kb=$(resident_kb "$daemon")

check_does 'garbage on TCP is survived' "$support/peer" flood "$tcp" 150 42
check_does 'garbage on Unix is survived' "$support/peer" flood "$unix" 150 43
witness garbage
# Its error is waited for, but not what it goes on sending.
for address in "$unix" "$tcp"; do
        check "${address%%:*}: who goes on after the error is cut off" refused \
                "$("$support/peer" insist "$address" 67108864)"
done

# --- coming and going --------------------------------------------------------------------------------

check_does '5000 Unix connections come and go' "$support/peer" churn "$unix" 5000
check_does '5000 TCP connections come and go' "$support/peer" churn "$tcp" 5000
witness ten-thousand
check_does 'they are gone' await_that settled
check_does 'no descriptor is left behind' await_that has_descriptors "$daemon" "$n_descriptors"
check 'no subscription is left behind' "$n_subscriptions" "$(ctl_json subscriptions status)"
if $is_sanitized; then
        skip 'memory does not grow' 'a sanitizer keeps what is freed'
else
        # malloc's arenas may grow by some; 10,000 connections at 1 KB each would be 10 MB.
        check_at_most 'memory does not grow' $((rss_kb + 6000)) "$(resident_kb "$daemon")"
fi

# --- those that do not read ----------------------------------------------------------------------------

start_helper deaf "$support/peer" deaf "$unix" deaf
exec 8>"$directory/deaf.in"
await_helper deaf '^deaf$' >/dev/null
head -c 1000000 /dev/zero | ctl pub --count 20 deaf -
witness deaf
expect_log 'one that does not read is closed, and the log says why' 'warning: client [0-9]+.*: closed: Slow Consumer'
check 'it is counted' 1 "$(ctl_json slow_consumers status)"
exec 8>&-
if $is_sanitized; then
        skip 'what waited for it is freed' 'a sanitizer keeps what is freed'
else
        check_at_most 'what waited for it is freed' $((rss_kb + 12000)) "$(resident_kb "$daemon")"
fi

# --- many at the same time -----------------------------------------------------------------------------

hold crowd "$unix" 2000
check 'two thousand clients at the same time are served' 'alive 2000' "$(order crowd ping '^alive')"
if $is_sanitized; then
        skip 'an idle client costs less than 8 KB' 'a sanitizer needs more'
else
        check_at_most 'an idle client costs less than 8 KB' $((rss_kb + 12000 + 2000 * 8)) "$(resident_kb "$daemon")"
fi
release crowd
check_does 'they are gone' await_that settled
kill "$helper" 2>/dev/null
check 'none of all this was an error of ours' 0 "$(count_log ' error: |runtime error|Sanitizer')"
stop_daemon
check 'the daemon ends in order' 0 "$status"

end_tests
