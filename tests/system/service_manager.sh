#!/bin/sh
# The service manager's protocol: readiness, reloads, the end, status, watchdog, socket activation.
#
# shellcheck disable=SC2016,SC2119,SC2317 # formats; functions without arguments; called by others
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

"$SOCKD" --version | grep -q '+systemd' || {
        echo '1..0 # SKIP sockd was built without systemd'
        exit 0
}

configure "listeners = ( { name = \"local\"; listen = \"$unix\"; }," \
        '              { name = "tcp"; listen = "tcp://127.0.0.1:0"; } );'

# --- notifications ---------------------------------------------------------------------------------

start_helper notify "$support/notify_listener" "$directory/notify"
exec 7>"$directory/notify.in"
await_helper notify '^listening$' >/dev/null
notify=$directory/notify.out
# said REGEX: the next notification that matches.
said() {
        await_helper notify "$1"
}

launch env NOTIFY_SOCKET="$directory/notify" "$SOCKD" --config "$config"
ready=$(said ' READY=1')
check_matches 'READY is said' 'READY=1' "$ready"
check 'by the process that was started' "$daemon" "$(echo "$ready" | cut -d' ' -f2)"
check 'once all listeners are there' 2 "$(count_log 'listening on')"
check_does 'and serve' ctl ping
check_does 'and serve' "$SOCKCTL" -s "tcp://127.0.0.1:$(port_of tcp)" ping
await_ready
check 'only once' 1 "$(grep -c 'READY=1' "$notify")"
check_matches 'STATUS is a line for people' '^[0-9]+ [0-9]+ STATUS=.*[0-9]+ clients' "$(said 'STATUS=Serving')"
check 'there is no WATCHDOG where none is asked for' 0 "$(grep -c 'WATCHDOG' "$notify")"

before=$(awk '{ print $1 * 1000000 }' /proc/uptime)
kill -HUP "$daemon"
line=$(said 'RELOADING=1')
check_matches 'RELOADING is said with a time' 'RELOADING=1\|MONOTONIC_USEC=[0-9]+$' "$line"
usec=${line##*MONOTONIC_USEC=}
# /proc/uptime has hundredths and counts suspension as well, which does not happen here.
check_at_most 'that time is not earlier than the signal' "$usec" $((${before%.*} - 20000))
check_at_most 'and not later than it was said' "${line%% *}" "$usec"
check_does 'READY follows' said ' READY=1'
echo 'nonsense' >>"$config"
kill -HUP "$daemon"
check_does 'RELOADING is said also for a file with an error' said 'RELOADING=1'
check_does 'and READY follows' said ' READY=1'
sed -i '$d' "$config"
ctl reload >/dev/null
check_does 'RELOADING is said also if sockctl asks' said 'RELOADING=1'
check_does 'and READY follows' said ' READY=1'

stop_daemon
check_does 'STOPPING is said' said 'STOPPING=1'
check 'and the daemon ends with 0' 0 "$status"

: >"$notify" && rm -f "$notify.at"
env NOTIFY_SOCKET="$directory/notify" timeout 20 "$SOCKD" --listen tcp://192.0.2.1:1 >/dev/null 2>&1
check 'READY is not said when a listener fails' 0 "$(grep -c READY "$notify")"

env NOTIFY_SOCKET="$directory/nowhere" "$SOCKD" --config "$config" </dev/null >>"$log" 2>&1 7>&- &
daemon=$!
reachable() {
        ctl ping
}
check_does 'a service manager that is gone does no harm' await_that reachable
stop_daemon

# --- watchdog ----------------------------------------------------------------------------------------

launch env NOTIFY_SOCKET="$directory/notify" WATCHDOG_USEC=400000 "$SOCKD" --config "$config"
first=$(said 'WATCHDOG=1')
for _ in 1 2 3 4; do
        last=$(said 'WATCHDOG=1')
done
per_beat=$(((${last%% *} - ${first%% *}) / 4))
check_at_most 'WATCHDOG comes at least in the interval' 400000 "$per_beat"
check_at_most 'and not much more often than twice' "$per_beat" 100000
kill -STOP "$daemon"
stopped() {
        grep -q '^State:.T' "/proc/$daemon/status"
}
await_that stopped
before=$(grep -c WATCHDOG "$notify")
# That nothing comes takes a time to see.
sleep 1
check 'a stopped daemon says nothing' "$before" "$(grep -c WATCHDOG "$notify")"
kill -CONT "$daemon"
"$support/await" line "$notify" 'WATCHDOG=1' >/dev/null
check_does 'and goes on afterwards' said 'WATCHDOG=1'
stop_daemon

: >"$notify" && rm -f "$notify.at"
launch env NOTIFY_SOCKET="$directory/notify" WATCHDOG_USEC=100000 WATCHDOG_PID=1 "$SOCKD" --config "$config"
said STATUS >/dev/null
kill -KILL "$(sed 's/ $//' "/proc/$daemon/task/$daemon/children")"
check_does 'STATUS tells that programs cannot be started' \
        said 'STATUS=Serving.*; programs cannot be started: restart sockd'
stop_daemon
said STOPPING >/dev/null
check 'a watchdog of another process is none of ours' 0 "$(grep -c WATCHDOG "$notify")"
exec 7>&-
kill "$helper"

# --- socket activation -------------------------------------------------------------------------------

activate() {
        launch "$support/activate" "$@"
        await_ready
}
passed=unix://$directory/passed
activate "local=$passed" -- "$SOCKD" --config "$config"
check_does 'an inherited socket is served' "$SOCKCTL" -s "$passed" ping
check_matches 'the log says that it was passed' \
        "listener \"local\" listening on $passed \\(passed by the service manager\\)" "$(cat "$log")"
check_does 'what is configured for that name is not opened' test ! -e "$socket"
check_does 'other listeners are opened' "$SOCKCTL" -s "tcp://127.0.0.1:$(port_of tcp)" ping
check 'sockctl tells which is which' 'true false' "$(
        "$SOCKCTL" -s "$passed" --json listeners |
                "$support/json" listeners.0.activated listeners.1.activated | tr '\n' ' ' | sed 's/ $//'
)"
check 'the process that was started serves' "$daemon" \
        "$("$SOCKCTL" -s "$passed" --json status | "$support/json" pid)"
check 'inherited sockets are closed on exec' '' "$(inheritable_descriptors "$daemon")"
hold crowd "$passed" 3
kill -HUP "$daemon"
expect_log 'a reload keeps it' 'configuration reloaded'
check 'and its clients' 'alive 3' "$(order crowd ping '^alive')"
check_does 'and serves on' "$SOCKCTL" -s "$passed" ping
release crowd
stop_daemon
check_does 'its path is left to the service manager' test -S "$directory/passed"
rm "$directory/passed"

empty_log
activate "tcp=tcp://127.0.0.1:0" "local=$passed" "tcp=tcp://127.0.0.1:0" -- "$SOCKD" --config "$config"
check 'several sockets may have one name' 2 "$(count_log 'listener "tcp" listening on .*passed by')"
sed -n 's/.*listener "tcp" listening on \(tcp:[^ ]*\) .*/\1/p' "$log" >"$directory/addresses"
check_does 'the first of them is served' "$SOCKCTL" -s "$(sed -n 1p "$directory/addresses")" ping
check_does 'the second of them is served' "$SOCKCTL" -s "$(sed -n 2p "$directory/addresses")" ping
stop_daemon
rm "$directory/passed"

# refused NAME REGEX ARG...: a start with these sockets fails and says why.
refused() {
        refused_name=$1
        refused_regex=$2
        shift 2
        output=$(timeout 20 "$support/activate" "$@" -- "$SOCKD" --config "$config" 2>&1)
        check "$refused_name is an error" 1 $?
        check_matches "$refused_name: the error says so" "$refused_regex" "$output"
        rm -f "$directory/passed" "$directory/s"
}
refused 'a socket of an unknown name' \
        'passed a socket named "nobody", but no listener has that name \(FileDescriptorName=\)' "nobody=$passed"
refused 'a socket of another family' 'of another family' "tcp=$passed"
refused 'a socket that does not listen' 'not a listening stream socket' "local=!$passed"
refused 'a socket for datagrams' 'not a listening stream socket' "local=!unix+dgram://$directory/passed"

ACTIVATE_PID=1 "$support/activate" "nobody=$passed" -- "$SOCKD" --config "$config" </dev/null >>"$log" 2>&1 7>&- &
daemon=$!
check_does 'sockets for another process are none of ours' await_that reachable
stop_daemon
rm -f "$directory/passed"

# A daemon that is told of so many sockets.
with_sockets='LISTEN_FDS=$1; LISTEN_PID=$$; export LISTEN_FDS LISTEN_PID; shift; exec "$@"'
launch sh -c "$with_sockets" sh 0 "$SOCKD" --config "$config"
await_ready
check_does 'no sockets at all are none' ctl ping
stop_daemon
output=$(timeout 20 sh -c "$with_sockets" sh many "$SOCKD" --config "$config" 2>&1)
check 'a number that is none is an error' 1 $?
check 'in one line that names the variable' \
        'cannot take the sockets of the service manager (LISTEN_FDS, LISTEN_FDNAMES): Invalid argument' \
        "$(echo "$output" | sed -n 's/.*error: //p')"
check_lacks 'and leaves no memory behind' LeakSanitizer "$output"

if command -v systemd-socket-activate >/dev/null; then
        # It passes nothing on by itself.
        launch systemd-socket-activate ${TSAN_OPTIONS:+-E TSAN_OPTIONS} ${ASAN_OPTIONS:+-E ASAN_OPTIONS} \
                --fdname=local -l "$directory/passed" "$SOCKD" --config "$config"
        "$support/await" line "$log" 'Listening on' >/dev/null
        # The first connection starts it.
        check_does 'systemd-socket-activate starts it for the first client' "$SOCKCTL" -s "$passed" ping
        check 'and it serves under the pid that was started' "$daemon" \
                "$("$SOCKCTL" -s "$passed" --json status | "$support/json" pid)"
        stop_daemon
        check 'and ends in order' 0 "$status"
else
        skip 'systemd-socket-activate starts it for the first client' 'it is not installed'
        skip 'and it serves under the pid that was started' 'it is not installed'
        skip 'and ends in order' 'it is not installed'
fi

end_tests
