#!/bin/sh
# Reloading: listeners that come, go, change and are renamed while the clients of the others stay,
# and errors, which change nothing and reach whoever asked.
#
# shellcheck disable=SC2016,SC2119,SC2317 # formats; functions without arguments; called by others
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

# listeners TEXT...: the configuration with these beside "local".
listeners() {
        configure "$server" 'listeners = (' "$@" \
                "  { name = \"local\"; listen = \"$unix\"; $local_keys } );"
}
reload() {
        ctl reload >"$directory/reload" 2>&1
        reload_status=$?
}
reloads() {
        reload
        check "$1" "0 configuration reloaded" "$reload_status $(tail -n 1 "$directory/reload")"
}
answers() {
        check_does "$1" "$SOCKCTL" -s "$2" ping
}
refuses() {
        "$SOCKCTL" -s "$2" ping >/dev/null 2>&1
        check "$1" 5 $?
}
alive() {
        check "$1" 'alive 3' "$(order crowd ping '^alive')"
}
names() {
        ctl --json listeners | grep -o '"name":"[^"]*"' | cut -d'"' -f4 | sort | tr '\n' ' '
}

server=
local_keys=
a=unix://$directory/a
b=unix://$directory/b
listeners '{ name = "tcp"; listen = "tcp://127.0.0.1:0"; },'
start_daemon
port=$(port_of tcp)
tcp=tcp://127.0.0.1:$port
hold crowd "$tcp" 3

# --- coming and going ----------------------------------------------------------------------------

listeners '{ name = "tcp"; listen = "tcp://127.0.0.1:0"; },' "{ name = \"a\"; listen = \"$a\"; },"
reloads 'a reload adds a listener'
answers 'the new listener is served' "$a"
check 'it is shown' 'a local tcp ' "$(names)"
alive 'clients of others stay when one is added'
check 'port 0 stays the port that it became' "$tcp" "$(
        ctl --json listeners | grep -o '"address":"tcp:[^"]*"' | cut -d'"' -f4
)"
check 'a listener that stays is not opened anew' 1 "$(count_log 'listener "tcp" listening on')"

listeners '{ name = "tcp"; listen = "tcp://127.0.0.1:0"; },' "{ name = \"b\"; listen = \"$b\"; },"
start_helper guest "$SOCKCTL" -s "$a" --verbose sub guest
exec 9>"$directory/guest.in"
await_helper guest 'subscribed to' >/dev/null
reloads 'a reload removes one listener and adds another'
refuses 'the removed one is not served' "$a"
check_does 'its path is removed' test ! -e "$directory/a"
answers 'the added one is served' "$b"
alive 'clients of others stay when one is removed'
kill "$helper"
exec 9>&-

listeners '{ name = "tcp"; listen = "tcp://127.0.0.1:0"; },' "{ name = \"b\"; listen = \"$a\"; },"
reloads 'a reload moves a listener'
answers 'it is served where it is now' "$a"
refuses 'and not where it was' "$b"

# From here on with a port that the file names.
release crowd
stop_daemon
listeners "{ name = \"tcp\"; listen = \"tcp://127.0.0.1:$port\"; }, { name = \"b\"; listen = \"$a\"; },"
start_daemon
hold crowd "$tcp" 3

listeners "{ name = \"other\"; listen = \"tcp://127.0.0.1:$port\"; }, { name = \"c\"; listen = \"$a\"; },"
reloads 'a reload renames listeners'
check 'they have their new names' 'c local other ' "$(names)"
answers 'a renamed Unix listener is served' "$a"
alive 'clients of a renamed listener stay'
check 'a renamed listener keeps its port' "$tcp" "$(
        ctl --json listeners | grep -o '"address":"tcp:[^"]*"' | cut -d'"' -f4
)"
answers 'a renamed TCP listener is served' "$tcp"
check_does 'its path is not removed' test -S "$directory/a"
alive 'clients of others stay'

# Two listeners exchange their addresses.
listeners "{ name = \"x\"; listen = \"$a\"; }, { name = \"y\"; listen = \"$b\"; }," \
        "{ name = \"other\"; listen = \"tcp://127.0.0.1:$port\"; },"
reload
listeners "{ name = \"y\"; listen = \"$a\"; }, { name = \"x\"; listen = \"$b\"; }," \
        "{ name = \"other\"; listen = \"tcp://127.0.0.1:$port\"; },"
reloads 'a reload exchanges the addresses of two listeners'
answers 'the first is served' "$a"
answers 'the second is served' "$b"

# --- changes ---------------------------------------------------------------------------------------

listeners "{ name = \"x\"; listen = \"$b\"; mode = \"0600\"; }," \
        "{ name = \"other\"; listen = \"tcp://127.0.0.1:$port\"; backlog = 7; },"
reloads 'a reload changes listeners'
check 'the mode is changed' 600 "$(stat -c %a "$directory/b")"
answers 'a listener whose backlog has changed is served' "$tcp"
alive 'and its clients stay'

listeners "{ name = \"other\"; listen = \"tcp://127.0.0.1:$port\"; },"
server='server = { max_payload = 1000; max_connections = 77; ping_interval = "170s"; name = "other-name"; };'
listeners "{ name = \"other\"; listen = \"tcp://127.0.0.1:$port\"; },"
reloads 'a reload changes limits'
check 'max_payload' 1000 "$(ctl_json max_payload status)"
check 'max_connections' 77 "$(ctl_json max_connections status)"
check 'a client is held to the new limit' "-ERR 'Maximum Payload Violation'" \
        "$(talk "$tcp" 'PUB a 1001\r\n' | grep ERR)"
expect_log 'that a restart is needed is said' 'warning: server.name has changed; a restart is needed'
check 'sockctl says it as well' 'sockctl: warning: server.name has changed; a restart is needed for that' \
        "$(sed '$d' "$directory/reload")"
check 'a reload without warnings has none' '{"done":"reload"}' "$(ctl --json reload | tr -d ' \n')"
server='server = { max_payload = 1000; max_connections = 77; ping_interval = "170s"; name = "third-name"; };'
listeners "{ name = \"other\"; listen = \"tcp://127.0.0.1:$port\"; },"
check 'they are in the JSON' 'server.name has changed; a restart is needed for that' \
        "$(ctl_json warnings.0 reload)"

listeners "{ name = \"other\"; listen = \"tcp://127.0.0.1:$port\"; }," \
        "{ name = \"groups\"; listen = \"udp://0.0.0.0:$port\"; join = [\"239.1.2.3\"]; interface = \"lo\"; },"
reloads 'a reload adds a listener for a group'
listeners "{ name = \"other\"; listen = \"tcp://127.0.0.1:$port\"; }," \
        "{ name = \"groups\"; listen = \"udp://0.0.0.0:$port\"; join = [\"239.1.2.4\"]; interface = \"lo\"; },"
check 'groups that change need a restart' \
        'listener "groups": join or interface has changed; a restart is needed for that' \
        "$(ctl_json warnings.0 reload)"
listeners "{ name = \"other\"; listen = \"tcp://127.0.0.1:$port\"; },"

kill -HUP "$daemon"
expect_log 'SIGHUP reloads as well' 'info: configuration reloaded'
release crowd

# --- errors ----------------------------------------------------------------------------------------

hold crowd "$tcp" 3
good=$(cat "$config")
shown() {
        ctl --json listeners | sed 's/"now":"[^"]*"//g; s/"\(total_\)*connections":[0-9]*//g'
}
before=$(shown)
# fails NAME REGEX...: the reload fails, says so here and in the log, and changed nothing.
fails() {
        fails_name=$1
        shift
        reload
        check "$fails_name makes the reload fail" 1 "$reload_status"
        for fails_regex; do
                check_matches "$fails_name: sockctl says it" "$fails_regex" "$(cat "$directory/reload")"
                expect_log "$fails_name: the log says it" "error: .*$fails_regex"
        done
        check "$fails_name changes no listener" "$before" "$(shown)"
        check "$fails_name changes no limit" 77 "$(ctl_json max_connections status)"
        check "$fails_name changes no mode" 666 "$(stat -c %a "$socket")"
        alive "$fails_name ends no client"
}
server='server = { max_connections = 88; workers = "x"; ping_interval = 3; };'
local_keys='mode = "0600";'
listeners "{ name = \"new\"; listen = \"$a\"; },"
fails 'a file with two errors' "$config:1: server.workers: found \"x\"" \
        "$config:1: server.ping_interval: found 3"
check_does 'a listener of a bad file was not opened' test ! -e "$directory/a"

server='server = { max_connections = 88; };'
listeners "{ name = \"new\"; listen = \"$a\"; }, { name = \"bad\"; listen = \"tcp://192.0.2.1:1\"; }," \
        '{ name = "worse"; listen = "unix:///nonexistent/s"; },'
fails 'a listener that cannot be' 'listener "bad": cannot bind to tcp://192.0.2.1:1' \
        'listener "worse": cannot bind to /nonexistent/s'
check_does 'what was opened beside it is gone' test ! -e "$directory/a"

configure "$good" 'log = { target = "file:/nonexistent/log"; };'
fails 'a log that cannot be opened' 'cannot open the log "file:/nonexistent/log"'

server='server = { max_connections = 88; };'
configure "$server" "log = { target = \"file:$directory/new.log\"; };" 'listeners = (' \
        "  { name = \"local\"; listen = \"$unix\"; mode = \"0600\"; }," \
        '  { name = "bad"; listen = "tcp://192.0.2.1:1"; } );'
fails 'a listener that cannot be, with another log' 'listener "bad": cannot bind'
check_does 'the other log is not begun' test ! -e "$directory/new.log"
configure "$(printf '%s\n' "$good" | sed 's/name = "local";/& mode = "0600";/')" \
        'log = { target = "file:/nonexistent/log"; };'
fails 'a log that cannot be opened, with another mode' 'cannot open the log "file:/nonexistent/log"'

rm "$config"
fails 'a file that is gone' "$config: there is no such file"
printf 'server = {' >"$config"
fails 'an error of syntax' "$config:[12]: syntax error"

ctl --json reload >"$directory/reload"
check 'sockctl reload --json exits with 1' 1 $?
check 'its output has the error' 1 "$("$support/json" error.code <"$directory/reload")"
check_matches 'and its text' 'syntax error' "$("$support/json" error.message <"$directory/reload")"

printf '%s\n' "$good" >"$config"
reloads 'a file that was mended'
alive 'and the clients are still there'
release crowd

# --- the same port on another address --------------------------------------------------------------

# on ADDRESS [KEYS]: the listener "other" is there.
on() {
        listeners "{ name = \"other\"; listen = \"tcp://$1\"; ${2:-} },"
}
server=
local_keys=
hold crowd "$tcp" 3
on "0.0.0.0:$port"
reloads 'a reload widens an address'
answers 'it is served where it was not' "tcp://127.0.0.2:$port"
answers 'and where it was' "$tcp"
alive 'and its clients stay'
n_descriptors=$(count_descriptors "$daemon")
on "127.0.0.1:$port"
reloads 'a reload narrows an address'
refuses 'it is not served where it was' "tcp://127.0.0.2:$port"
answers 'it is served where it is' "$tcp"
alive 'and its clients stay'
run_daemon --listen "$tcp"
check 'nobody else can share the port afterwards' 1 "$status"
check_matches 'and the error says so' 'another process uses it' "$output"

if has_ipv6; then
        on "[::]:$port"
        reloads 'a reload widens an address to both families'
        answers 'it is served over IPv4' "$tcp"
        answers 'and over IPv6' "tcp://[::1]:$port"
        on "[::]:$port" 'v6only = true;'
        reloads 'a reload leaves it IPv6'
        refuses 'it is not served over IPv4' "$tcp"
        answers 'it is over IPv6' "tcp://[::1]:$port"
        on "[::]:$port"
        reloads 'a reload gives it IPv4 again'
        answers 'and it is served' "$tcp"
        on "*:$port"
        reloads 'a reload splits it'
        answers 'over IPv4 it is served' "$tcp"
        answers 'and over IPv6' "tcp://[::1]:$port"
        on "0.0.0.0:$port"
        reloads 'a reload leaves it IPv4'
        refuses 'it is not served over IPv6' "tcp://[::1]:$port"
        alive 'and its clients stay'
        listeners "{ name = \"other\"; listen = \"tcp://127.0.0.1:$port\"; }," \
                "{ name = \"six\"; listen = \"tcp://[::1]:$port\"; },"
        reload
        listeners "{ name = \"other\"; listen = \"tcp://0.0.0.0:$port\"; }," \
                "{ name = \"six\"; listen = \"tcp://[::1]:$port\"; },"
        reloads 'a reload widens an address beside one of the other family'
        answers 'which is served' "tcp://[::1]:$port"
else
        skip 'a reload widens an address to both families' 'there is no IPv6 here'
fi
on "127.0.0.1:$port"
reload
release crowd

# Clients come all the while.
start_helper churner "$support/peer" churn "$tcp" 4000
exec 9>"$directory/churner.in"
n_reloaded=0
for _ in 1 2 3 4 5 6 7 8 9 10; do
        on "0.0.0.0:$port"
        ! ctl reload >/dev/null 2>&1 || n_reloaded=$((n_reloaded + 1))
        on "127.0.0.1:$port"
        ! ctl reload >/dev/null 2>&1 || n_reloaded=$((n_reloaded + 1))
done
check 'many reloads move a listener to and fro' 20 "$n_reloaded"
check_does 'and no client is refused meanwhile' await_helper churner '^churned 4000$'
exec 9>&-

# Those that cannot be: both at once, and what another process holds.
hold crowd "$tcp" 3
listeners "{ name = \"other\"; listen = \"tcp://127.0.0.1:$port\"; }," \
        "{ name = \"wide\"; listen = \"tcp://0.0.0.0:$port\"; },"
good=$(cat "$config")
before=$(shown)
fails_to_move() {
        reload
        check "$1 makes the reload fail" 1 "$reload_status"
        check_matches "$1: sockctl says why" "$2" "$(cat "$directory/reload")"
        check "$1 changes no listener" "$before" "$(shown)"
        answers "$1: the listener is served" "$tcp"
        refuses "$1: and nothing else" "tcp://127.0.0.3:$port"
        alive "$1 ends no client"
}
fails_to_move 'a listener beside one that stays' \
        "\"wide\": cannot bind to tcp://0.0.0.0:$port: listener \"other\" of this configuration has $tcp"
listeners "{ name = \"wide\"; listen = \"tcp://0.0.0.0:$port\"; }," \
        "{ name = \"other\"; listen = \"tcp://127.0.0.1:$port\"; },"
fails_to_move 'the same in another order' 'listener "other" of this configuration has'
listeners "{ name = \"wide\"; listen = \"tcp://0.0.0.0:$port\"; }," \
        "{ name = \"third\"; listen = \"tcp://127.0.0.3:$port\"; },"
fails_to_move 'two in place of one that are in conflict' \
        "cannot bind to tcp://.*:$port: listener \"(wide|third)\" of this configuration has"
start_helper foreign "$support/activate" "x=tcp://127.0.0.2:$port" -- sh -c 'echo bound; cat'
exec 9>"$directory/foreign.in"
await_helper foreign bound >/dev/null
on "0.0.0.0:$port"
fails_to_move 'a foreign process on the port' \
        "cannot bind to tcp://0.0.0.0:$port: Address already in use \(another process uses it\)"
exec 9>&-
"$support/await" exit "$helper"
reloads 'it can be had when that is gone'
on "127.0.0.1:$port"
reload
check_does 'all that leaves no descriptor behind' \
        await_that has_descriptors "$daemon" "$n_descriptors"
release crowd

on '127.0.0.1:0'
reload
port=$(port_of other)
hold crowd "tcp://127.0.0.1:$port" 3
on "127.0.0.1:$port"
reloads 'a reload fixes a port that the kernel chose'
answers 'it is served' "tcp://127.0.0.1:$port"
alive 'and its clients stay'
check 'it is shown as it is configured now' "\"configured\":\"tcp://127.0.0.1:$port\"" \
        "$(ctl --json listeners | grep -o "\"configured\":\"tcp:[^\"]*\"")"
release crowd
on "127.0.0.1:0"
reload
port=$(port_of other)
on "127.0.0.1:$port\"; mode = \"0600"
reload
check 'a reload that fails' 1 "$reload_status"
on "127.0.0.1:0"
reloads 'leaves the port to the kernel'
check 'which keeps it' "$port" "$(port_of other)"
configure "$server" 'listeners = (' "  { name = \"thief\"; listen = \"tcp://127.0.0.1:$port\"; }," \
        '  { name = "other"; listen = "tcp://127.0.0.1:0"; },' \
        "  { name = \"local\"; listen = \"$unix\"; $local_keys } );"
reload
check 'nobody else gets the port of a listener that stays' 1 "$reload_status"

# What is there is changed one by one: a failure on the way must not leave half of it.
configure 'listeners = (' "  { name = \"local\"; listen = \"$unix\"; }," \
        "  { name = \"gone\"; listen = \"$a\"; } );"
reload
rm "$directory/a"
configure 'listeners = (' "  { name = \"local\"; listen = \"$unix\"; mode = \"0600\"; }," \
        "  { name = \"gone\"; listen = \"$a\"; mode = \"0600\"; } );"
reload
case $reload_status in
0) check_does 'a path that somebody removed is made again' test -S "$directory/a" ;;
*) check 'a change that fails on the way leaves all modes' 666 "$(stat -c %a "$socket")" ;;
esac
listeners
reload

# Many reloads, each with a listener that comes and goes, leave nothing behind.
server=
local_keys=
listeners
reload
n_descriptors=$(count_descriptors "$daemon")
for i in 1 2 3 4 5 6 7 8 9 10; do
        listeners "{ name = \"n$i\"; listen = \"tcp://127.0.0.1:0\"; }, { name = \"u\"; listen = \"unix://$directory/u$i\"; },"
        reload
        listeners
        reload
done
check_does 'many reloads leave no descriptor behind' \
        await_that has_descriptors "$daemon" "$n_descriptors"
check 'and no path' '' "$(find "$directory" -name 'u[0-9]*')"
stop_daemon
check 'the daemon ends in order' 0 "$status"

end_tests
