#!/bin/sh
# Services that a program answers which stays: one line or frame for each request and each answer; what
# becomes of requests when it ends, hangs or does not keep to that; when it is started again; reload and
# the end.
#
# shellcheck disable=SC2016,SC2119 # variables that are not this shell's; functions without arguments
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

listeners="listeners = ( { name = \"local\"; listen = \"$unix\"; } );"
stays='persistent = true; timeout = "20s";'

# shell TEXT: a program that is a shell with that command.
shell() {
        printf 'exec = ["/bin/sh", "-c", "%s"];' "$(printf '%s' "$1" | sed 's/["\\]/\\&/g')"
}
# kept: those that a reload will leave alone.
kept="
        { subject = \"line\"; $stays $(shell 'while read -r x; do echo "$$ $x"; done') },
        { subject = \"copy\"; $stays exec = [\"/bin/cat\"]; },
        { subject = \"frame\"; $stays framing = \"length32\"; exec = [\"/bin/cat\"]; }"
services="$kept,
        { subject = \"crlf\"; $stays $(shell 'while read -r x; do printf "%s\r\n" "$x"; done') },
        { subject = \"chatty\"; $stays $(shell 'while read -r x; do echo "$x" >&2; echo out; done') },
        { subject = \"couple\"; $stays concurrency = 2; backlog = 1;
          $(shell "while read -r x; do echo \$\$ >>$directory/couple; flock -s $directory/gate true; echo \$x; done") },
        { subject = \"once\"; $stays $(shell 'read -r x; echo "$$ $x"') },
        { subject = \"mortal\"; $stays $(shell 'read -r x; echo alas >&2; exit 3') },
        { subject = \"stillborn\"; $stays $(shell "echo born >>$directory/births; exit 1") },
        { subject = \"hanging\"; persistent = true; timeout = \"300ms\"; grace = \"100ms\";
          $(shell 'trap "" TERM; read -r x; [ "$x" = go ] && echo went; while :; do :; done') },
        { subject = \"banner\"; $stays $(shell 'echo welcome; read -r x; echo $x; cat') },
        { subject = \"later\"; $stays $(shell "read -r x; echo \$x; flock -s $directory/gate true; echo unasked; cat") },
        { subject = \"large\"; $stays $(shell 'read -r x; yes | tr -d \\n') },
        { subject = \"large32\"; $stays framing = \"length32\"; $(shell 'printf "\377\377\377\377"; cat') },
        { subject = \"mute\"; $stays $(shell "exec >&-; trap '' TERM; flock -s $directory/gate true") },
        { subject = \"blind\"; persistent = true; timeout = \"300ms\"; exec = [\"/bin/sleep\", \"1000\"]; },
        { subject = \"deaf\"; $stays $(shell 'exec <&-; sleep 1000') },
        { subject = \"parting\"; $stays 
          $(shell "read -r x; echo \$x; flock -s $directory/gate true; printf 'one ' >&2; echo two >&2; echo >&2; echo three >&2; exit 1") },
        { subject = \"absent\"; $stays exec = [\"/usr/bin/there-is-none\"]; }"
configure 'server = { workers = 2; };' "$listeners" "services = ( $services );"
: >"$directory/gate"
: >"$directory/couple"
start_daemon
before=$(count_descriptors "$daemon")

ask() {
        ctl request --timeout 15s "$1" "${2-}" 2>/dev/null
}
wrong() {
        ctl request --timeout 15s --headers "$1" "${2-}" 2>/dev/null | sed '/^$/,$d' |
                sed -n 's/^Nats-Service-Error: //p; s/^Nats-Service-Error-Code: //p' | tr '\n' '|'
}
errors() {
        ctl --json services | sed 's/},{"name"/}\n{"name"/g' | grep "\"name\":\"$1\"" |
                sed -n "s/.*\"$2\":\([0-9]*\).*/\1/p"
}
close_gate() {
        exec 7>"$directory/gate"
        flock 7
}
open_gate() {
        exec 7>&-
}

# --- requests ----------------------------------------------------------------------------------------

first=$(ask line hello)
check_matches 'a line is answered by a line' '^[0-9]+ hello$' "$first"
check 'by the same program again' "${first% *} once more" "$(ask line 'once more')"
check 'a line end of its own is no matter' "${first% *} ended" "$(printf 'ended\n' | ctl request line -)"
check 'an empty line is a line' "${first% *} " "$(ask line '')"
check 'more than one line is none' 'the payload is more than one line|400|' \
        "$(wrong line 'one
two')"
check 'which is counted' 1 "$(errors line bad_request)"
expect_log 'and in the log' 'warning: service "line": the payload is more than one line'
check 'and harms nobody' "${first% *} again" "$(ask line again)"
check 'an answer may end in CR LF' yes "$(ask crlf yes)"
check 'a frame is answered by a frame' 'one
two' "$(ask frame 'one
two')"
check 'an empty one by an empty one' '' "$(ask frame '')"
head -c 1000000 /dev/urandom >"$directory/large"
check_does 'and a large one by a large one' sh -c \
        "'$SOCKCTL' -s '$unix' request frame - <'$directory/large' | head -c 1000000 | cmp - '$directory/large'"
head -c 700000 /dev/urandom | base64 -w 0 >"$directory/line"
check_does 'so is a long line' sh -c "'$SOCKCTL' -s '$unix' request copy - <'$directory/line' |
        tr -d '\n' | cmp - '$directory/line'"
check 'what it complains about is a header' 'Sockd-Stderr: a "b"' \
        "$(ctl request --headers chatty 'a "b"' | sed -n 1p | sed 's/\\//g')"
expect_log 'and a line of the log' 'info: service "chatty": the program complains'
{
        printf 'CONNECT {"verbose":false,"headers":true}\r\nSUB a.* 1\r\n'
        awk 'BEGIN { for (i = 100; i < 160; i++) printf "PUB frame a.%d 3\r\n%d\r\n", i, i }'
} >"$directory/many"
start_helper many sh -c "cat '$directory/many' - | '$support/peer' through '$unix'"
exec 9>"$directory/many.in"
check_does 'many requests are answered' await_that sh -c "[ \"\$(grep -c '^MSG' '$directory/many.out')\" -eq 60 ]"
check 'each by its own answer' 60 "$(tr -d '\r' <"$directory/many.out" | awk '
        /^MSG/ { split($2, token, "."); wanted = token[2]; next }
        wanted != "" { n += $0 == wanted; wanted = "" }
        END { print n }')"
exec 9>&-

# --- several, and those that wait --------------------------------------------------------------------

close_gate
{
        printf 'CONNECT {"verbose":false,"headers":true}\r\nSUB a.* 1\r\n'
        for i in 1 2 3 4; do
                printf 'PUB couple a.%s 1\r\n%s\r\n' $i $i
        done
} >"$directory/burst"
start_helper burst sh -c "cat '$directory/burst' - | '$support/peer' through '$unix'"
exec 9>"$directory/burst.in"
check_does 'so many programs run as may' await_that sh -c "[ \"\$(sort -u '$directory/couple' | wc -l)\" -eq 2 ]"
check_does 'what is too much is told so' await_that grep -q 'Error: too many requests wait' "$directory/burst.out"
check_matches 'and sockctl shows it' 'couple +couple +\$G +persistent +1 +1 +2 +1 ' "$(ctl services)"
open_gate
for i in 1 2 3; do
        check_does "request $i is answered" await_that grep -q "^MSG a.$i 1 1" "$directory/burst.out"
done
exec 9>&-

# --- programs that end -------------------------------------------------------------------------------

one=$(ask once a)
# A request that comes before it is known to have ended fails.
expect_log 'that one has ended is in the log' \
        'warning: service "once": the program exited with status 0; it is started again'
close_gate
ask parting x >/dev/null
open_gate
expect_log 'what one says unasked is logged by the line' \
        'warning: service "parting": program [0-9]+: one two$'
expect_log 'without empty ones' 'warning: service "parting": program [0-9]+: three$'
expect_log 'before its end' 'warning: service "parting": the program exited with status 1; it is started again when it is needed$'
check 'nothing else is' 3 "$(count_log 'service "parting"')"
two=$(ask once b)
check_matches 'it is started again' '^[0-9]+ b$' "$two"
check_lacks 'and is another one then' "^${one% *} " "$two"
check 'a request that it had is answered with an error' 'exited with status 3|500|' "$(wrong mortal x)"
expect_log 'with what it complained about' 'warning: service "mortal": exited with status 3: "alas"'
check 'again' 'exited with status 3|500|' "$(wrong mortal x)"
check 'both are counted' 2 "$(errors mortal failed)"
start_ms=$(now_ms)
for i in 1 2 3 4; do
        wrong stillborn x >/dev/null
done
check_at_most 'one that ends at once is started so often only' 4 "$(wc -l <"$directory/births")"
# 100, 200 and 400 ms.
check_at_most 'and later each time' "$(($(now_ms) - start_ms))" 700
check 'one that does not exist is told' \
        'cannot execute /usr/bin/there-is-none: No such file or directory|503|' "$(wrong absent x)"
check 'and counted' 1 "$(errors absent unavailable)"

# --- programs that behave badly ----------------------------------------------------------------------

check 'one that hangs is told' 'took longer than 300ms|504|' "$(wrong hanging x)"
check 'and counted' 1 "$(errors hanging late)"
check_does 'and another one answers' await_that sh -c "'$SOCKCTL' -s '$unix' request hanging go | grep -q '^went$'"
check 'what it says unasked is taken for an answer' welcome "$(ask banner x)"
expect_log 'but the next one ends it' \
        'warning: service "banner": the program writes (more than it was|without being) asked'
close_gate
check 'nor may it speak later' one "$(ask later one)"
open_gate
expect_log 'which ends it' 'warning: service "later": the program writes without being asked; it is ended'
check 'a line that is too long is told' 'the answer is larger than 1M, which is max_payload|500|' "$(wrong large x)"
check 'and counted' 1 "$(errors large too_large)"
check 'so is a frame' 'the answer is larger than 1M, which is max_payload|500|' "$(wrong large32 x)"
close_gate
check 'one that closes its output is told' 'the program has closed its output|500|' "$(wrong mute x)"
check 'one that does not read is late' 'took longer than 300ms|504|' \
        "$(ctl request --timeout 15s --headers blind - <"$directory/line" 2>/dev/null |
                sed -n 's/^Nats-Service-Error: //p; s/^Nats-Service-Error-Code: //p' | tr '\n' '|')"
open_gate
# Whether it has closed its input already when it is written to is a matter of luck.
check_matches 'one that closes its input fails' '\|50[04]\|$' \
        "$(ctl request --timeout 30s --headers deaf - <"$directory/line" 2>/dev/null |
                sed -n 's/^Nats-Service-Error: //p; s/^Nats-Service-Error-Code: //p' | tr '\n' '|' | sed 's/^/|/')"

# --- reload and the end ------------------------------------------------------------------------------

pid=${first% *}
configure 'server = { workers = 2; };' "$listeners" "services = ( $kept );"
check 'a reload takes services away' 'configuration reloaded' "$(ctl reload)"
check 'and leaves programs of others alone' "$pid still" "$(ask line still)"
configure 'server = { workers = 2; };' "$listeners" "services = (
        { subject = \"line\"; $stays $(shell 'while read -r x; do echo "new $x"; done') } );"
check 'it may change one' 'configuration reloaded' "$(ctl reload)"
check 'which answers anew' 'new one' "$(ask line one)"
check_does 'and the one before ends' await_that sh -c "! kill -0 $pid 2>/dev/null"
# The one that runs has three.
check_does 'no descriptor is left over' await_that has_descriptors "$daemon" $((before + 10))
configure "$listeners" "services = ( { subject = \"stubborn\"; $stays grace = \"1h\";
        $(shell "trap '' TERM; read -r x; echo \$\$; while :; do sleep 1000; done") } );"
ctl reload >/dev/null
stubborn=$(ask stubborn x)
check_matches 'a program stays' '^[0-9]+$' "$stubborn"
stop_daemon
check 'the daemon does not wait for it' 0 "$status"
check_does 'and ends it' await_that sh -c "! kill -0 $stubborn 2>/dev/null"

# --- what is wrong with a configuration --------------------------------------------------------------

configure 'services = ( { subject = "a"; exec = ["/bin/cat"]; framing = "line"; } );'
run_daemon --check --config "$config"
check_matches 'framing is for programs that stay' \
        'services\[0\]\.framing: only for programs that stay: persistent = true$' "$output"
configure 'services = ( { subject = "a"; exec = ["/bin/cat"]; persistent = true; framing = "eof"; } );'
run_daemon --check --config "$config"
check_matches 'and is of two kinds' \
        'services\[0\]\.framing: found "eof", expected "line" or "length32"$' "$output"
end_tests
