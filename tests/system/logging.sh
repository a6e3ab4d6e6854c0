#!/bin/sh
# The log: its level at run time, what a trace shows and what it must not, a file that is rotated.
#
# shellcheck disable=SC2016,SC2119,SC2317 # formats; functions without arguments; called by others
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

configure "listeners = ( { name = \"local\"; listen = \"$unix\"; } );"
start_daemon
check 'the level is shown' info "$(ctl log-level)"
talk "$unix" 'CONNECT {"verbose":false}\r\nSUB quiet 1\r\nPING\r\n' >/dev/null
check 'operations are not logged by default' 0 "$(count_log 'quiet')"

check_does 'the level is set' ctl log-level trace
check 'the level is shown' trace "$(ctl log-level)"
check 'in status as well' trace "$(ctl_json log_level status)"
talk "$unix" 'CONNECT {"verbose":false,"headers":true,"user":"alice","pass":"s3cret-p","auth_token":"s3cret-t","jwt":"s3cret-j","nkey":"s3cret-n","sig":"s3cret-s"}\r\nSUB foo 1\r\nSUB foo.* q 2\r\nPUB foo reply 9\r\ns3cret-m!\r\nHPUB foo 23 25\r\nNATS/1.0\r\nA: s3cret\r\n\r\nhi\r\nUNSUB 1 5\r\nPING\r\n' >/dev/null
for operation in 'SUB foo 1' 'SUB foo\.\* q 2' 'PUB foo reply 9' 'HPUB foo 23 25' 'UNSUB 1 5' PING; do
        expect_log "trace shows $operation" "trace: client [0-9]+: \\[$operation\\]\$"
done
check_matches 'trace shows that there was a CONNECT' 'trace: client [0-9]+: \[CONNECT' "$(cat "$log")"
check 'trace shows no secret and no payload' 0 "$(count_log 's3cret')"
# What a client says cannot look like a line of its own.
talk "$unix" 'CONNECT {"verbose":false,"name":"a\\\\nFORGED"}\r\nSUB \033[31m 1\r\nPING\r\n' >/dev/null
expect_log 'what a client says is made printable' 'trace: client [0-9]+: \[SUB .*31m 1\]$'
check 'no escape reaches the log' 0 "$(grep -c "$(printf '\033')" "$log")"
check 'no line is forged' 0 "$(count_log '^FORGED')"

ctl log-level info >/dev/null
empty_log
talk "$unix" 'CONNECT {"verbose":false}\r\nSUB quiet 1\r\nPING\r\n' >/dev/null
check 'a level that was set back is quiet' 0 "$(count_log 'quiet|trace:')"
ctl log-level loud >"$directory/out" 2>&1
check 'an unknown level is an error of usage' 2 $?
check_matches 'and the levels are named' 'expected error, warning, info, debug or trace' "$(cat "$directory/out")"

ctl log-level trace >/dev/null
ctl reload >/dev/null
check 'a reload sets the level of the file' info "$(ctl log-level)"
configure 'log = { level = "debug"; };' "listeners = ( { name = \"local\"; listen = \"$unix\"; } );"
ctl reload >/dev/null
check 'a changed level of the file counts' debug "$(ctl log-level)"
stop_daemon

# --- a file ----------------------------------------------------------------------------------------

empty_log
file=$directory/sockd.log
configure "log = { target = \"file:$file\"; };" "listeners = ( { name = \"local\"; listen = \"$unix\"; } );"
launch "$SOCKD" --config "$config"
has_file() {
        grep -q 'is ready' "$file"
}
check_does 'a file as a target gets the log' await_that has_file
check 'and nothing else does' '' "$(cat "$log")"
check 'others may not read it' 640 "$(stat -c %a "$file")"
mv "$file" "$file.1"
kill -HUP "$daemon"
is_rotated() {
        [ -e "$file" ] && grep -q 'configuration reloaded' "$file"
}
check_does 'a reload opens the file anew' await_that is_rotated
check 'the old one is left alone' 0 "$(grep -c 'configuration reloaded' "$file.1")"
check 'the old one is closed' 0 "$(find "/proc/$daemon/fd" -lname "$file.1" | wc -l)"

configure 'log = { target = "stderr"; };' "listeners = ( { name = \"local\"; listen = \"$unix\"; } );"
ctl reload >/dev/null
expect_log 'a reload changes the target' 'configuration reloaded'
configure 'log = { target = "file:/nonexistent/log"; };' "listeners = ( { name = \"local\"; listen = \"$unix\"; } );"
ctl reload >/dev/null 2>&1
expect_log 'a target that cannot be opened leaves the old one' 'cannot open the log "file:/nonexistent/log"'
stop_daemon

check_matches 'to the end' 'info: stopped$' "$(tail -n 1 "$log")"
run_daemon --config "$config"
check 'a start with such a target exits with 78' 78 "$status"
check_matches 'and says so on standard error' 'cannot open the log "file:/nonexistent/log": No such file or directory' "$output"

# --- a log that nobody reads -------------------------------------------------------------------------

configure 'log = { level = "trace"; };' "listeners = ( { name = \"local\"; listen = \"$unix\"; } );"
mkfifo "$directory/pipe"
exec 7<>"$directory/pipe"
"$SOCKD" --config "$config" </dev/null 2>"$directory/pipe" 7>&- &
daemon=$!
served() {
        ctl ping
}
check_does 'a daemon whose log is a pipe serves' await_that served
check_does 'and goes on when nobody reads the pipe' ctl pub --count 5000 a "$(printf '%0100d' 0)"
check_does 'and answers' ctl ping
check_does 'what was dropped is counted' test "$(ctl_json log_lines_dropped status)" -gt 0
stop_daemon
check 'and ends in order' 0 "$status"
exec 7>&-

end_tests
