#!/bin/sh
# Programs that accept by themselves: they have the listening socket, and sockd waits for them.
#
# shellcheck disable=SC2119 # functions without arguments
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

command -v python3 >/dev/null || {
        echo '1..0 # SKIP python3 is not installed'
        exit 0
}
cat >"$directory/server" <<END
#!$(command -v python3)
import os, socket
listening = socket.socket(fileno=0)
for i in range(2):
    connection, _ = listening.accept()
    connection.sendall(b"%d of %s\n" % (i, os.environb[b"SOCKD_LISTENER"]))
    connection.close()
END
cat >"$directory/stays" <<END
#!$(command -v python3)
import os, socket
listening = socket.socket(fileno=0)
open("$directory/pid", "w").write(str(os.getpid()))
while True:
    connection, _ = listening.accept()
    connection.sendall(b"stays\n")
    connection.close()
END
chmod 755 "$directory/server" "$directory/stays"
configure "listeners = ( { name = \"local\"; listen = \"$unix\"; }
        , { name = \"tcp\"; listen = \"tcp://127.0.0.1:0\"; exec = [\"$directory/server\"]; wait = true; }
        , { name = \"path\"; listen = \"unix://$directory/path\"; exec = [\"$directory/server\"]; wait = true; }
        , { name = \"stays\"; listen = \"tcp://127.0.0.1:0\"; exec = [\"$directory/stays\"]; wait = true; grace = \"1s\"; }
        , { name = \"idle\"; listen = \"tcp://127.0.0.1:0\"; exec = [\"/bin/true\"]; wait = true; }
        , { name = \"failing\"; listen = \"tcp://127.0.0.1:0\"; exec = [\"/bin/false\"]; wait = true; } );"
start_daemon
ask() {
        "$support/peer" through "$1" </dev/null 2>/dev/null
}
tcp=tcp://127.0.0.1:$(port_of tcp)
for i in 1 2; do
        check "TCP: round $i: the program accepts" '0 of tcp' "$(ask "$tcp")"
        check "TCP: round $i: and goes on" '1 of tcp' "$(ask "$tcp")"
done
check 'Unix: it accepts' '0 of path' "$(ask "unix://$directory/path")"
stays=tcp://127.0.0.1:$(port_of stays)
check 'one that stays serves' stays "$(ask "$stays")"
check 'everybody' stays "$(ask "$stays")"
check 'it was started once' 1 "$(ctl --json listeners | sed 's/{"name"/\n&/g' | grep '"stays"' |
        sed 's/.*"started":\([0-9]*\).*/\1/')"

ask "tcp://127.0.0.1:$(port_of failing)" &
expect_log 'one that fails is started again' 'listener "failing": /bin/false \(pid [0-9]+\) exited with status 1$'
expect_log 'and again after a while' 'listener "failing": its program fails again and again; it rests for 200ms$'
expect_log 'that grows' 'it rests for 800ms$'

kill -HUP "$daemon"
expect_log 'a reload that changes nothing' 'configuration reloaded'
check 'leaves it alone' stays "$(ask "$stays")"
check 'the same one' 1 "$(ctl --json listeners | sed 's/{"name"/\n&/g' | grep '"stays"' |
        sed 's/.*"started":\([0-9]*\).*/\1/')"

PEER_SECONDS=600 "$support/peer" through "tcp://127.0.0.1:$(port_of idle)" </dev/null >/dev/null 2>&1 &
expect_log 'of one that does not accept the log tells' \
        'listener "idle": /bin/true ends at once, again and again, and somebody still waits'

pid=$(cat "$directory/pid")
sed -i 's/{ name = "stays".*/{ name = "echo"; listen = "tcp:\/\/127.0.0.1:0"; echo = true; }/' "$config"
kill -HUP "$daemon"
expect_log 'a reload may take its listener away' 'configuration reloaded'
check_does 'which ends it' "$support/await" exit "$pid"
check 'a program accepts' '0 of tcp' "$(ask "$tcp")"
sed -i 's/{ name = "tcp".*/{ name = "tcp"; listen = "tcp:\/\/127.0.0.1:0"; exec = ["\/bin\/echo", "nowait"]; }/' "$config"
kill -HUP "$daemon"
expect_log 'a reload that changes the program ends it' \
        'info: listener "tcp": the program that has its socket is ended, as the configuration has changed'
check 'then sockd accepts' nowait "$(ask "$tcp")"
stop_daemon
check 'the end' 0 "$status"

# --- with a limit on all programs ----------------------------------------------------------------------

configure 'programs = { max_running = 1; };' "listeners = ( { name = \"local\"; listen = \"$unix\"; }
        , { name = \"cat\"; listen = \"unix://$directory/cat\"; exec = [\"/bin/cat\"]; }
        , { name = \"path\"; listen = \"unix://$directory/path\"; exec = [\"$directory/server\"]; wait = true; }
        , { name = \"other\"; listen = \"unix://$directory/other\"; exec = [\"$directory/server\"]; wait = true; } );"
empty_log
start_daemon
start_helper cat "$support/peer" through "unix://$directory/cat"
exec 8>"$directory/cat.in"
echo here >&8
check_does 'another program runs' await_helper cat '^here$'
start_helper waits "$support/peer" through "unix://$directory/path"
exec 9>"$directory/waits.in"
expect_log 'a limit on all programs keeps it from being started' 'listener "path": programs have to wait'
check_idle 'it waits for that'
check 'which is counted once' 1 "$(ctl --json listeners | sed 's/{"name"/\n&/g' | grep '"path"' |
        sed 's/.*"delayed":\([0-9]*\).*/\1/')"
check_lacks 'and is no failure' 'fails again' "$(cat "$log")"
PEER_SECONDS=1 "$support/peer" through "unix://$directory/other" </dev/null >/dev/null 2>&1 8>&- 9>&-
sed -i '/name = "other"/s/, {.*} )/ )/' "$config"
kill -HUP "$daemon"
expect_log 'a listener whose program waits may be taken away' 'configuration reloaded'
exec 8>&-
check_does 'then it is started' await_helper waits '^0 of path$'
exec 9>&-
stop_daemon
check 'the end again' 0 "$status"

# --- lame duck mode -----------------------------------------------------------------------------------

# drain GRACE: starts a daemon with two such listeners, one of which has a program, and drains it.
drain() {
        configure "server = { lame_duck_grace = \"$1\"; lame_duck_duration = \"10m\"; };" \
                "listeners = ( { name = \"path\"; listen = \"unix://$directory/path\"; exec = [\"$directory/$2\"]; wait = true; }
                , { name = \"idle\"; listen = \"unix://$directory/idle\"; exec = [\"$directory/server\"]; wait = true; } );"
        start_daemon
        ask "unix://$directory/path" >"$directory/answer"
        kill -USR2 "$daemon"
        await_log 'lame duck mode' >/dev/null
}
drain 10m server
check_does 'in lame duck mode a socket that no program has is closed' await_that test ! -e "$directory/idle"
check 'a program that has one goes on' '1 of path' "$(ask "unix://$directory/path")"
await_end
check 'when it ends so does sockd' 0 "$status"
drain 100ms stays
pid=$(cat "$directory/pid")
await_end
check 'after lame_duck_grace it is ended' 0 "$status"
check_does 'at once' "$support/await" exit "$pid"
end_tests
