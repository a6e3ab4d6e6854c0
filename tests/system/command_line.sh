#!/bin/sh
# The command line: options, exit codes, --check, and all errors at once.
#
# shellcheck disable=SC2016,SC2119,SC2317 # formats; functions without arguments; called by others
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

run_daemon --version
check 'the version exits with 0' 0 "$status"
check_matches 'the version names the program' '^sockd [0-9]' "$output"
run_daemon --help
check 'the help exits with 0' 0 "$status"
check_matches 'the help names the options' '--listen ADDRESS' "$output"
run_daemon --nonsense
check 'an unknown option exits with 2' 2 "$status"
check_matches 'an unknown option is named' "unrecognized option '--nonsense'" "$output"
run_daemon --config
check 'an option without its argument exits with 2' 2 "$status"
run_daemon surplus
check 'an argument too many exits with 2' 2 "$status"
check_matches 'an argument too many is named' 'unexpected argument "surplus"' "$output"

run_daemon --config "$directory/missing.conf"
check 'a missing file exits with 78' 78 "$status"
check_matches 'a missing file is named' "$directory/missing.conf: there is no such file" "$output"

# --- --check -----------------------------------------------------------------------------------

configure "listeners = ( { name = \"a\"; listen = \"$unix\"; } );"
run_daemon --check --config "$config"
check 'a valid file exits with 0' 0 "$status"
check_matches 'a valid file is said to be' 'the configuration is valid' "$output"
check_does 'a check opens no listener' test ! -e "$socket"

configure 'server = {' \
        '  workers = "many";' \
        '  ping_interval = 20;' \
        '  max_paylod = "1M";' \
        '};' \
        'log = { level = "loud"; };' \
        'listeners = (' \
        "  { name = \"a\"; listen = \"unix://$directory/$(printf '%0108d' 0)\"; }," \
        "  { name = \"b\"; listen = \"$unix\"; mode = \"999\"; group = \"no-such-group\"; owner = \"no-such-user\"; }," \
        '  { name = "b"; listen = "tcp://127.0.0.1:99999"; },' \
        '  { name = "e"; listen = "tcp://127.0.0.1:0"; echo = true; time = true; },' \
        '  { name = "u"; listen = "tls://127.0.0.1:0"; }' \
        ');'
run_daemon --check --config "$config"
errors=$output
check 'a file with errors exits with 78' 78 "$status"
line_is() { check_matches "$1" "^$config:$2: $3" "$errors"; }
line_is 'an error of type tells file, line, key and both values' 2 \
        'server\.workers: found "many", expected an integer'
line_is 'a bare integer is no duration' 3 'server\.ping_interval: found 20, expected a duration'
line_is 'an unknown key is an error with a suggestion' 4 'server\.max_paylod: .*max_payload'
line_is 'a wrong level is an error' 6 'log\.level: found "loud", expected'
line_is 'a path that is too long is an error' 8 'listeners\[0\]\.listen: .*107 bytes'
line_is 'a wrong mode is an error' 9 'listeners\[1\]\.mode: found "999"'
line_is 'an unknown group is an error' 9 'listeners\[1\]\.group: found "no-such-group"'
line_is 'an unknown owner is an error' 9 'listeners\[1\]\.owner: found "no-such-user"'
line_is 'a wrong port is an error' 10 'listeners\[2\]\.listen: .*99999'
line_is 'a name that is taken is an error' 10 'listeners\[2\]\.name: found "b", which'
line_is 'a second handler is an error' 11 'listeners\[3\]\.time: a listener has one handler'
line_is 'an address that wants more is an error' 12 'listeners\[4\]\.listen: tls://127\.0\.0\.1:0 needs tls = '
check 'there are no other errors' 12 "$(printf '%s\n' "$errors" | wc -l)"

run_daemon --config "$config"
check 'a start with errors exits with 78' 78 "$status"
check 'a start reports the same errors' "$errors" "$output"

SOCKD_PROGRAM=$SOCKD "$SOCKCTL" config check "$config" >"$directory/out" 2>&1
check 'sockctl config check exits alike' 78 $?
check 'sockctl config check reports the same errors' "$errors" "$(cat "$directory/out")"
SOCKD_PROGRAM=$SOCKD "$SOCKCTL" config check "$config" --json | "$support/json" valid >"$directory/out"
check 'sockctl config check --json says invalid' false "$(cat "$directory/out")"

configure 'server = {' '  name = "x' '};'
run_daemon --check --config "$config"
check 'an error of syntax exits with 78' 78 "$status"
check_matches 'an error of syntax tells file and line' "^$config:[0-9]: " "$output"

run_daemon --check --listen tcp://127.0.0.1 --listen 'unix:' --listen tls://127.0.0.1:1
check 'wrong --listen exits with 78' 78 "$status"
check_matches 'wrong --listen is named' '^--listen: found "tcp://127.0.0.1", expected an address' "$output"
check 'each wrong --listen is reported' 3 "$(printf '%s\n' "$output" | wc -l)"

# --- --listen ----------------------------------------------------------------------------------

configure "listeners = ( { name = \"of-the-file\"; listen = \"unix://$directory/file\"; } );"
start_daemon --foreground --listen "$unix" --listen tcp://127.0.0.1:0 --listen "unix:@$socket"
check '--listen may be repeated' 3 "$(ctl_json listeners.length listeners)"
check 'the first --listen is named so' listen-1 "$(ctl_json listeners.0.name listeners)"
check '--listen replaces the listeners of the file' 0 "$(count_log of-the-file)"
check 'the process that was started serves' "$daemon" "$(ctl_json pid status)"
stop_daemon
check 'the daemon ends with 0' 0 "$status"

mkdir "$directory/run"
rm "$config"
start_daemon --listen "unix://$directory/run/sockd/sockd.sock"
check 'the directory of the default path is made' 755 "$(stat -c %a "$directory/run/sockd")"
stop_daemon
run_daemon --listen "unix://$directory/run/other/sockd.sock"
check_matches 'no other one is' 'its directory does not exist' "$status $output"
mkfifo "$directory/fifo"
run_daemon --check --config "$directory/fifo"
check_matches 'a pipe that nobody writes to is an error' '^78 .*nothing comes out of the pipe$' \
        "$status $output"
launch sh -c 'exec "$@" <&- >&-' sh "$SOCKD" --listen "$unix"
await_ready
check '/dev/null takes the place of closed standard descriptors' '/dev/null /dev/null' \
        "$(readlink "/proc/$daemon/fd/0" "/proc/$daemon/fd/1" | tr '\n' ' ' | sed 's/ $//')"
stop_daemon

if $is_root; then
        skip 'without a file it listens in $XDG_RUNTIME_DIR' 'root listens in /run'
else
        XDG_RUNTIME_DIR=$directory/run
        export XDG_RUNTIME_DIR
        start_daemon
        check_does 'without a file it listens in $XDG_RUNTIME_DIR' "$SOCKCTL" status
        stop_daemon
fi

end_tests
