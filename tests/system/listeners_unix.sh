#!/bin/sh
# Unix sockets: mode, owner and group without a more open moment, stale and living sockets, paths
# that are no sockets, the removal at the end, abstract names.
#
# shellcheck disable=SC2016,SC2119,SC2317 # formats; functions without arguments; called by others
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

one_listener() {
        configure "listeners = ( { name = \"local\"; listen = \"$unix\"; $1 } );"
}
mode_of() {
        stat -c '%a' "$1"
}

# --- mode, owner, group ------------------------------------------------------------------------

one_listener ''
(
        umask 077
        start_daemon
        mode_of "$socket" >"$directory/mode"
        stop_daemon
)
check 'the mode is 666 whatever the umask' 666 "$(cat "$directory/mode")"

umask 0
one_listener 'mode = "0600";'
start_daemon
check 'the mode is as configured' 600 "$(mode_of "$socket")"
check_does 'its owner may connect' ctl status
if can_be_nobody; then
        as_nobody "$nobody_ctl" -s "$unix" ping >"$directory/out" 2>&1
        check 'others may not, and sockctl exits with 4' 4 $?
        check 'and says what to do in one line' \
                "sockctl: $unix: no permission; run it as root" "$(cat "$directory/out")"
else
        skip 'others may not, and sockctl exits with 4' 'needs root and setpriv'
        skip 'and says what to do in one line' 'needs root and setpriv'
fi
stop_daemon
check_does 'the path is removed at the end' test ! -e "$socket"

if can_be_nobody; then
        group=$(id -gn nobody)
        one_listener "mode = \"0660\"; owner = \"nobody\"; group = \"$group\";"
        start_daemon
        check 'owner and group are as configured' "nobody $group" "$(stat -c '%U %G' "$socket")"
        one_listener 'mode = "0660";'
        ctl reload >/dev/null
        check 'without them they are those of the daemon again' "$(id -un) $(id -gn)" \
                "$(stat -c '%U %G' "$socket")"
        stop_daemon

        # Somebody tries to connect all the while.
        one_listener 'mode = "0660"; owner = "daemon"; group = "daemon";'
        cp "$support/peer" "$directory/peer"
        chmod 755 "$directory/peer"
        start_helper probe setpriv --reuid nobody --regid nogroup --clear-groups "$directory/peer" probe "$socket"
        exec 8>"$directory/probe.in"
        await_helper probe '^probing$' >/dev/null
        for _ in 1 2 3 4 5 6 7 8 9 10; do
                start_daemon
                stop_daemon
        done
        exec 8>&-
        wait "$helper"
        daemon_uid=$(id -u daemon) daemon_gid=$(id -g daemon)
        check_lacks 'nobody else is ever admitted' admitted "$(cat "$directory/probe.out")"
        check 'nothing but the mode that was asked for was ever seen' '' \
                "$(grep '^mode' "$directory/probe.out" | sort -u |
                        grep -Ev "^mode 0000 |^mode 0660 owner $daemon_uid group $daemon_gid\$")"
        one_listener 'mode = "0660"; group = "daemon";'
        start_daemon
        as_nobody "$nobody_ctl" -s "$unix" ping >"$directory/out" 2>&1
        check_matches 'sockctl names the group that may connect' 'member of the group "daemon"' \
                "$(cat "$directory/out")"
        stop_daemon
else
        skip 'owner and group are as configured' 'needs root and setpriv'
        skip 'nobody else is ever admitted' 'needs root and setpriv'
        skip 'nothing but the mode that was asked for was ever seen' 'needs root and setpriv'
        skip 'sockctl names the group that may connect' 'needs root and setpriv'
fi
umask 022

# --- who is there already ------------------------------------------------------------------------

one_listener ''
start_daemon
run_daemon --config "$config"
check 'a path that a daemon listens on is not taken' 1 "$status"
check_matches 'and the error says so' "another process is listening at $socket" "$output"
check_does 'and the daemon serves on' ctl status
stop_daemon KILL
check 'a killed daemon leaves its path' 137 "$status"
check_does 'a killed daemon leaves its socket' test -S "$socket"
start_daemon
check 'a stale socket is replaced, and the log says so' 1 "$(count_log "removed the stale socket $socket")"
check_does 'the new daemon serves there' ctl status

# A daemon whose path was taken away must not take away its successor's.
rm "$socket"
old=$daemon
start_daemon
new=$daemon
daemon=$old
stop_daemon
daemon=$new
check_does 'a path that another daemon took over is left to it' ctl status
stop_daemon
check_does 'until that one ends' test ! -e "$socket"

echo important >"$socket"
run_daemon --config "$config"
check 'a path that is a file is an error' 1 "$status"
check_matches 'and the error says so' "$socket exists and is not a socket; it is left alone" "$output"
check 'the file is untouched' important "$(cat "$socket")"
rm "$socket"
ln -s "$directory/elsewhere" "$socket"
run_daemon --config "$config"
check 'a symbolic link is an error' 1 "$status"
check_does 'the link is untouched' test -L "$socket"
rm "$socket"
mkdir "$socket"
run_daemon --config "$config"
check 'a directory is an error' 1 "$status"
check_does 'the directory is untouched' test -d "$socket"
rmdir "$socket"

# Of several daemons that start at the same time, one serves, and all others say why they do not.
: >"$directory/pids"
for i in 1 2 3 4 5 6; do
        "$SOCKD" --config "$config" </dev/null >"$directory/race.$i" 2>&1 &
        echo $! >>"$directory/pids"
        helpers="$helpers $!"
done
n_alive=0
for i in 1 2 3 4 5 6; do
        pid=$(sed -n "${i}p" "$directory/pids")
        if "$support/await" line "$directory/race.$i" 'is ready$' "$pid" >/dev/null 2>&1; then
                n_alive=$((n_alive + 1))
        fi
done
check 'of daemons that start at the same time one serves' 1 "$n_alive"
check_does 'and can be reached' ctl status
while read -r pid; do
        kill "$pid" 2>/dev/null
        "$support/await" exit "$pid"
done <"$directory/pids"
check_does 'and removes its path' test ! -e "$socket"

# And so it is when they find what a dead one left behind.
# race: starts three. Those that serve are in $winners, and killed.
race() {
        winners=
        pids=
        for i in 1 2 3; do
                rm -f "$directory/race.$i.at"
                "$SOCKD" --config "$config" </dev/null >"$directory/race.$i" 2>&1 &
                pids="$pids $!"
        done
        helpers_before=$helpers
        helpers="$helpers $pids"
        i=0
        for pid in $pids; do
                i=$((i + 1))
                ! "$support/await" line "$directory/race.$i" 'is ready$' "$pid" >/dev/null 2>&1 ||
                        winners="$winners $pid"
        done
        # shellcheck disable=SC2086 # a list of words
        kill -KILL $pids 2>/dev/null
        for pid in $pids; do
                wait "$pid" 2>/dev/null
        done
        helpers=$helpers_before
}
n_single=0
n_rounds=20
for _ in $(seq "$n_rounds"); do
        race
        # shellcheck disable=SC2086 # a list of words
        set -- $winners
        [ $# -ne 1 ] || n_single=$((n_single + 1))
done
check 'of daemons that find a stale socket one takes it, each time' "$n_rounds" "$n_single"
check_does 'and leaves it when it is killed' test -S "$socket"
rm "$socket"

# Anybody can hold the lock by which they take turns. It stops nobody.
if command -v flock >/dev/null; then
        start_helper holder flock "$directory" sh -c 'echo held; cat'
        exec 9>"$directory/holder.in"
        await_helper holder held >/dev/null
        start_daemon
        check 'a lock that another process keeps is not waited for long' 1 \
                "$(count_log "warning: the directory of $socket cannot be locked: another process")"
        check_does 'and the daemon serves' ctl status
        exec 9>&-
        stop_daemon
else
        skip 'a lock that another process keeps is not waited for long' 'flock is not installed'
        skip 'and the daemon serves' 'flock is not installed'
fi

# One that was killed between bind(2) and chmod(2) left a socket to which only root can connect.
mkdir "$directory/own"
shut=$directory/own/s
as_owner=
if can_be_nobody; then
        chown nobody "$directory/own"
        cp "$SOCKD" "$directory/sockd"
        chmod 755 "$directory/sockd"
        as_owner=as_nobody
fi
configure "listeners = ( { name = \"shut\"; listen = \"unix://$shut\"; mode = \"0000\"; } );"
program=$SOCKD
[ -z "$as_owner" ] || program=$directory/sockd
launch_shut() {
        if [ -n "$as_owner" ]; then
                launch setpriv --reuid nobody --regid nogroup --clear-groups "$program" --config "$config"
        else
                launch "$program" --config "$config"
        fi
}
launch_shut
await_ready
stop_daemon KILL
check 'a socket of mode 0 is left behind' 0 "$(mode_of "$shut")"
launch_shut
await_ready
check 'and replaced by a daemon of its owner' 1 "$(count_log "removed the stale socket $shut")"
output=$($as_owner timeout 20 "$program" --config "$config" 2>&1 </dev/null)
check 'a living one of mode 0 is not' 1 $?
check_matches 'and the error says so' "another process is listening at $shut" "$output"
check 'and its mode stays' 0 "$(mode_of "$shut")"
stop_daemon

# --- paths that cannot be ------------------------------------------------------------------------

run_daemon --listen "unix://$directory/nowhere/s"
check 'a missing directory is an error' 1 "$status"
check_matches 'and the error says so' "cannot bind to $directory/nowhere/s: .*directory does not exist" "$output"
long=$(printf '%0108d' 0)
run_daemon --listen "unix:///$long"
check 'a path over the limit of the system is an error' 78 "$status"
check_matches 'and the error names the limit' 'longer than 107 bytes' "$output"
room=$((107 - ${#directory} - 1))
longest=$directory/$(printf "%0${room}d" 0)
start_daemon --listen "unix://$longest"
check_does 'a path as long as the limit is none' "$SOCKCTL" -s "unix://$longest" status
stop_daemon
check_does 'and is removed' test ! -e "$longest"

configure 'listeners = (' \
        "  { name = \"good\"; listen = \"$unix\"; }," \
        "  { name = \"bad\"; listen = \"unix://$directory/nowhere/s\"; }," \
        '  { name = "worse"; listen = "tcp://192.0.2.1:4222"; } );'
run_daemon --config "$config"
check 'one listener that fails fails the start' 1 "$status"
check_matches 'each that fails is named: the first' 'listener "bad": ' "$output"
check_matches 'each that fails is named: the second' 'listener "worse": ' "$output"
check_does 'the path of the good one is removed' test ! -e "$socket"

# --- buffers -------------------------------------------------------------------------------------

# The kernel shows the double of what was asked for.
one_listener 'receive_buffer = 50000; send_buffer = 60000;'
start_daemon
hold guest "$unix" 1
check_matches 'accepted connections have the buffers that are configured' 'rb100000,.*,tb120000,' \
        "$(ss -xmn | grep -F -A 1 "$socket" | tr -d '\n')"
release guest
stop_daemon

# --- abstract names ------------------------------------------------------------------------------

name=unix:@sockd-test-$$
configure "listeners = ( { name = \"local\"; listen = \"$name\"; } );"
start_daemon
check_does 'an abstract name is served' "$SOCKCTL" -s "$name" status
check 'its address is shown' "$name" \
        "$("$SOCKCTL" -s "$name" --json listeners | "$support/json" listeners.0.address)"
run_daemon --config "$config"
check 'an abstract name that is taken is an error' 1 "$status"
check_matches 'and the error says so' "cannot bind to $name: .*another process uses it" "$output"
stop_daemon KILL
start_daemon
check_does 'an abstract name is free when its daemon is dead' "$SOCKCTL" -s "$name" status
stop_daemon
check_does 'no file bears its name' test ! -e "@sockd-test-$$"

end_tests
