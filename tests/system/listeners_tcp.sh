#!/bin/sh
# TCP: IPv4, IPv6 and both, names with several addresses, port 0 and where it is shown, ports that
# are taken, addresses that are not ours, options of sockets.
#
# shellcheck disable=SC2016,SC2119,SC2317 # formats; functions without arguments; called by others
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

# answers NAME ADDRESS, refuses NAME ADDRESS
answers() {
        check_does "$1" "$SOCKCTL" -s "$2" ping
}
refuses() {
        "$SOCKCTL" -s "$2" ping >/dev/null 2>&1
        check "$1" 5 $?
}

six=$(has_ipv6 && echo yes)
hosts="$directory/hosts"
two_addresses=
# A name with an address of each family, seen by the daemon only.
if [ -n "$six" ] && $is_root && [ -e /etc/hosts ] && unshare --mount true 2>/dev/null; then
        two_addresses=yes
        printf '127.0.0.1 localhost two\n::1 localhost two\n' >"$hosts"
fi

configure 'listeners = (' \
        "  { name = \"local\"; listen = \"$unix\"; }," \
        '  { name = "four"; listen = "tcp://127.0.0.1:0"; },' \
        '  { name = "six"; listen = "tcp://[::1]:0"; },' \
        '  { name = "dual"; listen = "tcp://[::]:0"; },' \
        '  { name = "only"; listen = "tcp://[::]:0"; v6only = true; },' \
        '  { name = "named"; listen = "tcp://localhost:0"; },' \
        '  { name = "any"; listen = "tcp://*:0"; } );'
[ -n "$six" ] || sed -i '/\[::/d' "$config"
# A machine without /etc/hosts does not know the name.
localhost=$(getent hosts localhost)
[ -n "$localhost" ] || sed -i '/localhost/d' "$config"
start_daemon
answers 'an IPv4 address is served' "tcp://127.0.0.1:$(port_of four)"
refuses 'and no other address' "tcp://127.0.0.2:$(port_of four)"
if [ -n "$localhost" ]; then
        answers 'the name localhost is served' "tcp://127.0.0.1:$(port_of named)"
else
        skip 'the name localhost is served' 'no such name here'
fi
answers 'the host * is served over IPv4' "tcp://127.0.0.2:$(port_of any)"
if [ -n "$six" ]; then
        answers 'an IPv6 address is served' "tcp://[::1]:$(port_of six)"
        refuses 'and not over IPv4' "tcp://127.0.0.1:$(port_of six)"
        answers '[::] is served over IPv6' "tcp://[::1]:$(port_of dual)"
        answers '[::] is served over IPv4' "tcp://127.0.0.1:$(port_of dual)"
        answers 'v6only is served over IPv6' "tcp://[::1]:$(port_of only)"
        refuses 'v6only is not over IPv4' "tcp://127.0.0.1:$(port_of only)"
        answers 'the host * is served over IPv6' "tcp://[::1]:$(port_of any)"
        check 'an IPv4 peer of [::] is shown as IPv4' 127.0.0.1 "$(
                hold crowd "tcp://127.0.0.1:$(port_of dual)" 1
                ctl --json clients |
                        sed -n 's/.*"ip":"\([^"]*\)"[^}]*"listener":"dual".*/\1/p'
                release crowd
        )"
else
        for name in 'an IPv6 address is served' 'and not over IPv4' '[::] is served over IPv6' \
                '[::] is served over IPv4' 'v6only is served over IPv6' 'v6only is not over IPv4' \
                'the host * is served over IPv6' 'an IPv4 peer of [::] is shown as IPv4'; do
                skip "$name" 'there is no IPv6 here'
        done
fi

# --- port 0 --------------------------------------------------------------------------------------

ctl --json listeners >"$directory/listeners"
check 'sockctl shows the port that the kernel chose' "tcp://127.0.0.1:$(port_of four)" \
        "$("$support/json" listeners.1.address <"$directory/listeners")"
check 'and the address as it was configured' tcp://127.0.0.1:0 \
        "$("$support/json" listeners.1.configured <"$directory/listeners")"
check_lacks 'no listener is shown with port 0' '"address":"[^"]*:0"' "$(cat "$directory/listeners")"
check_matches 'the table shows it as well' "four +tcp://127.0.0.1:$(port_of four)" \
        "$(ctl listeners | tr '\t' ' ')"
check 'a plain request to $SYS shows it' "tcp://127.0.0.1:$(port_of four)" \
        "$(ctl request '$SYS.REQ.SERVER.PING.LISTENERZ' '' | "$support/json" data.listeners.1.address)"
check 'INFO tells the port to a client on it' "$(port_of four)" \
        "$(talk "tcp://127.0.0.1:$(port_of four)" 'PING\r\n' |
                sed -n 's/^INFO //p' | "$support/json" port)"

# --- options -------------------------------------------------------------------------------------

if command -v ss >/dev/null; then
        check_matches 'the backlog is as large as configured' 4096 \
                "$(ss -Hltn "sport = :$(port_of four)" | awk '{ print $3 }')"
        hold crowd "tcp://127.0.0.1:$(port_of four)" 1
        # The timer shows when the kernel has nothing else to wait for.
        has_keepalive() {
                ss -Htno "sport = :$(port_of four)" | grep -q keepalive
        }
        check_does 'connections are kept alive' await_that has_keepalive
        release crowd
else
        skip 'the backlog is as large as configured' 'ss is not installed'
        skip 'connections are kept alive' 'ss is not installed'
fi

# --- what is taken ---------------------------------------------------------------------------------

taken=$(port_of four)
run_daemon --listen "tcp://127.0.0.1:$taken"
check 'a port that is taken is an error' 1 "$status"
check_matches 'and the error says so' \
        "cannot bind to tcp://127.0.0.1:$taken: Address already in use \(another process uses it\)" "$output"
answers 'and its daemon serves on' "tcp://127.0.0.1:$taken"
run_daemon --listen tcp://192.0.2.1:0
check 'an address that is not ours is an error' 1 "$status"
check_matches 'and the error says so' 'cannot bind to tcp://192.0.2.1:0: Cannot assign requested address' "$output"
run_daemon --listen tcp://no-such-host.invalid:0
check 'a name without an address is an error' 1 "$status"
check_matches 'and the error says so' 'listener "listen-1": cannot resolve tcp://no-such-host.invalid:0: ' "$output"
if $is_root && can_be_nobody && [ "$(cat /proc/sys/net/ipv4/ip_unprivileged_port_start)" -gt 7 ] &&
        cp "$SOCKD" "$directory/sockd" && as_nobody "$directory/sockd" --version >/dev/null 2>&1; then
        output=$(as_nobody "$directory/sockd" --listen tcp://127.0.0.1:7 2>&1)
        check 'a port without the privilege is an error' 1 $?
        check_matches 'and the error says so' 'CAP_NET_BIND_SERVICE' "$output"
else
        skip 'a port without the privilege is an error' 'needs root and setpriv'
        skip 'and the error says so' 'needs root and setpriv'
fi
stop_daemon

# A port is free for the next start at once: after SIGKILL, and with connections that we closed,
# which the kernel keeps for a while.
start_daemon --listen tcp://127.0.0.1:0 --listen "$unix"
port=$(port_of listen-1)
hold crowd "tcp://127.0.0.1:$port" 5
stop_daemon KILL
start_daemon --listen "tcp://127.0.0.1:$port" --listen "$unix"
answers 'a port is free at once after SIGKILL' "tcp://127.0.0.1:$port"
release crowd
hold crowd "tcp://127.0.0.1:$port" 5
stop_daemon TERM
start_daemon --listen "tcp://127.0.0.1:$port" --listen "$unix"
answers 'a port is free at once after SIGTERM' "tcp://127.0.0.1:$port"
release crowd
stop_daemon

# --- names ---------------------------------------------------------------------------------------

if [ -n "$two_addresses" ]; then
        rm "$config"
        # shellcheck disable=SC2016 # for the inner shell
        launch unshare --mount sh -c 'mount --bind "$1" /etc/hosts && shift && exec "$@"' sh "$hosts" \
                "$SOCKD" --listen tcp://two:0 --listen "$unix"
        await_ready
        check 'a name with two addresses is bound to both' '127.0.0.1 [::1]' "$(
                sed -n 's/.*listener "listen-1" listening on tcp:..\(.*\):[0-9]*$/\1/p' "$log" |
                        tail -n 2 | sort | tr '\n' ' ' | sed 's/ $//'
        )"
        check 'on the same port' 1 "$(
                tail -n 4 "$log" | sed -n 's/.*listener "listen-1" listening on .*:\([0-9]*\)$/\1/p' |
                        sort -u | wc -l
        )"
        port=$(port_of listen-1)
        answers 'the first of them is served' "tcp://127.0.0.1:$port"
        answers 'the second of them is served' "tcp://[::1]:$port"
        stop_daemon
else
        for name in 'a name with two addresses is bound to both' 'on the same port' \
                'the first of them is served' 'the second of them is served'; do
                skip "$name" 'needs root, IPv6 and a mount namespace'
        done
fi

# --- without IPv6 --------------------------------------------------------------------------------

# A network of its own where IPv6 is switched off, for the command behind it.
apart='--net'
$is_root || apart='--map-root-user --net'
without_ipv6='ip link set lo up || exit
for i in all lo; do
        [ ! -e /proc/sys/net/ipv6 ] || echo 1 >"/proc/sys/net/ipv6/conf/$i/disable_ipv6" || exit
done
exec "$@"'
# launch_apart ARG...: a daemon in there.
launch_apart() {
        # shellcheck disable=SC2086 # a list of words
        launch unshare $apart sh -c "$without_ipv6" sh "$SOCKD" "$@"
}
# answers_apart NAME ADDRESS
answers_apart() {
        # shellcheck disable=SC2046 # a list of words
        check_does "$1" nsenter --target "$daemon" $($is_root || echo --user --preserve-credentials) \
                --net "$SOCKCTL" -s "$2" ping
}
# shellcheck disable=SC2086 # a list of words
if unshare $apart sh -c "$without_ipv6" sh true 2>/dev/null && command -v nsenter >/dev/null; then
        empty_log
        sed "s|unix:///run/sockd/sockd.sock|$unix|" "$SOCKD_SOURCE_DIR/etc/sockd.conf" >"$config"
        launch_apart --config "$config"
        await_ready
        check 'without IPv6 the example starts, with one warning' \
                'listener "tcp6": tcp://[::1]:4222 is left out: this machine has no IPv6 loopback address' \
                "$(sed -n 's/.* warning: listener/listener/p' "$log")"
        answers_apart 'its IPv4 address is served' tcp://127.0.0.1:4222
        check 'a listener that is left out is not shown' 'local tcp ' \
                "$(ctl --json listeners | grep -o '"name":"[^"]*"' | cut -d'"' -f4 | sort | tr '\n' ' ')"
        check 'a reload there is in order' 'configuration reloaded' "$(ctl reload 2>"$directory/warnings")"
        check_matches 'and tells of it' 'sockctl: warning: listener "tcp6": .* is left out' \
                "$(cat "$directory/warnings")"
        expect_log 'and warns again' 'warning: listener "tcp6": .* is left out'
        cp "$config" "$directory/good"
        configure 'listeners = ( { name = "six"; listen = "tcp://[::1]:4222"; } );'
        ctl reload >"$directory/reload" 2>&1
        check 'a reload that leaves nothing is an error' 1 $?
        check_matches 'and the error says so' 'nothing left to listen on' "$(cat "$directory/reload")"
        answers_apart 'and its daemon serves on' tcp://127.0.0.1:4222
        stop_daemon

        launch_apart --config "$config"
        await_end
        check 'a start with nothing else is an error' 1 "$status"
        check_matches 'and the error says so' 'error: there is nothing left to listen on' \
                "$(tail -n 1 "$log")"
        launch_apart --listen "tcp://[2001:db8::1]:4222" --listen "$unix"
        await_end
        check 'another address that is not there is an error' 1 "$status"
        launch_apart --listen "tcp://*:4222" --listen "$unix"
        await_ready
        answers_apart 'the host * is served over IPv4' tcp://127.0.0.1:4222
        stop_daemon
        rm "$config"
else
        for name in 'without IPv6 the example starts, with one warning' 'its IPv4 address is served' \
                'a listener that is left out is not shown' 'a reload there is in order' 'and tells of it' \
                'and warns again' 'a reload that leaves nothing is an error' 'and the error says so' \
                'and its daemon serves on' 'a start with nothing else is an error' \
                'and the error says so' 'another address that is not there is an error' \
                'the host * is served over IPv4'; do
                skip "$name" 'network namespaces are not permitted'
        done
fi

end_tests
