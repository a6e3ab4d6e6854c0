#!/bin/sh
# Compares sockd with nats-server and with the bare relays: the same load on each, in turns within each
# round, and the medians of all rounds.
#
# usage: compare.sh [--quick]
#
# ROUNDS    how many; default 5, with --quick 1
# SOCKD     the daemon; default: that of the build tree
# WORKERS   of sockd; default: as many as it takes by itself
#
# nats-server is left out if it is not installed.
set -eu

quick=false
[ "${1-}" != --quick ] || quick=true
rounds=${ROUNDS:-$($quick && echo 1 || echo 5)}
bench=$(cd "$(dirname "$0")" && pwd)
build=${SOCKD_BUILD_DIR:-$PWD}
sockd=${SOCKD:-$build/daemon/sockd}
load=$build/tests/bench/load
relay=$build/tests/bench/relay
datagram_relay=$build/tests/bench/datagram_relay
directory=$(mktemp -d "${TMPDIR:-/tmp}/sockd-bench.XXXXXX")
servers=
trap 'end_servers; rm -rf "$directory"' EXIT
trap 'exit 1' INT TERM

say() {
        echo "$*" >&2
}

end_servers() {
        for pid in $servers; do
                kill "$pid" 2>/dev/null || true
                wait "$pid" 2>/dev/null || true
        done
        servers=
}

# free_port RELAY KIND: a port that is free now.
free_port() {
        "$1" "$2" 0 >"$directory/port" &
        until [ -s "$directory/port" ]; do :; done
        kill $!
        wait $! 2>/dev/null || true
        cat "$directory/port"
        rm "$directory/port"
}

# start_sockd ADDRESS: in the background. Datagrams wait in as large a buffer as those of the relay.
start_sockd() {
        buffer=
        case $1 in
        udp:* | unix+dgram:*) buffer='receive_buffer = "4M";' ;;
        esac
        printf 'server = { %s };\nlisteners = ( { name = "bench"; listen = "%s"; %s } );\n' \
                "${WORKERS:+workers = $WORKERS;}" "$1" "$buffer" >"$directory/sockd.conf"
        "$sockd" -c "$directory/sockd.conf" >"$directory/sockd.log" 2>&1 &
}

# start NAME: starts a server and sets address and pid.
start() {
        rm -f "$directory/socket"
        case $1 in
        nats)
                port=$(free_port "$relay" tcp)
                nats-server -a 127.0.0.1 -p "$port" >"$directory/nats.log" 2>&1 &
                ;;
        relay-tcp)
                port=$(free_port "$relay" tcp)
                "$relay" tcp "$port" >"$directory/relay.log" &
                ;;
        relay-unix) "$relay" unix "$directory/socket" >"$directory/relay.log" & ;;
        relay-udp)
                port=$(free_port "$datagram_relay" udp)
                "$datagram_relay" udp "$port" >"$directory/relay.log" &
                ;;
        relay-dgram) "$datagram_relay" dgram "$directory/socket" >"$directory/relay.log" & ;;
        sockd-tcp)
                port=$(free_port "$relay" tcp)
                start_sockd "tcp://127.0.0.1:$port"
                ;;
        sockd-unix) start_sockd "unix://$directory/socket" ;;
        sockd-udp)
                port=$(free_port "$datagram_relay" udp)
                start_sockd "udp://127.0.0.1:$port"
                ;;
        sockd-dgram) start_sockd "unix+dgram://$directory/socket" ;;
        esac
        pid=$!
        servers=$pid
        case $1 in
        *-unix) address=unix:$directory/socket ;;
        *-udp) address=udp:$port ;;
        *-dgram) address=dgram:$directory/socket ;;
        *) address=tcp:$port ;;
        esac
        await_server "$1"
}

# The server answers when a client gets its PONG.
await_server() {
        case $address in
        udp:* | dgram:*) workload=datagram-publish ;;
        *) workload=connect ;;
        esac
        deadline=$(($(date +%s) + 60))
        until "$load" "$address" $workload messages=1 >/dev/null 2>&1; do
                kill -0 "$pid" 2>/dev/null || { say "compare.sh: $1 ended"; exit 1; }
                [ "$(date +%s)" -lt $deadline ] || { say "compare.sh: $1 does not answer"; exit 1; }
        done
}

# measure ROUND ROW SERVER WORKLOAD [name=number...]: adds a line to the results.
measure() {
        round=$1 row=$2 server=$3
        shift 3
        start "$server"
        result=$("$load" "$address" "$@" pid="$pid") || result="rate=0 cpu=0"
        end_servers
        echo "$row $server $result" >>"$directory/results"
        say "round $round: $row $server $result"
}

# row NAME WORKLOAD [name=number...]: one row of the table, on each server.
row() {
        name=$1
        shift
        for server in $which; do
                case $name:$server in
                # The relay keeps no subscriptions.
                subscriptions*:relay* | crowd*:relay* | wildcards*:relay* | churn*:relay* | \
                        inboxes*:relay* | idle*:relay* | stalled*:relay*) continue ;;
                esac
                measure "$round" "$name" "$server" "$@"
        done
}

# datagram_row NAME WORKLOAD [name=number...]: the same for datagrams.
datagram_row() {
        name=$1
        shift
        for server in relay-udp sockd-udp relay-dgram sockd-dgram; do
                measure "$round" "$name" "$server" "$@"
        done
}

# pace_row NAME [name=number...]: the publishing of NAME again, at 0.8 of the rate that the relay took
# it at: so fast, nothing may be lost. Only UDP loses anything.
pace_row() {
        name=$1
        shift
        relay_rate=$(awk -v row="$name" '$1 == row && $2 == "relay-udp" { sub("rate=", "", $3); rate = $3 }
                END { print rate }' "$directory/results")
        for server in relay-udp sockd-udp; do
                measure "$round" "$name-paced" "$server" datagram-publish "$@" \
                        pace=$((relay_rate * 4 / 5))
        done
}

# How many messages, N for a full run.
count() {
        $quick && echo $(($1 / 5)) || echo "$1"
}

all_datagram_rows() {
        datagram_row publish/1 datagram-publish size=64 messages="$(count 3000000)"
        pace_row publish/1 size=64 messages="$(count 3000000)"
        datagram_row publish/10 datagram-publish size=64 operations=10 messages="$(count 15000000)"
        datagram_row request/16 datagram-request clients=16 messages="$(count 100000)"
        datagram_row request/1 datagram-request clients=1 messages="$(count 20000)"
        ! $quick || return 0
        datagram_row publish/100 datagram-publish size=16 operations=100 messages=100000000
}

all_rows() {
        row 1:1/16 publish messages="$(count 10000000)"
        row 1:0/16 publish subscribers=0 messages="$(count 20000000)"
        row 1:5/16 publish subscribers=5 messages="$(count 5000000)"
        row 4:1/16 publish publishers=4 messages="$(count 12000000)"
        row 1:1/1K publish size=1024 messages="$(count 1000000)"
        row 1:1/64K publish size=65536 messages="$(count 20000)"
        row request/16 request clients=16 messages="$(count 100000)"
        row request/1 request clients=1 messages="$(count 20000)"
        row connect connect messages="$(count 5000)"
        row idle idle connections="$(count 5000)"
        row subscriptions subscribe messages="$(count 500000)"
        ! $quick || return 0
        row wildcards subscribe wildcards=100000
        row crowd/1M publish crowd=1000000 messages=5000000
        row wildcards/100K publish wildcards=100000 messages=5000000
        row churn/100K publish churn=100000 messages=5000000
        row inboxes/16 request clients=16 new_inboxes=1 messages=100000
        row 1:1000/64 publish subscribers=1000 size=64 messages=50000
        row 1:1000/16K publish subscribers=1000 size=16384 messages=500
        row 1:99/16 publish subscribers=99 messages=200000
        row stalled:99/16 publish subscribers=99 stalled=1 messages=200000
}

which="relay-tcp sockd-tcp relay-unix sockd-unix"
if command -v nats-server >/dev/null; then
        which="nats $which"
else
        say "compare.sh: nats-server is not installed; it is left out"
fi
round=1
while [ "$round" -le "$rounds" ]; do
        all_rows
        all_datagram_rows
        round=$((round + 1))
done
awk -f "$bench/median.awk" -f "$bench/table.awk" "$directory/results"
