#!/bin/sh
# Says in people's words how the tests of one or more build directories went.
#
# usage: summary.sh [--failed WHAT]... DIRECTORY...
#
# Prints a line for each test that failed, a line for each that was skipped, with its reason, and
# last "N passed, N failed, N skipped", alone on its line. What is counted is test points, as
# automake's TAP driver left them in the .trs files below tests/. Each --failed is one more failure, for what
# never came to its tests. Ends with 0 if at least one passed and none failed.
set -eu

usage() {
        echo "usage: $0 [--failed WHAT]... DIRECTORY..." >&2
        exit 2
}

# Prints "RESULT COUNT" for results in the .trs files of a directory.
count() {
        find "$1/tests" -name '*.trs' -exec sed -n 's/^:test-result: *\([A-Z]*\).*/\1/p' {} + |
                awk '
                        /^PASS|^XFAIL/ { passed++ }
                        /^FAIL|^XPASS|^ERROR/ { failed++ }
                        /^SKIP/ { skipped++ }
                        END { print passed + 0, failed + 0, skipped + 0 }'
}

# Prints who failed or was skipped in a directory: the driver repeats each result, with the test's
# name in front, in the .log file.
name_results() {
        find "$1/tests" -name '*.trs' | sort | while IFS= read -r trs; do
                log=${trs%.trs}.log
                [ -e "$log" ] || continue
                name=${log#"$1"/}
                LC_ALL=C awk -v name="${name%.log}" -v label="$2" '
                        match($0, /^(FAIL|XPASS|ERROR|SKIP): /) {
                                result = substr($0, 1, RLENGTH - 2)
                                text = substr($0, RLENGTH + 1)
                                if (index(text, name) != 1)
                                        next
                                sub(/^[^ ]* */, "", text)
                                sub(/^[0-9]+ */, "", text)
                                sub(/^- */, "", text)
                                reason = ""
                                if (result == "SKIP" && match(text, /# *SKIP */)) {
                                        reason = substr(text, RSTART + RLENGTH)
                                        text = substr(text, 1, RSTART - 1)
                                        sub(/ *$/, "", text)
                                        if (reason == "")
                                                reason = "no reason given"
                                        reason = " (" reason ")"
                                }
                                print (result == "SKIP" ? "skipped: " : "failed: ") \
                                        label name (text == "" ? "" : ": ") text reason
                        }' "$log"
        done
}

n_passed=0
n_failed=0
n_skipped=0
while [ $# -gt 0 ]; do
        case $1 in
        --failed)
                [ $# -gt 1 ] || usage
                echo "failed: $2"
                n_failed=$((n_failed + 1))
                shift 2
                ;;
        -*) usage ;;
        *) break ;;
        esac
done
[ $# -gt 0 ] || usage

[ $# -gt 1 ] && several=true || several=false
for directory; do
        [ -d "$directory/tests" ] || continue
        directory=${directory%/}
        label=
        ! $several || label="${directory##*/}/"
        name_results "$directory" "$label"
        # shellcheck disable=SC2046 # three numbers
        set -- $(count "$directory")
        n_passed=$((n_passed + $1))
        n_failed=$((n_failed + $2))
        n_skipped=$((n_skipped + $3))
done
echo "$n_passed passed, $n_failed failed, $n_skipped skipped"
[ "$n_failed" -eq 0 ] && [ "$n_passed" -gt 0 ]
