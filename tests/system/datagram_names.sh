#!/bin/sh
# Proves that peers of Unix datagram sockets are answered under names that are their own, and under
# no others: sockd sends to no socket that a peer could not have bound, ends nobody's session, and
# answers those whose names it can know, from other namespaces, too.
#
# shellcheck disable=SC2016,SC2086,SC2119,SC2317 # formats; lists of words; functions without
# arguments; called by others
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

if ! can_be_nobody || ! unshare --net --mount true 2>/dev/null; then
        echo '1..0 # SKIP needs root, setpriv and unshare'
        exit 0
fi
# Peers that gave up read no more orders.
trap 'exit 1' PIPE

datagram=$directory/datagram
if ! { cp "$support/datagram" "$datagram" && chmod 755 "$datagram"; }; then
        bail_out 'no copy of the peers'
fi
dgram=unix+dgram://$directory/d
abstract=unix+dgram:@sockd.test.$$
nobody="setpriv --reuid nobody --regid nogroup --clear-groups --"
# Where everybody may bind, and where only root may.
open=$directory/open
private=$directory/private
mkdir -m 1777 "$open"
mkdir -m 700 "$private"

# gather NAME COMMAND...: peers in the background. Those called root obey `tell`, those called others
# `tell_others`: ORDER [REGEX], which awaits what they say to it.
gather() {
        gather_name=$1
        shift
        start_helper "$gather_name" "$@" "$datagram"
}
tell() {
        printf '%s\n' "$1" >&8
        [ $# -eq 1 ] || await_helper root "$2"
}
tell_others() {
        printf '%s\n' "$1" >&9
        [ $# -eq 1 ] || await_helper others "$2"
}

# once COMMAND...: peers that obey what this reads, and what they say.
once() {
        DATAGRAM_SECONDS=${seconds:-20} "$@" "$datagram" 2>&1
}

# n_sessions: that there are.
n_sessions() {
        ctl_json sessions status
}
has_sessions() {
        [ "$(n_sessions)" -eq "$1" ]
}

# unanswerable: what was not answered by the listener with a path, of peers that have no name here.
unanswerable() {
        ctl_json listeners.1.datagrams.dropped.unanswerable listeners
}

# attack NAME SOCKET COMMAND...: what this reads is obeyed by peers of nobody; one of them publishes
# to `told`, and asks for `stolen`. The witness is told; SOCKET, of root, gets nothing.
attack() {
        attack_name=$1
        attack_socket=$2
        shift 2
        n_before=$(n_sessions)
        unanswerable_before=$(unanswerable)
        once "$@" >"$directory/attack.out"
        check_matches "$attack_name: it may publish" 'MSG told 1 4' "$(tell 'expect W' '^W .*')"
        ctl pub stolen x
        check "$attack_name: another socket gets nothing" "$attack_socket took 0" \
                "$(tell "take $attack_socket" "^$attack_socket took")"
        check "$attack_name: it has no session, and nobody loses one" "$n_before" "$(n_sessions)"
        check "$attack_name: that is counted" $((unanswerable_before + 3)) "$(unanswerable)"
}
# orders NAME: opens a peer of that name and attacks by it.
orders() {
        printf '%s\n' "open N $1 $dgram" \
                'send N SUB stolen 1\r\nPUB told 4\r\ntold\r\nPING\r\nSUB stolen 2\r\nPUB stolen 2\r\nno\r\n'
}

# --- what is not theirs --------------------------------------------------------------------------

configure 'log = { level = "debug"; };' 'server = { workers = 2; };' 'listeners = (' \
        "{ name = \"local\"; listen = \"$unix\"; }, { name = \"dgram\"; listen = \"$dgram\"; }," \
        "{ name = \"abstract\"; listen = \"$abstract\"; } );"
launch sh -c 'cd "$1" && exec "$2" --config "$3"' sh "$directory" "$SOCKD" "$config"
await_ready
gather root env
exec 8>"$directory/root.in"
gather others $nobody
exec 9>"$directory/others.in"

tell "open R unix+dgram://$private/s $dgram"
tell "open A unix+dgram:@sockd.root.$$ $dgram"
tell "open W unix+dgram://$open/w $dgram"
tell 'send W SUB told 1\r\nPING\r\n'
tell 'expect W' '^W .* PONG' >/dev/null

as_nobody mkdir "$open/private"
orders 'name:private/s' | attack 'a relative path' R sh -c 'cd "$1" && shift && exec "$@"' sh "$open" $nobody
orders "name:$private/s" | attack 'a path of another mount namespace' R unshare --mount \
        sh -c 'mount -t tmpfs none "$1" && chmod 777 "$1" && shift && exec "$@"' sh "$private" $nobody
orders "unix+dgram:@sockd.root.$$" | attack 'an abstract name of another network namespace' A \
        unshare --net $nobody
orders "unix+dgram:@sockd.none.$$" | attack 'an abstract name that nobody has here' A unshare --net $nobody
orders 'none:' | attack 'no name' A $nobody
expect_log 'the log tells of names' 'warning: listener "dgram": a peer of uid [0-9]* is not answered'

# What stands at the path is exchanged.
tell_others "open X unix+dgram://$open/x $dgram"
tell_others 'send X SUB exchanged 1\r\nPING\r\n'
tell_others 'expect X' '^X .* PONG' >/dev/null
as_nobody mv "$open/x" "$open/y"
as_nobody ln -s "$private/s" "$open/x"
ctl pub exchanged x
check_matches 'a path that became a link: the socket that was there gets its own' 'MSG exchanged 1' \
        "$(tell_others 'expect X' '^X .*')"
tell_others 'send X PING\r\n'
check_matches '... and is answered on' PONG "$(tell_others 'expect X' '^X .*')"
check '... and the other gets nothing' 'R took 0' "$(tell 'take R' '^R took')"
tell_others 'close X'
tell_others 'say X is closed' '^X is closed' >/dev/null
ctl pub exchanged x
check_does '... its session ends with its socket' await_that has_sessions 1
check '... and the other gets nothing' 'R took 0' "$(tell 'take R' '^R took')"

# --- whose they are --------------------------------------------------------------------------------

for name in "unix+dgram://$open/victim" "unix+dgram:@sockd.victim.$$"; do
        tell "open V $name $dgram"
        tell 'send V SUB news 7\r\nPING\r\n'
        tell 'expect V' '^V .* PONG' >/dev/null
        orders "$name" | attack "the name of another one's session, $name" V unshare --mount --net \
                sh -c 'mount -t tmpfs none "$1" && chmod 777 "$1" && shift && exec "$@"' sh "$open" $nobody
        ctl pub news x
        check_matches '... which gets what is its own' 'MSG news 7' "$(tell 'expect V' '^V .*')"
        tell 'close V'
done
rm "$open/victim"
# It has been given to somebody else.
tell_others "open G unix+dgram://$open/victim $dgram"
tell_others 'send G PING\r\n'
check_matches 'whose name it is now is answered' PONG "$(tell_others 'expect G' '^G .*')"
ctl pub news x
check_does '... and the session of the one before ends' await_that has_sessions 1

# A program that is started again.
for program in 'still runs' 'has ended'; do
        rm -f "$open/again"
        tell_others "open B unix+dgram://$open/again $dgram"
        tell_others 'send B SUB again 1\r\nPING\r\n'
        tell_others 'expect B' '^B .* PONG' >/dev/null
        rm "$open/again"
        if [ "$program" = 'has ended' ]; then
                tell_others 'close B'
                tell_others "open B unix+dgram://$open/again $dgram"
                tell_others 'say B is there again' '^B is there' >/dev/null
                ctl pub again x
                check_matches "a program that was started again when it $program has its subscriptions" \
                        'MSG again 1' "$(tell_others 'expect B' '^B .*')"
        else
                check_matches "a program that was started again while it $program is answered" PONG \
                        "$(printf '%s\n' "open C unix+dgram://$open/again $dgram" 'send C PING\r\n' 'expect C' |
                                once $nobody)"
        fi
        tell_others 'close B'
        tell_others 'say B is closed' '^B is closed' >/dev/null
        ctl pub again x
        check_does '... and ends with it' await_that has_sessions 1
done

# --- what can be answered --------------------------------------------------------------------------

# answered NAME FROM TO COMMAND...: a PING is answered.
answered() {
        answered_name=$1
        answered_orders=$(printf '%s\n' "open P $2 $3" 'send P PING\r\n' 'expect P')
        shift 3
        check_matches "$answered_name is answered" PONG "$(echo "$answered_orders" | once "$@")"
}
# ignored NAME FROM TO COMMAND...: it is not.
ignored() {
        ignored_name=$1
        ignored_orders=$(printf '%s\n' "open P $2 $3" 'send P PUB told 2\r\nhi\r\nPING\r\n')
        unanswerable_before=$(unanswerable)
        shift 3
        echo "$ignored_orders" | once "$@"
        tell 'expect W' '^W .* MSG told 1 2' >/dev/null
        check "$ignored_name is not answered" $((unanswerable_before + 1)) "$(unanswerable)"
}
# path N: in $open, so long.
path() {
        echo "$open/$(printf "%$(($1 - ${#open} - 1))s" '' | tr ' ' p)"
}

answered 'a path of another network namespace' "unix+dgram://$open/far" "$dgram" unshare --net $nobody
answered 'an abstract name of this one' any: "$dgram" $nobody
ignored 'an abstract name of another one' any: "$dgram" unshare --net $nobody
answered 'an abstract name where all have one' any: "$abstract" $nobody
answered 'a path where the listener has none' "unix+dgram://$open/here" "$abstract" $nobody
answered 'a path of 107 bytes' "name:$(path 107)" "$dgram" $nobody
ignored 'a path of 108 bytes' "name:$(path 108)" "$dgram" $nobody
answered 'root at a path of his own' "unix+dgram://$private/own" "$dgram" env

exec 8>&- 9>&-
stop_daemon
check 'the daemon ends in order' 0 "$status"

# --- descriptors -----------------------------------------------------------------------------------

empty_log
launch prlimit --nofile=160:160 "$SOCKD" --config "$config"
await_ready
gather others $nobody
exec 9>"$directory/others.in"
for i in $(seq 120); do
        tell_others "open S$i unix+dgram://$open/s$i $dgram"
        tell_others "send S$i SUB many 1\\r\\nPING\\r\\n"
        tell_others "expect S$i" "^S$i .*" >"$directory/answer"
        ! grep -q -- "-ERR 'maximum sessions exceeded'" "$directory/answer" || break
done
check_matches 'a session that would take one of the last descriptors is refused' \
        "-ERR 'maximum sessions exceeded'" "$(cat "$directory/answer")"
check_does '... while others are served' ctl status
tell_others "expect S$i" "^S$i .* PONG" >/dev/null
n=$(n_sessions)
tell_others 'close S1'
tell_others 'say S1 is closed' '^S1 is closed' >/dev/null
ctl pub many x
await_that has_sessions $((n - 1))
# Its descriptor is free a moment later, and so is that of the status that was asked for.
is_served() {
        tell_others "send S$i SUB many 1\\r\\nPING\\r\\n"
        tell_others "expect S$i" "^S$i .*" | grep -q PONG && return
        tell_others "expect S$i" "^S$i .* PONG" >/dev/null
        return 1
}
check_does '... until one ends' await_that is_served
exec 9>&-
stop_daemon
end_tests
