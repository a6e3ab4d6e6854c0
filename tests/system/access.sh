#!/bin/sh
# sockctl access: who one is to the daemon, and what users may, by which entry of which file, without
# anything being sent.
#
# shellcheck disable=SC2016,SC2119,SC2317 # dollars of subjects; functions without arguments
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

configure "listeners = ( { name = \"local\"; listen = \"$unix\"; }, { name = \"tcp\"; listen = \"tcp://127.0.0.1:0\"; anonymous = true; } );" \
        'default_permissions = { publish = ["public.>"]; subscribe = ["public.>", "_INBOX.>"]; };' \
        'users = ( { name = "watch"; token = "tower"; role = "monitor"; },' \
        "  { name = \"boss\"; peer = { uid = $(id -u); }; role = \"admin\"; permissions = { publish = [\">\"]; }; }," \
        '  { name = "alice"; password = "wonderland"; permissions = {' \
        '      publish = ["a.>"];' \
        '      subscribe = { allow = ["b.*", "c q1"];' \
        '                    deny = ["b.x"]; }; }; }' \
        ');'
start_daemon

# may STATUS OUTPUT ARG...: what `access check` says, and how it ends.
may() {
        may_status=$1 may_output=$2
        shift 2
        output=$(ctl access check "$@" 2>&1)
        status=$?
        check "access check $*: exit status" "$may_status" "$status"
        check_matches "access check $*: reason" "$may_output" "$output"
}

may 0 "^allowed by \"a.>\", $config:6\$" alice pub a.b
may 1 "^denied: not among what is allowed, $config:6\$" alice pub z
may 0 "^allowed in part: allowed but for \"b.x\", $config:8\$" alice sub 'b.*'
may 1 "^denied by \"b.x\", $config:8\$" alice sub b.x
may 0 "^allowed by \"b\\.\\*\", $config:7\$" alice sub b.y
may 1 'other queues, by "c q1"' alice sub c
may 0 '^allowed by "c q1"' --queue q1 alice sub c
may 1 'not among what is allowed, .*:2$' watch pub z
may 0 'allowed by "public.>"' anonymous pub public.x
may 1 "^denied: this needs the role admin, and \"watch\" has the role monitor, $config:3\$" \
        watch pub '$SYS.REQ.SERVER.x.STOP'
may 0 "^allowed: this needs the role monitor, and \"watch\" has the role monitor, $config:3\$" \
        watch pub '$SYS.REQ.SERVER.PING.CONNZ'
may 0 "^allowed: this needs the role monitor, and \"boss\" has the role admin, $config:4\$" \
        boss pub '$SYS.REQ.SERVER.PING.SUBSZ'
may 1 "^denied: this needs the role monitor, and \"alice\" has no role, $config:5; on a Unix socket root and" \
        alice pub '$SYS.REQ.SERVER.PING.CONNZ'
may 1 '^denied: this needs the role admin, and who is no user has no role; on a Unix socket' \
        anonymous pub '$SYS.REQ.SERVER.x.RELOAD'
for request in PING PING.VARZ x.STATSZ PING.HEALTHZ; do
        may 1 "^denied: over TCP and UDP the status needs a role, and \"alice\" has no role, $config:5; on a Unix socket any process may see it\$" \
                alice pub "\$SYS.REQ.SERVER.$request"
done
may 1 '^denied: over TCP and UDP the status needs a role, and who is no user has no role; on a Unix' \
        anonymous pub '$SYS.REQ.SERVER.PING'
may 0 "^allowed: the status needs a role, be it none, and \"watch\" has the role monitor, $config:3\$" \
        watch pub '$SYS.REQ.SERVER.PING'
may 0 '^allowed: anyone may ask who he is$' alice pub '$SYS.REQ.SERVER.PING.WHOAMI'
may 0 '^allowed: anyone may ask who he is$' anonymous pub '$SYS.REQ.SERVER.PING.WHOAMI'
may 1 '^denied: sockd has no such request$' boss pub '$SYS.REQ.SERVER.PING.STOP'
may 1 '^denied: sockd has no such request$' boss pub '$SYS.REQ.coffee'
may 3 'no such user: carol$' carol pub a
may 2 'the subject is not valid$' alice pub a..b
may 2 'a subject has no spaces; a queue is given beside it$' alice sub 'c q1'
may 2 'neither pub nor sub$' alice read a
check 'in JSON, the file and the line' "$config 6" \
        "$(ctl --json access check alice pub a.b | "$support/json" file) $(ctl_json line access check alice pub a.b)"
check 'nothing was published' 0 "$(ctl_json denied_publishes status)"

said=$(ctl access whoami)
check_matches 'whoami: the user, by what, and where that stands' "^User: +boss, by peer \\($config:4\\)\$" "$said"
check_matches 'whoami: the role' '^Role: +admin$' "$said"
check_matches 'whoami: the account' '^Account: +\$G$' "$said"
check_matches 'whoami: the listener' '^Listener: +local$' "$said"
check_matches 'whoami: the process' "^Process: +uid $(id -u), gid $(id -g), pid [0-9]+\$" "$said"
umask 077
printf 'tower\n' >"$directory/token"
check_matches 'whoami: over TCP, by a token' "^User: +watch, by token \\($config:3\\)\$" \
        "$(timeout 20 "$SOCKCTL" -s "tcp://127.0.0.1:$(port_of tcp)" --token-file "$directory/token" access whoami 2>&1)"
umask 022
if can_be_nobody; then
        check_matches 'whoami: any local process may ask' '^User: +none; no rule of "users" fits$' \
                "$(as_nobody "$nobody_ctl" -s "$unix" access whoami 2>&1)"
        check_matches 'what others may is for monitors' 'needs the role "monitor"' \
                "$(as_nobody "$nobody_ctl" -s "$unix" access check alice pub a 2>&1)"
else
        skip 'whoami: any local process may ask' 'needs root and setpriv'
fi
stop_daemon
check 'the daemon ended in order' 0 "$status"

# --- without a role ----------------------------------------------------------------------------------

umask 077
printf 'open\n' >"$directory/guest"
printf 'wonderland\n' >"$directory/alice"
umask 022
configure 'listeners = ( { name = "tcp"; listen = "tcp://127.0.0.1:0"; anonymous = true; },' \
        '              { name = "udp"; listen = "udp://127.0.0.1:0"; anonymous = true; } );' \
        'users = ( { name = "guest"; password = "open"; },' \
        '          { name = "alice"; password = "wonderland"; permissions = { subscribe = ["b"]; }; } );'
start_daemon
tcp=tcp://127.0.0.1:$(port_of tcp)

# whoami ADDRESS [OPTION...]: what it says there.
whoami() {
        whoami_at=$1
        shift
        timeout 20 "$SOCKCTL" -s "$whoami_at" "$@" access whoami 2>&1
}
said=$(whoami "$tcp" --user guest --password-file "$directory/guest")
check_matches 'whoami: over TCP, without a role' "^User: +guest, by password \\($config:3\\)\$" "$said"
check_matches 'whoami: which it says' '^Role: +none$' "$said"
check_matches 'whoami: over TCP, who has proved nothing' '^User: +none; no rule of "users" fits$' \
        "$(whoami "$tcp")"
check_matches 'whoami: over UDP as well' '^Listener: +udp$' "$(whoami "udp://127.0.0.1:$(port_of udp)")"
check_matches 'whoami: who may not have answers is told so' \
        '^sockctl: answers need the permission to subscribe to "_INBOX.>"; ask for it in sockd.conf$' \
        "$(whoami "$tcp" --user alice --password-file "$directory/alice")"
check_lacks 'whoami: without what one has subscribed to' 'subscriptions_list' "$(whoami "$tcp" --json)"
check 'nothing like it is answered' '503 503 503 ' "$(
        talk "$tcp" 'CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\nSUB _INBOX.> 1\r\nPUB $SYS.REQ.OTHER.PING.WHOAMI _INBOX.1 0\r\n\r\nPUB $SYS.REQ.SERVER.PING.WHOAMI.x _INBOX.1 0\r\n\r\nPUB $SYS.REQ.SERVER.PING.STATSZ _INBOX.1 0\r\n\r\nPING\r\n' |
                sed -n 's/^NATS.1.0 \([0-9]*\).*/\1/p' | tr '\n' ' '
)"
stop_daemon
end_tests
