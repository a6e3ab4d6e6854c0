#!/bin/sh
# Compares sockd's forwarding with HAProxy (TCP mode, with and without splicing), systemd-socket-proxyd and
# socat: the same load through each, in turns within each round, and the medians of all rounds.
#
# usage: forward.sh [--quick]
#
# ROUNDS    how many; default 5, with --quick 1
# SOCKD     the daemon; default: that of the build tree
#
# Who is not installed is left out. All have one thread. For each load: the rate, and in brackets what the proxy
# used of a processor, in seconds for each GiB, 100,000 turns or 10,000 connections.
set -eu

quick=false
[ "${1-}" != --quick ] || quick=true
rounds=${ROUNDS:-$($quick && echo 1 || echo 5)}
build=${SOCKD_BUILD_DIR:-$PWD}
sockd=${SOCKD:-$build/daemon/sockd}
stream=$build/tests/bench/stream
directory=$(mktemp -d "${TMPDIR:-/tmp}/sockd-forward.XXXXXX")
proxyd=
for path in /lib/systemd /usr/lib/systemd; do
        [ ! -x "$path/systemd-socket-proxyd" ] || proxyd=$path/systemd-socket-proxyd
done
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

write_haproxy() { # OPTION
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
 bind 127.0.0.1:$port
 $1
 server target 127.0.0.1:$target_port
EOT
}

# start NAME: starts a proxy, and sets port and pid.
start() {
        port=$(free_port)
        case $1 in
        sockd)
                printf 'server = { workers = 1; };\nlisteners = ( { name = "a"; listen = "tcp://127.0.0.1:%s"; forward = "tcp://127.0.0.1:%s"; } );\n' \
                        "$port" "$target_port" >"$directory/sockd.conf"
                "$sockd" -c "$directory/sockd.conf" >"$directory/log" 2>&1 &
                ;;
        haproxy)
                write_haproxy ''
                haproxy -db -f "$directory/haproxy.cfg" >"$directory/log" 2>&1 &
                ;;
        haproxy-splice)
                write_haproxy 'option splice-auto'
                haproxy -db -f "$directory/haproxy.cfg" >"$directory/log" 2>&1 &
                ;;
        proxyd)
                "$build/tests/support/activate" "a=tcp://127.0.0.1:$port" -- \
                        "$proxyd" --connections-max=4000 "127.0.0.1:$target_port" >"$directory/log" 2>&1 &
                ;;
        socat)
                socat "TCP-LISTEN:$port,bind=127.0.0.1,reuseaddr,fork,backlog=1024" \
                        "TCP:127.0.0.1:$target_port" >"$directory/log" 2>&1 &
                ;;
        esac
        pid=$!
        tries=0
        until "$stream" turns "$port" 1 >/dev/null 2>&1; do
                kill -0 "$pid" 2>/dev/null || { say "forward.sh: $1 ended"; exit 1; }
                tries=$((tries + 1))
                [ "$tries" -lt 3000 ] || { say "forward.sh: $1 does not answer"; exit 1; }
        done
}

# cpu: what the proxy has used, with processes of it that have ended, in ticks.
cpu() {
        sed 's/.*) //' "/proc/$pid/stat" | awk '{ print $12 + $13 + $14 + $15 }'
}

# measure PROXY ROW UNITS LOAD...: a line of the results; UNITS of the load are what a figure is for.
measure() {
        proxy=$1 row=$2 units=$3 load=$4
        shift 4
        start "$proxy"
        before=$(cpu)
        result=$("$stream" "$load" "$port" "$@") || result=rate=0
        used=$(($(cpu) - before))
        end
        echo "$row $proxy ${result#rate=} $(echo "$used $ticks $units" | awk '{ print $1 / $2 / $3 }')" >>"$directory/results"
        say "$row $proxy $result"
}

which=sockd
if command -v haproxy >/dev/null; then
        which="$which haproxy haproxy-splice"
else
        say 'forward.sh: haproxy is not installed; it is left out'
fi
if [ -n "$proxyd" ] && [ -x "$build/tests/support/activate" ]; then
        which="$which proxyd"
else
        say 'forward.sh: systemd-socket-proxyd is not installed; it is left out'
fi
if command -v socat >/dev/null; then
        which="$which socat"
else
        say 'forward.sh: socat is not installed; it is left out'
fi
ticks=$(getconf CLK_TCK)
start_target "$directory/target"
target_port=$(cat "$directory/target")
scale=1
! $quick || scale=4
round=1
while [ "$round" -le "$rounds" ]; do
        for proxy in $which; do
                measure "$proxy" MiB/s "$((16 / scale))" bulk "$((16384 / scale))"
                measure "$proxy" turns/s "$(echo $scale | awk '{ print 1 / $1 }')" turns "$((100000 / scale))"
                measure "$proxy" connections/s "$(echo $scale | awk '{ print 2 / $1 }')" connect "$((20000 / scale))" 50
        done
        round=$((round + 1))
done
# shellcheck disable=SC2086 # a list of words
awk -v proxies="$which" '
function median(text,    list, n, i, j, value) {
        n = split(text, list, " ")
        for (i = 2; i <= n; i++) {
                value = list[i] + 0
                for (j = i - 1; j >= 1 && list[j] + 0 > value; j--)
                        list[j + 1] = list[j]
                list[j + 1] = value
        }
        return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
}
{ rates[$1, $2] = rates[$1, $2] " " $3; costs[$1, $2] = costs[$1, $2] " " $4 }
END {
        n = split(proxies, names, " ")
        printf "%-14s", ""
        for (i = 1; i <= n; i++)
                printf "  %18s", names[i]
        print ""
        split("MiB/s turns/s connections/s", rows, " ")
        for (k = 1; k <= 3; k++) {
                printf "%-14s", rows[k]
                for (i = 1; i <= n; i++)
                        printf "  %9.0f (%6.3f)", median(rates[rows[k], names[i]]), median(costs[rows[k], names[i]])
                print ""
        }
}' "$directory/results"
