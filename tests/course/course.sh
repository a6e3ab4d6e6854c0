#!/bin/sh
# What docs/course.md shows, as it stands there, on IPv4, IPv6 and Unix sockets: its configuration, its
# commands with what they print, and each row of its table, by the function that the row names.
#
# shellcheck disable=SC2016,SC2119,SC2317 # texts of the document; functions without arguments; called by others
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

document=$directory/course.md
config=$directory/sockd.conf
unix=unix://$directory/control
AWAIT_SECONDS=60
PATH=$SOCKD_BUILD_DIR/tests/course:$(dirname "$SOCKD"):$(dirname "$SOCKCTL"):$PATH
export AWAIT_SECONDS PATH
sed "s|/tmp/course|$directory|g" "$SOCKD_SOURCE_DIR/docs/course.md" >"$document"

# --- the document ----------------------------------------------------------------------------------

# block TEXT: prints the block of the document that begins so. Within it there may be empty lines.
block() {
        text=$1 awk '
                function flush() {
                        if (index(block, ENVIRON["text"]) == 1) {
                                printf "%s", block
                                is_found = 1
                                exit
                        }
                        block = blanks = ""
                }
                /^    / { block = block blanks substr($0, 5) "\n"; blanks = ""; next }
                /^$/ && block { blanks = blanks "\n"; next }
                { flush() }
                END { if (!is_found) exit 1 }' "$document" ||
                bail_out "the document has no block that begins with $1"
}

# run_block TEXT: in this shell.
run_block() {
        commands=$(block "$1") && eval "$commands"
}

# expect_shown: of the command in $shown, if there is one, what it should print is $wanted.
expect_shown() {
        [ -z "$shown" ] ||
                check "$family: $(echo "$shown" | sed "s|$directory|/tmp/course|g")" "$wanted" \
                        "$(eval "$shown" 2>&1)"
        shown='' wanted=''
}

# run_transcripts: each `$ COMMAND` of the document, and the lines below it.
run_transcripts() {
        newline=$(printf '\n.')
        newline=${newline%.}
        shown='' wanted=''
        while IFS= read -r line <&7; do
                case $line in
                '    $ '*)
                        expect_shown
                        shown=${line#'    $ '}
                        ;;
                '    '*) wanted=$wanted${wanted:+$newline}${line#'    '} ;;
                *) expect_shown ;;
                esac
        done 7<"$document"
}

# run_rows: the test of each row of the table. $client is of the row, and $row is its name for people.
run_rows() {
        sed -n 's/^|.*| `\([^|]*\)` | `\([a-z_]*\)` |$/\2 \1/p' "$document" >"$directory/rows"
        [ "$(wc -l <"$directory/rows")" -eq "$(sed -n '/^|---/,/^$/p' "$document" | grep -c '^| ')" ] ||
                bail_out 'the table has a row without a client or a test'
        while read -r name client <&7; do
                row="$family, $name"
                command -v "test_$name" >/dev/null || bail_out "there is no test $name"
                "test_$name"
        done 7<"$directory/rows"
}

# --- clients ---------------------------------------------------------------------------------------

# begin NAME: the client of the row. It reads when somebody opens its pipe.
begin() {
        start_helper "$1" eval "exec $client"
}

# prints TEXT: the client, when it reads $asked.
prints() {
        check "$row: its answers" "$1" "$(printf '%s\n' "$asked" | eval "$client" 2>&1)"
}

# says NAME LINE: what a client says next.
says() {
        await_helper "$1" "^$2\$"
}

# check_end: the last client ends, and without an error.
check_end() {
        "$support/await" exit "$helper" && wait "$helper"
        check "$row: the client ends in order" 0 $?
}

# programs NAME COUNTER N: whether so many of a listener's are running, or waiting.
programs() {
        ctl --json listeners | sed 's/{"name"/\n&/g' |
                grep -q "^{\"name\":\"$1\".*\"programs\":{[^}]*\"$2\":$3[,}]"
}

# switches: each thread of the daemon, and how often it has waited for something.
switches() {
        for thread in "/proc/$daemon/task"/*; do
                sed -n "s|^voluntary_ctxt_switches:|${thread##*/}|p" "$thread/status" 2>/dev/null
        done
}

# busiest_for COMMAND...: the thread that has waited most often while the command ran.
busiest_for() {
        switches >"$directory/before"
        "$@" >/dev/null
        switches | awk 'NR == FNR { before[$1] = $2; next }
                $2 - before[$1] > most { most = $2 - before[$1]; thread = $1 }
                END { print thread }' "$directory/before" -
}

# ask_much FD NAME: many questions, one after the other.
ask_much() {
        seq 200 >&"$1"
        says "$2" 200
}

# two_threads: of two clients that are there at the same time, the thread that serves each.
two_threads() {
        begin first
        exec 8>"$directory/first.in"
        echo there >&8
        says first there >/dev/null
        begin second
        exec 9>"$directory/second.in"
        echo 'there, too' >&9
        says second 'there, too' >/dev/null
        first_thread=$(busiest_for ask_much 8 first)
        second_thread=$(busiest_for ask_much 9 second)
        exec 8>&- 9>&-
}

# --- a function for each row -----------------------------------------------------------------------

asked='one
two words
last'

test_echo_stream() {
        prints "$asked"
}

test_echo_datagram() {
        prints "$asked"
}

test_ask_stream() {
        prints "$(printf '%s\n' "$asked" | tr '[:lower:]' '[:upper:]')"
}

test_ask_datagram() {
        prints "$(printf '%s\n' "$asked" | tr '[:lower:]' '[:upper:]')"
}

# who_am_i: asks twice; what it was told is in $told and $told_again.
who_am_i() {
        begin asker
        exec 8>"$directory/asker.in"
        echo 'who am I?' >&8
        told=$(says asker '[0-9]+')
        echo 'and now?' >&8
        told_again=$(says asker '[0-9]+')
}

test_client_not_bound() {
        who_am_i
        exec 8>&-
        check "$row: it stays the same" "$told" "$told_again"
        [ "$family" != Unix ] || check "$row: it is a process" "$helper" "$told"
        check_end
        check_matches "$row: another one" '^[0-9]+$' \
                "$(run_block "echo 'who am I?' | datagram_ask \$")"
}

test_client_bound() {
        case $family in
        Unix) own=$directory/own ;;
        *) own=$(run_block "echo 'who am I?' | datagram_ask \$") ;; # which nobody has any more
        esac
        who_am_i
        if [ "$family" = Unix ]; then
                check_does "$row: it has its path" test -S "$own"
        else
                check "$row: it has its port" "$own $own" "$told $told_again"
        fi
        exec 8>&-
        check_end
        check_matches "$row: the next one" '^[0-9]+$' \
                "$(run_block "echo 'who am I?' | datagram_ask -b")"
        [ "$family" != Unix ] || check_does "$row: nothing of it stays behind" test ! -e "$own"
}

test_iterative() {
        begin first
        exec 8>"$directory/first.in"
        echo one >&8
        check_does "$row: the first client is served" says first one
        begin second
        exec 9>"$directory/second.in"
        echo two >&9
        check_does "$row: the second one waits" await_that programs iterative waiting 1
        echo three >&8
        check_matches "$row: sockctl tells" 'programs: .*1 waiting' "$(sockctl listeners show iterative)"
        check_does "$row: while the first one goes on" says first three
        check "$row: so it is not answered" '' "$(cat "$directory/second.out")"
        exec 8>&-
        check_does "$row: until the first one has gone" says second two
        exec 9>&-
        check_end
}

test_multiplexed() {
        two_threads
        check_matches "$row: a thread serves the first client" '^[0-9]+$' "$first_thread"
        check "$row: and the second one, at the same time" "$first_thread" "$second_thread"
        check_end
}

test_process_for_each() {
        begin first
        exec 8>"$directory/first.in"
        process=$(says first '[0-9]+')
        begin second
        exec 9>"$directory/second.in"
        other=$(says second '[0-9]+')
        check_matches "$row: a client has a process" '^[0-9]+$' "$process"
        check_does "$row: the next one has another" test "$process" -ne "$other"
        check_does "$row: both are there at the same time" kill -0 "$process" "$other"
        echo two >&9
        check_does "$row: the second one answers" says second two
        echo one >&8
        check_does "$row: and the first one" says first one
        exec 8>&-
        check_does "$row: it ends with its client" "$support/await" exit "$process"
        echo 'still there' >&9
        check_does "$row: and the other one does not" says second 'still there'
        exec 9>&-
        check_end
}

test_process_for_each_datagram() {
        answers=$(printf 'one\ntwo\n' | eval "$client" 2>&1)
        check "$row: each is answered" 'one two' "$(echo "$answers" | sed -n '2p;4p' | xargs)"
        check "$row: each by another process" 2 \
                "$(echo "$answers" | sed -n '1p;3p' | sort -u | grep -c '^[0-9]*$')"
}

test_port_of_the_kernel() {
        case $family in
        Unix) there=$directory/echo ;;
        *) there=$(port_of echo) ;;
        esac
        check "$row: sockctl tells which" "$there" "$(where echo | sed 's/.* //')"
        check_does "$row: no two are the same" test "$(where echo)" != "$(where ask)"
        prints "$asked"
}

test_byte_by_byte() {
        prints "$asked"
}

test_slow_reader() {
        seq 300000 >"$directory/sent"
        eval "$client" <"$directory/sent" >"$directory/received"
        check_does "$row: nothing gets lost" cmp "$directory/sent" "$directory/received"
}

test_half_close() {
        begin sender
        exec 8>"$directory/sender.in"
        printf 'hel' >&8
        check_does "$row: the program begins" await_that programs count running 1
        printf 'lo' >&8
        check "$row: it waits for the end" '' "$(cat "$directory/sender.out")"
        exec 8>&-
        check_does "$row: it answers behind it" says sender 5
        check_end
}

test_thread_for_each() {
        stop_daemon
        check "$row: the server is stopped" 0 "$status"
        run_block "sed -i 's/workers"
        serve
        two_threads
        check_matches "$row: a thread serves the first client" '^[0-9]+$' "$first_thread"
        check_does "$row: and another one the second" test "$first_thread" -ne "$second_thread"
        check_end
}

# --- three families --------------------------------------------------------------------------------

serve() {
        launch eval "exec $(block 'sockd --config')"
        await_ready
}

# compiled: whether the three clients can be made as the document says. Those of the build stay the
# ones that are used.
compiled() {
        (cd "$SOCKD_SOURCE_DIR" && run_block 'mkdir -p') &&
                rm "$directory/stream_echo" "$directory/stream_ask" "$directory/datagram_ask"
}
if command -v cc >/dev/null; then
        check_does 'the clients compile as they are' compiled
else
        skip 'the clients compile as they are' 'there is no cc here'
fi

run_block 'export PATH'
for family in IPv4 IPv6 Unix; do
        block 'server = ' >"$config"
        case $family in
        IPv6)
                has_ipv6 || {
                        skip IPv6 'there is no IPv6 here'
                        continue
                }
                run_block "sed -i 's/127"
                ;;
        Unix) run_block 'sed -i -E' ;;
        esac
        serve
        run_transcripts
        run_rows
        stop_daemon
        check "$family: the server ends in order" 0 "$status"
done
end_tests
