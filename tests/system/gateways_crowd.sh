#!/bin/sh
# The gateway whose peers ask, with more questions than there are places for answers: who asks too much on one
# listener is refused, and nobody on another one is forgotten.
#
# shellcheck disable=SC2119,SC2317 # functions without arguments; functions that await_that calls
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

configure 'server = { workers = 1; };' 'listeners = (' \
        "  { name = \"local\"; listen = \"$unix\"; }," \
        '  { name = "greedy"; listen = "tcp://127.0.0.1:0"; request = "svc.silent"; timeout = "1h"; max_in_flight = 65536; },' \
        '  { name = "polite"; listen = "tcp://127.0.0.1:0"; request = "svc.slow"; timeout = "1h"; }' \
        ');'
start_daemon

# Who answers: with nothing what is asked on svc.silent, with an answer when we say so what is on svc.slow.
start_helper service "$support/peer" through "$unix"
exec 8>"$directory/service.in"
printf 'CONNECT {"verbose":false}\r\nSUB svc.slow 1\r\nPING\r\n' >&8
await_helper service '^PONG' >/dev/null
start_helper silent "$SOCKCTL" -v -s "$unix" sub svc.silent
exec 7>"$directory/silent.in"
await_helper silent subscribed >/dev/null

start_helper polite "$support/peer" through "tcp://127.0.0.1:$(port_of polite)"
exec 9>"$directory/polite.in"
echo early >&9
early=$(await_helper service '^MSG svc.slow' | cut -d ' ' -f 4)

yes | head -n 65536 >"$directory/questions"
start_helper greedy "$support/peer" through "tcp://127.0.0.1:$(port_of greedy)"
greedy=$helper
cat "$directory/questions" >"$directory/greedy.in"
# has_refused N: so many questions of the greedy one.
has_refused() {
        [ "$(lost greedy busy)" -eq "$1" ]
}
check_does 'who asks too much is refused' await_that has_refused 32768
expect_log 'the log names the listener' 'listener "greedy": more is asked at once than may be'

printf 'PUB %s 3\r\none\r\n' "$early" >&8
check_does 'who has asked before gets his answer' await_helper polite '^one$'
echo late >&9
late=$(await_helper service '^MSG svc.slow' | cut -d ' ' -f 4)
printf 'PUB %s 3\r\ntwo\r\n' "$late" >&8
check_does 'so does who asks now' await_helper polite '^two$'
check 'of those nothing is lost' 0 "$(lost polite busy)"

# The places are free again when the greedy one has gone.
ctl clients kick "$(ctl --json clients | tr '{' '\n' | sed -n 's/.*"cid": *\([0-9]*\),.*"listener": *"greedy".*/\1/p')" >/dev/null
"$support/await" exit "$greedy"
start_helper again "$support/peer" through "tcp://127.0.0.1:$(port_of greedy)"
exec 9>"$directory/again.in"
echo again >&9
check_does 'when it has gone its places are free' await_helper silent 'again$'
check 'and it is refused nothing any more' 32768 "$(lost greedy busy)"
exec 7>&- 8>&- 9>&-
stop_daemon
check 'it ends well' 0 "$status"
end_tests
