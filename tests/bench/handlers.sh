#!/bin/sh
# Compares the handlers that know no messages with what else does their work: the same load on each, in turns
# within each round, and the medians of all rounds.
#
#      forward    HAProxy (TCP mode, with and without splicing), systemd-socket-proxyd, socat
#      echo       a bare echo on epoll
#      exec       xinetd
#      publish    nothing: lines that become messages
#
# usage: handlers.sh [--quick]
#
# ROUNDS    how many; default 5, with --quick 1
# SOCKD     the daemon; default: that of the build tree
#
# Who is not installed is left out. Who can have threads has one. For each load: the rate, and in brackets what
# the server used of a processor, with its programs: seconds for each GiB, 100,000 turns, 10,000 connections or
# million lines.
set -eu

quick=false
[ "${1-}" != --quick ] || quick=true
rounds=${ROUNDS:-$($quick && echo 1 || echo 5)}
build=${SOCKD_BUILD_DIR:-$PWD}
sockd=${SOCKD:-$build/daemon/sockd}
stream=$build/tests/bench/stream
here=$(dirname "$0")
directory=$(mktemp -d "${TMPDIR:-/tmp}/sockd-handlers.XXXXXX")
proxyd=
for path in /lib/systemd /usr/lib/systemd; do
        [ ! -x "$path/systemd-socket-proxyd" ] || proxyd=$path/systemd-socket-proxyd
done
ticks=$(getconf CLK_TCK)
scale=1
! $quick || scale=20
pid=
target=
end() {
        [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
        [ -z "$pid" ] || wait "$pid" 2>/dev/null || true
        pid=
}
trap 'end; [ -z "$target" ] || kill "$target"; rm -rf "$directory"' EXIT
trap 'exit 1' INT TERM

say() {
        echo "$*" >&2
}

# --- servers -----------------------------------------------------------------------------------------

# start_target FILE: a target that prints its port there.
start_target() {
        "$stream" target 0 >"$1" &
        target=$!
        until [ -s "$1" ]; do :; done
}

# free_port: a port that is free now.
free_port() {
        "$stream" target 0 >"$directory/port" &
        until [ -s "$directory/port" ]; do :; done
        kill $!
        wait $! 2>/dev/null || true
        cat "$directory/port"
        rm "$directory/port"
}

# start_sockd LISTENER: with that beside the address.
start_sockd() {
        address=tcp://127.0.0.1:$server
        [ "${server#/}" = "$server" ] || address=unix://$server
        printf '%s\n' 'server = { workers = 1; };' 'programs = { max_running = 1000; max_starts = 100000; };' \
                "listeners = ( { name = \"bench\"; listen = \"$address\"; $1 } );" >"$directory/sockd.conf"
        "$sockd" -c "$directory/sockd.conf" >"$directory/log" 2>&1 &
}

start_haproxy() { # OPTION
        cat >"$directory/haproxy.cfg" <<EOT
global
 nbthread 1
 maxconn 4000
defaults
 mode tcp
 timeout connect 5s
 timeout client 1m
 timeout server 1m
listen bench
 bind 127.0.0.1:$server
 $1
 server target 127.0.0.1:$target_port
EOT
        haproxy -db -f "$directory/haproxy.cfg" >"$directory/log" 2>&1 &
}

start_xinetd() {
        cat >"$directory/xinetd.conf" <<EOT
defaults
{
 instances = UNLIMITED
 cps = 1000000 1
 per_source = UNLIMITED
}
service bench
{
 type = UNLISTED
 socket_type = stream
 protocol = tcp
 wait = no
 user = $(id -un)
 bind = 127.0.0.1
 port = $server
 server = $cat
}
EOT
        xinetd -dontfork -f "$directory/xinetd.conf" -pidfile "$directory/xinetd.pid" >"$directory/log" 2>&1 &
}

# start WHAT WHO: has somebody do something, and sets server, the port or the path, and pid.
start() {
        server=$(free_port)
        case $1 in
        *-unix)
                server=$directory/server.sock
                rm -f "$server"
                ;;
        esac
        case $1/$2 in
        forward/sockd) start_sockd "forward = \"tcp://127.0.0.1:$target_port\";" ;;
        forward/haproxy) start_haproxy '' ;;
        forward/haproxy-splice) start_haproxy 'option splice-auto' ;;
        forward/proxyd)
                "$build/tests/support/activate" "a=tcp://127.0.0.1:$server" -- \
                        "$proxyd" --connections-max=4000 "127.0.0.1:$target_port" >"$directory/log" 2>&1 &
                ;;
        forward/socat)
                socat "TCP-LISTEN:$server,bind=127.0.0.1,reuseaddr,fork,backlog=1024" \
                        "TCP:127.0.0.1:$target_port" >"$directory/log" 2>&1 &
                ;;
        echo-*/sockd) start_sockd 'echo = true;' ;;
        echo-*/epoll) "$stream" echo "$server" >"$directory/log" 2>&1 & ;;
        exec/sockd) start_sockd "exec = [\"$cat\"];" ;;
        exec/xinetd) start_xinetd ;;
        publish-*/sockd) start_sockd 'publish = "bench";' ;;
        esac
        pid=$!
        probe=turns
        [ "${1%-*}" != publish ] || probe=lines
        tries=0
        until "$stream" $probe "$server" 1 1 >/dev/null 2>&1; do
                kill -0 "$pid" 2>/dev/null || {
                        say "handlers.sh: $2 ended"
                        exit 1
                }
                tries=$((tries + 1))
                [ "$tries" -lt 3000 ] || {
                        say "handlers.sh: $2 does not answer"
                        exit 1
                }
        done
}

# --- loads -------------------------------------------------------------------------------------------

# cpu: what the server has used, with processes of it and of its spawner that have ended, in ticks.
cpu() {
        for process in $pid $(cat "/proc/$pid/task/$pid/children" 2>/dev/null); do
                sed 's/.*) //' "/proc/$process/stat" 2>/dev/null
        done | awk '{ used += $12 + $13 + $14 + $15 } END { print used }'
}

# measure WHAT WHO ROW UNITS LOAD N [AT_ONCE]: a line of the results; N are so many of the UNITS that a figure
# is for.
measure() {
        what=$1 who=$2 row=$3 units=$4 load=$5
        shift 5
        start "$what" "$who"
        before=$(cpu)
        number=$(($1 / scale))
        shift
        result=$("$stream" "$load" "$server" "$number" "$@") || result=rate=0
        used=$(($(cpu) - before))
        end
        echo "$what $who $row ${result#rate=} $(echo "$used $ticks $units $scale" |
                awk '{ print $1 / $2 / $3 * $4 }')" >>"$directory/results"
        say "$what $who $row $result"
}

# have NAME COMMAND: whether there is one; says so if not.
have() {
        [ -z "$2" ] || ! command -v "$2" >/dev/null || return 0
        say "handlers.sh: $1 is not installed; it is left out"
        return 1
}

proxies=sockd
! have haproxy haproxy || proxies="$proxies haproxy haproxy-splice"
! have systemd-socket-proxyd "$proxyd" || [ ! -x "$build/tests/support/activate" ] || proxies="$proxies proxyd"
! have socat socat || proxies="$proxies socat"
inetds=sockd
PATH=$PATH:/usr/sbin
! have xinetd xinetd || inetds="$inetds xinetd"
cat=$(command -v cat)

start_target "$directory/target"
target_port=$(cat "$directory/target")
round=1
while [ "$round" -le "$rounds" ]; do
        for who in $proxies; do
                measure forward "$who" MiB/s 16 bulk 16384
                measure forward "$who" turns/s 1 turns 100000 1
                measure forward "$who" connections/s 2 connect 20000 50
        done
        for what in echo-tcp echo-unix; do
                for who in sockd epoll; do
                        measure "$what" "$who" MiB/s 4 both 4096
                        measure "$what" "$who" turns/s,1 1 turns 100000 1
                        measure "$what" "$who" turns/s,16 4 turns 400000 16
                done
        done
        for who in $inetds; do
                measure exec "$who" connections/s .4 connect 4000 8
        done
        for what in publish-tcp publish-unix; do
                measure "$what" sockd lines/s 20 lines 20000000
        done
        round=$((round + 1))
done

awk -f "$here/median.awk" -f "$here/handlers.awk" "$directory/results"
