#!/bin/sh
# sockctl steers sockd: every verb, who may use it, and what each failure says.
#
# shellcheck disable=SC2016,SC2119,SC2317 # formats; functions without arguments; called by others
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

configure 'server = { name = "test-host"; lame_duck_grace = "0s"; lame_duck_duration = "100ms"; };' \
        "listeners = ( { name = \"local\"; listen = \"$unix\"; }," \
        '              { name = "tcp"; listen = "tcp://127.0.0.1:0"; } );'
start_daemon
tcp=tcp://127.0.0.1:$(port_of tcp)

# run NAME STATUS ARG...: the exit status. What it printed is in $output.
run() {
        run_name=$1
        run_expected=$2
        shift 2
        output=$(timeout 20 "$SOCKCTL" "$@" 2>&1 </dev/null)
        run_status=$?
        check "$run_name exits with $run_expected" "$run_expected" "$run_status"
}

# --- looking -------------------------------------------------------------------------------------

run 'status' 0 -s "$unix" status
check_matches 'status names the server' 'test-host' "$output"
run 'listeners' 0 -s "$unix" listeners
check_matches 'listeners shows each' "local +unix://$socket" "$output"
check_matches 'with its address' "tcp +$tcp" "$output"
run 'listeners show' 0 -s "$unix" listeners show tcp
check_matches 'listeners show tells all of one' "^ *address: +$tcp\$" "$output"
check_lacks 'and nothing of others' "unix:" "$output"
run 'listeners show of none' 3 -s "$unix" listeners show none
run 'listeners without show' 2 -s "$unix" listeners tcp

start_helper watcher "$SOCKCTL" -s "$unix" --verbose sub 'watched.*'
exec 9>"$directory/watcher.in"
await_helper watcher 'subscribed to' >/dev/null
ctl --json clients >"$directory/clients"
cid=$(sed 's/},{/}\n{/g' "$directory/clients" | grep -v '"subscriptions":0' |
        sed -n 's/.*"cid":\([0-9]*\).*/\1/p' | head -n 1)
run 'clients' 0 -s "$unix" clients
check_matches 'clients lists who is there' sockctl "$output"
check_matches 'and where' "^ *$cid +.* local +" "$output"
check_matches 'clients knows the pid of a Unix peer' "\"pid\":${helper}[,}]" "$(cat "$directory/clients")"
check_matches 'and its uid' "\"uid\":$(id -u)[,}]" "$(cat "$directory/clients")"
run 'subs' 0 -s "$unix" subs
check_matches 'subs lists subscriptions' 'watched\.\*' "$output"
run 'subs with a subject' 0 -s "$unix" subs watched.x
check_matches 'subs lists those that a subject reaches' 'watched\.\*' "$output"
run 'subs with another subject' 0 -s "$unix" subs other.x
check_lacks 'subs lists no others' 'watched\.\*' "$output"
run 'clients show' 0 -s "$unix" clients show "$cid"
check_matches 'clients show tells its subscriptions' 'watched\.\*' "$output"
run 'clients show of nobody' 3 -s "$unix" clients show 999999
run 'clients sorted' 0 -s "$unix" clients --sort pending
run 'ping' 0 -s "$unix" ping
check_matches 'ping measures' '^test-host answers in [0-9.]+ ms$' "$output"
run 'version' 0 -s "$unix" version
check_matches 'version tells the version of the daemon' '^sockd [0-9].* on test-host' "$output"
run 'log-level' 0 -s "$unix" log-level
check 'log-level prints the level' info "$output"

for verb in status listeners clients subs ping version log-level reload "clients show $cid"; do
        # shellcheck disable=SC2086 # a verb of several words
        check_does "$verb --json prints one object" sh -c \
                '"$1" -s "$2" --json $3 | "$4" >/dev/null' sh "$SOCKCTL" "$unix" "$verb" "$support/json"
done
check 'as many listeners are counted as listed' 2 "$(ctl_json listeners.length listeners)"

# --- steering ------------------------------------------------------------------------------------

run 'clients kick' 0 -s "$unix" clients kick "$cid"
check_does 'a kicked client has lost its connection' "$support/await" exit "$helper"
check_matches 'and says so' 'closed|connection' "$(tail -n 1 "$directory/watcher.out")"
run 'clients kick of nobody' 3 -s "$unix" clients kick "$cid"
check_matches 'clients kick of nobody says so' 'no such client' "$output"
ctl --json clients --state closed >"$directory/clients"
check_matches 'a kicked client is among the closed ones, with the reason' \
        "\"cid\":${cid}[,}].*\"reason\":\"[^\"]*[Kk]ick" "$(sed 's/},{/}\n{/g' "$directory/clients")"
exec 9>&-

run 'reload' 0 -s "$unix" reload
run 'an unknown verb' 2 -s "$unix" frobnicate
run 'no verb' 2
run 'an unknown option' 2 -s "$unix" status --frobnicate
run 'a missing argument' 2 -s "$unix" sub
run 'a surplus argument' 2 -s "$unix" ping pong
run 'a wrong duration' 2 -s "$unix" sub --timeout 5 x

# --- messages ------------------------------------------------------------------------------------

run 'sub whose time is up' 124 -s "$unix" sub --timeout 50ms nothing
run 'sub of fewer than it counts' 124 -s "$unix" sub --count 2 --timeout 50ms nothing
run 'request without a responder' 3 -s "$unix" request nobody x
check 'request without a responder says so' \
        'sockctl: nobody answers on "nobody": no service has subscribed to it' "$output"
run 'pub' 0 -s "$tcp" pub a.b x
run 'bench' 0 -s "$unix" bench --msgs 2000
check_does 'bench --json prints one object' sh -c \
        '"$1" -s "$2" --json bench --msgs 2000 --request | "$3" >/dev/null' sh "$SOCKCTL" "$tcp" "$support/json"
output=$(head -c 1100000 /dev/zero | ctl pub a - 2>&1)
check 'too large a payload exits with 1' 1 $?
check_matches 'too large a payload names the limit' 'too large: 1100000 bytes are more than the server takes, 1048576;' "$output"

# --- who may ---------------------------------------------------------------------------------------

# denied NAME COMMAND...: each control verb is refused in one line.
denied() {
        denied_name=$1
        shift
        for verb in status listeners clients subs reload drain stop log-level 'log-level trace' "clients kick 1"; do
                # shellcheck disable=SC2086 # a verb of several words
                output=$(timeout 20 "$@" $verb 2>&1)
                check "$denied_name: $verb exits with 4" 4 $?
                check "$denied_name: $verb says what to do" "sockctl: \"${verb%% *}\" needs a role over TCP and UDP, which \"users\" in sockd.conf can give; \"sockctl access whoami\" tells who you are" \
                        "$output"
        done
}
denied 'over TCP' "$SOCKCTL" -s "$tcp"
run 'a refusal in JSON' 4 -s "$tcp" --json stop
check 'a refusal in JSON has the code' 4 "$(echo "$output" | "$support/json" error.code)"
check 'nothing was stopped' info "$(ctl log-level)"
run 'ping over TCP' 0 -s "$tcp" ping
# A client that does not ask nicely.
check_matches 'a plain request over TCP has no responders' '^HMSG _INBOX 1 ' "$(
        talk "$tcp" 'CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\nSUB _INBOX 1\r\nPUB $SYS.REQ.SERVER.PING _INBOX 0\r\n\r\nPING\r\n'
)"
check_lacks 'and gets no answer' 'server_id":"N[^}]*statsz' "$(
        talk "$tcp" 'CONNECT {"verbose":false}\r\nSUB > 1\r\nPUB $SYS.REQ.SERVER.PING x 0\r\n\r\nPING\r\nPING\r\n' | grep -v '^INFO'
)"

# needs NAME ROLE VERB COMMAND...: the role that is missing, and where it is given, in one line.
needs() {
        needs_name=$1 needs_role=$2 needs_verb=$3
        shift 3
        # shellcheck disable=SC2086 # a verb of several words
        output=$(timeout 20 "$@" $needs_verb 2>&1)
        check "$needs_name: $needs_verb exits with 4" 4 $?
        check "$needs_name: $needs_verb says which role it needs, and who gives it" \
                "sockctl: ${needs_verb%% *}: this needs the role \"$needs_role\", which \"users\" in $config can give you" \
                "$output"
}

if can_be_nobody; then
        set -- setpriv --reuid nobody --regid nogroup --clear-groups -- "$nobody_ctl" -s "$unix"
        check_matches 'any local user may see the status' 'is running' "$("$@" status)"
        for verb in listeners clients subs; do
                needs 'as nobody' monitor "$verb" "$@"
        done
        for verb in reload drain stop 'log-level trace' 'clients kick 1'; do
                needs 'as nobody' admin "$verb" "$@"
        done
        as_nobody "$nobody_ctl" -s "$unix" pub a x >"$directory/out" 2>&1
        check 'nobody may publish' 0 $?
        start_helper service "$SOCKCTL" -s "$unix" --verbose reply svc.upper -- tr a-z A-Z
        exec 9>"$directory/service.in"
        await_helper service 'subscribed to' >/dev/null
        check 'nobody may request' HELLO "$(as_nobody "$nobody_ctl" -s "$unix" request svc.upper hello)"
        kill "$helper"
        exec 9>&-
        start_helper subscriber setpriv --reuid nobody --regid nogroup --clear-groups -- \
                "$nobody_ctl" -s "$unix" --verbose sub --count 1 news
        exec 9>"$directory/subscriber.in"
        await_helper subscriber 'subscribed to' >/dev/null
        check_matches 'the daemon knows who it is' "\"uid\":$(id -u nobody)[,}]" "$(ctl --json clients)"
        ctl pub news 'to nobody'
        check 'nobody may subscribe' 'to nobody' "$(await_helper subscriber '^to nobody$')"
        exec 9>&-
else
        skip 'nobody has no control' 'needs root and setpriv'
fi

# --- the end ---------------------------------------------------------------------------------------

hold crowd "$unix" 3
run 'drain' 0 -s "$unix" drain
order crowd closed '^waiting' >/dev/null
since_ms=$(now_ms)
await_end
check 'a drained daemon ends with 0' 0 "$status"
check 'its clients were closed' 'closed 3' "$(await_helper crowd '^closed')"
release crowd

start_daemon
run 'stop' 0 -s "$unix" stop
await_end
check 'a stopped daemon ends with 0' 0 "$status"

start_daemon
kill -STOP "$daemon"
run 'status of a daemon that hangs' 124 -s "$unix" --timeout 1s status
check_matches 'status of a daemon that hangs says so' 'no answer in time; the daemon there hangs' "$output"
kill -CONT "$daemon"
stop_daemon

run 'status without a daemon' 3 -s "$unix" status
for verb in listeners clients subs ping reload drain stop log-level 'pub a x' 'sub a' 'request a x'; do
        # shellcheck disable=SC2086 # a verb of several words
        run "$verb without a daemon" 5 -s "$unix" $verb
        check "$verb without a daemon says so" \
                "sockctl: no daemon at $unix: not running, or listening elsewhere; see: systemctl status sockd" "$output"
done
run 'ping without a daemon on TCP' 5 -s "$tcp" ping
check 'ping without a daemon on TCP says so' \
        "sockctl: no daemon at $tcp: nothing listens there; see the listeners of its configuration" "$output"
run 'ping in JSON without a daemon' 5 -s "$unix" --json ping
check 'ping in JSON without a daemon has the code' 5 "$(echo "$output" | "$support/json" error.code)"
run 'an address that is none' 2 -s 'http://x' ping
run 'version without a daemon' 0 version
SOCKD_URL=$unix
export SOCKD_URL
run 'SOCKD_URL instead of an address: ping' 5 ping
check_matches 'SOCKD_URL is tried' "no daemon at $unix" "$output"

# --- another user's daemon -------------------------------------------------------------------------

if can_be_nobody && cp "$SOCKD" "$directory/sockd" && as_nobody "$directory/sockd" --version >/dev/null 2>&1; then
        mkdir "$directory/home"
        chown nobody "$directory/home"
        launch setpriv --reuid nobody --regid nogroup --clear-groups -- "$directory/sockd" \
                --listen "unix://$directory/home/s" --listen "$tcp"
        await_ready
        as_nobody "$nobody_ctl" -s "unix://$directory/home/s" clients >"$directory/out" 2>&1
        check 'the user that sockd runs as has control' 0 $?
        run 'root as well: status' 0 -s "unix://$directory/home/s" status
        setpriv --reuid daemon --regid daemon --clear-groups -- "$nobody_ctl" -s "unix://$directory/home/s" clients >"$directory/out" 2>&1
        check 'others have none but the status' 4 $?
        stop_daemon
        check 'a daemon without privileges ends in order' 0 "$status"
        check_does 'and removes its path' test ! -e "$directory/home/s"
else
        skip 'the user that sockd runs as has control' 'needs root and setpriv'
fi

end_tests
