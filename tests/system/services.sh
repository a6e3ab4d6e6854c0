#!/bin/sh
# The services that sockd answers by itself, sockd.echo, sockd.time and sockd.info: what they say, what
# they tell of themselves on $SRV subjects and to sockctl services, in which accounts they are, and
# that nobody has sockd publish by them where he may not.
#
# shellcheck disable=SC2016,SC2119 # subjects that begin with a dollar; functions without arguments
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

bare='server = { name = "here"; workers = 2; };'
listeners="listeners = ( { name = \"local\"; listen = \"$unix\"; },
              { name = \"other\"; listen = \"unix://$directory/other\"; account = \"B\"; },
              { name = \"third\"; listen = \"unix://$directory/third\"; account = \"C\"; },
              { name = \"last\"; listen = \"unix://$directory/last\"; account = \"D\"; },
              { name = \"tight\"; listen = \"tcp://127.0.0.1:0\"; } );"
# A chain of as many imports as there may be.
accounts='accounts = ( { name = "$G"; exports = ( { service = "sockd.>"; } ); },
        { name = "B"; imports = ( { service = "sockd.>"; account = "$G"; } );
          exports = ( { service = "sockd.>"; } ); },
        { name = "C"; imports = ( { service = "sockd.>"; account = "B"; } );
          exports = ( { service = "sockd.>"; } ); },
        { name = "D"; imports = ( { service = "sockd.echo"; account = "C"; to = "echo"; } ); } );'
users='users = ( { name = "guest"; password = "x"; permissions = {
        publish = { allow = ["sockd.>", "$SRV.>"]; }; }; } );'
configure "$bare" "$listeners" "$accounts" "$users"
start_daemon

request() {
        ctl request "$@"
}

# --- what they say -----------------------------------------------------------------------------------

check 'sockd.echo gives the payload back' 'hello there' "$(request sockd.echo 'hello there')"
check_does 'be it of 1 MiB' sh -c "head -c 1048576 /dev/urandom >'$directory/large' &&
        '$SOCKCTL' -s '$unix' request sockd.echo - <'$directory/large' | head -c 1048576 |
        cmp - '$directory/large'"
check_matches 'sockd.time tells the time in UTC' \
        '^20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z$' "$(request sockd.time '')"
info=$(request sockd.info '')
check 'sockd.info names the server' here "$(echo "$info" | "$support/json" server_name)"
check 'and says how long it is up' 0 "$(echo "$info" | "$support/json" uptime | grep -Evc '^[0-9]+s$')"
check 'and nothing else' 'server_id server_name sockd_version start uptime version' \
        "$(echo "$info" | grep -o '"[a-z_]*":' | tr -d '":' | sort | tr '\n' ' ' | sed 's/ $//')"

# --- the service protocol ----------------------------------------------------------------------------

answers=$(talk "$unix" 'CONNECT {"verbose":false,"headers":true}\r\nSUB a 1\r\nPUB $SRV.PING a 0\r\n\r\nPING\r\n')
check 'all answer to $SRV.PING' 3 "$(echo "$answers" | grep -c 'io.nats.micro.v1.ping_response')"
check 'by its name one answers' sockd-echo "$(request '$SRV.PING.sockd-echo' '' | "$support/json" name)"
id=$(request '$SRV.INFO.sockd-echo' '' | "$support/json" id)
check 'and by its id' "$id" "$(request "\$SRV.INFO.sockd-echo.$id" '' | "$support/json" id)"
check 'with its subject' sockd.echo \
        "$(request '$SRV.INFO.sockd-echo' '' | sed -n 's/.*"subject":"\([^"]*\)".*/\1/p')"
check_matches 'and the counts of its requests' '"num_requests":2,"num_errors":0' \
        "$(request '$SRV.STATS.sockd-echo' '')"
request '$SRV.PING.sockd-echo.nobody' '' >/dev/null 2>&1
check 'one that is not there has no responder' 3 $?

check_matches 'sockctl services shows them' 'sockd-echo +sockd\.echo +\$G +built in +2 +0 ' "$(ctl services)"
check_matches 'with a line that counts them' '^3 services$' "$(ctl services)"
check 'and as JSON' 2 "$(ctl_json services.0.requests services)"
check_matches 'with latencies' '"p99":[1-9]' "$(ctl --json services)"

# --- a run of requests -------------------------------------------------------------------------------

# As fast as they can be sent, and each is answered.
{
        printf 'CONNECT {"verbose":false,"headers":true}\r\nSUB a 1\r\n'
        awk 'BEGIN { for (i = 0; i < 20000; i++) printf "PUB sockd.echo a 1\r\nx\r\n" }'
        printf 'PING\r\n'
} >"$directory/run"
check 'many at once are answered each' 20000 \
        "$("$support/peer" talk "$unix" <"$directory/run" | grep -c '^MSG a 1 1')"

# --- accounts ----------------------------------------------------------------------------------------

other() {
        timeout 20 "$SOCKCTL" -s "unix://$directory/$1" request "$2" "$3" 2>&1
}
check 'another account may import them' 'by B' "$(other other sockd.echo 'by B')"
check 'and be asked by a third' 'by C' "$(other third sockd.echo 'by C')"
check 'and that by a fourth, under another subject' 'by D' "$(other last echo 'by D')"
check_matches 'who does not import them does not have them' 'no responders|nobody' \
        "$(other other '$SRV.PING' '')"

# --- who may -----------------------------------------------------------------------------------------

tight=tcp://127.0.0.1:$(port_of tight)
login='CONNECT {"verbose":false,"headers":true,"user":"guest","pass":"x"}\r\n'
start_helper watcher "$SOCKCTL" -s "$unix" --verbose sub '>'
exec 9>"$directory/watcher.in"
await_helper watcher 'subscribed to' >/dev/null
check_matches 'who may not publish to his inbox gets the answer' '^MSG mine 1 4' \
        "$(talk "$tight" "${login}SUB mine 1\r\nPUB sockd.echo mine 4\r\nMINE\r\nPING\r\n" | tr -d '\r')"
check_lacks 'and nothing where he may not publish' '^MSG' \
        "$(talk "$tight" "${login}PUB sockd.echo theirs 6\r\nFORGED\r\nPING\r\n" | tr -d '\r')"
talk "$tight" "${login}PUB \$SRV.PING theirs 0\r\n\r\nPUB \$SRV.STATS theirs 0\r\n\r\nPING\r\n" >/dev/null
ctl pub last 'the last one'
await_helper watcher 'the last one' >/dev/null
exec 9>&-
kill "$helper"
"$support/await" exit "$helper"
check_lacks 'so that nobody else hears of it' '\[(mine|theirs)|^(mine|theirs)' "$(cat "$directory/watcher.out")"
check_matches 'who may publish there has sockd do so, too' '^MSG theirs 1 5' \
        "$(talk "$unix" 'SUB theirs 1\r\nPUB sockd.echo theirs 5\r\nhello\r\nPING\r\n')"

# --- reload ------------------------------------------------------------------------------------------

before=$(request '$SRV.STATS.sockd-info' '' | "$support/json" id)
configure "$bare" "$listeners" "$accounts" "$users" 'builtin_services = { echo = false; };'
check 'a reload may switch one off' 'configuration reloaded' "$(ctl reload)"
request sockd.echo x >/dev/null 2>&1
check 'it is gone then' 3 $?
check 'the others are the same' "$before" "$(request '$SRV.STATS.sockd-info' '' | "$support/json" id)"
configure "$bare" "$listeners" "$users" 'accounts = ( { name = "B"; }, { name = "C"; }, { name = "D"; } );' \
        'builtin_services = { accounts = ["B", "$G"]; };'
check 'or have them in several accounts' 'configuration reloaded' "$(ctl reload)"
check 'where each is its own' 6 "$(ctl --json services | grep -o '"name":"sockd-' | wc -l)"
check 'and answers' 'in B' "$(other other sockd.echo 'in B')"
configure "$bare" "$listeners" "$users" 'accounts = ( { name = "B"; }, { name = "C"; }, { name = "D"; } );' \
        'builtin_services = { echo = false; time = false; info = false; };'
check 'and all can be switched off' 'configuration reloaded' "$(ctl reload)"
check 'so that there is none' '0 services' "$(ctl services)"
stop_daemon
check 'the daemon ends in order' 0 "$status"

configure 'builtin_services = { accounts = ["nowhere"]; echo = 1; };'
run_daemon --check --config "$config"
check_matches 'what is wrong is told' 'builtin_services\.echo: found 1, expected true or false' "$output"
configure 'builtin_services = { accounts = ["nowhere"]; };'
run_daemon --check --config "$config"
check_matches 'and which account there is not' \
        'builtin_services\.accounts: found "nowhere", expected an account' "$output"
end_tests
