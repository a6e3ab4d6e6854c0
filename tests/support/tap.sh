#!/bin/sh
# Runs a test program and puts its TAP in order, for automake's tap-driver.sh.
#
# usage: tap.sh PROGRAM [ARG...]
#
# - cmocka 1.1.5 says "not ok 2 # SKIP test_name", which the driver takes for a failure: here it
#   becomes "ok 2 - test_name # SKIP reason". The reason is the last line "skipping: reason" that
#   the test has printed.
# - Each cmocka group has a plan and numbers of its own, TAP has one for all: they are numbered anew,
#   and the plan follows at the end.
# - A program that dies, takes longer than TEST_TIMEOUT seconds (default 600), runs fewer tests than
#   it announced, or ends with a status that no failed test explains, gets one more test point that
#   says so. It would be several errors otherwise, or none.
#
# All other lines pass unchanged. Ends with 0 if the program could be run: the test points say all.
set -eu

[ $# -gt 0 ] || {
        echo "usage: $0 PROGRAM [ARG...]" >&2
        exit 2
}

name=${2:-$1} # of a script, rather than of its shell
pid_file=$(mktemp)
trap 'rm -f "$pid_file"' EXIT

# timeout makes a process group of its own; what the program left of it behind is ended, as it would
# hold the pipe open. The program's status goes down the pipe as a last line of its own, which
# begins with a character that is no text.
run() {
        status=0
        # shellcheck disable=SC2016 # for that shell
        sh -c 'echo $$ >"$0" && exec timeout "$@"' "$pid_file" \
                --kill-after=10 "${TEST_TIMEOUT:-600}" "$@" 2>&1 || status=$?
        kill -s KILL -- "-$(cat "$pid_file")" 2>/dev/null || true
        printf '\n\001%s\n' "$status"
}

# shellcheck disable=SC2016 # the dollars are for awk
run "$@" | LC_ALL=C "${AM_TAP_AWK:-awk}" -v program="${name##*/}" -v timeout="${TEST_TIMEOUT:-600}" '
function flush_blank() {
        # The empty line before the status is ours, so an empty line is held back until the next.
        if (blank)
                print ""
        blank = 0
}
function point(result, text) {
        flush_blank()
        n++
        print result " " n (text == "" ? "" : " " text)
        fflush()
}
function complain(text) {
        point("not ok", "- " program " " text)
}
/^\001/ {
        status = substr($0, 2) + 0
        next
}
/^$/ {
        flush_blank()
        blank = 1
        next
}
/^1\.\.0/ {
        flush_blank()
        print
        skipped_all = 1
        next
}
/^1\.\.[0-9]+/ {
        planned += substr($0, 4) + 0
        has_plan = 1
        next
}
/^not ok [0-9]+ # SKIP / {
        name = $0
        sub(/^not ok [0-9]+ # SKIP /, "", name)
        point("ok", "- " name " # SKIP" (reason == "" ? "" : " " reason))
        reason = ""
        next
}
/^ok([ \t]|$)/ {
        text = $0
        sub(/^ok[ \t]*[0-9]*[ \t]*/, "", text)
        point("ok", text)
        reason = ""
        next
}
/^not ok([ \t]|$)/ {
        text = $0
        sub(/^not ok[ \t]*[0-9]*[ \t]*/, "", text)
        if (text !~ /# *TODO/)
                n_failed++
        point("not ok", text)
        reason = ""
        next
}
/^Bail out!/ {
        bailed = 1
}
/^(# *)?skipping: / {
        reason = $0
        sub(/^(# *)?skipping: /, "", reason)
}
{
        flush_blank()
        print
        fflush()
}
END {
        missing = planned - n
        if (bailed || (skipped_all && status == 0))
                exit 0
        if (status == 124 || status == 137)
                complain("was ended after " timeout " seconds")
        else if (status > 128)
                complain("was ended by signal " (status - 128))
        else if (status != 0 && !n_failed)
                complain("ended with status " status " without a failed test")
        else if (missing > 0)
                complain("announced " planned " tests and ran " (planned - missing))
        else if (!has_plan)
                complain("announced no tests")
        if (missing > 0)
                print "# " missing " announced tests were not run"
        print "1.." n
}'
