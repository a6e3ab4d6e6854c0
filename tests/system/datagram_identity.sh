#!/bin/sh
# Who sends datagrams that leave nothing behind: processes of several users in turn, what one says of
# itself, and what a reload changes, each for the next datagram.
#
# shellcheck disable=SC2119,SC2317 # functions without arguments; called by others
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

if ! can_be_nobody; then
        echo '1..0 # SKIP needs root and setpriv'
        exit 0
fi
dgram=unix+dgram://$directory/d
# One that all can reach.
cp "$support/datagram" "$directory/datagram" && chmod 755 "$directory/datagram" || exit 1

# serve OPTIONS USER...: the configuration has these, and the listener these options.
serve() {
        options=$1
        shift
        configure 'server = { workers = 1; };' "users = ( $* );" 'listeners = (' \
                "  { name = \"local\"; listen = \"$unix\"; }," \
                "  { name = \"dgram\"; listen = \"$dgram\"; mode = \"0666\"; $options } );"
}
alice='{ name = "alice"; peer = { uid = 7001; }; }'
bob='{ name = "bob"; peer = { uid = 7002; }; permissions = { publish = ["b"]; }; }'
carol='{ name = "carol"; password = "wonderland"; }'

# begin NAME UID: a process of that user with a socket.
begin() {
        start_helper "$1" setpriv --reuid "$2" --regid "$2" --clear-groups -- "$directory/datagram"
}
# publish SUBJECT TEXT [CONNECT]: what a peer is told to send.
publish() {
        printf 'send s %sPUB %s %s\\r\\n%s\\r\\n\n' "${3:-}" "$1" "${#2}" "$2"
}
# told TEXT REGEX: whether the message with that text comes, with such headers.
told() {
        check_matches "$1" "$2" "$(await_helper watch "\"payload\":\"$1\"" || echo "it did not come")"
}
# of USER UID [PID]: the headers of such a sender.
of() {
        echo "\"Sockd-User\":\\[\"$1\"\\],\"Sockd-Uid\":\\[\"$2\"\\],\"Sockd-Gid\":\\[\"$2\"\\],\"Sockd-Pid\":\\[\"${3:-[0-9]+}\"\\]"
}

serve 'identify = true;' "$alice, $bob, $carol"
start_daemon
start_helper watch "$SOCKCTL" -s "$unix" --verbose --json sub '>'
exec 9>"$directory/watch.in"
await_helper watch 'subscribed to' >/dev/null || bail_out 'sockctl sub does not begin'
exec 9>&-
begin alice 7001
alice_pid=$helper
exec 7>"$directory/alice.in"
begin bob 7002
exec 8>"$directory/bob.in"
begin twin 7001
twin_pid=$helper
exec 9>"$directory/twin.in"
for peer in 7 8 9; do
        echo "open s none: $dgram" >&"$peer"
done

publish b 'first of alice' >&7
told 'first of alice' "$(of alice 7001 "$alice_pid")"
publish b 'second of alice' >&7
told 'second of alice' "$(of alice 7001 "$alice_pid")"
publish b 'first of bob' >&8
told 'first of bob' "$(of bob 7002)"
publish a 'denied to bob' >&8
expect_log 'bob has his permissions' '\(bob\): may not publish to "a"'
publish a 'third of alice' >&7
told 'third of alice' "$(of alice 7001 "$alice_pid")"
publish a 'of another process' >&9
told 'of another process' "$(of alice 7001 "$twin_pid")"

login='CONNECT {"user":"carol","pass":"wonderland"}\r\n'
serve 'identify = true;' "$carol, $alice, $bob"
check_does 'rules are exchanged' ctl reload
publish b 'of carol' "$login" >&8
told 'of carol' "$(of carol 7002)"
publish b 'of bob without a login' >&8
told 'of bob without a login' "$(of bob 7002)"
publish b 'of bob again' >&8
told 'of bob again' "$(of bob 7002)"

serve 'identify = true;' '{ name = "alina"; peer = { uid = 7001; }; }' "$(printf ', %s' "$bob")"
ctl reload >/dev/null
publish a 'by another name' >&7
told 'by another name' "$(of alina 7001 "$alice_pid")"
serve '' "$alice, $bob"
ctl reload >/dev/null
publish a 'without headers' >&7
told 'without headers' '^\{"subject":"a","payload":"without headers"\}$'
serve 'anonymous = false;' "$bob"
ctl reload >/dev/null
publish a 'of nobody known' >&7
publish b 'of somebody known' >&8
told 'of somebody known' '"subject":"b"'
check 'who is not admitted any more is not heard' 0 "$(grep -c 'nobody known\|denied to bob' "$directory/watch.out")"
exec 7>&- 8>&- 9>&-
stop_daemon
check 'the daemon ends in order' 0 "$status"
end_tests
