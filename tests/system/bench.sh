#!/bin/sh
# The comparisons of make bench-quick run through, on all servers that are there. How fast they are is
# not looked at: that is for people, on a quiet machine.
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

if $is_sanitized; then
        skip 'the comparison' 'a sanitized daemon is compared with nobody'
        end_tests
fi
"$SOCKD_SOURCE_DIR/tests/bench/compare.sh" --quick >"$directory/table" 2>"$directory/rounds"
check 'the comparison runs through' 0 $?
check_row() {
        check_matches "$1 was measured on $2" "^round 1: $1 $2 rate=[1-9][0-9]* cpu=[0-9.]+" \
                "$(cat "$directory/rounds")"
}
for row in 1:1/16 1:0/16 1:5/16 4:1/16 1:1/1K 1:1/64K request/16 request/1 connect idle subscriptions; do
        for server in sockd-tcp sockd-unix; do
                check_row "$row" "$server"
        done
        check_matches "$row stands in the table" "^$row  +([-0-9]|[0-9.]+ [kM])" "$(cat "$directory/table")"
done
check_row publish/1-paced sockd-udp
for row in publish/1 publish/10 request/16 request/1; do
        for server in sockd-udp sockd-dgram; do
                check_row "$row" "$server"
        done
        check_matches "$row stands in the table of datagrams" "^$row  +[0-9.]+ [kM].* [0-9.]+$" \
                "$(sed '1,/^Datagrams/d' "$directory/table")"
done

"$SOCKD_SOURCE_DIR/tests/bench/handlers.sh" --quick >"$directory/table" 2>"$directory/rounds"
check 'the comparison of handlers runs through' 0 $?
for row in 'forward sockd MiB/s' 'forward sockd turns/s' 'forward sockd connections/s' \
        'echo-tcp sockd MiB/s' 'echo-tcp epoll turns/s,1' 'echo-unix sockd turns/s,16' \
        'exec sockd connections/s' 'publish-tcp sockd lines/s' 'publish-unix sockd lines/s'; do
        check_matches "$row was measured" "^$row rate=[1-9]" "$(cat "$directory/rounds")"
done
check_matches 'it ends with a table' '^lines/s +[1-9][0-9]* ' "$(tail -n 1 "$directory/table")"
end_tests
