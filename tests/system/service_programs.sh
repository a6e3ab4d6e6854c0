#!/bin/sh
# Services that programs answer, one run for each request: what a program gets and what becomes of
# what it says; programs that behave badly; limits on how many run and wait; reload and the end.
#
# shellcheck disable=SC2016,SC2119 # subjects and variables that are not this shell's; functions without arguments
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

listeners="listeners = ( { name = \"local\"; listen = \"$unix\"; },
        { name = \"tcp\"; listen = \"tcp://127.0.0.1:0\"; },
        { name = \"other\"; listen = \"unix://$directory/other\"; account = \"A\"; } );
accounts = ( { name = \"A\"; } );"

# shell TEXT: a program that is a shell with that command.
shell() {
        printf 'exec = ["/bin/sh", "-c", "%s", "sh"];' "$(printf '%s' "$1" | sed 's/["\\]/\\&/g')"
}
services="
        { subject = \"upper\"; exec = [\"/usr/bin/tr\", \"a-z\", \"A-Z\"]; description = \"Shouts\";
          version = \"2.1.0\"; queue = \"shouters\"; },
        { subject = \"cat\"; exec = [\"/bin/cat\"]; },
        { subject = \"arguments\"; $(shell 'echo "$#"; cat') },
        { subject = \"environment\"; exec = [\"/usr/bin/env\"]; environment = [\"COLOUR=green\"]; },
        { subject = \"wild.*.card\"; $(shell 'echo "$SOCKD_SUBJECT"') },
        { subject = \"directory\"; exec = [\"/bin/pwd\"]; directory = \"/usr\"; },
        { subject = \"descriptors\"; $(shell 'ls /proc/self/fd | wc -l') },
        { subject = \"inA\"; account = \"A\"; $(shell 'echo in A') },
        { subject = \"status\"; $(shell 'echo out; printf "a\nb\001c\"" >&2; exit 3') },
        { subject = \"chatty\"; $(shell 'echo out; echo careful >&2') },
        { subject = \"bad.signal\"; $(shell 'echo out; kill -KILL $$') },
        { subject = \"bad.absent\"; exec = [\"/usr/bin/there-is-none\"]; },
        { subject = \"bad.hang\"; timeout = \"300ms\"; grace = \"100ms\"; $(shell 'trap "" TERM; while :; do :; done') },
        { subject = \"bad.large\"; $(shell 'yes | head -c 1000000000') },
        { subject = \"bad.loud\"; $(shell 'yes | head -c 100000000 >&2; echo out') },
        { subject = \"bad.closed\"; $(shell "echo out; exec >&- 2>&-; touch $directory/closed; flock -s $directory/gate true") },
        { subject = \"bad.deaf\"; $(shell 'exec <&-; echo out') },
        { subject = \"bad.fork\"; $(shell "setsid sh -c 'echo \$\$ >$directory/child; exec sleep 1000' & echo out; while ! [ -s $directory/child ]; do :; done") },
        { subject = \"bad.group\"; $(shell "sleep 1000 & echo \$! >$directory/grouped; echo out") },
        { subject = \"gated\"; concurrency = 2; backlog = 3; timeout = \"60s\"; $(shell "echo started >>$directory/started; flock -s $directory/gate true; cat") },
        { subject = \"hurried\"; concurrency = 1; timeout = \"500ms\"; grace = \"0s\"; $(shell "echo started >>$directory/hurried; flock -s $directory/gate true") },
        { subject = \"note\"; $(shell "cat >>$directory/noted; echo >>$directory/noted") }"
configure 'server = { workers = 2; };' "$listeners" "services = ( $services );"
: >"$directory/gate"
: >"$directory/started"
: >"$directory/hurried"
start_daemon
before=$(count_descriptors "$daemon")

# ask SUBJECT [PAYLOAD]: the payload of the answer.
ask() {
        ctl request --timeout 15s "$1" "${2-}" 2>/dev/null
}
# headers SUBJECT [PAYLOAD]: its headers, without what follows them.
headers() {
        ctl request --timeout 15s --headers "$1" "${2-}" 2>/dev/null | sed '/^$/,$d'
}
# wrong SUBJECT: the error of a request that fails, and its code.
wrong() {
        headers "$@" | sed -n 's/^Nats-Service-Error: //p; s/^Nats-Service-Error-Code: //p' | tr '\n' '|'
}
# errors NAME REASON: the counter.
errors() {
        ctl --json services | sed 's/},{"name"/}\n{"name"/g' | grep "\"name\":\"$1\"" |
                sed -n "s/.*\"$2\":\([0-9]*\).*/\1/p"
}

# close_gate, open_gate: lets none of those go on that wait for it; lets all of them.
close_gate() {
        exec 7>"$directory/gate"
        flock 7
}
open_gate() {
        exec 7>&-
}

# --- what a program gets ---------------------------------------------------------------------------

check 'the payload is the input, and the output the answer' 'HELLO' "$(ask upper hello)"
check 'without a payload there is none' '' "$(ask upper '')"
head -c 1048576 /dev/urandom >"$directory/large"
check_does 'be it as large as a message may be' sh -c \
        "'$SOCKCTL' -s '$unix' request cat - <'$directory/large' | head -c 1048576 | cmp - '$directory/large'"
check 'nothing of a request is an argument' "0
\$(touch /tmp/x) 'a' \"b\"" "$(ask arguments "\$(touch /tmp/x) 'a' \"b\"")"
environment=$(ask environment)
check 'its subject is in the environment' 'SOCKD_SUBJECT=environment' "$(echo "$environment" | grep SUBJECT)"
check 'and who asks' "SOCKD_PEER_UID=$(id -u)" "$(echo "$environment" | grep PEER_UID)"
check_matches 'as far as the kernel knows' '^SOCKD_PEER_PID=[0-9]+$' "$environment"
check_matches 'with the listener' '^SOCKD_LISTENER=local$' "$environment"
check_matches 'and what the configuration adds' '^COLOUR=green$' "$environment"
check_lacks 'and nothing of the environment of sockd' '^(SOCKD_BUILD_DIR|HOME)=' "$environment"
over_tcp=$(timeout 20 "$SOCKCTL" -s "tcp://127.0.0.1:$(port_of tcp)" request environment '')
check_matches 'of a peer on TCP the address is known' '^SOCKD_PEER_ADDRESS=127.0.0.1$' "$over_tcp"
check_lacks 'and no more than that' '^SOCKD_PEER_PID=' "$over_tcp"
check 'a subject may have wildcards' 'wild.any.card' "$(ask wild.any.card)"
check 'a directory is what it says' /usr "$(ask directory)"
# Those of ls, and of the directory that it reads.
check 'no other descriptor is open' 4 "$(ask descriptors)"
check 'it is in the account that it belongs to' 'in A' \
        "$(timeout 20 "$SOCKCTL" -s "unix://$directory/other" request inA '')"
ctl request inA '' >/dev/null 2>&1
check 'and in no other' 3 $?

# --- what it says ----------------------------------------------------------------------------------

check 'success is a header' 'Sockd-Exit-Status: 0' "$(headers upper x)"
check 'what it complains about is one, too' 'Sockd-Exit-Status: 0
Sockd-Stderr: careful' "$(headers chatty)"
expect_log 'and a line of the log' 'info: service "chatty": the program complains: "careful"'
check 'a failure says how it ended, with what it wrote, in one line' \
        'Nats-Service-Error: exited with status 3
Nats-Service-Error-Code: 500
Sockd-Exit-Status: 3
Sockd-Stderr: a\nb\x01c\"' "$(headers status)"
check 'its output is the answer all the same' out "$(ask status)"
expect_log 'and the log says so' 'warning: service "status": exited with status 3: "a\\nb\\x01c\\""'
check_matches 'who knows no headers gets the output alone' '^MSG a 1 4' \
        "$(talk "$unix" 'CONNECT {"verbose":false}\r\nSUB a 1\r\nPUB status a 0\r\n\r\n' | head -n 2)
$(timeout 20 "$support/peer" talk "$unix" <<END
CONNECT {"verbose":false}
SUB a 1
UNSUB 1 1
PUB status a 0

END
)"

# --- programs that behave badly --------------------------------------------------------------------

# bad NAME SUBJECT ERROR REASON LOG: what is told, counted and logged of one that fails.
bad() {
        check "$1 is told" "$3|" "$(wrong "$2" "${6-}")"
        check "$1 is counted" 1 "$(errors "$(echo "$2" | tr . -)" "$4")"
        expect_log "$1 is in the log" "warning: service \"$(echo "$2" | tr . -)\": $5"
}
bad 'one that is killed' bad.signal 'was ended by signal 9 (Killed)|500' failed 'was ended by signal 9'
bad 'one that does not exist' bad.absent \
        'cannot execute /usr/bin/there-is-none: No such file or directory|503' unavailable 'cannot execute'
bad 'one that hangs' bad.hang 'took longer than 300ms|504' late 'took longer than 300ms'
bad 'one that prints 1 GB' bad.large 'the answer is larger than 1M, which is max_payload|500' too_large \
        'the answer is larger than 1M'
check 'one that writes 100 MB to its standard error answers' out "$(ask bad.loud)"
check_at_most 'with a bit of that' 1100 "$(headers bad.loud | grep Stderr | wc -c)"
close_gate
start_helper closed "$SOCKCTL" -s "$unix" request --timeout 20s bad.closed ''
exec 9>"$directory/closed.in"
check_does 'one that closes its output goes on' await_that test -e "$directory/closed"
open_gate
check_does 'and is answered when it ends' await_helper closed '^out$'
exec 9>&-
check_does 'one that does not read is no matter' sh -c \
        "'$SOCKCTL' -s '$unix' request bad.deaf - <'$directory/large' | grep -q '^out$'"
check 'one whose child keeps the output is answered' out "$(ask bad.fork)"
kill "$(cat "$directory/child")"
check 'and children that stay in its group are ended with it' out "$(ask bad.group)"
check_does 'so that none is left' await_that sh -c "! kill -0 $(cat "$directory/grouped")"

# --- limits ----------------------------------------------------------------------------------------

# Two run, three wait, and the others are told at once.
{
        printf 'CONNECT {"verbose":false,"headers":true}\r\nSUB a.* 1\r\n'
        for i in 1 2 3 4 5 6 7; do
                printf 'PUB gated a.%s 1\r\n%s\r\n' $i $i
        done
        printf 'PING\r\n'
} >"$directory/burst"
close_gate
start_helper burst sh -c "cat '$directory/burst' - | '$support/peer' through '$unix'"
exec 9>"$directory/burst.in"
check_does 'what is too much is told so' await_helper burst 'Nats-Service-Error: too many requests wait'
check_does 'with a code' await_helper burst 'Nats-Service-Error-Code: 429'
check_does 'so many run as may' await_that sh -c "[ \"\$(wc -l <'$directory/started')\" -eq 2 ]"
check_matches 'which sockctl shows, and what waits' \
        'gated +gated +\$G +program +2 +2 +2 +3 ' "$(ctl services)"
check 'the others are counted' 2 "$(errors gated busy)"
expect_log 'and in the log' 'warning: service "gated": too many requests wait'
open_gate
for i in 1 2 3 4 5; do
        check_does "request $i is answered" await_that grep -q "^HMSG a.$i 1 " "$directory/burst.out"
done
check_does 'then nothing runs or waits' await_that sh -c \
        "'$SOCKCTL' -s '$unix' services | grep -Eq 'gated +gated +.G +program +7 +2 +0 +0 '"
exec 9>&-

close_gate
start_helper hurried "$support/peer" talk "$unix"
exec 9>"$directory/hurried.in"
printf 'CONNECT {"verbose":false,"headers":true}\r\nSUB b.* 1\r\nPUB hurried b.1 0\r\n\r\nPUB hurried b.2 0\r\n\r\n' >&9
check_does 'one that runs for too long is late' \
        await_that grep -q 'Nats-Service-Error: took longer than 500ms' "$directory/hurried.out"
check_does 'and so is what waited behind it for as long' await_that sh -c \
        "[ \"\$(grep -Ec 'Nats-Service-Error: (waited|took) longer' '$directory/hurried.out')\" -eq 2 ]"
check_does 'both are counted' await_that sh -c \
        "'$SOCKCTL' -s '$unix' --json services | sed 's/},{\"name\"/}\n{\"name\"/g' |
                grep '\"name\":\"hurried\"' | grep -q '\"late\":2'"
exec 9>&-
open_gate

ctl pub note 'a message'
check_does 'a message without a reply is for the program as well' await_that grep -q '^a message$' "$directory/noted"
check 'and counted' 1 "$(ctl --json services | sed 's/},{"name"/}\n{"name"/g' |
        grep '"name":"note"' | sed -n 's/.*"requests":\([0-9]*\).*/\1/p')"

# --- what it tells of itself -----------------------------------------------------------------------

info=$(ask '$SRV.INFO.upper')
check 'it speaks the service protocol' 'Shouts 2.1.0' \
        "$(echo "$info" | "$support/json" description version | tr '\n' ' ' | sed 's/ $//')"
check_matches 'with its queue group' '"subject":"upper","queue_group":"shouters"' "$info"
check_matches 'and its counts' '"num_requests":1,"num_errors":1,"last_error":"took longer than 300ms"' \
        "$(ask '$SRV.STATS.bad-hang')"
start_helper member "$SOCKCTL" -s "$unix" --verbose reply --queue shouters upper -- echo member
exec 9>"$directory/member.in"
await_helper member 'subscribed to' >/dev/null
check_does 'others in its group share the requests' await_that sh -c \
        "'$SOCKCTL' -s '$unix' request upper x | grep -q '^member$'"
check_does 'and leave it some' await_that sh -c "'$SOCKCTL' -s '$unix' request upper x | grep -q '^X$'"
kill "$helper"
exec 9>&-

# --- reload ----------------------------------------------------------------------------------------

: >"$directory/started"
close_gate
start_helper leaving "$SOCKCTL" -s "$unix" request --timeout 20s gated 'last words'
exec 9>"$directory/leaving.in"
await_that test -s "$directory/started"
id=$(ask '$SRV.PING.cat' | "$support/json" id)
configure 'server = { workers = 2; };' "$listeners" "services = (
        { subject = \"cat\"; exec = [\"/bin/cat\"]; },
        { subject = \"upper\"; exec = [\"/usr/bin/tr\", \"a-z\", \"0-9\"]; } );"
check 'a reload changes them' 'configuration reloaded' "$(ctl reload)"
check 'what stays is the same' "$id" "$(ask '$SRV.PING.cat' | "$support/json" id)"
check 'what has changed answers anew' 012 "$(ask upper abc)"
ctl request wild.any.card '' >/dev/null 2>&1
check 'what is gone has no responder' 3 $?
open_gate
check_does 'but what it had under way is answered' await_helper leaving '^last words$'
exec 9>&-
check_does 'no descriptor is left over' await_that has_descriptors "$daemon" $((before + 4))

# --- the end ---------------------------------------------------------------------------------------

configure 'server = { workers = 2; };' "$listeners" "services = (
        { subject = \"stubborn\"; timeout = \"1h\"; grace = \"1h\";
          $(shell "trap '' TERM; echo \$\$ >$directory/stubborn; exec sleep 1000") } );"
ctl reload >/dev/null
ctl pub stubborn ''
check_does 'a program runs' await_that test -s "$directory/stubborn"
stubborn=$(cat "$directory/stubborn")
stop_daemon
check 'the daemon does not wait for programs' 0 "$status"
check_does 'it ends them' await_that sh -c "! kill -0 $stubborn 2>/dev/null"

# --- limits of all programs ------------------------------------------------------------------------

configure 'programs = { max_running = 0; };' "$listeners" 'services = (
        { subject = "cat"; exec = ["/bin/cat"]; } );'
start_daemon
check 'where no program may run there is an error' \
        '/bin/cat is not started: as many programs run as may|503|' "$(wrong cat x)"
stop_daemon

# --- users -----------------------------------------------------------------------------------------

configure "$listeners" 'services = ( { subject = "id"; exec = ["/usr/bin/id", "-un"]; user = "nobody"; } );'
if $is_root && can_be_nobody; then
        start_daemon
        check 'it may run as another user' nobody "$(ask id)"
        stop_daemon
        chmod 644 "$config"
        cp "$SOCKD" "$directory/sockd-copy" && chmod 755 "$directory/sockd-copy"
        output=$(as_nobody "$directory/sockd-copy" --check --config "$config" 2>&1)
        check_matches 'or the check says that it is nobody already' 'valid' "$output"
        sed -i 's/"nobody"/"daemon"/' "$config"
        output=$(as_nobody "$directory/sockd-copy" --check --config "$config" 2>&1)
        check_matches 'or that sockd may not' \
                'services\[0\]\.user: found "daemon", expected the user that sockd runs as, or the right' \
                "$output"
else
        skip 'it may run as another user' 'that needs root'
        skip 'or the check says that it is nobody already' 'that needs root'
        skip 'or that sockd may not' 'that needs root'
fi

# --- what is wrong with a configuration ------------------------------------------------------------

# refused NAME SETTINGS REGEX
refused() {
        configure "services = ( { $2 } );"
        run_daemon --check --config "$config"
        check_matches "$1" "^$config:1: services\[0\]$3" "$output"
}
run='exec = ["/bin/cat"];'
refused 'no subject' "$run" ': there is no "subject"'
refused 'no program' 'subject = "a";' ': there is no "exec"'
refused 'an empty list' 'subject = "a"; exec = [];' '\.exec: found no program'
refused 'a command line' 'subject = "a"; exec = "/bin/cat x";' '\.exec: found .*, expected \[ '
refused 'a relative path' 'subject = "a"; exec = ["cat"];' \
        '\.exec: found the program "cat", expected its absolute path'
refused 'a subject for everything' "subject = \">\"; $run" '\.subject: found ">", expected a subject'
refused 'a subject of the server' "subject = \"\$SYS.a\"; $run" '\.subject: found "\$SYS\.a"'
refused 'a subject of a built-in service' "subject = \"sockd.echo\"; $run" '\.subject: found "sockd\.echo", but'
refused 'an account that is not there' "subject = \"a\"; account = \"B\"; $run" \
        '\.account: found "B", expected an account'
refused 'a user that is not there' "subject = \"a\"; user = \"there-is-none\"; $run" \
        '\.user: found "there-is-none", expected a user of this system'
refused 'a version of two numbers' "subject = \"a\"; version = \"1.0\"; $run" '\.version: found "1\.0"'
refused 'a variable without a name' "subject = \"a\"; environment = [\"=x\"]; $run" '\.environment: found "=x"'
refused 'a variable of sockd' "subject = \"a\"; environment = [\"SOCKD_SUBJECT=x\"]; $run" \
        '\.environment: found "SOCKD_SUBJECT=x"'
refused 'no concurrency' "subject = \"a\"; concurrency = 0; $run" '\.concurrency: found 0'
configure "services = ( { subject = \"a.b\"; $run }," "{ subject = \"a-b\"; $run } );"
run_daemon --check --config "$config"
check_matches 'a name that is taken' \
        "^$config:2: services\[1\]\.name: found \"a-b\", which services\[0\] has already" "$output"
configure 'services = ( { subject = "a"; exec = ["/usr/bin/there-is-none"]; } );'
run_daemon --check --config "$config"
check_matches 'a program that is not there is a warning' \
        'warning: .*: services\[0\]\.exec: /usr/bin/there-is-none cannot be executed: No such file' "$output"
check 'but no error' 0 "$status"
end_tests
