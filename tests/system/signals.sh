#!/bin/sh
# Signals: how long the end takes with idle, busy and deaf clients, a second signal, SIGHUP twice,
# lame duck mode.
#
# shellcheck disable=SC2016,SC2119,SC2317 # formats; functions without arguments; called by others
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

# What a loaded machine and a sanitizer may add to a time that should be nothing.
slack_ms=900
! $is_sanitized || slack_ms=6000

configure 'server = { lame_duck_grace = "400ms"; lame_duck_duration = "1s"; write_deadline = "1h"; };' \
        "listeners = ( { name = \"local\"; listen = \"$unix\"; }," \
        '              { name = "tcp"; listen = "tcp://127.0.0.1:0"; } );'

# deafen: a client that does not read has 12 MB waiting for it.
deafen() {
        start_helper deaf "$support/peer" deaf "$unix" deaf
        exec 9>"$directory/deaf.in"
        await_helper deaf '^deaf$' >/dev/null
        head -c 1000000 /dev/zero | ctl pub --count 12 deaf -
}
undeafen() {
        exec 9>&-
        "$support/await" exit "$helper"
        wait "$helper" 2>/dev/null
}

# --- the end -------------------------------------------------------------------------------------

for signal in TERM INT; do
        start_daemon
        stop_daemon $signal
        check "SIG$signal without clients ends with 0" 0 "$status"
        check_at_most "SIG$signal without clients ends at once" $slack_ms "$took_ms"
done

start_daemon
hold crowd "tcp://127.0.0.1:$(port_of tcp)" 200
order crowd closed '^waiting' >/dev/null
stop_daemon
check 'SIGTERM with idle clients ends with 0' 0 "$status"
check_at_most 'SIGTERM with idle clients ends at once' $slack_ms "$took_ms"
check 'idle clients are closed' 'closed 200' "$(await_helper crowd '^closed')"
check_does 'the log says so in order' sh -c "tail -n 2 '$log' | head -n 1 | grep -q stopping &&
        tail -n 1 '$log' | grep -q stopped"
release crowd

# Those that do not close their end when ours is closed.
start_daemon
hold crowd "tcp://127.0.0.1:$(port_of tcp)" 200
stop_daemon
check 'SIGTERM with clients that do not go ends with 0' 0 "$status"
check_at_most 'SIGTERM with clients that do not go ends in two seconds' $((2000 + slack_ms)) "$took_ms"
check 'they are closed' 'closed 200' "$(order crowd closed '^closed')"
release crowd

start_daemon
start_helper load "$SOCKCTL" -s "$unix" --verbose bench --duration 1m --subs 2 --pubs 2
exec 9>"$directory/load.in"
busy() {
        [ "$(ctl_json in_msgs status)" -gt 100000 ]
}
check_does 'there are busy clients' await_that busy
stop_daemon
check 'SIGTERM with busy clients ends with 0' 0 "$status"
check_at_most 'SIGTERM with busy clients ends in two seconds' $((2000 + slack_ms)) "$took_ms"
undeafen

start_daemon
deafen
stop_daemon
check 'SIGTERM with a client that does not read ends with 0' 0 "$status"
check_at_most 'SIGTERM waits for it two seconds' $((2000 + slack_ms)) "$took_ms"
check_at_most 'and not less' "$took_ms" 1800
check_does 'the path is removed' test ! -e "$socket"
undeafen

start_daemon
tcp=tcp://127.0.0.1:$(port_of tcp)
deafen
kill "$daemon"
await_log 'info: stopping' >/dev/null
refused() {
        "$SOCKCTL" -s "$tcp" ping >/dev/null 2>&1
        [ $? -eq 5 ]
}
check_does 'while it waits, nobody is let in' await_that refused
stop_daemon
check 'a second SIGTERM ends with 0' 0 "$status"
check_at_most 'a second SIGTERM ends at once' $slack_ms "$took_ms"
undeafen

start_daemon
deafen
kill "$daemon"
await_log 'info: stopping' >/dev/null
kill -HUP "$daemon"
kill -USR2 "$daemon"
stop_daemon INT
check 'other signals on the way do no harm' 0 "$status"
check_at_most 'SIGINT after SIGTERM ends at once' $slack_ms "$took_ms"
undeafen

# --- SIGHUP --------------------------------------------------------------------------------------

empty_log
start_daemon
hold crowd "$unix" 20
for _ in 1 2 3 4 5 6 7 8 9 10; do
        kill -HUP "$daemon"
        kill -HUP "$daemon"
done
expect_log 'SIGHUP twice in a row reloads' 'info: configuration reloaded'
# What was written before a signal is in force after it, whatever was under way.
sed -i 's/^server = {/server = { max_payload = 4242;/' "$config"
kill -HUP "$daemon"
has_payload() {
        [ "$(ctl_json max_payload status)" = 4242 ]
}
check_does 'the last of them counts' await_that has_payload
check 'clients keep their connections' 'alive 20' "$(order crowd ping '^alive')"
check 'none of them failed' 0 "$(count_log 'error:|failed')"

# --- lame duck mode ------------------------------------------------------------------------------

since_ms=$(now_ms)
kill -USR2 "$daemon"
expect_log 'SIGUSR2 is lame duck mode' 'info: lame duck mode'
kill -USR2 "$daemon"
kill -HUP "$daemon"
expect_log 'SIGHUP is ignored then, and the log says so' 'warning: the configuration is not read again'
check 'that is no error' 0 "$(count_log ' error: ')"
check 'clients stay for a while' 'alive 20' "$(order crowd ping '^alive')"
order crowd closed '^waiting' >/dev/null
await_end
check 'lame duck mode ends with 0' 0 "$status"
check_at_most 'lame duck mode lasts lame_duck_duration' $((1000 + slack_ms)) "$took_ms"
check_at_most 'and at least lame_duck_grace' "$took_ms" 400
check 'clients are closed' 'closed 20' "$(await_helper crowd '^closed')"
release crowd

start_daemon
hold crowd "$unix" 3
kill -USR2 "$daemon"
await_log 'info: lame duck mode' >/dev/null
order crowd closed '^waiting' >/dev/null
stop_daemon
check 'SIGTERM in lame duck mode ends with 0' 0 "$status"
check_at_most 'SIGTERM in lame duck mode ends at once' $slack_ms "$took_ms"
release crowd

end_tests
