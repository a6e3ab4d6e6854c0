#!/bin/sh
# Accounts, as clients of several of them meet: services answer across accounts, also through two of
# them; a listener has an account; a reload changes imports without a gap in those that stay, and ends
# clients that belong elsewhere now; the system account hears of who comes, goes and is refused.
#
# shellcheck disable=SC2016,SC2119 # dollars of subjects; functions without arguments
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

umask 077

# Each user's password is his name.
user() {
        printf 'users = ( { name = "%s"; password = "%s"; } );' "$1" "$1"
}
for name in a b c s; do
        echo "$name" >"$directory/$name.password"
done

exports='exports = ( { stream = "s.>"; }, { service = "svc.*"; } );'
imports_b='{ service = "svc.upper"; account = "A"; to = "local.upper"; }, { stream = "s.>"; account = "A"; }'
imports_c='{ service = "local.upper"; account = "B"; }'

# serve: the configuration, of the variables above.
serve() {
        configure "accounts = (" \
                "  { name = \"A\"; $(user a) $exports }," \
                "  { name = \"B\"; $(user b) imports = ( $imports_b ); exports = ( { service = \"local.*\"; accounts = [ \"C\" ]; } ); }," \
                "  { name = \"C\"; $(user c) imports = ( $imports_c ); }," \
                "  { name = \"SYS\"; $(user s) }, { name = \"D\"; } );" \
                'system_account = "SYS";' 'listeners = (' \
                "  { name = \"local\"; listen = \"$unix\"; anonymous = true; }," \
                "  { name = \"of-d\"; listen = \"$unix-d\"; account = \"D\"; anonymous = true; }," \
                "  { name = \"tcp\"; listen = \"tcp://127.0.0.1:${port:-0}\"; } );"
}

# as USER ARG...: sockctl, as that user.
as() {
        as_user=$1
        shift
        timeout 20 "$SOCKCTL" -s "tcp://127.0.0.1:$port" --user "$as_user" \
                --password-file "$directory/$as_user.password" "$@"
}
# stay NAME USER ARG...: somebody who is there, and has subscribed.
stay() {
        stay_name=$1 stay_user=$2
        shift 2
        start_helper "$stay_name" "$SOCKCTL" -s "tcp://127.0.0.1:$port" --user "$stay_user" \
                --password-file "$directory/$stay_user.password" --verbose "$@"
        exec 9>"$directory/$stay_name.in"
        await_helper "$stay_name" 'subscribed to' >/dev/null
        exec 9>&-
}
# comes NAME HELPER REGEX: a line of it comes.
comes() {
        check_does "$1" await_helper "$2" "$3"
}

serve
start_daemon
port=$(port_of tcp)

# --- services --------------------------------------------------------------------------------------

check 'nobody offers the service' 3 "$(as b request --timeout 5s local.upper x >/dev/null 2>&1; echo $?)"
check 'also across two accounts' 3 "$(as c request --timeout 5s local.upper x >/dev/null 2>&1; echo $?)"
stay upper a reply svc.upper -- tr a-z A-Z
check 'a service answers another account' HELLO "$(as b request local.upper hello)"
check 'and one behind that' WORLD "$(as c request local.upper world)"
check 'not under its own subject' 3 "$(as b request --timeout 5s svc.upper x >/dev/null 2>&1; echo $?)"
check 'nor an account that does not import it' 3 \
        "$(ctl request --timeout 5s local.upper x >/dev/null 2>&1; echo $?)"
check_does 'many requests at a time are answered' \
        as b bench --request --subject local.upper --msgs 2000 --clients 4 --subs 0
check 'and no reply is awaited that was forgotten' 0 "$(ctl_json forgotten_replies status)"

# --- who is where ----------------------------------------------------------------------------------

# row NAME: of the table of accounts, without what is not fixed.
row() {
        ctl --no-legend accounts | awk -v name="$1" '$1 == name { print $4, $5, $6 }'
}
check 'accounts tell what they export and import' '2 0 -' "$(row A)"
check 'each of its own' '1 2 -' "$(row B)"
check 'and which one is the system account' '0 0 system' "$(row SYS)"
check 'a client is shown with its account' A "$(ctl_json connections.0.account clients)"

start_helper d "$SOCKCTL" -s "$unix-d" --verbose sub '>'
exec 9>"$directory/d.in"
await_helper d 'subscribed to' >/dev/null
exec 9>&-
ctl pub elsewhere no-d
timeout 20 "$SOCKCTL" -s "$unix-d" pub here yes
comes 'a listener has an account' d '^yes'
check_lacks 'of its own' no-d "$(cat "$directory/d.out")"
kill "$helper"

# --- advisories ------------------------------------------------------------------------------------

stay system s sub --json '$SYS.>'
system=$helper
as b pub any.thing x
comes 'the system account hears of a login' system \
        'SYS[.]ACCOUNT[.]B[.]CONNECT.*advisory.v1.client_connect.*"acc.*B.*user.*b'
comes 'and of its end' system 'SYS[.]ACCOUNT[.]B[.]DISCONNECT.*sent.*msgs.*1.*Client Closed'
timeout 20 "$SOCKCTL" -s "tcp://127.0.0.1:$port" --user b --password-file "$directory/a.password" \
        pub x x >/dev/null 2>&1
comes 'of a login that was refused' system 'CLIENT[.]AUTH[.]ERR.*client_disconnect.*Authentication Failure'
talk "tcp://127.0.0.1:$port" 'PUB x 1\r\nx\r\n' >/dev/null
check_lacks 'and of no password' 'password|"pass"' "$(cat "$directory/system.out")"
check 'a user of it has no role by that' nothing \
        "$(as s status >/dev/null 2>&1 && echo all || echo nothing)"
check 'nobody else hears of it' 1 "$(grep -c "SYS[.]ACCOUNT[.]B[.]CONNECT" "$directory/system.out")"
kill "$system"

# --- reload ----------------------------------------------------------------------------------------

stay stream b sub --json 's.>'
stream=$helper
stay b_late b sub --count 1 late
late=$helper
# flow: messages, until somebody has made the file `enough`; their number goes to the file `n`.
flow() {
        n=0
        printf 'CONNECT {"verbose":false,"user":"a","pass":"a"}\r\n'
        until [ -e "$directory/enough" ]; do
                printf 'PUB s.flow 1\r\nx\r\n'
                n=$((n + 1))
        done
        echo "$n" >"$directory/n"
        printf 'PUB s.end 0\r\n\r\nPING\r\n'
}
flow | "$support/peer" talk "tcp://127.0.0.1:$port" >"$directory/flow.out" &
flow=$!
await_helper stream '"s[.]flow"' >/dev/null
for imports_c in '' '{ service = "local.upper"; account = "B"; to = "v"; }'; do
        serve
        check_does 'imports change while messages come' ctl reload
done
: >"$directory/enough"
wait "$flow"
comes 'the last message has come' stream '"s[.]end"'
check 'and each one before, by an import that stayed' "$(cat "$directory/n")" \
        "$(grep -c '"s[.]flow"' "$directory/stream.out")"
check 'what is new is there' NEW "$(as c request v new)"
check 'what is gone is gone' 3 "$(as c request --timeout 5s local.upper x >/dev/null 2>&1; echo $?)"
kill "$stream"

imports_b='{ service = "svc.upper"; account = "A"; to = "local.upper"; }, { stream = "x"; account = "A"; }'
serve
check_matches 'what nobody exports cannot be imported' \
        'accounts.1..imports.1..stream: found "x", which account "A" does not export' "$(ctl reload 2>&1)"
imports_b='{ service = "svc.upper"; account = "A"; to = "local.upper"; }'
serve
sed -i -e 's/name = "b"; password = "b"/name = "b-was"; password = "x"/' \
        -e 's/name = "D";/name = "D"; users = ( { name = "b"; password = "b"; } );/' "$config"
check_does 'a user goes to another account' ctl reload
"$support/await" exit "$late"
check_matches 'who is there has to come again' 'Authentication Revoked' "$(cat "$directory/b_late.out")"
timeout 20 "$SOCKCTL" -s "$unix-d" sub --count 1 hello >"$directory/hello" &
await_that ctl subs hello
until [ -s "$directory/hello" ]; do
        as b pub hello again
done
check_matches 'and is in that account then' again "$(cat "$directory/hello")"
kill -HUP "$daemon"
stop_daemon
check 'the daemon ends in order' 0 "$status"

end_tests
