#!/bin/sh
# Proves that sockctl moves messages by datagrams, over UDP and Unix sockets, and by the records of
# seqpacket sockets, as it does over streams; that a subscription outlasts the end of its session and
# of the daemon; and that who speaks to nobody is told so.
#
# shellcheck disable=SC2119,SC2317 # functions without arguments; called by others
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

# at ADDRESS ARG...: sockctl there.
at() {
        address=$1
        shift
        timeout 20 "$SOCKCTL" -s "$address" "$@" </dev/null
}

# listen NAME ADDRESS VERB...: sockctl in the background, subscribed. Its pid is in $helper.
listen() {
        listen_name=$1
        listen_address=$2
        shift 2
        start_helper "$listen_name" "$SOCKCTL" -v -s "$listen_address" "$@"
        exec 7>"$directory/$listen_name.in"
        exec 7>&-
        await_helper "$listen_name" ': subscribed to ' >/dev/null ||
                bail_out "sockctl $* does not begin at $listen_address"
}

# expect_end NAME STATUS: of the last helper.
expect_end() {
        "$support/await" exit "$helper" && wait "$helper"
        check "$1" "$2" $?
}

# received NAME: what it printed, without what --verbose tells.
received() {
        grep -v '^sockctl: ' "$directory/$1.out"
}

# is_deserted SUBJECT: nobody answers there.
is_deserted() {
        at "$unix" request --timeout 100ms "$1" x
        [ $? = 3 ]
}

# exchange WHAT ADDRESS: all that messages can do.
exchange() {
        check_does "$1: ping" at "$2" ping

        listen sub "$2" sub --count 3 'test.*'
        at "$2" pub test.a 'one message'
        at "$unix" pub test.b 'from a stream'
        at "$2" pub test.c empty -H 'A: b'
        expect_end "$1: a subscriber has its count" 0
        check "$1: ... and every message" "$(printf 'one message\nfrom a stream\nempty')" \
                "$(received sub)"

        listen sub "$unix" sub --json --count 1 test.json
        at "$2" pub test.json x --reply test.reply -H 'A: b'
        expect_end "$1: a subscriber on a stream has the message" 0
        check "$1: ... with its headers" \
                '{"subject":"test.json","reply":"test.reply","headers":{"A":["b"]},"payload":"x"}' \
                "$(received sub)"

        listen service "$2" reply --count 2 test.upper -- tr a-z A-Z
        check "$1: a service answers" ABC "$(at "$2" request test.upper abc)"
        check "$1: ... and a stream" DEF "$(at "$unix" request test.upper def)"
        expect_end "$1: ... until it has its count" 0

        listen service "$unix" reply --count 1 --echo test.echo
        check "$1: headers go there and back" "$(printf 'A: b\n\nx')" \
                "$(at "$2" request --headers -H 'A: b' test.echo x)"
        expect_end "$1: ... once" 0

        output=$(at "$2" request test.nobody x 2>&1)
        check "$1: nobody answers" 3 $?
        check_matches "$1: ... and that is said" 'nobody answers on "test.nobody"' "$output"

        listen sub "$2" sub test.silent
        at "$2" request --timeout 50ms test.silent x 2>/dev/null
        check "$1: a request without an answer" 124 $?
        kill -INT "$helper"
        expect_end "$1: a subscriber that is interrupted" 0

        listen service "$2" reply --echo test.gone
        kill -INT "$helper"
        expect_end "$1: a service that is interrupted" 0
        check_does "$1: ... is not asked any more" await_that is_deserted test.gone

        output=$(head -c 200000 /dev/zero | timeout 20 "$SOCKCTL" -s "$2" pub test.large 2>&1)
        check "$1: a payload may be too large" 1 $?
        check_matches "$1: ... and that is said" \
                'too large: 200000 bytes are more than the server takes, [0-9]+;' "$output"
        listen sub "$2" sub --count 1 test.large
        head -c 60000 /dev/zero | tr '\0' x | timeout 20 "$SOCKCTL" -s "$2" pub test.large
        expect_end "$1: another is not" 0
        check "$1: ... and arrives" 60001 "$(received sub | wc -c)"
}

# mark_log: what the log says from now on is what await_log finds.
mark_log() {
        wc -c <"$log" >"$log.at"
}

# forget WHAT ADDRESS: a session ends while its subscriber cannot renew it.
forget() {
        mark_log
        listen sub "$2" sub --count 2 test.session
        client=$(await_log 'client [0-9]*: connected' | sed 's/.*\(client [0-9]*\).*/\1/')
        at "$2" sub --timeout 1s test.nothing 2>/dev/null
        check "$1: a subscriber waits" 124 $?
        at "$unix" pub test.session 'after three timeouts'
        await_helper sub '^after' >/dev/null
        kill -STOP "$helper"
        expect_log "$1: a subscriber that stands still is forgotten" \
                "$client: disconnected: Session Expired"
        mark_log
        kill -CONT "$helper"
        expect_log "$1: ... and comes back" 'client [0-9]*: connected'
        at "$unix" pub test.session 'after the end'
        expect_end "$1: ... to its count" 0
        check "$1: ... and messages" "$(printf 'after three timeouts\nafter the end')" \
                "$(received sub)"
}

# outlast WHAT ADDRESS: the daemon is started again on the same addresses, with $restarted.
outlast() {
        listen sub "$2" sub --count 2 test.restart
        at "$unix" pub test.restart before
        await_helper sub '^before' >/dev/null
        stop_daemon
        output=$(at "$2" ping 2>&1)
        check "$1: nobody is there" 5 $?
        check_matches "$1: ... and that is said" '^sockctl: no daemon at ' "$output"
        start_daemon
        expect_log "$1: a subscriber finds a daemon that was started again" \
                'client [0-9]*: connected'
        at "$unix" pub test.restart after
        expect_end "$1: ... and goes on" 0
        check "$1: ... to its count" "$(printf 'before\nafter')" "$(received sub)"
}

# listeners PORT: the configuration.
listeners() {
        configure 'log = { target = "stderr"; level = "debug"; };' 'listeners = (' \
                "{ name = \"udp\"; listen = \"udp://127.0.0.1:$1\"; session_timeout = \"300ms\"; }," \
                "{ name = \"stream\"; listen = \"$unix\"; }," \
                "{ name = \"records\"; listen = \"unix+seqpacket://$directory/q\"; }," \
                "{ name = \"local\"; listen = \"unix+dgram://$directory/d\"; session_timeout = \"300ms\"; }" \
                "${2:-}" ');'
}

if has_ipv6; then
        listeners 0 ', { name = "udp6"; listen = "udp://[::1]:0"; }'
else
        listeners 0
fi
start_daemon
udp=udp://127.0.0.1:$(port_of udp)
exchange udp "$udp"
if has_ipv6; then
        exchange 'udp over IPv6' "udp://[::1]:$(port_of udp6)"
else
        skip 'udp over IPv6' 'there is no IPv6 here'
fi
exchange unix+dgram "unix+dgram://$directory/d"
exchange unix+seqpacket "unix+seqpacket://$directory/q"

check_matches 'a socket of another type is named as such' 'that socket is of another type' \
        "$(at "unix://$directory/d" ping 2>&1)"

listen shown "$udp" sub test.shown
check_matches 'clients shows what became of datagrams' 'udp 127\.0\.0\.1:[0-9]* .*DATAGRAMS OF .* 0  - ' \
        "$(ctl clients | tr '\n' ' ')"
id=$(ctl clients | awk '/udp 127/ { print $1 }')
check_matches 'and one client in words' 'datagrams:  [0-9]* received, [0-9]* sent, 0 dropped' \
        "$(ctl clients show "$id")"
check_matches 'status counts sessions apart' 'Clients:  1 of [0-9]*, 1 datagram session,' "$(ctl status)"
kill "$helper"

if $is_root; then
        check_does 'control requests go by datagrams' at "unix+dgram://$directory/d" status
        check_does '... in pages that fit' at "unix+dgram://$directory/d" clients
fi

forget udp "$udp"
forget unix+dgram "unix+dgram://$directory/d"

# leave WHAT ADDRESS: a request is over soon after it was answered.
leave() {
        n_answered=0
        for i in 1 2 3 4 5 6; do
                [ "$(at "$2" request test.leave "$i" 2>&1)" != "$i" ] || n_answered=$((n_answered + 1))
                await_that has_no_session || break
        done
        check "$1: requests leave nothing behind that is in the way of the next" 6 "$n_answered"
}
has_no_session() {
        [ "$(ctl_json sessions status)" = 0 ]
}
stop_daemon
configure "listeners = (" \
        "  { name = \"local\"; listen = \"$unix\"; }," \
        "  { name = \"udp\"; listen = \"udp://127.0.0.1:${udp##*:}\"; max_sessions_per_source = 1; }," \
        "  { name = \"dgram\"; listen = \"unix+dgram://$directory/d\"; max_sessions_per_source = 1; } );"
start_daemon
listen service "$unix" reply --echo test.leave
leave udp "$udp"
leave unix+dgram "unix+dgram://$directory/d"
kill "$helper"
stop_daemon

listeners "${udp##*:}"
start_daemon
outlast udp "$udp"
outlast unix+dgram "unix+dgram://$directory/d"

stop_daemon
end_tests
