#!/bin/sh
# Proves that sockctl moves messages through sockd, on a Unix socket; and that it stays a client in
# good standing, and can be interrupted, while it waits for a program or for its input.
#
# shellcheck disable=SC2119 # functions without arguments
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

# outlast_pings: longer than sockd bears a client that does not answer its PINGs, as one that does not
# tells by its end.
outlast_pings() {
        "$support/peer" silent "$unix" >/dev/null
        "$support/peer" silent "$unix" >/dev/null
}

# serve ARG...: sockctl reply with these arguments, subscribed, in $service. It must not have SIGHUP
# ignored, as the tests have who are run by nohup.
serve() {
        start_helper service env --default-signal=HUP "$SOCKCTL" -v -s "$unix" reply "$@"
        exec 7>"$directory/service.in"
        service=$helper
        await_helper service ': subscribed to ' >/dev/null || bail_out "sockctl reply does not begin"
}

# ask NAME SUBJECT: a request in the background, whose end is that of $asker.
ask() {
        ctl request --headers --timeout 10s "$2" x </dev/null >"$directory/$1" 2>&1 &
        asker=$!
}

# await_program REGEX: a line that a program has written to program.out.
await_program() {
        "$support/await" line "$directory/program.out" "$1"
}

# await_exit PID: the end of a child, whose status is in $status.
await_exit() {
        status=timeout
        "$support/await" exit "$1" || return
        wait "$1"
        status=$?
}

# expect_end NAME STATUS: of the service, and of what its program has started: $started.
expect_end() {
        await_exit "$service"
        check "$1" "$2" "$status"
        check_does '... and so does its program' "$support/await" exit "$started"
        await_exit "$asker"
        check '... and who asked is told' 1 "$status"
}

: >"$directory/program.out"
: >"$directory/go"
mkfifo "$directory/never"

configure 'log = { target = "stderr"; };'
start_daemon --listen "$unix"
sh "$SOCKD_SOURCE_DIR/tests/ctl/test_sockctl.sh" "$unix"
stop_daemon

configure 'log = { target = "stderr"; };' 'server = { ping_interval = "200ms"; ping_max = 1; };'
start_daemon --listen "$unix"

# shellcheck disable=SC2016 # for that shell
serve --count 2 test.slow -- sh -c 'echo begun >>"$0/program.out"; "$1" line "$0/go" "^go"' \
        "$directory" "$support/await"
ask first test.slow
first=$asker
await_program begun >/dev/null
ask second test.slow
outlast_pings
echo 'go once' >>"$directory/go"
await_exit "$first"
check 'a program may take longer than the PINGs' 'go once' "$(cat "$directory/first")"
echo 'go twice' >>"$directory/go"
await_exit "$asker"
check 'a request that came meanwhile waits its turn' 'go twice' "$(cat "$directory/second")"
await_exit "$service"
check 'the service ends when it has its count' 0 "$status"

# shellcheck disable=SC2016 # for that shell
blocked='cat "$0/never" & echo "child $!" >>"$0/program.out"; wait'
for signal in TERM INT HUP; do
        serve test.blocked -- sh -c "$blocked" "$directory"
        ask answer test.blocked
        started=$(await_program '^child') && started=${started#child }
        kill -s $signal "$service"
        expect_end "SIG$signal ends a service while its program runs" 0
        check_matches '... why' '^Nats-Service-Error: sh: interrupted$' "$(cat "$directory/answer")"
done

serve test.stubborn -- sh -c "trap '' TERM; $blocked" "$directory"
ask answer test.stubborn
started=$(await_program '^child') && started=${started#child }
kill -s TERM "$service"
expect_end 'a program that ignores SIGTERM cannot prevent the end' 0

serve test.quiet -- sh -c "exec >/dev/null; $blocked" "$directory"
ask answer test.quiet
started=$(await_program '^child') && started=${started#child }
kill -s TERM "$service"
expect_end 'nor can one that has closed its output' 0

serve --timeout 2s test.late -- sh -c "$blocked" "$directory"
ask answer test.late
started=$(await_program '^child') && started=${started#child }
expect_end 'time ends a service while its program runs' 124
check_matches '... why' '^Nats-Service-Error: sh: no time was left$' "$(cat "$directory/answer")"

start_helper reader "$SOCKCTL" -v -s "$unix" sub --count 1 test.log
exec 7>"$directory/reader.in"
reader=$helper
await_helper reader ': subscribed to ' >/dev/null
start_helper publisher "$SOCKCTL" -s "$unix" pub test.log
exec 8>"$directory/publisher.in"
echo early >&8
outlast_pings
echo late >&8
exec 8>&-
await_exit "$helper"
check 'the input of a publisher may take longer than the PINGs' 0 "$status"
await_exit "$reader"
check '... and arrives' "$(printf 'early\nlate')" "$(grep -v '^sockctl: ' "$directory/reader.out")"

start_helper publisher "$SOCKCTL" -s "$unix" pub test..log
exec 8>"$directory/publisher.in"
await_exit "$helper"
check 'a subject is checked before any input is read' 2 "$status"
exec 8>&-
check_matches 'more input than any message holds is not read' 'larger than any message, 64M$' \
        "$(ctl pub test.log 2>&1 </dev/zero)"

stop_daemon
end_tests
