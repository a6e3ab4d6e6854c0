#!/bin/sh
# Who a peer is, as real processes under other uids: rules by user and group, of which the first that
# fits decides, what each role may do, and what a reload changes for those who are there.
#
# shellcheck disable=SC2119,SC2317 # functions without arguments; called by others
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

if ! can_be_nobody; then
        echo '1..0 # SKIP needs root and setpriv'
        exit 0
fi

dgram=unix+dgram://$directory/d

# users RULE...: the configuration has these.
users() {
        configure "users = ( $(join "$@") );" 'listeners = (' \
                "  { name = \"local\"; listen = \"$unix\"; }," \
                "  { name = \"dgram\"; listen = \"$dgram\"; mode = \"0666\"; }," \
                "  { name = \"records\"; listen = \"unix+seqpacket://$directory/q\"; mode = \"0666\"; }," \
                '  { name = "tcp"; listen = "tcp://127.0.0.1:0"; } );'
}
join() {
        separator=
        for rule; do
                printf '%s{ %s }' "$separator" "$rule"
                separator=,
        done
}

# as UID GID GROUPS ARG...: sockctl, as such a process. Without supplementary groups with "-".
as() {
        as_uid=$1 as_gid=$2 as_groups=$3
        shift 3
        case $as_groups in
        -) set -- --clear-groups -- "$nobody_ctl" "$@" ;;
        *) set -- --groups "$as_groups" -- "$nobody_ctl" "$@" ;;
        esac
        timeout 20 setpriv --reuid "$as_uid" --regid "$as_gid" "$@" 2>&1 </dev/null
}

# role UID GID GROUPS [ADDRESS]: which role such a process has.
role() {
        as_address=${4:-$unix}
        if as "$1" "$2" "$3" -s "$as_address" log-level info >/dev/null; then
                echo admin
        elif as "$1" "$2" "$3" -s "$as_address" listeners >/dev/null; then
                echo monitor
        elif as "$1" "$2" "$3" -s "$as_address" status >/dev/null; then
                echo none
        else
                echo nothing
        fi
}

# stay NAME UID [ADDRESS]: somebody who is there.
stay() {
        start_helper "$1" setpriv --reuid "$2" --regid "$2" --clear-groups -- \
                "$nobody_ctl" -s "${3:-$unix}" --verbose sub "$1"
        exec 9>"$directory/$1.in"
        await_helper "$1" 'subscribed to' >/dev/null
        exec 9>&-
}

# --- rules -----------------------------------------------------------------------------------------

users
start_daemon
check 'without rules root is admin' admin "$(role 0 0 -)"
check 'and others have no role' none "$(role 7001 7001 -)"
check 'over TCP nobody may anything' nothing "$(role 0 0 - "tcp://127.0.0.1:$(port_of tcp)")"
stay near 7001
near=$helper
stay tcp 7001 "tcp://127.0.0.1:$(port_of tcp)"
said=$(ctl clients)
check_matches 'without rules a peer of a Unix socket is shown by its uid' 'unix: pid [0-9]+ +uid 7001 ' "$said"
check_matches 'and so is one of TCP' '127\.0\.0\.1:[0-9]+ +uid 7001 ' "$said"
check_lacks 'which has no name' 'authorized_user' "$(ctl --json clients)"

users 'name = "alice"; peer = { uid = 7001; }; role = "admin";' \
        'name = "watch"; peer = { group = "daemon"; }; role = "monitor";' \
        'name = "late"; peer = { uid = 7003; }; role = "admin";' \
        'name = "both"; peer = { uid = 7004; gid = 7100; }; role = "admin";' \
        'name = "named"; peer = { user = "daemon"; }; role = "admin";' \
        'name = "plain"; peer = { uid = 7005; };'
daemon_gid=$(id -g daemon)
check_does 'a reload brings rules' ctl reload
said=$(ctl clients)
check_matches 'a rule gives a name to the one' 'unix: pid [0-9]+ +alice ' "$said"
check_matches 'and to the other' '127\.0\.0\.1:[0-9]+ +alice ' "$said"
kill "$near" "$helper"
have_gone() {
        ! ctl --json clients | grep -q '"uid":7001[,}]'
}
check_does 'both go' await_that have_gone
check 'a uid' admin "$(role 7001 7001 -)"
check 'another uid' none "$(role 7002 7001 -)"
check 'a group' monitor "$(role 7002 "$daemon_gid" -)"
check 'a supplementary group' monitor "$(role 7002 7001 "7009,$daemon_gid")"
check 'one of very many supplementary groups' monitor "$(role 7002 7001 "$(seq -s , 8000 8099),$daemon_gid")"
check 'other groups' none "$(role 7002 7001 7009)"
check 'the first rule that fits decides' monitor "$(role 7003 "$daemon_gid" -)"
check 'and others do where it does not' admin "$(role 7003 7003 -)"
check 'a uid and a group' admin "$(role 7004 7100 -)"
check 'the uid alone' none "$(role 7004 7004 -)"
check 'the group alone' none "$(role 7002 7100 -)"
check 'a user name' admin "$(role daemon 7001 -)"
check 'a rule without a role' none "$(role 7005 7005 -)"
check 'root' admin "$(role 0 0 -)"
check 'a peer of a Unix datagram socket' admin "$(role 7001 7001 - "$dgram")"
check 'another one' none "$(role 7002 7001 - "$dgram")"
check 'a peer of a seqpacket socket' monitor "$(role 7002 7001 "$daemon_gid" "unix+seqpacket://$directory/q")"

# --- what is shown -----------------------------------------------------------------------------------

# shown UID: user and role of the client with that uid on the stream, as clients show them.
shown() {
        ctl --json clients | sed 's/},{/}\n{/g' | grep '"listener":"local"' | grep "\"uid\":$1[,}]" |
                sed 's/.*"authorized_user":"\([^"]*\)".*"role":"\([^"]*\)".*/\1 \2/; s/.*"role":"\([^"]*\)".*/- \1/'
}
stay living 7001
living=$helper
stay other 7002
check 'clients show the rule that fits and its role' 'alice admin' "$(shown 7001)"
check 'and none where there is none' '- ' "$(shown 7002)"
check_matches 'so they do of those that have left' '"uid":7001[,}].*"authorized_user":"alice"' \
        "$(ctl --json clients --state closed | sed 's/},{/}\n{/g')"
check_matches 'people see the name as well' 'sockctl  unix: pid [0-9]*  *alice ' "$(ctl clients)"
users 'name = "bob"; peer = { uid = 7002; }; role = "monitor";'
ctl reload >/dev/null
check 'a reload takes a role from who is there' '- ' "$(shown 7001)"
check 'and gives one to who is there' 'bob monitor' "$(shown 7002)"

# --- root without a role ------------------------------------------------------------------------------

users 'name = "root"; peer = { uid = 0; }; role = "monitor";'
ctl reload >/dev/null
check 'a rule decides about root as well' monitor "$(role 0 0 -)"
check 'which is told what is missing' "sockctl: reload: this needs the role \"admin\", which \"users\" in $config can give you" \
        "$(ctl reload 2>&1)"
kill "$living" "$helper"
kill -HUP "$daemon"
stop_daemon
check 'the daemon ends in order' 0 "$status"

end_tests
