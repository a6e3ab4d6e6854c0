#!/bin/sh
# The spawner beside the daemon: that it is there, has nothing of the daemon's, and ends with it and
# with nothing else.
#
# shellcheck disable=SC2016,SC2119,SC2317 # formats; functions without arguments; called by others
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

configure 'programs = { max_running = 7; };' \
        "listeners = ( { name = \"local\"; listen = \"$unix\"; }," \
        '              { name = "tcp"; listen = "tcp://127.0.0.1:0"; } );'

# find_spawner: its pid is in $spawner.
find_spawner() {
        spawner=$(sed 's/ $//' "/proc/$daemon/task/$daemon/children")
}

# What its descriptors are, but for standard error.
spawner_descriptors() {
        find "/proc/$spawner/fd" -type l ! -name 2 -exec readlink {} + | sed 's/:.*//' | sort |
                tr '\n' ' ' | sed 's/ $//'
}

# Whether the spawner ends; it is no child of ours.
await_spawner_end() {
        "$support/await" exit "$spawner"
}

# Whether the daemon has none, dead or alive.
has_no_child() {
        [ -z "$(cat /proc/"$daemon"/task/*/children)" ]
}

# --- what it is ----------------------------------------------------------------------------------

launch "$support/activate" "local=$unix" "tcp=tcp://127.0.0.1:0" "tcp=tcp://127.0.0.1:0" -- \
        "$SOCKD" --config "$config"
await_ready
find_spawner
check 'the daemon has one child' 1 "$(echo "$spawner" | wc -w)"
check 'which has a name of its own' sockd-spawner "$(cat "/proc/$spawner/comm")"
check_matches 'and says what it is' '^sockd: spawner' "$(tr '\0' ' ' <"/proc/$spawner/cmdline")"
check 'and the root directory' / "$(readlink "/proc/$spawner/cwd")"
check 'and a session' "$spawner" "$(cut -d' ' -f6 "/proc/$spawner/stat")"
$is_sanitized || check 'one thread' 1 "$(find "/proc/$spawner/task" -mindepth 1 -maxdepth 1 | wc -l)"
check 'and none of the sockets that were passed' '/dev/null /dev/null /dev/null anon_inode socket' \
        "$(spawner_descriptors)"
if $is_sanitized; then
        skip 'it takes little memory' 'sanitizers take a lot'
else
        check_at_most 'it takes little memory' 1024 \
                "$(awk '/^Private_/ { n += $2 } END { print n }' "/proc/$spawner/smaps_rollup")"
fi
check 'status tells the limits' '7 500 0' \
        "$(ctl --json status | "$support/json" programs.max_running programs.max_starts \
                programs.running | tr '\n' ' ' | sed 's/ $//')"

# --- signals ---------------------------------------------------------------------------------------

for signal in TERM INT HUP USR1 USR2 QUIT PIPE; do
        kill -s $signal "$spawner"
done
sed -i 's/max_running = 7/max_running = 9/' "$config"
kill -HUP "$daemon"
expect_log 'a reload finds it where it was' 'info: configuration reloaded'
check 'and changes the limits' 9 "$(ctl_json programs.max_running status)"
check 'no signal but one reaches it' "$spawner" "$(sed 's/ $//' "/proc/$daemon/task/$daemon/children")"

# A service manager may tell all of a service to end.
kill -TERM "$spawner" "$daemon"
await_end
check 'SIGTERM for both ends the daemon with 0' 0 "$status"
check_does 'and the spawner with it' await_spawner_end
rm -f "$socket"

# --- the end of the daemon -------------------------------------------------------------------------

start_daemon
find_spawner
stop_daemon KILL
check_does 'the spawner ends with a daemon that is killed' await_spawner_end
rm -f "$socket"

start_daemon
find_spawner
kill -USR2 "$daemon"
await_end
check 'lame duck mode ends with 0' 0 "$status"
check_does 'the spawner ends with it' await_spawner_end

# The shell waits for all who hold the output.
run_daemon --listen tcp://192.0.2.1:1
check 'a daemon that cannot start leaves nobody behind' 1 "$status"
echo nonsense >"$config.bad"
run_daemon --config "$config.bad"
check 'nor does one with a bad configuration' 78 "$status"

# --- its own end -----------------------------------------------------------------------------------

# A program with a child in its group, and one that has made itself a daemon.
cat >"$directory/family" <<'END'
#!/bin/sh
sh -c 'echo $$ >"$0/child"; exec sleep 1000' "$1" &
setsid sh -c 'sh -c "echo \$\$ >\$0/daemon; exec sleep 1000" "$0" & :' "$1" </dev/null >/dev/null 2>&1
echo ready
wait
END
chmod 755 "$directory/family"
configure "listeners = ( { name = \"local\"; listen = \"$unix\"; }," \
        "{ name = \"family\"; listen = \"unix://$directory/f\";" \
        "exec = [\"$directory/family\", \"$directory\"]; } );" \
        'services = ( { subject = "stays"; persistent = true; exec = ["/bin/cat"]; } );'
empty_log
start_daemon
find_spawner
start_helper family "$support/peer" through "unix://$directory/f"
exec 9>"$directory/family.in"
check_does 'a program runs' await_helper family '^ready$'
check_does 'with a child' await_that test -s "$directory/child"
check_does 'and a daemon' await_that test -s "$directory/daemon"
check 'another one stays' word "$(ctl request stays word)"
check_matches 'status counts them' ' Programs:  2 of 256 run, 0 ended$' "$(ctl status)"
kill -KILL "$spawner"
expect_log 'that it has died is logged' \
        'error: the spawner was ended by signal 9 \(Killed\); sockd goes on, but has to be restarted to run programs$'
check_does 'the daemon goes on' ctl ping
check_matches 'status tells it' ' Programs:  cannot be started: restart sockd$' "$(ctl status)"
check 'in JSON as well' 'false 2' "$(ctl --json status |
        "$support/json" programs.available programs.configured | tr '\n' ' ' | sed 's/ $//')"
check_does 'the child of the program ends' "$support/await" exit "$(cat "$directory/child")"
check_does 'and so does the daemon that it was' "$support/await" exit "$(cat "$directory/daemon")"
check_does 'without a child, or a zombie' await_that has_no_child
check_does 'one that stayed is given up' await_that grep -q \
        'warning: service "stays": it is not known what became of /bin/cat, which was killed$' "$log"
exec 9>&-
kill -HUP "$daemon"
expect_log 'a reload warns of it' 'warning: the limits on programs stay as they are: Broken pipe'
check 'it is logged once' 1 "$(count_log 'error: the spawner')"
check_idle 'it takes no time'
stop_daemon
check 'and the daemon ends in order' 0 "$status"

end_tests
