#!/bin/sh
# What the kernel knows of peers beyond their ids, as real processes: program, systemd unit and slice
# of those on Unix sockets; user and unit of those on TCP whose other end is on this host. Who is not
# known is nobody, and not root.
#
# shellcheck disable=SC2016,SC2086,SC2119,SC2317 # a script; lists of words; functions without
# arguments; called by others
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

if ! can_be_nobody; then
        echo '1..0 # SKIP needs root and setpriv'
        exit 0
fi
six=
! has_ipv6 || six=yes

# Programs where everybody can reach them; two of them are the same, and yet two files.
for program in trusted other; do
        cp "$SOCKCTL" "$directory/$program"
done
cp "$support/peer" "$directory/peer"
chmod 755 "$directory/trusted" "$directory/other" "$directory/peer"

# users RULE...: the configuration has these.
users() {
        rules=
        for rule; do
                rules="$rules${rules:+, }{ $rule }"
        done
        configure "users = ( $rules );" 'listeners = (' \
                "${six:+{ name = \"six\"; listen = \"tcp://[::1]:0\"; \},}" \
                "${six:+{ name = \"both\"; listen = \"tcp://[::]:0\"; \},}" \
                "  { name = \"local\"; listen = \"$unix\"; }," \
                "  { name = \"records\"; listen = \"unix+seqpacket://$directory/q\"; mode = \"0666\"; }," \
                "  { name = \"dgram\"; listen = \"unix+dgram://$directory/d\"; mode = \"0666\"; }," \
                '  { name = "udp"; listen = "udp://127.0.0.1:0"; },' \
                "  { name = \"tcp\"; listen = \"tcp://${host:-127.0.0.1}:0\"; } );"
}
host=

# tcp [NAME [HOST]]: the address of a listener.
tcp() {
        echo "tcp://${2:-127.0.0.1}:$(port_of "${1:-tcp}")"
}

# as UID COMMAND...: as that user and group, without others. It begins with the words of $within.
within=
as() {
        as_uid=$1
        shift
        timeout 20 $within setpriv --reuid "$as_uid" --regid "$as_uid" --clear-groups -- "$@"
}

# role UID ADDRESS [PROGRAM]: which role such a process has, sockctl or a copy of it.
role() {
        role_uid=$1 role_address=$2 role_program=${3:-$nobody_ctl}
        if role_try log-level info; then
                echo admin
        elif role_try listeners; then
                echo monitor
        elif role_try status; then
                echo none
        else
                echo nothing
        fi
}
role_try() {
        as "$role_uid" "$role_program" -s "$role_address" "$@" >/dev/null 2>&1 </dev/null
}

# stay NAME UID COMMAND...: a helper, whose input is descriptor 8. Its pid is in $helper.
stay() {
        stay_name=$1 stay_uid=$2
        shift 2
        start_helper "$stay_name" $within setpriv --reuid "$stay_uid" --regid "$stay_uid" --clear-groups -- "$@"
        exec 8>"$directory/$stay_name.in"
}
# subscriber NAME UID ADDRESS [PROGRAM]: a client on the subject NAME.
subscriber() {
        stay "$1" "$2" "${4:-$nobody_ctl}" -s "$3" --verbose sub "$1"
        await_helper "$1" 'subscribed to' >/dev/null || bail_out "$1 cannot subscribe"
        exec 8>&-
}

# shown UID KEY: a value that clients have of the one with that uid, which is nobody else's, as others
# may not have left yet; nothing if there is none.
shown() {
        ctl --json clients | sed 's/},{/}\n{/g' | grep "\"uid\":$1[,}]" |
                sed -n "s/.*\"$2\":\"\{0,1\}\([^\",}]*\).*/\1/p"
}
# details UID KEY: the same of what `clients show` has.
details() {
        ctl --json clients show "$(shown "$1" cid)" | sed -n "s/.*\"$2\":\"\{0,1\}\([^\",}]*\).*/\1/p"
}

# gone: those who have gone, having published one byte.
gone() {
        ctl --json clients --state closed | sed 's/},{/}\n{/g' | grep '"in_msgs":1,"in_bytes":1,'
}
have_gone() {
        [ "$(gone | wc -l)" -eq "$1" ]
}

# --- TCP -------------------------------------------------------------------------------------------

users
start_daemon
check 'without rules nobody on TCP has a role' nothing "$(role 0 "$(tcp)")"
check 'root neither, though he has a rule for his Unix sockets' nothing "$(
        users 'name = "staff"; peer = { uid = 0; gid = 0; }; role = "admin";'
        ctl reload >/dev/null
        role 0 "$(tcp)"
)"

users 'name = "alice"; peer = { uid = 7001; }; role = "admin";' \
        'name = "watch"; peer = { uid = 7002; }; role = "monitor";' \
        'name = "local"; peer = { uid = 7003; }; role = "none";' \
        'name = "plain"; peer = { uid = 7004; };' \
        'name = "group"; peer = { gid = 7005; }; role = "admin";' \
        'name = "carol"; peer = { uid = 7801; }; role = "admin";'
check_does 'a reload brings rules' ctl reload
known() {
        check "$1: a uid" admin "$(role 7001 "$2")"
        check "$1: another uid" monitor "$(role 7002 "$2")"
        check "$1: a rule that lets see the status" none "$(role 7003 "$2")"
        check "$1: a rule without a role gives none" nothing "$(role 7004 "$2")"
        check "$1: groups are not known" nothing "$(role 7005 "$2")"
        check "$1: a uid without a rule" nothing "$(role 7006 "$2")"
        check "$1: root without a rule" nothing "$(role 0 "$2")"
}
known IPv4 "$(tcp)"
if [ -n "$six" ]; then
        known IPv6 "$(tcp six '[::1]')"
        known 'IPv6 to a listener of both' "$(tcp both '[::1]')"
        known 'IPv4 to a listener of both' "$(tcp both)"
        check 'IPv4 from a socket of IPv6' admin "$(role 7001 "$(tcp both '[::ffff:127.0.0.1]')")"
else
        skip 'users over IPv6' 'there is no IPv6 here'
fi
check 'another loopback address' admin "$(role 7001 "$(tcp both 127.0.0.99)")"
check 'UDP' nothing "$(role 7001 "udp://127.0.0.1:$(port_of udp)")"

subscriber stay.tcp 7801 "$(tcp)"
living=$helper
check 'clients show the user' carol "$(shown 7801 authorized_user)"
check 'and no process' '' "$(shown 7801 pid)$(shown 7801 gid)$(details 7801 exe)"
subscriber stay.six 7802 "$(tcp)"
check_matches 'people see the uid of others' '127.0.0.1:[0-9]* *uid 7802 ' "$(ctl clients)"
users 'name = "bob"; peer = { uid = 7802; }; role = "monitor";'
ctl reload >/dev/null
check 'a reload gives rules to who is there' 'bob monitor' "$(shown 7802 authorized_user) $(shown 7802 role)"
check 'and takes them' '' "$(shown 7801 authorized_user)$(shown 7801 role)"
kill "$living" "$helper"

# Who connects and goes before the daemon looks: closed sockets are nobody's, though the kernel may
# say that they are root's.
users 'name = "root"; peer = { uid = 0; }; role = "admin";'
ctl reload >/dev/null
check 'root with a rule' admin "$(role 0 "$(tcp)")"
kill -STOP "$daemon"
for uid in 0 0 7009 7009; do
        printf 'PUB a 1\r\nx\r\n' | as "$uid" "$directory/peer" leave "$(tcp)"
done
kill -CONT "$daemon"
check_does 'who has gone is served' await_that have_gone 4
check 'and is nobody, not root' 0 "$(gone | grep -c '"uid"')"

# --- programs ----------------------------------------------------------------------------------------

users "name = \"trusted\"; peer = { exe = \"$directory/trusted\"; }; role = \"admin\";" \
        "name = \"both\"; peer = { exe = \"$directory/other\"; uid = 7002; }; role = \"admin\";" \
        "name = \"link\"; peer = { exe = \"$directory/link\"; }; role = \"monitor\";"
ln -s sockctl "$directory/link"
ctl reload >/dev/null
check 'a program' admin "$(role 7001 "$unix" "$directory/trusted")"
check 'on a seqpacket socket' admin "$(role 7001 "unix+seqpacket://$directory/q" "$directory/trusted")"
check 'not on a datagram socket' none "$(role 7001 "unix+dgram://$directory/d" "$directory/trusted")"
check 'not on TCP' nothing "$(role 7001 "$(tcp)" "$directory/trusted")"
check 'another program' none "$(role 7001 "$unix" "$directory/other")"
check 'a program and a uid' admin "$(role 7002 "$unix" "$directory/other")"
check 'a link to a program' monitor "$(role 7001 "$unix")"
subscriber stay.exe 7803 "$unix" "$directory/trusted"
check 'clients show the rule' trusted "$(shown 7803 authorized_user)"
check 'the program is shown' "$directory/trusted" "$(details 7803 exe)"
check 'with its ids' "7803 7803 $helper" "$(details 7803 uid) $(details 7803 gid) $(details 7803 pid)"
kill "$helper"

users 'name = "alice"; peer = { uid = 7001; };'
ctl reload >/dev/null
subscriber stay.old 7804 "$unix" "$directory/other"
cp "$directory/other" "$directory/new"
mv "$directory/new" "$directory/other"
check 'a program that was replaced is shown so' "$directory/other (deleted)" "$(details 7804 exe)"
users "name = \"other\"; peer = { exe = \"$directory/other\"; }; role = \"admin\";"
ctl reload >/dev/null
check 'and is not the one in its place' '' "$(shown 7804 authorized_user)"
check 'which is that of the rule' admin "$(role 7003 "$unix" "$directory/other")"
kill "$helper"

# A program of the same path, in a file system that its user has put there for himself.
users "name = \"trusted\"; peer = { exe = \"$directory/trusted\"; }; role = \"admin\";"
ctl reload >/dev/null
cat >"$directory/forge" <<END
mount --bind "$directory/other" "$directory/trusted" && exec "\$@"
END
within="unshare --mount sh $directory/forge"
if as 7805 true 2>/dev/null; then
        subscriber stay.forged 7805 "$unix" "$directory/trusted"
        check 'a file of the same path elsewhere' "$directory/trusted" "$(details 7805 exe)"
        check 'is not that program' '' "$(shown 7805 authorized_user)"
        kill "$helper"
else
        skip 'a file of the same path elsewhere is not that program' 'nothing can be mounted here'
fi
within=

# A process that is gone when it is looked at; what it began goes on in another one.
users "name = \"peer\"; peer = { exe = \"$directory/peer\"; }; role = \"admin\";"
ctl reload >/dev/null
stay alive 7806 "$directory/peer" hold "$unix" 1
await_helper alive '^held 1$' >/dev/null || bail_out 'no client'
check 'a peer that lives' peer "$(shown 7806 authorized_user)"
exec 8>&-
kill -STOP "$daemon"
stay orphan 7807 "$directory/peer" orphan "$unix"
await_helper orphan '^orphaned$' >/dev/null || bail_out 'no orphan'
"$support/await" exit "$helper"
kill -CONT "$daemon"
check 'of one that has ended the pid is known' "$helper" "$(shown 7807 pid)"
check 'and nothing else' '' "$(shown 7807 authorized_user)$(details 7807 exe)$(details 7807 unit)"
exec 8>&-

# --- pids --------------------------------------------------------------------------------------------

subscriber stay.pid 7808 "$unix"
subscriber stay.pid2 7809 "$unix"
users "name = \"that\"; peer = { pid = $helper; }; role = \"monitor\";"
ctl reload >/dev/null
check 'a pid' that "$(shown 7809 authorized_user)"
check 'another pid' '' "$(shown 7808 authorized_user)"
kill "$helper"

# --- units ---------------------------------------------------------------------------------------------

root_group=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts)
slice=sockdtest$$.slice
groups=
# make_group PATH: below the slice.
make_group() {
        mkdir "$root_group/$slice/$1" 2>"$directory/why" && groups="$root_group/$slice/$1 $groups"
}
# remove_groups: when nobody is in them any more. The status stays what it was.
remove_groups() {
        kept=$?
        [ -z "$groups" ] || kill -KILL $daemon $helpers 2>/dev/null
        await_that rmdir_groups
        groups=
        return "$kept"
}
rmdir_groups() {
        for group in $groups; do
                [ ! -d "$group" ] || rmdir "$group" || return
        done
}
# group PATH: what follows in $within.
printf '%s\n' 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"' >"$directory/enter"
in_group() {
        within="sh $directory/enter $root_group/$slice/$1"
}
test_units() {
        users 'name = "unit"; peer = { unit = "x.service"; }; role = "admin";' \
                'name = "instance"; peer = { unit = "x@1.service"; }; role = "monitor";' \
                "name = \"slice\"; peer = { slice = \"sockdtest$$-a.slice\"; uid = 7001; }; role = \"monitor\";" \
                'name = "user"; peer = { user_unit = "x.service"; uid = 7001; }; role = "admin";'
        ctl reload >/dev/null
        for address in "$unix" "unix+seqpacket://$directory/q" "$(tcp)" ${six:+"$(tcp six '[::1]')"}; do
                kind=${address%%:*}
                other=none
                [ "$kind" != tcp ] || other=nothing
                in_group x.service
                check "$kind: a unit" admin "$(role 7009 "$address")"
                in_group x@1.service
                check "$kind: an instance of a template" monitor "$(role 7009 "$address")"
                in_group y.service
                check "$kind: another unit" $other "$(role 7001 "$address")"
                in_group "sockdtest$$-a.slice/z.service"
                check "$kind: a slice and a uid" monitor "$(role 7001 "$address")"
                check "$kind: the slice alone" $other "$(role 7002 "$address")"
                in_group y.service/x.service
                check "$kind: what a unit has made itself" $other "$(role 7001 "$address")"
        done
        in_group x.service
        check 'not on a datagram socket' none "$(role 7001 "unix+dgram://$directory/d")"
        check 'not on UDP' nothing "$(role 7001 "udp://127.0.0.1:$(port_of udp)")"
        in_group user@7001.service/x.service
        check "a unit of a user's own" admin "$(role 7001 "$unix")"
        check "is not another user's" none "$(role 7002 "$unix")"
        subscriber stay.user 7810 "$unix"
        check 'and is shown' "user@7001.service x.service $slice" \
                "$(details 7810 unit) $(details 7810 user_unit) $(details 7810 slice)"
        kill "$helper"
        in_group x.service
        subscriber stay.unit 7811 "$(tcp)"
        check 'the unit is shown of TCP as well' "x.service $slice" "$(details 7811 unit) $(details 7811 slice)"
        kill "$helper"
        within=
}
trap 'remove_groups; clean_up' EXIT
if [ -n "$root_group" ] && mkdir "$root_group/$slice" 2>"$directory/why"; then
        groups="$root_group/$slice"
        for group in x.service x@1.service y.service y.service/x.service "sockdtest$$-a.slice" \
                "sockdtest$$-a.slice/z.service" user@7001.service user@7001.service/x.service; do
                make_group "$group" || bail_out "$(cat "$directory/why")"
        done
        test_units
else
        skip 'units' "no control group can be made here: $(tail -n 1 "$directory/why")"
fi
await_that rmdir_groups && trap clean_up EXIT
kill -HUP "$daemon"
stop_daemon
check 'the daemon ends in order' 0 "$status"

# --- a daemon without privileges -----------------------------------------------------------------------

unix=unix://$directory/home/s
mkdir "$directory/home"
chown nobody "$directory/home"
cp "$SOCKD" "$directory/sockd"
configure "users = ( { name = \"exe\"; peer = { exe = \"$directory/trusted\"; }; role = \"admin\"; }," \
        '            { name = "uid"; peer = { uid = 7001; }; role = "monitor"; } );' \
        "listeners = ( { name = \"local\"; listen = \"$unix\"; }, { name = \"tcp\"; listen = \"tcp://127.0.0.1:0\"; } );"
if as_nobody "$directory/sockd" --config "$config" --check >/dev/null 2>&1; then
        launch setpriv --reuid nobody --regid nogroup --clear-groups -- "$directory/sockd" --config "$config"
        await_ready
        check 'without privileges the programs of others are not known' monitor "$(role 7001 "$unix" "$directory/trusted")"
        expect_log 'and the log says what that takes' 'warning: cannot see the program .*Permission denied.*CAP_SYS_PTRACE'
        check 'those of its own user are' admin "$(role "$(id -u nobody)" "$unix" "$directory/trusted")"
        check 'and so is the user of a TCP peer' monitor "$(role 7001 "$(tcp)")"
        stop_daemon
        check 'it ends in order' 0 "$status"
else
        skip 'a daemon without privileges' 'nobody cannot run it here'
fi

# --- another network --------------------------------------------------------------------------------------

# hold_network: a new one, which lasts as long as this script. $held is what runs a command there.
hold_network() {
        AWAIT_SECONDS=100000 unshare --net "$support/await" exit $$ &
        helpers="$helpers $!"
        held="nsenter --net=/proc/$!/ns/net"
        await_that is_apart $!
}
is_apart() {
        [ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ]
}
make_networks() {
        hold_network && near=$held && hold_network && far=$held && far_pid=${far#*/proc/} &&
                $near ip link add dev near0 type veth peer name far0 netns "${far_pid%%/*}" &&
                $near ip link set lo up && $far ip link set lo up &&
                $near ip addr add 10.9.0.1/24 dev near0 && $far ip addr add 10.9.0.2/24 dev far0 &&
                $near ip link set near0 up && $far ip link set far0 up
}
if ! command -v ip >/dev/null || ! command -v nsenter >/dev/null; then
        skip 'peers of another network' 'needs ip and nsenter'
elif ! make_networks 2>"$directory/why"; then
        skip 'peers of another network' "networks cannot be made here: $(tail -n 1 "$directory/why")"
else
        unix=unix://$socket host=10.9.0.1 six=
        users 'name = "root"; peer = { uid = 0; }; role = "admin";' \
                'name = "alice"; peer = { uid = 7001; }; role = "monitor";'
        launch $near "$SOCKD" --config "$config"
        await_ready
        within=$near
        check 'a peer at an address of this host' monitor "$(role 7001 "$(tcp tcp 10.9.0.1)")"
        check 'root there' admin "$(role 0 "$(tcp tcp 10.9.0.1)")"
        within=$far
        check 'a peer of another network' nothing "$(role 7001 "$(tcp tcp 10.9.0.1)")"
        check 'root there is nobody' nothing "$(role 0 "$(tcp tcp 10.9.0.1)")"
        stay far 0 "$directory/peer" hold "$(tcp tcp 10.9.0.1)" 1
        await_helper far '^held 1$' >/dev/null || bail_out 'no client'
        check 'and his uid is not shown' 'true false' "$(
                ctl --json clients | grep -q '"ip":"10.9.0.2"' && echo true
        ) $(ctl --json clients | sed 's/},{/}\n{/g' | grep '"ip":"10.9.0.2"' | grep -q '"uid"' || echo false)"
        exec 8>&-
        within=
        stop_daemon
        check 'the daemon ends in order there' 0 "$status"
fi

end_tests
