#!/bin/sh
# What users may publish and subscribe to, as real processes under other uids: what each is told, what
# the log says of it, how it is counted, answers to requests, and what a reload changes for those who
# are there. The same for peers of TCP and of datagrams.
#
# shellcheck disable=SC2119,SC2317 # functions without arguments; called by others
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

if ! can_be_nobody; then
        echo '1..0 # SKIP needs root and setpriv'
        exit 0
fi

dgram=unix+dgram://$directory/d
others_peer=$directory/peer
cp "$support/peer" "$others_peer" && chmod 755 "$others_peer"

# permissions TEXT...: the configuration, in whose first lines these stand.
permissions() {
        configure "$@" 'listeners = (' \
                "  { name = \"local\"; listen = \"$unix\"; anonymous = true; }," \
                "  { name = \"dgram\"; listen = \"$dgram\"; mode = \"0666\"; anonymous = true; }," \
                '  { name = "tcp"; listen = "tcp://127.0.0.1:0"; anonymous = true; } );'
}

# as UID COMMAND...: as such a user.
as() {
        as_uid=$1
        shift
        timeout 20 setpriv --reuid "$as_uid" --regid "$as_uid" --clear-groups -- "$@" 2>&1
}

# says UID TEXT [ADDRESS]: what is answered, up to a PONG, without INFO and as one line.
says() {
        says_address=${3:-$unix}
        # shellcheck disable=SC2059 # it is a format
        printf "CONNECT {\"verbose\":false,\"pedantic\":false}\r\n$2PING\r\n" |
                as "$1" "$others_peer" talk "$says_address" | tr -d '\r' | grep -v '^INFO ' | tr '\n' ' '
}

permissions 'users = (' \
        '  { name = "alice"; peer = { uid = 7001; }; permissions = {' \
        '      publish = { allow = [ "a.>", "svc.>" ];' \
        '                  deny = [ "a.secret" ]; };' \
        '      subscribe = { allow = [ "a.>", "_INBOX.>", "jobs workers.*" ];' \
        '                    deny = [ "a.hidden" ]; }; }; },' \
        '  { name = "service"; peer = { uid = 7002; }; permissions = {' \
        '      subscribe = [ "svc.>" ]; allow_responses = true; }; },' \
        '  { name = "free"; peer = { uid = 7003; }; permissions = { }; },' \
        '  { name = "root"; peer = { uid = 0; }; permissions = { }; },' \
        '  { name = "meter"; password = "secret"; permissions = { publish = [ "a.>" ]; }; } );' \
        'default_permissions = { publish = [ "public" ];' \
        '                        subscribe = [ "public", "_INBOX.>" ]; };'
start_daemon

# --- a user's own --------------------------------------------------------------------------------------

check 'what is allowed passes' 'MSG a.x 1 2 hi PONG ' \
        "$(says 7001 'SUB a.x 1\r\nPUB a.x 2\r\nhi\r\n')"
check 'what is not is told, and the connection stays' \
        "-ERR 'Permissions Violation for Publish to \"b\"' PONG " "$(says 7001 'PUB b 2\r\nhi\r\n')"
expect_log 'the log names the rule' \
        "client [0-9]+ \\(alice\\): may not publish to \"b\": not among what is allowed, $config:3\$"
check 'denial wins' "-ERR 'Permissions Violation for Publish to \"a.secret\"' PONG " \
        "$(says 7001 'PUB a.secret 2\r\nhi\r\n')"
expect_log 'the log names the entry' "may not publish to \"a.secret\": denied by \"a.secret\", $config:4\$"
check 'a subscription is told' "-ERR 'Permissions Violation for Subscription to \"b\"' PONG " \
        "$(says 7001 'SUB b 1\r\n')"
check 'all of it has to be allowed' "-ERR 'Permissions Violation for Subscription to \">\"' PONG " \
        "$(says 7001 'SUB > 1\r\n')"
check 'a queue is told' \
        "-ERR 'Permissions Violation for Subscription to \"jobs\" using queue \"x\"' PONG " \
        "$(says 7001 'SUB jobs x 1\r\n')"
expect_log 'and logged' "in queue \"x\": allowed for other queues, by \"jobs workers.\\*\", $config:5\$"
check 'and may be allowed by a wildcard' 'PONG ' "$(says 7001 'SUB jobs workers.1 1\r\n')"
check 'what is denied in part is kept back' 'MSG a.y 1 1 2 PONG ' \
        "$(says 7001 'SUB a.* 1\r\nPUB a.hidden 1\r\n1\r\nPUB a.y 1\r\n2\r\n')"
check 'a user with empty permissions may everything' 'MSG a.secret 1 1 1 PONG ' \
        "$(says 7003 'SUB > 1\r\nPUB a.secret 1\r\n1\r\n')"

# --- those who have none -------------------------------------------------------------------------------

denied="-ERR 'Permissions Violation for Publish to \"a.x\"' PONG "
check 'others have the default' "$denied" "$(says 7009 'PUB a.x 0\r\n\r\n')"
check 'which is not added to what a user has' \
        "-ERR 'Permissions Violation for Publish to \"public\"' PONG " \
        "$(says 7001 'PUB public 0\r\n\r\n')"
tcp=tcp://127.0.0.1:$(port_of tcp)
check 'peers of TCP have it' "$denied" "$(says 7009 'PUB a.x 0\r\n\r\n' "$tcp")"
check 'unless they are users' 'PONG ' "$(says 7001 'PUB a.x 0\r\n\r\n' "$tcp")"
check 'before they log in' "$denied" "$(says 7008 'PUB a.x 0\r\n\r\n' "$tcp")"
check 'and not afterwards' "-ERR 'Permissions Violation for Publish to \"public\"' PONG " \
        "$(says 7008 'CONNECT {"user":"meter","pass":"secret"}\r\nPUB a.x 0\r\n\r\nPUB public 0\r\n\r\n' "$tcp")"
check 'sockctl says it over datagrams, with its status' \
        '4 sockctl: Permissions Violation for Publish to "a.x"; ask for this permission in sockd.conf' \
        "$(output=$(as 7009 "$nobody_ctl" -s "$dgram" pub a.x hi); echo "$? $output")"
check_does 'what the default allows passes there' as 7009 "$nobody_ctl" -s "$dgram" pub public hi
check 'a subscription is denied there' 4 \
        "$(as 7009 "$nobody_ctl" -s "$dgram" sub --timeout 5s a.x >/dev/null; echo $?)"
check_does 'the role decides about control subjects' as 7009 "$nobody_ctl" -s "$unix" status

# --- counting ------------------------------------------------------------------------------------------

check_matches 'status counts them' 'Denied: +[1-9][0-9]* publishes, [1-9][0-9]* subscriptions' \
        "$(ctl status)"
start_helper counted as 7001 "$nobody_ctl" -s "$unix" --verbose sub a.counted
exec 9>"$directory/counted.in"
await_helper counted 'subscribed to' >/dev/null
exec 9>&-
check_matches 'clients show them' '^ *denied_publishes: +0$' \
        "$(ctl clients show "$(ctl --json clients | sed 's/},{/}\n{/g' | grep '"uid":7001' |
                sed 's/.*"cid":\([0-9]*\).*/\1/')")"

# --- answers -------------------------------------------------------------------------------------------

start_helper service as 7002 "$nobody_ctl" -s "$unix" --verbose reply svc.upper -- tr '[:lower:]' '[:upper:]'
exec 9>"$directory/service.in"
await_helper service 'subscribed to' >/dev/null
exec 9>&-
for request in one two three; do
        check "a service answers request $request" "$(echo $request | tr '[:lower:]' '[:upper:]')" \
                "$(as 7001 "$nobody_ctl" -s "$unix" request svc.upper $request)"
done
check 'and publishes nothing else' "-ERR 'Permissions Violation for Publish to \"_INBOX.x\"' PONG " \
        "$(says 7002 'PUB _INBOX.x 0\r\n\r\n')"

# --- a reload ------------------------------------------------------------------------------------------

permissions 'users = (' \
        '  { name = "alice"; peer = { uid = 7001; };' \
        '    permissions = { subscribe = [ "b" ]; }; } );'
check_does 'a reload' ctl reload
check_does 'ends a subscription that is not allowed any more' await_helper counted \
        'Permissions Violation for Subscription to "a.counted" \(sid "1"\)'
expect_log 'the log names the rule then' 'client [0-9]+ \(alice\): may not subscribe to "a.counted": not among'
check 'it takes effect' "-ERR 'Permissions Violation for Subscription to \"a.x\"' PONG " \
        "$(says 7001 'SUB a.x 1\r\nSUB b 1\r\nPUB anything 0\r\n\r\n')"
check 'and others may everything again' 'PONG ' "$(says 7009 'PUB a.x 0\r\n\r\n')"

# --- many ----------------------------------------------------------------------------------------------

permissions 'default_permissions = { publish = [ ]; };'
ctl reload >/dev/null
empty_log
thousand=$(yes 'PUB a 0\r\n\r\n' | head -n 1000 | tr -d '\n')
check 'a thousand denials are answered' 1000 "$(says 7009 "$thousand" | grep -o 'to "a"' | wc -l)"
check_at_most 'but do not fill the log' 40 "$(count_log 'may not publish')"
permissions 'default_permissions = {' '  publish = [ "a..b" ]; };'
check_matches 'wrong entries are told with their line' \
        "$config:2: default_permissions.publish: found \"a..b\", expected a subject" \
        "$("$SOCKD" --check --config "$config" 2>&1)"
stop_daemon
check 'the daemon ends in order' 0 "$status"

end_tests
