#!/bin/sh
# Those whose programs the limits on all programs put off: they wait in one line, whatever their
# listener and worker, and what they cost does not depend on how many they are.
#
# shellcheck disable=SC2016,SC2119,SC2317 # texts of other shells; functions without arguments; called by others
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

printf '%s\n' '#!/bin/sh' 'read -r line' "echo \"\$line\" >>$directory/order" >"$directory/noting"
chmod 755 "$directory/noting"
: >"$directory/order"
tcp=tcp://127.0.0.1:0
# They wait for as long as this takes on a busy machine.
export PEER_SECONDS=600
configure 'server = { workers = 2; };' 'programs = { max_running = 1; };' \
        "listeners = ( { name = \"local\"; listen = \"$unix\"; }
        , { name = \"a\"; listen = \"$tcp\"; exec = [\"$directory/noting\"]; }
        , { name = \"b\"; listen = \"$tcp\"; exec = [\"$directory/noting\"]; } );"
start_daemon
at() {
        echo "tcp://127.0.0.1:$(port_of "$1")"
}
# count_of NAME COUNTER: of a listener's programs.
count_of() {
        ctl --json listeners | sed 's/{"name"/\n&/g' | grep "^{\"name\":\"$1\"" |
                sed -n "s/.*\"programs\":{[^}]*\"$2\":\([0-9]*\).*/\1/p"
}
has_counted() {
        [ "$(count_of "$1" "$2")" = "$3" ]
}
has_lines() {
        [ "$(wc -l <"$directory/order")" -ge "$1" ]
}

start_helper first "$support/peer" through "$(at a)"
exec 8>"$directory/first.in"
check_does 'one program runs' await_that has_counted a running 1
for i in 1 2 3 4; do
        echo "a$i" | "$support/peer" through "$(at a)" >/dev/null 2>&1 8>&- &
        await_that has_counted a delayed "$i"
        echo "b$i" | "$support/peer" through "$(at b)" >/dev/null 2>&1 8>&- &
        await_that has_counted b delayed "$i"
done
expect_log 'others are put off' 'listener "a": programs have to wait'
i=0
while [ $i -lt 30 ]; do
        echo more | "$support/peer" through "$(at b)" >/dev/null 2>&1 8>&- &
        i=$((i + 1))
done
check_does 'each is counted' await_that has_counted b delayed 34
check_idle 'they cost nothing while they wait'
check 'and once, however often it is tried' '4 34' "$(count_of a delayed) $(count_of b delayed)"
check 'none of them runs' '1 0' "$(count_of a running) $(count_of b running)"
echo first >&8
exec 8>&-
check_does 'when the program ends they are served' await_that has_lines 39
check 'in the order in which they came' 'first a1 b1 a2 b2 a3 b3 a4 b4 more' \
        "$(head -n 10 "$directory/order" | tr '\n' ' ' | sed 's/ $//')"
check_does 'then none runs' await_that has_counted b running 0

# Who leaves does not hold up the others.
start_helper first "$support/peer" through "$(at a)"
exec 8>"$directory/first.in"
check_does 'one program runs again' await_that has_counted a running 1
start_helper second "$support/peer" through "$(at b)"
exec 9>"$directory/second.in"
check_does 'somebody waits' await_that has_counted b delayed 35
second=$(ctl --json clients | sed 's/},{/}\n{/g' | sed -n 's/.*"cid":\([0-9]*\).*"program_waits":true.*/\1/p')
echo third | "$support/peer" through "$(at b)" >/dev/null 2>&1 8>&- 9>&- &
check_does 'so does another one' await_that has_counted b delayed 36
check_does 'the first who waits can be kicked' ctl clients kick "$second"
exec 8>&- 9>&-
check_does 'the next one is served' "$support/await" line "$directory/order" '^third$'
stop_daemon
check 'the end' 0 "$status"
end_tests
