#!/bin/sh
# Programs for connections: what they are given, who waits for whom, how they end, and that nothing
# of them is left.
#
# shellcheck disable=SC2016,SC2119,SC2317 # texts of other shells; functions without arguments; called by others
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

# program NAME TEXT...: a shell script.
program() {
        program_name=$1
        shift
        printf '%s\n' '#!/bin/sh' "$@" >"$directory/$program_name"
        chmod 755 "$directory/$program_name"
}

# on NAME ADDRESS KEYS...: a listener.
on() {
        on_name=$1
        on_address=$2
        shift 2
        printf ', { name = "%s"; listen = "%s"; %s }\n' "$on_name" "$on_address" "$*"
}
tcp=tcp://127.0.0.1:0

program tell 'env | sort'
program shown 'pwd' 'ulimit -n' 'ulimit -c'
program noisy 'echo "to the log" >&2' 'head -c 3000 /dev/zero | tr "\0" x >&2' 'echo >&2' \
        'printf "a\033[31mb\n" >&2'
program brief 'read -r line' 'echo "got $line"'
program failing 'exit 3'
program hanging 'trap "" TERM' 'echo hangs' 'while :; do read -r line <"$0.pipe"; done'
program forking "sleep 1000 & echo \$! >$directory/forked" 'echo forked'
program silent 'exec >&-' "cat >$directory/heard"
program closing 'exec >&-' "echo closed >$directory/closed" 'read -r line' 'exit 4'
program waiting 'read -r line' "echo \"\$line\" >>$directory/left" "echo over >>$directory/left"
program crowded 'echo served' 'read -r line'
program gone 'echo here'
mkfifo "$directory/hanging.pipe"

six=
! has_ipv6 || six=$(on six 'tcp://[::1]:0' "exec = [\"$directory/tell\"];")
other=
if can_be_nobody; then
        other=$(on other $tcp "exec = [\"/usr/bin/id\"]; user = \"nobody\"; group = \"nogroup\";"
                on other_unix "unix://$directory/other" 'exec = ["/usr/bin/id"]; user = "nobody:nogroup";')
fi
{
        printf 'programs = { max_starts = 5000; };\n'
        printf 'listeners = ( { name = "local"; listen = "%s"; }\n' "$unix"
        on tell $tcp "exec = [\"$directory/tell\"]; environment = { WORDS = \"one two\"; PATH = \"/bin:/usr/bin\"; };"
        on tell_unix "unix://$directory/tell.sock" "exec = [\"$directory/tell\"]; environment = [\"A=b\", \"REMOTE_HOST=forged\", \"PROTO=forged\"];"
        on shown $tcp "exec = [\"$directory/shown\"]; directory = \"/usr\"; limits = { open_files = 77; };"
        on status $tcp 'exec = ["/bin/cat", "/proc/self/status"];'
        on descriptors $tcp 'exec = ["/bin/ls", "/proc/self/fd"];'
        on cat $tcp 'exec = ["/bin/cat"];'
        on cat_unix "unix://$directory/cat.sock" 'exec = ["/bin/cat"];'
        on record "unix+seqpacket://$directory/record.sock" 'exec = ["/bin/cat"];'
        on slow $tcp 'exec = ["/bin/cat"]; rate = { bytes = 100000; };'
        on fast $tcp 'exec = ["/bin/cat"]; idle_timeout = "1h";'
        on fast_record "unix+seqpacket://$directory/fast_record.sock" 'exec = ["/bin/cat"]; idle_timeout = "1h";'
        on long_record "unix+seqpacket://$directory/long_record.sock" 'exec = ["/bin/dd", "if=/dev/zero", "bs=150000", "count=1"]; idle_timeout = "1h";'
        on idle $tcp 'exec = ["/bin/cat"]; idle_timeout = "300ms";'
        on noisy $tcp "exec = [\"$directory/noisy\"];"
        on one $tcp "exec = [\"$directory/brief\"]; concurrency = 1;"
        on crowded $tcp "exec = [\"$directory/crowded\"]; concurrency = 1;"
        on failing $tcp "exec = [\"$directory/failing\"];"
        on failing_too $tcp "exec = [\"$directory/failing\"];"
        on hanging $tcp "exec = [\"$directory/hanging\"]; timeout = \"300ms\"; grace = \"200ms\";"
        on stuck $tcp "exec = [\"$directory/hanging\"]; grace = \"100ms\";"
        on forking $tcp "exec = [\"$directory/forking\"];"
        on silent $tcp "exec = [\"$directory/silent\"];"
        on closing $tcp "exec = [\"$directory/closing\"];"
        on waiting "unix://$directory/waiting.sock" "exec = [\"$directory/waiting\"];"
        on gone $tcp "exec = [\"$directory/gone\"];"
        on much $tcp 'exec = ["/usr/bin/head", "-c", "1000000000", "/dev/zero"]; timeout = "1s"; grace = "0s";'
        printf '%s%s);\n' "$six" "$other"
} >"$config"
start_daemon
at() {
        echo "tcp://127.0.0.1:$(port_of "$1")"
}
# ask NAME: what a listener says to one who says nothing.
ask() {
        "$support/peer" through "${2:-$(at "$1")}" </dev/null 2>/dev/null
}
# count_of NAME COUNTER: of a listener's programs.
count_of() {
        ctl --json listeners | sed 's/{"name"/\n&/g' | grep "^{\"name\":\"$1\"" |
                sed -n "s/.*\"programs\":{[^}]*\"$2\":\([0-9]*\).*/\1/p"
}
# has_counted NAME COUNTER N
has_counted() {
        [ "$(count_of "$1" "$2")" = "$3" ]
}
# client_of NAME: the number of its only client.
client_of() {
        ctl --json clients | sed 's/},{/}\n{/g' |
                sed -n "s/.*\"cid\":\([0-9]*\).*\"listener\":\"$1\".*/\1/p"
}
# has_left NAME: it has no clients.
has_left() {
        [ -z "$(client_of "$1")" ]
}
# is_served NAME: a client of it has a program.
is_served() {
        ctl --json clients | grep -q "\"listener\":\"$1\".*\"program_pid\":[1-9]"
}
spawner=$(sed 's/ $//' "/proc/$daemon/task/$daemon/children")

# --- what they are told ------------------------------------------------------------------------------

told=$(ask tell)
for line in SOCKD_LISTENER=tell SOCKD_PEER_ADDRESS=127.0.0.1 "SOCKD_PEER_UID=$(id -u)" \
        'SOCKD_PEER_PORT=[0-9]+' SOCKD_LOCAL_ADDRESS=127.0.0.1 "SOCKD_LOCAL_PORT=$(port_of tell)" \
        REMOTE_HOST=127.0.0.1 'REMOTE_PORT=[0-9]+' PROTO=TCP TCPREMOTEIP=127.0.0.1 \
        'TCPREMOTEPORT=[0-9]+' TCPLOCALIP=127.0.0.1 "TCPLOCALPORT=$(port_of tell)" \
        'WORDS=one two' PATH=/bin:/usr/bin; do
        check_matches "TCP: a program is told ${line%%=*}" "^$line\$" "$told"
done
check_lacks 'nothing of the environment of sockd is passed on' '^(SOCKD_SOURCE_DIR|SOCKD_BUILD_DIR|srcdir)=' "$told"
told=$(ask '' "unix://$directory/tell.sock")
for line in "SOCKD_PEER_UID=$(id -u)" "SOCKD_PEER_GID=$(id -g)" 'SOCKD_PEER_PID=[0-9]+' PROTO=UNIX \
        "SOCKD_LOCAL_ADDRESS=$directory/tell.sock" "UNIXLOCALPATH=$directory/tell.sock" \
        "UNIXREMOTEEUID=$(id -u)" "UNIXREMOTEEGID=$(id -g)" 'UNIXREMOTEPID=[0-9]+' A=b; do
        check_matches "Unix: a program is told ${line%%=*}" "^$line\$" "$told"
done
if [ -n "$six" ]; then
        check_matches 'IPv6: a program is told the address' '^TCPREMOTEIP=::1$' \
                "$(ask '' "tcp://[::1]:$(port_of six)")"
else
        skip 'IPv6' 'there is no IPv6 here'
fi
# ls has one more: the directory that it lists.
check 'it has its standard descriptors and no others' '0 1 2 3 ' "$(ask descriptors | tr '\n' ' ')"
# Of the two numbers that are the C library's own, nothing is known.
check_matches 'it ignores no signal' '^SigIgn:\s0000000[01][08]0000000$' "$(ask status)"
check_matches 'and blocks none' '^SigBlk:\s0000000000000000$' "$(ask status)"
check_matches 'it cannot gain privileges' '^NoNewPrivs:\s1$' "$(ask status)"
check 'it has its directory and its limits' '/usr 77 0 ' "$(ask shown | tr '\n' ' ')"
if [ -n "$other" ]; then
        check_matches 'it can be another user' 'uid=[0-9]+\(nobody\) gid=[0-9]+\(nogroup\) groups=[0-9]+\(nogroup\)$' \
                "$(ask other)"
        check_matches 'also on a path, where group is that of the socket' '^uid=[0-9]+\(nobody\) gid=[0-9]+\(nogroup\)' \
                "$(ask '' "unix://$directory/other")"
else
        skip 'another user' 'this is not root'
fi

# --- the socket --------------------------------------------------------------------------------------

check 'TCP: all of 8 MB comes back after the half-close' 8388608 \
        "$(head -c 8388608 /dev/zero | "$support/peer" through "$(at cat)" 2>/dev/null | wc -c)"
check 'Unix: the same' 8388608 \
        "$(head -c 8388608 /dev/zero | "$support/peer" through "unix://$directory/cat.sock" 2>/dev/null | wc -c)"
check 'records: one comes back' hello \
        "$(printf hello | "$support/peer" through "unix+seqpacket://$directory/record.sock" 2>/dev/null)"

# --- limits on what passes ---------------------------------------------------------------------------

# pass ADDRESS N: so many bytes there and back; how many came, and the milliseconds.
pass() {
        since_ms=$(now_ms)
        n_passed=$(head -c "$2" /dev/zero | "$support/peer" through "$1" 2>/dev/null | wc -c)
        took_ms=$(($(now_ms) - since_ms))
}
pass "$(at slow)" 300000
check 'with a rate of bytes all comes back' 300000 "$n_passed"
check_at_most 'but not at once' "$took_ms" 1500
check 'and is counted' 300000 "$(ctl --json clients --state closed | sed 's/},{/}\n{/g' |
        sed -n 's/.*"listener":"slow".*"in_bytes":\([0-9]*\).*/\1/p')"
pass "$(at fast)" 8388608
check 'with an idle timeout all of 8 MB comes back' 8388608 "$n_passed"
check 'records: one comes back' hello \
        "$(printf hello | "$support/peer" through "unix+seqpacket://$directory/fast_record.sock" 2>/dev/null)"
check 'one that is too long does not' 0 \
        "$("$support/peer" through "unix+seqpacket://$directory/long_record.sock" </dev/null 2>/dev/null | wc -c)"
expect_log 'which is logged' 'listener "long_record": /bin/dd prints a record that is longer than can be passed on'
check 'and counted' 1 "$(count_of long_record cut)"
start_helper idle "$support/peer" through "$(at idle)"
exec 8>"$directory/idle.in"
await_helper idle '^open$' >/dev/null
expect_log 'who is idle has a time' 'on listener "idle" ended: Idle Timeout$'
check_does 'and so has the program' await_that has_counted idle stopped 1
exec 8>&-

# --- standard error ------------------------------------------------------------------------------------

ask noisy
expect_log 'its standard error is logged, with listener and pid' 'listener "noisy": program [0-9]+: to the log$'
expect_log 'a long line is cut' 'program [0-9]+: x{1024}\.\.\.$'
expect_log 'and what is not printable is replaced' 'program [0-9]+: a\?\[31mb$'

# --- who waits -------------------------------------------------------------------------------------------

start_helper first "$support/peer" through "$(at one)"
exec 8>"$directory/first.in"
await_helper first '^open$' >/dev/null
check_does 'the first one is served' await_that is_served one
start_helper second "$support/peer" through "$(at one)"
exec 9>"$directory/second.in"
await_helper second '^open$' >/dev/null
echo two >&9
check_does 'the second one waits' await_that has_counted one waiting 1
check_matches 'sockctl shows it' '"program_waits":true' "$(ctl --json clients)"
echo one >&8
check_does 'when the first one has been served' await_helper first '^got one$'
check_does 'it is its turn, and nothing is lost' await_helper second '^got two$'
exec 8>&- 9>&-
check_does 'and they go' await_that has_left one
start_helper first "$support/peer" through "$(at one)"
exec 8>"$directory/first.in"
await_helper first '^open$' >/dev/null
check_does 'the next one is served' await_that is_served one
first=$(client_of one)
start_helper second "$support/peer" through "$(at one)"
exec 9>"$directory/second.in"
check_does 'another one waits' await_that has_counted one waiting 1
second=$(client_of one | grep -v "^$first\$")
check_does 'it can be kicked' ctl clients kick "$second"
check_does 'and waits no more' await_that has_counted one waiting 0
check_does 'so can who is served' ctl clients kick "$first"
check_does 'whose program ends' await_that has_counted one stopped 1
check_does 'at once' await_that has_counted one running 0
exec 8>&- 9>&-
check_does 'they go as well' await_that has_left one
check 'and the next one is served' 'got three' \
        "$(echo three | "$support/peer" through "$(at one)" 2>/dev/null)"

# --- ends ------------------------------------------------------------------------------------------------

ask failing
expect_log 'that a program fails is logged' 'listener "failing": .*/failing \(pid [0-9]+\) exited with status 3$'
check_does 'and counted' await_that has_counted failing failed 1

check 'a program that hangs has a time' hangs "$(ask hanging)"
expect_log 'which is logged' 'listener "hanging": .*/hanging \(pid [0-9]+\) took longer than 300ms$'
check_does 'and counted' await_that has_counted hanging late 1

check 'a program may leave others behind' forked "$(ask forking)"
check_does 'which end with it' "$support/await" exit "$(cat "$directory/forked")"

rm "$directory/gone"
check 'without its program a connection ends' '' "$(ask gone)"
expect_log 'the log says why' 'error: listener "gone": cannot execute .*/gone: No such file or directory$'
check_does 'and it is counted' await_that has_counted gone not_started 1
program gone 'echo here'
chmod 644 "$directory/gone"
check 'the same if it may not be executed' '' "$(ask gone)"
expect_log 'with another reason' 'error: listener "gone": cannot execute .*/gone: Permission denied$'
chmod 755 "$directory/gone"
check 'once it is there again it is found' here "$(ask gone)"

check 'who closes its output early still gets the input' '' \
        "$(echo input | "$support/peer" through "$(at silent)" 2>/dev/null)"
check 'all of it' input "$(cat "$directory/heard")"

: >"$directory/closed"
start_helper closing "$support/peer" through "$(at closing)"
exec 8>"$directory/closing.in"
check_does 'after it has closed it' "$support/await" line "$directory/closed" '^closed$'
check_does 'its client sees no end' kill -0 "$helper"
echo on >&8
check_does 'but when the program ends' "$support/await" exit "$helper"
expect_log 'with its status' 'listener "closing": .* exited with status 4$'
exec 8>&-

: >"$directory/left"
echo farewell | "$support/peer" leave "unix://$directory/waiting.sock"
check_does 'a program sees for itself that its peer has gone' \
        "$support/await" line "$directory/left" '^over$'
check 'after what the peer said' farewell "$(head -n 1 "$directory/left")"

before_kb=$(resident_kb "$daemon")
timeout 20 "$support/peer" stuff "$(at much)" >"$directory/stuffed" 2>&1
expect_log 'who prints a GB to one who does not read has a time' 'listener "much": .* took longer than 1s$'
$is_sanitized || check_at_most 'and costs sockd nothing' 4096 $(($(resident_kb "$daemon") - before_kb))

# --- storms --------------------------------------------------------------------------------------------------

i=0
while [ $i -lt 150 ]; do
        "$support/peer" through "$(at failing)" </dev/null >/dev/null 2>&1 &
        i=$((i + 1))
done
check_does 'a storm of programs that fail is served to its end' await_that has_counted failing failed 151
check 'no more lines are logged than a few' true "$([ "$(count_log '"failing": .* exited with status 3')" -le 21 ] && echo true)"
ask failing_too
expect_log 'but of other listeners' 'listener "failing_too": .* exited with status 3$'
check 'and there are no zombies' '' "$(sed 's/ $//' "/proc/$spawner/task/$spawner/children")"
sed -i 's/max_starts = 5000/max_starts = 5; max_running = 2/' "$config"
kill -HUP "$daemon"
await_log 'info: configuration reloaded' >/dev/null
i=0
while [ $i -lt 12 ]; do
        "$support/peer" through "$(at failing)" </dev/null >/dev/null 2>&1 &
        i=$((i + 1))
done
check_does 'with limits on all programs it takes longer, and all are served' \
        await_that has_counted failing failed 163
expect_log 'the log tells' 'listener "failing": programs have to wait'
check_does 'and it is counted' test "$(count_of failing delayed)" -gt 0

# --- more at a time ---------------------------------------------------------------------------------------------

start_helper hung "$support/peer" through "$(at crowded)"
exec 8>"$directory/hung.in"
check_does 'one hangs' await_helper hung '^served$'
start_helper waits "$support/peer" through "$(at crowded)"
exec 9>"$directory/waits.in"
check_does 'another one has to wait' await_that has_counted crowded waiting 1
sed -i '/"crowded"/s/concurrency = 1/concurrency = 2/' "$config"
kill -HUP "$daemon"
check_does 'more at a time, after a reload, is for those who wait' await_helper waits '^served$'
exec 8>&- 9>&-
check_does 'and they go' await_that has_left crowded

# --- reloads, and the end --------------------------------------------------------------------------------------

start_helper stays "$support/peer" through "$(at one)"
exec 8>"$directory/stays.in"
await_helper stays '^open$' >/dev/null
check_does 'a program runs' await_that is_served one
sed -i 's/{ name = "one".*/{ name = "new"; listen = "tcp:\/\/127.0.0.1:0"; exec = ["\/bin\/cat"]; }/' "$config"
sed -i 's/max_starts = 5; max_running = 2/max_starts = 500/' "$config"
kill -HUP "$daemon"
await_log 'info: configuration reloaded' >/dev/null
echo still >&8
check_does 'a reload that takes its listener leaves it' await_helper stays '^got still$'
exec 8>&-

start_helper stubborn "$support/peer" through "$(at stuck)"
exec 8>"$directory/stubborn.in"
check_does 'a program ignores SIGTERM' await_helper stubborn '^hangs$'
pid=$(ctl --json clients | sed -n 's/.*"program_pid":\([0-9]*\).*/\1/p')
stop_daemon
check 'sockd ends all the same' 0 "$status"
check_does 'and so does the program' "$support/await" exit "$pid"
check_does 'and the spawner' "$support/await" exit "$spawner"
exec 8>&-

# --- the rate of a user ------------------------------------------------------------------------------------------

configure "users = ( { name = \"me\"; peer = { uid = $(id -u); }; limits = { rate = { bytes = 100000; }; }; } );" \
        "listeners = ( { name = \"local\"; listen = \"$unix\"; }
        , { name = \"cat\"; listen = \"unix://$directory/cat.sock\"; exec = [\"/bin/cat\"]; } );"
start_daemon
pass "unix://$directory/cat.sock" 300000
check 'a user has a rate as well: all comes back' 300000 "$n_passed"
check_at_most 'and not at once' "$took_ms" 1500
stop_daemon
check 'the end' 0 "$status"
end_tests
