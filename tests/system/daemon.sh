# shellcheck shell=sh
# Functions for the scripts that test the real daemon. Each begins with
#
#       . "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"
#
# and ends with end_tests. Output is TAP. The script owns $directory, where all its files are; the
# daemon's log is $log there. Nothing sleeps: what has to be waited for is a line of a file, the end
# of a process or an answer, and tests/support/await and peer give up after a while.
#
# shellcheck disable=SC2034 # variables for the scripts

set -u
LC_ALL=C
export LC_ALL
unset SOCKD_URL NOTIFY_SOCKET WATCHDOG_USEC WATCHDOG_PID LISTEN_FDS LISTEN_PID LISTEN_FDNAMES
support=$SOCKD_BUILD_DIR/tests/support
directory=$(mktemp -d "${TMPDIR:-/tmp}/sockd.XXXXXX") || exit 99
chmod 755 "$directory"
log=$directory/log
config=$directory/sockd.conf
socket=$directory/s
unix=unix://$socket
daemon=
helpers=
n_tests=0
n_failed=0
n_explained=0
todo=
: >"$log"

# Leak checks under ptrace or another uid would fail for their own reasons, and not for ours.
is_sanitized=false
! grep -qa '__[atm]san_init' "$SOCKD" || is_sanitized=true
is_root=false
[ "$(id -u)" != 0 ] || is_root=true

clean_up() {
        status=$?
        trap - EXIT INT TERM
        # shellcheck disable=SC2086 # a list of words
        [ -z "$daemon$helpers" ] || kill -KILL $daemon $helpers 2>/dev/null
        rm -rf "$directory"
        exit "$status"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

# --- results -----------------------------------------------------------------------------------

# point PASSED NAME: the line of a test. PASSED is a status. While $todo says why, a test is known to
# fail, and the suite passes all the same until it does not fail any more.
point() {
        n_tests=$((n_tests + 1))
        if [ "$1" -eq 0 ]; then
                echo "ok $n_tests - $2${todo:+ # TODO $todo}"
        else
                [ -n "$todo" ] || n_failed=$((n_failed + 1))
                echo "not ok $n_tests - $2${todo:+ # TODO $todo}"
        fi
}

# explain TEXT...: for people, below a failed test, with what the log says since the last one.
explain() {
        printf '%s\n' "$@" | sed 's/^/# /'
        tail -n "+$((n_explained + 1))" "$log" | tail -n 15 | sed 's/^/# log: /'
        n_explained=$(wc -l <"$log")
}

# check NAME EXPECTED ACTUAL
check() {
        if [ "$2" = "$3" ]; then
                point 0 "$1"
        else
                point 1 "$1"
                explain "expected: $2" "actual: $3"
        fi
}

# check_matches NAME REGEX TEXT: some line of TEXT matches the extended regular expression.
check_matches() {
        if printf '%s\n' "$3" | grep -Eq -- "$2"; then
                point 0 "$1"
        else
                point 1 "$1"
                explain "expected to match: $2" "actual: $3"
        fi
}

# check_lacks NAME REGEX TEXT: no line of TEXT matches.
check_lacks() {
        if printf '%s\n' "$3" | grep -Eq -- "$2"; then
                point 1 "$1"
                explain "expected not to match: $2" "actual: $3"
        else
                point 0 "$1"
        fi
}

# check_at_most NAME LIMIT NUMBER
check_at_most() {
        if [ "$3" -le "$2" ]; then
                point 0 "$1"
        else
                point 1 "$1"
                explain "expected at most: $2" "actual: $3"
        fi
}

# check_does NAME COMMAND...: the command ends with 0. What it prints is shown if it does not.
check_does() {
        check_name=$1
        shift
        if check_output=$("$@" 2>&1); then
                point 0 "$check_name"
        else
                point 1 "$check_name"
                explain "failed: $*" "$check_output"
        fi
}

# skip NAME REASON
skip() {
        n_tests=$((n_tests + 1))
        echo "ok $n_tests - $1 # SKIP $2"
}

end_tests() {
        echo "1..$n_tests"
        exit "$((n_failed > 0))"
}

bail_out() {
        explain "$*"
        echo "Bail out! $*"
        exit 1
}

# --- the daemon --------------------------------------------------------------------------------

# configure TEXT...: writes the configuration file.
configure() {
        printf '%s\n' "$@" >"$config"
}

# launch COMMAND...: starts what becomes a daemon, and does not wait. Its pid is in $daemon, and what
# the log says from now on is what await_log finds.
launch() {
        wc -c <"$log" >"$log.at"
        "$@" </dev/null >>"$log" 2>&1 7>&- 8>&- 9>&- &
        daemon=$!
}

# await_ready: until the daemon serves.
await_ready() {
        "$support/await" line "$log" 'info: sockd .* is ready$' "$daemon" >/dev/null ||
                bail_out "the daemon did not start"
}

# start_daemon [ARG...]: with the configuration file, if there is one.
start_daemon() {
        if [ -e "$config" ]; then
                launch "$SOCKD" --config "$config" "$@"
        else
                launch "$SOCKD" "$@"
        fi
        await_ready
}

# await_end: until the daemon has ended. Its status is in $status, and how long it took since
# $since_ms, if that is set, in $took_ms.
await_end() {
        "$support/await" exit "$daemon" || bail_out "the daemon did not end"
        took_ms=$(($(now_ms) - ${since_ms:-0}))
        wait "$daemon" 2>/dev/null
        status=$?
        daemon=
}

# stop_daemon [SIGNAL]: and $status and $took_ms as above.
stop_daemon() {
        since_ms=$(now_ms)
        kill -"${1:-TERM}" "$daemon"
        await_end
}

# run_daemon [ARG...]: for one that ends by itself: $status and $output, what it said.
run_daemon() {
        output=$(timeout 20 "$SOCKD" "$@" </dev/null 2>&1)
        status=$?
}

# await_log REGEX: the line of the log, behind the last one that was found.
await_log() {
        "$support/await" line "$log" "$1" "$daemon"
}

# expect_log NAME REGEX
expect_log() {
        check_does "$1" await_log "$2"
}

# port_of NAME: of a listener, as the log told it last.
port_of() {
        sed -n "s/.*listener \"$1\" listening on [a-z]*:.*:\([0-9]*\)\$/\1/p" "$log" | tail -n 1
}

# empty_log: what was said does not count any more.
empty_log() {
        : >"$log"
        n_explained=0
}

# count_log REGEX: how often the log says it.
count_log() {
        grep -Ec -- "$1" "$log"
}

# --- others --------------------------------------------------------------------------------------

now_ms() {
        echo "$(($(date +%s%N) / 1000000))"
}

ctl() {
        timeout 20 "$SOCKCTL" -s "$unix" "$@"
}

# ctl_json PATH VERB...: one value of the JSON that sockctl prints for a verb.
ctl_json() {
        ctl_path=$1
        shift
        ctl --json "$@" | "$support/json" "$ctl_path"
}

# lost LISTENER REASON: how many messages of a gateway, for that reason.
lost() {
        ctl --json listeners | sed 's/{"name"/\n&/g' |
                sed -n "s/^{\"name\":\"$1\".*\"lost\":{[^}]*\"$2\":\\([0-9]*\\).*/\\1/p"
}

# with PROGRAM NAME: whether it is there; otherwise a test of that name is skipped.
with() {
        command -v "$1" >/dev/null && return
        skip "$2" "$1 is not installed"
        return 1
}

# start_helper NAME COMMAND...: in the background. Its input is the pipe $directory/NAME.in, and what
# it prints goes to $directory/NAME.out. Its pid is in $helper. It begins when somebody opens the
# pipe, exec 8>"$directory/NAME.in"; descriptors 7, 8 and 9 are for that, and no process inherits them.
start_helper() {
        helper_name=$1
        shift
        rm -f "$directory/$helper_name.in" "$directory/$helper_name.out.at"
        mkfifo "$directory/$helper_name.in"
        : >"$directory/$helper_name.out"
        "$@" <"$directory/$helper_name.in" >"$directory/$helper_name.out" 2>&1 7>&- 8>&- 9>&- &
        helper=$!
        helpers="$helpers $helper"
}

# await_helper NAME REGEX: a line that it prints.
await_helper() {
        "$support/await" line "$directory/$1.out" "$2"
}

# hold NAME ADDRESS N: N clients, which descriptor 8 orders about (tests/support/peer.c).
hold() {
        start_helper "$1" "$support/peer" hold "$2" "$3"
        exec 8>"$directory/$1.in"
        await_helper "$1" "^held $3\$" >/dev/null || bail_out "cannot hold $3 clients"
}

# order NAME TEXT REGEX: an order to them, and the answer.
order() {
        echo "$2" >&8
        await_helper "$1" "$3"
}

# release NAME: they go.
release() {
        exec 8>&-
        "$support/await" exit "$helper"
        wait "$helper" 2>/dev/null
}

# talk ADDRESS TEXT: the lines that a peer gets for TEXT, of which printf makes bytes, up to a PONG.
talk() {
        # shellcheck disable=SC2059 # it is a format
        printf "$2" | "$support/peer" talk "$1"
}

# --- processes -----------------------------------------------------------------------------------

# cpu_ticks PID: user and system time, in ticks of the clock.
cpu_ticks() {
        sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'
}

# check_idle NAME: the daemon does not turn in a circle. That a second costs no CPU takes a second to
# see; a sanitizer's own threads take a part of it.
check_idle() {
        most_ticks=10
        ! $is_sanitized || most_ticks=50
        ticks_before=$(cpu_ticks "$daemon")
        sleep 1
        check_at_most "$1" "$most_ticks" "$(($(cpu_ticks "$daemon") - ticks_before))"
}

# resident_kb PID
resident_kb() {
        awk '/^VmRSS:/ { print $2 }' "/proc/$1/status"
}

# count_descriptors PID
count_descriptors() {
        find "/proc/$1/fd" -type l 2>/dev/null | wc -l
}

# inheritable_descriptors PID: those behind standard error that a program it executes would get. One
# that is closed while we look has no flags any more.
inheritable_descriptors() {
        for info in "/proc/$1/fdinfo"/*; do
                [ "${info##*/}" -gt 2 ] || continue
                flags=$(sed -n 's/^flags:[[:space:]]*//p' "$info" 2>/dev/null)
                # 02000000: O_CLOEXEC
                [ -z "$flags" ] || [ $((flags / 524288 % 2)) -eq 1 ] ||
                        echo "${info##*/} -> $(readlink "/proc/$1/fd/${info##*/}")"
        done
}

# await_that COMMAND...: runs it again and again until it ends with 0, for what sends no event.
await_that() {
        give_up_ms=$(($(now_ms) + 20000))
        until "$@" >/dev/null 2>&1; do
                [ "$(now_ms)" -lt "$give_up_ms" ] || return 1
        done
}

# has_descriptors PID N: no more than so many. There may be fewer than were counted before, as the
# connection of the last sockctl may have been among them.
has_descriptors() {
        [ "$(count_descriptors "$1")" -le "$2" ]
}

# as_nobody COMMAND...: as another user, without groups.
as_nobody() {
        setpriv --reuid nobody --regid nogroup --clear-groups -- "$@"
}

# can_be_nobody: whether that works here. A copy of sockctl that all can reach is $nobody_ctl.
can_be_nobody() {
        $is_root && command -v setpriv >/dev/null || return 1
        nobody_ctl=$directory/sockctl
        cp "$SOCKCTL" "$nobody_ctl" && chmod 755 "$nobody_ctl" &&
                as_nobody "$nobody_ctl" --version >/dev/null 2>&1
}

# has_ipv6: whether ::1 can be bound here.
has_ipv6() {
        "$support/activate" 'x=tcp://[::1]:0' -- true 2>/dev/null
}
