#!/bin/sh
# Descriptors: the limit is raised and checked, all are closed on exec, and when they run out the
# clients that are there go on, nothing turns in a circle, and accepting resumes.
#
# shellcheck disable=SC2016,SC2119,SC2317 # formats; functions without arguments; called by others
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

command -v prlimit >/dev/null || {
        echo '1..0 # SKIP prlimit is not installed'
        exit 0
}

limit_of() {
        awk -v column="$2" '/^Max open files/ { print $column }' "/proc/$1/limits"
}

configure 'server = { max_connections = 1000000; };' \
        "listeners = ( { name = \"local\"; listen = \"$unix\"; }," \
        '              { name = "tcp"; listen = "tcp://127.0.0.1:0"; } );'

# --- too few ------------------------------------------------------------------------------------

for limit in 9 10 12; do
        timeout 20 prlimit --nofile=$limit -- "$SOCKD" --config "$config" >"$directory/few" 2>&1
        status=$?
        check_matches "with $limit descriptors it ends with an error" \
                'error: .*Too many open files' "status $status: $(cat "$directory/few")"
done

# --- limits ------------------------------------------------------------------------------------

launch prlimit --nofile=100:400 -- "$SOCKD" --config "$config"
expect_log 'too low a limit for max_connections is warned of' \
        'warning: max_connections is 1000000, but the limit of 400 descriptors .* allows only [0-9]+$'
await_ready
check 'the soft limit is raised to the hard one' 400 "$(limit_of "$daemon" 4)"
check 'the hard limit stays' 400 "$(limit_of "$daemon" 5)"
allowed=$(sed -n 's/.* allows only //p' "$log" | tail -n 1)
check 'status shows what is left of max_connections' "$allowed" "$(ctl_json max_connections status)"
tcp=tcp://127.0.0.1:$(port_of tcp)

# One more than that is refused with the words of the protocol: there is a descriptor for it.
hold crowd "$tcp" "$allowed"
check_matches 'as many clients as were promised are served' '^alive' "$(order crowd ping '^alive')"
check_matches 'one more is refused in order' "maximum connections exceeded" \
        "$(talk "$tcp" '' 2>&1)"
release crowd
kill -HUP "$daemon"
expect_log 'a reload is in order' 'info: configuration reloaded'
check 'and does not warn again' 1 "$(count_log 'warning: max_connections is [0-9]')"
sed -i 's/1000000/1000001/' "$config"
kill -HUP "$daemon"
expect_log 'one that changes the number warns' 'warning: max_connections is 1000001'
stop_daemon

# Sockets of datagram listeners, one for each worker, are counted.
configure 'server = { workers = 16; };' \
        "listeners = ( { name = \"local\"; listen = \"$unix\"; }," \
        "$(for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
                echo "{ name = \"udp$i\"; listen = \"udp://127.0.0.1:0\"; },"
        done)" '{ name = "tcp"; listen = "tcp://127.0.0.1:0"; } );'
empty_log
launch prlimit --nofile=600 -- "$SOCKD" --config "$config"
await_ready
tcp=tcp://127.0.0.1:$(port_of tcp)
allowed=$(ctl_json max_connections status)
hold crowd "$tcp" "$allowed"
check_matches 'with many datagram sockets as many clients as promised are served, too' '^alive' \
        "$(order crowd ping '^alive')"
release crowd
stop_daemon

configure "server = { max_connections = 10; };" \
        "listeners = ( { name = \"local\"; listen = \"$unix\"; }," \
        '              { name = "tcp"; listen = "tcp://127.0.0.1:0"; } );'
empty_log
# activate closes what this shell inherited.
launch "$support/activate" -- "$SOCKD" --config "$config"
await_ready
check 'a limit that suffices is not warned of' 0 "$(count_log 'max_connections is')"

# --- close on exec -------------------------------------------------------------------------------

hold crowd "$unix" 3
check 'all descriptors are closed on exec' '' "$(inheritable_descriptors "$daemon")"
release crowd
stop_daemon

# --- none are left -------------------------------------------------------------------------------

for transport in unix tcp; do
        start_daemon
        address=$unix
        [ $transport = unix ] || address=tcp://127.0.0.1:$(port_of tcp)
        hold crowd "$address" 5
        prlimit --pid "$daemon" --nofile="$(count_descriptors "$daemon"):4096"
        order crowd 'more 3' '^connected 3$' >/dev/null
        expect_log "$transport: that no descriptor is left is logged" \
                'warning: listener "(local|tcp)": cannot accept: Too many open files; existing clients are not affected'
        check "$transport: existing clients go on" 'alive 5' "$(order crowd ping '^alive')"

        check_idle "$transport: waiting for descriptors takes no CPU"
        check "$transport: it is logged once" 1 "$(count_log 'cannot accept')"
        check "$transport: existing clients still go on" 'alive 5' "$(order crowd ping '^alive')"

        order crowd 'drop 3' '^dropped' >/dev/null
        check "$transport: accepting goes on when descriptors are free" 'admitted 5' \
                "$(order crowd admitted '^admitted')"
        check "$transport: for all" 'alive 5' "$(order crowd ping '^alive')"
        release crowd
        check_does "$transport: and for others" "$SOCKCTL" -s "$address" ping
        stop_daemon
        check "$transport: the daemon ends in order" 0 "$status"
        empty_log
done

end_tests
