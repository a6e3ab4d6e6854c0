#!/bin/sh
# Who is admitted to a listener, and for how long: addresses, users, times of day, connections a second;
# on streams and on datagrams. What is refused is told, counted by its reason, and logged; nothing
# hangs, and nobody else notices. A reload changes the limits.
#
# shellcheck disable=SC2016,SC2046,SC2086,SC2119,SC2317 # formats; lists of words; functions without
# arguments; called by others
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"
trap 'exit 1' PIPE

# listeners TEXT...: the configuration has these, each without its braces, beside "local".
listeners() {
        {
                echo "listeners = ( { name = \"local\"; listen = \"$unix\"; }"
                [ $# -eq 0 ] || printf ', { %s }\n' "$@"
                echo ');'
        } >"$config"
}
reload() {
        ctl reload >"$directory/reload" 2>&1 || bail_out "$(cat "$directory/reload")"
}
# to NAME [HOST]: the address of a TCP listener.
to() {
        echo "tcp://${2:-127.0.0.1}:$(port_of "$1")"
}
# counts NAME: what sockctl says of a listener that it has refused and ended.
counts() {
        ctl listeners show "$1" | sed -n 's/^ *\(refused\|expired\): *//p' | paste -sd'|'
}
# knocks NAME [FROM [HOST]]: what becomes of a client of NATS: its PONG, or the error. $as is what runs it.
as=
knocks() {
        printf 'PING\r\n' | env ${2:+"PEER_FROM=tcp://$2:0"} $as "$support/peer" talk "$(to "$1" "${3-}")" 2>&1 |
                sed '/^INFO /d' | paste -sd' ' | sed 's/ *(closed)//'
}
address="-ERR 'Address Not Admitted'"
time="-ERR 'Not Admitted at This Time'"
full="-ERR 'maximum connections exceeded'"
throttled="-ERR 'Connection throttling is active. Please try again later.'"

# --- addresses ---------------------------------------------------------------------------------------

listeners 'name = "allow"; listen = "tcp://127.0.0.1:0"; allow = ["127.0.0.1", "127.0.2.0/24"]; deny = ["127.0.2.7"];' \
        'name = "deny"; listen = "tcp://127.0.0.1:0"; deny = ["127.0.2.0/24"]; allow = ["127.0.0.0/8"];' \
        'name = "nobody"; listen = "tcp://127.0.0.1:0"; allow = [];' \
        'name = "echo"; listen = "tcp://127.0.0.1:0"; echo = true; deny = ["127.0.0.2"];' \
        'name = "source"; listen = "tcp://127.0.0.1:0"; max_connections_per_source = 2;'
start_daemon
check 'an address that is allowed' PONG "$(knocks allow 127.0.0.1)"
check 'one in a prefix that is allowed' PONG "$(knocks allow 127.0.2.6)"
check 'one that is denied there is told so' "$address" "$(knocks allow 127.0.2.7)"
check 'one that is not allowed as well' "$address" "$(knocks allow 127.0.3.1)"
expect_log 'the log says who, where and why' 'warning: listener "allow": refused 127.0.2.7: its address is not admitted'
expect_log '... of each' 'warning: listener "allow": refused 127.0.3.1:'
check 'both are counted' '2 address|none' "$(counts allow)"
check 'an address that is denied' "$address" "$(knocks deny 127.0.2.7)"
check 'one that is not' PONG "$(knocks deny 127.0.3.7)"
check 'where nobody is allowed' "$address" "$(knocks nobody)"
check 'who speaks no NATS is just closed' '' "$(knocks echo 127.0.0.2)"
check '... and counted' '1 address|none' "$(counts echo)"
check 'who is admitted is served' x "$(printf 'x\nPONG\n' | "$support/peer" talk "$(to echo)" | head -n 1)"

start_helper two env PEER_FROM=tcp://127.0.0.2:0 "$support/peer" hold "$(to source)" 2
exec 8>"$directory/two.in"
await_helper two '^held 2$' >/dev/null || bail_out 'cannot hold two clients'
check 'a third connection of an address is refused' "$full" "$(knocks source 127.0.0.2)"
check 'another address is not' PONG "$(knocks source 127.0.0.3)"
order two 'drop 1' '^dropped 1$' >/dev/null
is_admitted() {
        [ "$(knocks "$@")" = PONG ]
}
check_does 'when one has gone, there is a place' await_that is_admitted source 127.0.0.2
check 'those who are there did not notice' 'alive 1' "$(order two ping '^alive')"
exec 8>&-

check 'as JSON, each reason has its number' '2 0 0' \
        "$(ctl_json listeners.1.refused.address listeners) $(ctl_json listeners.1.refused.time listeners) $(
                ctl_json listeners.1.refused.memory listeners
        )"
check_matches 'the list of listeners shows them' '^tcp://127.0.0.1:[0-9]+ +2 +0 +2 address$' "$(ctl listeners)"
check_matches 'what has refused nobody is not there' '^5 limited listeners$' \
        "$(ctl listeners | grep 'limited listener')"
ctl listeners show none >"$directory/output" 2>&1
check 'a listener that is not there has a status of its own' 3 $?

# --- a reload ----------------------------------------------------------------------------------------

listeners 'name = "tcp"; listen = "tcp://127.0.0.1:0";'
reload
hold crowd "$(to tcp)" 3
listeners 'name = "tcp"; listen = "tcp://127.0.0.1:0"; deny = ["127.0.0.1"]; max_connections = 1;'
reload
check 'those who are there stay, whatever is denied' 'alive 3' "$(order crowd ping '^alive')"
check 'newcomers are refused' "$address" "$(knocks tcp 127.0.0.1)"
check 'a lower limit holds for newcomers' "$full" "$(knocks tcp 127.0.0.2)"
listeners 'name = "tcp"; listen = "tcp://127.0.0.1:0"; max_connections_per_source = 3;'
reload
check 'those who were there count' "$full" "$(knocks tcp 127.0.0.1)"
listeners 'name = "tcp"; listen = "tcp://127.0.0.1:0"; deny = ["127.0.0.1/8"];'
ctl reload >"$directory/reload" 2>&1
check_matches 'a prefix that is none is an error' \
        'listeners\[1\].deny: found "127.0.0.1/8", which has more bits .* expected "127.0.0.0/8" or "127.0.0.1"' \
        "$(cat "$directory/reload")"
check 'and changes nothing' "$full" "$(knocks tcp 127.0.0.1)"
listeners 'name = "tcp"; listen = "tcp://127.0.0.1:0"; idle_timeout = "100ms";'
reload
check 'a new idle time holds for those who are there' 'closed 3' "$(order crowd closed '^closed')"
check_matches 'and they are counted' '\|3 idle_timeout$' "$(counts tcp)"
exec 8>&-

# --- users -------------------------------------------------------------------------------------------

test_users() {
        cp "$support/peer" "$directory/peer"
        chmod 755 "$directory/peer"
        listeners "name = \"unix\"; listen = \"unix://$directory/u\"; max_connections_per_uid = 1;" \
                'name = "uid"; listen = "tcp://127.0.0.1:0"; max_connections_per_uid = 1;'
        reload
        for at in "unix://$directory/u" "$(to uid)"; do
                kind=${at%%:*}
                start_helper user setpriv --reuid 7001 --regid 7001 --clear-groups "$directory/peer" hold "$at" 1
                exec 8>"$directory/user.in"
                await_helper user '^held 1$' >/dev/null || bail_out 'cannot hold a client'
                check "$kind: a second connection of a user is refused" "$full" \
                        "$(printf 'PING\r\n' | setpriv --reuid 7001 --regid 7001 --clear-groups "$directory/peer" talk "$at" |
                                sed -n '/^-ERR\|^PONG/p')"
                check "$kind: another user is not" PONG \
                        "$(printf 'PING\r\n' | setpriv --reuid 7002 --regid 7001 --clear-groups "$directory/peer" talk "$at" |
                                sed -n '/^-ERR\|^PONG/p')"
                exec 8>&-
                "$support/await" exit "$helper"
        done
        check 'it is counted' '1 uid|none' "$(counts unix)"
        expect_log 'and logged' 'listener "unix": refused uid 7001: max_connections_per_uid is reached'
}
if can_be_nobody; then
        test_users
else
        skip 'users' 'needs root and setpriv'
fi

# --- connections a second ------------------------------------------------------------------------------

listeners 'name = "cps"; listen = "tcp://127.0.0.1:0"; cps = { connections = 1; pause = "1h"; };' \
        'name = "other"; listen = "tcp://127.0.0.1:0"; cps = { connections = 100000; };'
reload
is_throttled() {
        [ "$(knocks cps)" = "$throttled" ]
}
check_does 'too many connections in a second are refused' await_that is_throttled
check 'then all are, for a while' "$throttled" "$(knocks cps)"
check 'on other listeners they are not' PONG "$(knocks other)"
expect_log 'the log says so' 'listener "cps": refused 127.0.0.1: there were too many in a second'
reload
check 'a reload ends that' PONG "$(knocks cps)"

# --- many who are refused --------------------------------------------------------------------------------

listeners 'name = "deny"; listen = "tcp://127.0.0.1:0"; deny = ["127.0.0.2"];'
reload
n_descriptors=$(count_descriptors "$daemon")
rss_kb=$(resident_kb "$daemon")
for round in 1 2 3; do
        check_matches "round $round: of a thousand who are refused some are told, and none is kept" \
                '^told [0-9]+, closed [0-9]+$' "$(PEER_FROM=tcp://127.0.0.2:0 "$support/peer" knock "$(to deny)" 1000)"
done
check 'all were counted' '3000 address|none' "$(counts deny)"
check_at_most 'few of them were logged' 200 "$(count_log 'listener "deny": refused')"
check_does 'no descriptor is left behind' await_that has_descriptors "$daemon" "$n_descriptors"
if $is_sanitized; then
        skip 'memory does not grow' 'a sanitizer keeps what is freed'
else
        check_at_most 'memory does not grow' $((rss_kb + 4000)) "$(resident_kb "$daemon")"
fi
check 'others are served' PONG "$(knocks deny 127.0.0.1)"
check 'and nobody is counted who has gone' 0 "$(ctl_json listeners.1.connections listeners)"
stop_daemon
check 'the daemon ends in order' 0 "$status"

# --- idle, and in use --------------------------------------------------------------------------------------

empty_log
listeners 'name = "idle"; listen = "tcp://127.0.0.1:0"; idle_timeout = "2s";' \
        'name = "echo"; listen = "tcp://127.0.0.1:0"; echo = true; idle_timeout = "2s";'
start_daemon
# A publisher, who hears what he says; one who echoes; and one who sends nothing but PINGs.
start_helper publisher "$support/peer" talk "$(to idle)"
exec 7>"$directory/publisher.in"
printf 'CONNECT {"verbose":false}\r\nSUB idle.use 1\r\n' >&7
start_helper echo "$support/peer" talk "$(to echo)"
exec 9>"$directory/echo.in"
since_ms=$(now_ms)
hold pinger "$(to idle)" 1
until [ "$(order pinger ping '^alive')" = 'alive 0' ]; do
        printf 'PUB idle.use 1\r\nx\r\n' >&7
        echo use >&9
        [ $(($(now_ms) - since_ms)) -lt 20000 ] || break
done
check_at_most 'who only sends PINGs is idle' 19000 $(($(now_ms) - since_ms))
check_at_most 'not before the time' $(($(now_ms) - since_ms)) 1990
printf 'PUB idle.use 4\r\nlast\r\nPING\r\n' >&7
echo PONG >&9
check 'who publishes is not' last "$(await_helper publisher '^last$')"
check 'nor who echoes' PONG "$(await_helper echo '^PONG$')"
exec 7>&- 8>&- 9>&-
# A subscriber is in use while messages come for it, though it says nothing.
start_helper reader "$support/peer" talk "$(to idle)"
exec 7>"$directory/reader.in"
printf 'CONNECT {"verbose":false}\r\nSUB idle.read 1\r\n' >&7
"$support/peer" silent "$(to idle)" >"$directory/silent" &
silent=$!
helpers="$helpers $silent"
while kill -0 "$silent" 2>/dev/null; do
        ctl pub idle.read x
done
ctl pub idle.read end
check 'who gets messages is not idle either' end "$(await_helper reader '^end$')"
check_matches 'who says nothing is told' "^[0-9]+ -ERR 'Stale Connection'\$" "$(cat "$directory/silent")"
exec 7>&-
stop_daemon
check 'the daemon ends in order' 0 "$status"

# --- times of day ------------------------------------------------------------------------------------------

# at_noon COMMAND...: in a time zone where it is about noon now, on the day $today.
hour=$(date -u +%H)
zone=TST$((${hour#0} - 12))
today=$(TZ=$zone LC_ALL=C date +%a)
tomorrow=$(TZ=$zone LC_ALL=C date -d tomorrow +%a)
test_times() {
        empty_log
        launch env TZ="$zone" "$SOCKD" --config "$config"
        await_ready
}
listeners 'name = "day"; listen = "tcp://127.0.0.1:0"; times = ["06:00-18:00"];' \
        'name = "night"; listen = "tcp://127.0.0.1:0"; times = ["18:00-06:00"];' \
        "name = \"today\"; listen = \"tcp://127.0.0.1:0\"; times = [\"18:00-06:00\", \"$today 06:00-18:00\"];" \
        "name = \"tomorrow\"; listen = \"tcp://127.0.0.1:0\"; times = [\"$tomorrow 00:00-24:00\"];" \
        'name = "never"; listen = "tcp://127.0.0.1:0"; times = [];' \
        "name = \"path\"; listen = \"unix://$directory/p\"; times = [\"18:00-06:00\"];" \
        'name = "udp"; listen = "udp://127.0.0.1:0"; times = ["18:00-06:00"];'
test_times
check 'at noon the day is open' PONG "$(knocks day)"
check 'the night is not, and says so' "$time" "$(knocks night)"
check 'this day of the week is' PONG "$(knocks today)"
check 'another one is not' "$time" "$(knocks tomorrow)"
check 'without a time it never is' "$time" "$(knocks never)"
check 'Unix peers are refused as well' "$time" \
        "$("$support/peer" talk "unix://$directory/p" </dev/null | sed -n '/^-ERR/p')"
check 'they are counted' '1 time|none' "$(counts path)"
expect_log 'and logged' 'listener "path": refused uid [0-9]+: it is closed at this time of day'
udp=udp://127.0.0.1:$(sed -n 's/.*listener "udp" listening on udp:.*:\([0-9]*\)$/\1/p' "$log")
printf 'open a udp://127.0.0.1:0 %s\nburst 3 a PUB x 0\\r\\n\\r\\n\n' "$udp" | "$support/datagram" >/dev/null
has_dropped() {
        [ "$(ctl_json "listeners.$1.datagrams.dropped.$2" listeners)" = "$3" ]
}
check_does 'datagrams are dropped, and counted' await_that has_dropped 7 time 3
hold crowd "$(to day)" 1
listeners 'name = "day"; listen = "tcp://127.0.0.1:0"; times = ["18:00-06:00"];'
reload
check 'whoever is there when it closes stays' 'alive 1' "$(order crowd ping '^alive')"
check 'newcomers do not' "$time" "$(knocks day)"
exec 8>&-
stop_daemon
check 'the daemon ends in order' 0 "$status"

# --- datagrams -----------------------------------------------------------------------------------------------

empty_log
listeners 'name = "udp"; listen = "udp://127.0.0.1:0"; allow = ["127.0.0.0/24"]; deny = ["127.0.0.7"];' \
        'name = "cps"; listen = "udp://127.0.0.1:0"; cps = { connections = 1; pause = "1h"; };' \
        'name = "echo"; listen = "udp://127.0.0.1:0"; echo = true; deny = ["127.0.0.7"];'
start_daemon
port() {
        sed -n "s/.*listener \"$1\" listening on udp:.*:\([0-9]*\)\$/\1/p" "$log" | tail -n 1
}
start_helper peers "$support/datagram"
exec 8>"$directory/peers.in"
printf '%s\n' "open good udp://127.0.0.1:0 udp://127.0.0.1:$(port udp)" \
        "open bad udp://127.0.0.7:0 udp://127.0.0.1:$(port udp)" \
        "open far udp://127.0.1.1:0 udp://127.0.0.1:$(port udp)" \
        'send good SUB seen 1\r\nPING\r\n' 'expect good' >&8
check_matches 'datagrams of those who are allowed are served' PONG "$(await_helper peers '^good .*PONG')"
printf '%s\n' 'burst 5 bad PUB seen 3\r\nbad\r\n' 'burst 2 far PUB seen 3\r\nfar\r\n' >&8
check_does 'those of others are dropped, and counted' await_that has_dropped 1 address 7
printf '%s\n' 'send good PUB seen 4\r\ngood\r\n' 'expect good' >&8
check_matches 'nobody sees them' 'MSG seen 1 4.*good' "$(await_helper peers '^good .*MSG')"
expect_log 'they are logged' 'warning: listener "udp": refused 127.0.0.7: its address is not admitted'
check 'they are received, though' 9 "$(ctl_json listeners.1.datagrams.received listeners)"
check 'what is dropped has its reason' '9 received, 2 sent, 7 dropped: 7 address' \
        "$(ctl listeners show udp | sed -n 's/^ *datagrams: *//p')"
printf '%s\n' "open e udp://127.0.0.7:0 udp://127.0.0.1:$(port echo)" 'burst 2 e x' >&8
check_does 'other handlers have the same limits' await_that has_dropped 3 address 2

listeners 'name = "udp"; listen = "udp://127.0.0.1:0"; deny = ["127.0.0.1"];' \
        'name = "cps"; listen = "udp://127.0.0.1:0"; cps = { connections = 1; pause = "1h"; };'
reload
printf '%s\n' 'burst 4 good PUB seen 5\r\nlater\r\n' >&8
check_does 'a reload holds for the datagrams of those who are there' await_that has_dropped 1 address 11
printf '%s\n' 'send bad PUB seen 2\r\nok\r\n' 'expect good' >&8
check_matches 'who has a subscription keeps it for its time' 'MSG seen 1 2.*ok' "$(await_helper peers '^good .*MSG')"

# Publishing begins no session.
printf '%s\n' "open p udp://127.0.0.1:0 udp://127.0.0.1:$(port cps)" 'burst 20 p PUB x 0\r\n\r\n' \
        'send p PING\r\n' 'expect p' >&8
check_matches 'what begins no session has no pace' PONG "$(await_helper peers '^p .*PONG')"
n_peers=0
is_paced() {
        n_peers=$((n_peers + 1))
        printf '%s\n' "open s$n_peers udp://127.0.0.1:0 udp://127.0.0.1:$(port cps)" \
                "send s$n_peers SUB x 1\\r\\nPING\\r\\n" "expect s$n_peers" >&8
        await_helper peers "^s$n_peers " | grep -q 'maximum sessions exceeded'
}
check_does 'too many sessions in a second are refused' await_that is_paced
check_does 'and counted' await_that has_dropped 2 cps 1
exec 8>&-
stop_daemon
check 'the daemon ends in order' 0 "$status"

# --- IPv6 ------------------------------------------------------------------------------------------------------

# hold_network: a new one, which lasts as long as this script. $within is what runs a command there.
hold_network() {
        AWAIT_SECONDS=100000 unshare --net "$support/await" exit $$ &
        helpers="$helpers $!"
        within="nsenter --net=/proc/$!/ns/net"
        await_that is_apart $!
}
is_apart() {
        [ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ]
}
make_network() {
        hold_network && $within ip link set lo up &&
                for host in fd00:9::1 fd00:9::2 fd00:9:1::1 10.9.0.1 10.9.0.2; do
                        case $host in
                        *:*) $within ip addr add "$host/128" dev lo nodad || return ;;
                        *) $within ip addr add "$host/32" dev lo || return ;;
                        esac
                done
}
test_ipv6() {
        empty_log
        listeners 'name = "six"; listen = "tcp://[::]:0"; allow = ["fd00:9::/64", "10.9.0.1"]; deny = ["fd00:9::2"]; max_connections_per_source = 1;' \
                'name = "seven"; listen = "tcp://[::]:0"; deny = ["::/0"];'
        launch $within "$SOCKD" --config "$config"
        await_ready
        as=$within
        check 'IPv6: an address in a prefix' PONG "$(knocks six '[fd00:9::1]' '[fd00:9::1]')"
        check 'IPv6: one that is denied there' "$address" "$(knocks six '[fd00:9::2]' '[fd00:9::1]')"
        check 'IPv6: one beside the prefix' "$address" "$(knocks six '[fd00:9:1::1]' '[fd00:9::1]')"
        check 'IPv6: an address of IPv4 on the same socket' PONG "$(knocks six 10.9.0.1 10.9.0.1)"
        check 'IPv6: another one of IPv4' "$address" "$(knocks six 10.9.0.2 10.9.0.1)"
        check 'IPv6: ::/0 is all of IPv6' "$address" "$(knocks seven '[fd00:9::1]' '[fd00:9::1]')"
        check 'IPv6: and nothing of IPv4' PONG "$(knocks seven 10.9.0.1 10.9.0.1)"
        start_helper one env PEER_FROM='tcp://[fd00:9::1]:0' $within "$support/peer" hold "$(to six '[fd00:9::1]')" 1
        exec 8>"$directory/one.in"
        await_helper one '^held 1$' >/dev/null || bail_out 'cannot hold a client'
        check 'IPv6: a second connection of an address' "$full" "$(knocks six '[fd00:9::1]' '[fd00:9::1]')"
        exec 8>&-
        as=
        stop_daemon
        check 'IPv6: the daemon ends in order' 0 "$status"
}
if ! $is_root || ! has_ipv6 || ! command -v ip >/dev/null || ! command -v nsenter >/dev/null; then
        skip 'IPv6' 'needs root, IPv6, ip and nsenter'
elif ! make_network 2>"$directory/why"; then
        skip 'IPv6' "networks cannot be made here: $(tail -n 1 "$directory/why")"
else
        test_ipv6
fi

end_tests
