#!/bin/sh
# sockctl against a server that really moves messages: pub, sub, request, reply, bench.
#
#       test_sockctl.sh [ADDRESS]
#
# ADDRESS is a running server, sockd or nats-server; without one, a nats-server is started on a port
# that the kernel picks. $SOCKCTL names the program. Output is TAP. Nothing here sleeps: --verbose
# tells on stderr when a subscription is in effect, and a pipe carries that line.

set -u
sockctl=${SOCKCTL:-sockctl}
directory=$(mktemp -d "${TMPDIR:-/tmp}/sockctl.XXXXXX") || exit 99
server=
background=
n=0

clean_up() {
        [ -z "$background" ] || kill "$background" 2>/dev/null
        [ -z "$server" ] || kill "$server" 2>/dev/null
        rm -rf "$directory"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

# The server says in its log when it is ready, and which port it got.
start_server() {
        mkfifo "$directory/log"
        nats-server -a 127.0.0.1 -p -1 >"$directory/log" 2>&1 &
        server=$!
        exec 9<"$directory/log"
        while read -r line <&9; do
                case $line in
                *'Listening for client connections on '*) address=tcp://${line##* on } ;;
                *'Server is ready'*) break ;;
                esac
        done
        cat <&9 >/dev/null &
}

if [ $# -ge 1 ]; then
        address=$1
elif command -v nats-server >/dev/null; then
        start_server
else
        echo '1..0 # SKIP no address was given, and nats-server is not installed'
        exit 0
fi
SOCKD_URL=$address
export SOCKD_URL

# check NAME EXPECTED ACTUAL
check() {
        n=$((n + 1))
        if [ "$2" = "$3" ]; then
                echo "ok $n - $1"
        else
                echo "not ok $n - $1"
                printf 'expected: %s\nactual: %s\n' "$2" "$3" | sed 's/^/# /'
        fi
}

# Starts sockctl in the background, its output in a file, and returns once it is subscribed.
listen() {
        rm -f "$directory/ready"
        mkfifo "$directory/ready"
        "$sockctl" --verbose "$@" >"$directory/out" 2>"$directory/ready" &
        background=$!
        exec 8<"$directory/ready"
        while read -r line <&8; do
                case $line in *': subscribed to '*) break ;; esac
        done
}

# Waits for it to end by itself.
finish() {
        wait "$background"
        status=$?
        background=
        exec 8<&-
}

if ! "$sockctl" ping >/dev/null; then
        echo "Bail out! no server answers at $address"
        exit 1
fi
check 'the server answers a ping' 0 0

listen sub --count 2 --timeout 30s 'test.*'
"$sockctl" pub test.a 'one message'
printf 'and\nanother' | "$sockctl" pub test.b
finish
check 'a subscriber prints what was published' "$(printf 'one message\nand\nanother')" "$(cat "$directory/out")"
check 'a subscriber that has its count exits with 0' 0 $status

listen sub --json --count 1 --timeout 30s test.json
"$sockctl" pub test.json '"x"' --reply test.reply -H 'A: b'
finish
check 'messages are JSON objects' \
        '{"subject":"test.json","reply":"test.reply","headers":{"A":["b"]},"payload":"\"x\""}' \
        "$(cat "$directory/out")"

listen sub --headers --count 1 --timeout 30s test.headers
"$sockctl" pub test.headers x -H 'A: b' -H 'C: d'
finish
check 'headers come before the payload' "$(printf 'A: b\nC: d\n\nx')" "$(cat "$directory/out")"

"$sockctl" sub --timeout 10ms test.nothing 2>/dev/null
check 'a subscriber without a message exits with 124' 124 $?

"$sockctl" sub --count 0 --timeout 10ms test.nothing 2>/dev/null
check 'a count of 0 is no limit' 124 $?

listen sub test.interrupt
kill -INT "$background"
finish
check 'a subscriber that is interrupted exits with 0' 0 $status

listen sub --count 100000 --timeout 30s test.many
"$sockctl" pub test.many x --count 100k
finish
check 'many messages all arrive' 100000 "$(grep -c '^x$' "$directory/out")"

"$sockctl" request test.nobody x 2>/dev/null
check 'a request that nobody answers exits with 3' 3 $?

listen sub test.silent
"$sockctl" request --timeout 10ms test.silent x 2>/dev/null
check 'a request without an answer exits with 124' 124 $?
kill "$background"
finish

listen reply --count 3 test.upper -- tr a-z A-Z
check 'a program answers a request' ABC "$("$sockctl" request test.upper abc)"
# shellcheck disable=SC2016
check 'a request is no command' '$(ECHO X); `ECHO Y`' "$("$sockctl" request test.upper '$(echo x); `echo y`')"
check 'a large request passes' 500000 \
        "$(head -c 500000 /dev/zero | tr '\0' x | "$sockctl" request test.upper | tr -d '\n' | wc -c)"
finish
check 'a service that has its count exits with 0' 0 $status

listen reply --count 2 test.failure -- sh -c 'cat; exit 3'
"$sockctl" request test.failure x >"$directory/answer" 2>/dev/null
check 'a service that fails makes the request exit with 1' 1 $?
check 'headers tell the failure' "$(printf 'Nats-Service-Error: sh: exit status 3\nNats-Service-Error-Code: 500\n\nx')" \
        "$("$sockctl" request --headers test.failure x 2>/dev/null)"
finish

listen reply --count 2 --queue q test.echo --echo
check 'an echo answers what was asked' 'hello' "$("$sockctl" request test.echo hello)"
check 'an echo keeps headers' "$(printf 'A: b\n\nhello')" \
        "$("$sockctl" request --headers -H 'A: b' test.echo hello)"
finish

"$sockctl" ping 2>/dev/null >&-
check 'a closed standard output is a failure, and not the connection' 1 $?
"$sockctl" sub --timeout 10ms test.nothing 2>/dev/null >&-
check 'nor is it for a subscriber' 124 $?
"$sockctl" pub test.closed 2>/dev/null <&-
check 'a closed standard input is a failure' 1 $?
"$sockctl" pub test.closed x 2>&-
check 'a closed standard error is none' 0 $?
if [ -c /dev/full ]; then
        "$sockctl" ping 2>/dev/null >/dev/full
        check 'a full disk is a failure' 1 $?
fi
{ "$sockctl" ping; echo $? >"$directory/status"; } | true
check 'a reader that has gone is none' 0 "$(cat "$directory/status")"

"$sockctl" pub 'a b' x 2>/dev/null
check 'an invalid subject is a usage error' 2 $?
"$sockctl" -s unix:///nonexistent/sockd.sock ping 2>/dev/null
check 'a daemon that is not there exits with 5' 5 $?

"$sockctl" bench --msgs 20k --subs 2 --json >"$directory/out"
check 'a benchmark ends well' 0 $?
check 'a benchmark loses nothing' '"messages":40000' \
        "$(grep -o '"delivered":{"messages":[0-9]*' "$directory/out" | cut -d'{' -f2)"
"$sockctl" bench --request --msgs 1000 --clients 2 --json >"$directory/out"
check 'a benchmark of requests ends well' 0 $?
check 'every request is answered' '"messages":1000' \
        "$(grep -o '"answered":{"messages":[0-9]*' "$directory/out" | cut -d'{' -f2)"

echo "1..$n"
