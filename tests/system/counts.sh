#!/bin/sh
# What an idle client costs in memory, and a message in things that can be counted whatever the speed of
# the machine: calls of the kernel, calls of malloc, bytes copied. The limits leave room for a machine
# that is busy with other things, where less is read at once; they are far from what one call for each
# message would be.
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

library=$support/.libs/libcount.so
load=$SOCKD_BUILD_DIR/tests/bench/load
counts=$directory/counts

if $is_sanitized || [ ! -e "$library" ]; then
        skip 'what a message costs' "$($is_sanitized && echo 'a sanitizer allocates and copies by itself' ||
                echo 'shared libraries are not built')"
        end_tests
fi

# The daemon finds both in its environment; nobody else shall.
cat >"$directory/counted" <<END
#!/bin/sh
LD_PRELOAD='$library' COUNTS='$counts' exec '$SOCKD' "\$@"
END
chmod +x "$directory/counted"
SOCKD=$directory/counted
start_daemon --listen "$unix" --listen tcp://127.0.0.1:0
port=$(sed -n 's/.*tcp:\/\/127\.0\.0\.1:\([0-9]*\)$/\1/p' "$log" | tail -n 1)

# cost N ADDRESS WORKLOAD [name=number...]: sets calls, allocations and copied to what N messages
# cost, each in thousandths of one; the second time, when everything has its size.
cost() {
        n=$1
        shift
        timeout 60 "$load" "$@" messages="$n" >/dev/null || bail_out 'the load failed'
        before=$(od -An -t u8 -w40 "$counts")
        timeout 60 "$load" "$@" messages="$n" >/dev/null || bail_out 'the load failed'
        # shellcheck disable=SC2046 # a list of numbers
        set -- $(echo "$before $(od -An -t u8 -w40 "$counts")" | awk -v n="$n" '{
                printf "%d %d %d", ($6 + $7 + $8 - $1 - $2 - $3) * 1000 / n, ($9 - $4) * 1000 / n,
                        ($10 - $5) * 1000 / n }')
        calls=$1 allocations=$2 copied=$3
}

# idle ADDRESS: sets memory to the resident memory that each of many idle clients with one subscription
# takes.
idle() {
        result=$(timeout 60 "$load" "$1" idle connections=2000 pid="$daemon") ||
                bail_out 'the load failed'
        memory=$(echo "$result" | sed 's/.* memory=\([0-9]*\).*/\1/')
}

# Before there is anything that was freed.
idle "unix:$socket"
check_at_most 'unix, idle client: bytes of resident memory' 1536 "$memory"

for address in "unix:$socket" "tcp:$port"; do
        kind=${address%%:*}
        cost 500000 "$address" publish size=16
        check_at_most "$kind, 16 bytes: thousandths of a system call" 50 "$calls"
        check_at_most "$kind, 16 bytes: thousandths of an allocation" 20 "$allocations"
        cost 50000 "$address" publish size=1024
        check_at_most "$kind, 1 KiB: thousandths of a system call" 400 "$calls"
        check_at_most "$kind, 1 KiB: thousandths of an allocation" 200 "$allocations"
        # Once into the stage; now and then once more, when the socket does not take it.
        check_at_most "$kind, 1 KiB: bytes copied for a message" 2200 $((copied / 1000))
        cost 3000 "$address" publish size=65536
        check_at_most "$kind, 64 KiB: bytes copied for a message" 32768 $((copied / 1000))
        # Request and reply are two messages: at best, each is read, sent and waited for once.
        cost 5000 "$address" request clients=1
        check_at_most "$kind, request: thousandths of a system call" 7000 "$calls"
        check_at_most "$kind, request: thousandths of an allocation" 50 "$allocations"
done

# A payload is shared by its receivers. What is left of one that a socket took in part is copied, once
# for those who have the same left: for some of them, by far not for each. How many that are is the
# machine's other work; a copy for each would be there in every round.
least=$((16384 * 100))
for round in 1 2 3 4 5; do
        cost 200 "unix:$socket" publish size=16384 subscribers=100
        [ $((copied / 1000)) -ge $least ] || least=$((copied / 1000))
        [ $least -gt $((16384 * 100 / 2)) ] || break
done
check_at_most "unix, 16 KiB to 100: bytes copied for a message, in one of $round rounds" \
        $((16384 * 100 / 2)) $least

stop_daemon TERM
check 'the daemon ends in order' 0 "$status"
end_tests
