#!/bin/sh
# The gateway that tells messages: plain programs read what is published, on every kind of socket, and
# those that do not read delay nobody.
#
# shellcheck disable=SC2016,SC2119,SC2317 # variables of sockd; functions without arguments; called by others
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

gateways() {
        configure "server = { ${1:-} };" 'listeners = (' \
                "  { name = \"local\"; listen = \"$unix\"; }," \
                '  { name = "tcp"; listen = "tcp://127.0.0.1:0"; subscribe = "out.${listener}.>"; },' \
                '  { name = "all"; listen = "tcp://127.0.0.1:0"; subscribe = "out.>"; },' \
                '  { name = "length"; listen = "tcp://127.0.0.1:0"; subscribe = "out.tcp.*"; framing = "length32"; },' \
                '  { name = "shared"; listen = "tcp://127.0.0.1:0"; subscribe = "out.shared"; queue = "q"; },' \
                '  { name = "slow"; listen = "tcp://127.0.0.1:0"; subscribe = "out.slow"; rate = { bytes = 1000; }; },' \
                '  { name = "denied"; listen = "tcp://127.0.0.1:0"; subscribe = "secret.x"; },' \
                "  { name = \"stream\"; listen = \"unix://$directory/stream\"; subscribe = \"out.uid.\${peer.uid}\"; }," \
                "  { name = \"record\"; listen = \"unix+seqpacket://$directory/record\"; subscribe = \"out.record\"; }," \
                "  { name = \"dgram\"; listen = \"unix+dgram://$directory/dgram\"; subscribe = \"out.dgram\"; session_timeout = \"${timeout:-1h}\"; }," \
                "  { name = \"udp\"; listen = \"udp://127.0.0.1:0\"; subscribe = \"out.udp\"; session_timeout = \"${timeout:-1h}\"; }," \
                '  { name = "lines"; listen = "udp://127.0.0.1:0"; subscribe = "out.udp"; framing = "line"; }' \
                ');' \
                "default_permissions = { publish = [\">\"]; subscribe = { deny = [\"secret.>\"${deny:-}]; }; };"
}

# subscribes NAME SUBJECT N: so many clients have that subscription.
subscribed() {
        [ "$(ctl --no-legend subs | awk -v s="$1" '$1 == s' | wc -l)" -eq "$2" ]
}

# hears NAME ADDRESS SUBJECT [COMMAND...]: a helper, whose input is descriptor 9, that is sent what is
# published to a subject.
hears() {
        hears_name=$1 hears_subject=$2
        shift 2
        start_helper "$hears_name" "$@"
        exec 9>"$directory/$hears_name.in"
        await_that subscribed "$hears_subject" 1 || bail_out "$hears_name does not subscribe"
}

tcp() {
        echo "tcp://127.0.0.1:$(port_of "$1")"
}

gone() {
        exec 9>&-
        kill "$helper" 2>/dev/null
        "$support/await" exit "$helper"
}

gateways 'write_deadline = "2s"; max_pending = "2M"'
start_daemon

# --- streams ---------------------------------------------------------------------------------------

hears one 'out.tcp.>' "$support/peer" through "$(tcp tcp)"
ctl pub out.tcp.a one
check_does 'a message is a line' await_helper one '^one$'
ctl pub out.tcp.b "$(printf 'two\nthree')"
check_does 'one of two lines is one line' await_helper one '^two three$'
ctl pub --header A:b out.tcp.b four
check_does 'headers are left out' await_helper one '^four$'
echo 'what it says' >&9
ctl pub out.tcp.b five
check_does 'what the peer sends is thrown away' await_helper one '^five$'
check 'clients tell which handler it has' subscribe \
        "$(ctl --json clients | sed 's/{"cid"/\n&/g' | grep '"listener":"tcp"' | sed -n 's/.*"handler":"\([a-z]*\)".*/\1/p')"
exec 9>&-
check_does 'its end of input is its end' "$support/await" exit "$helper"
check_does 'then its subscription is gone' await_that subscribed 'out.tcp.>' 0

hears length 'out.tcp.*' "$support/peer" through "$(tcp length)"
ctl pub out.tcp.x abc
ctl pub out.tcp.x "$(printf 'd\ne')"
ctl pub out.tcp.x "$(printf '\nend\n.')"
await_helper length '^end' >/dev/null
check 'length32: a length, and the bytes' \
        "$(printf '\0\0\0\003abc\0\0\0\003d\ne\0\0\0\006\nend\n.' | od -An -v -tx1)" \
        "$(sed 1d "$directory/length.out" | od -An -v -tx1)"
gone

start_helper a "$support/peer" through "$(tcp shared)"
exec 9>"$directory/a.in"
a=$helper
start_helper b "$support/peer" through "$(tcp shared)"
exec 8>"$directory/b.in"
await_that subscribed out.shared 2
for i in 1 2 3 4 5 6 7 8 9 10; do
        ctl pub out.shared "$i"
done
exec 8>&-
exec 9>&-
"$support/await" exit "$a"
"$support/await" exit "$helper"
check 'with queue each message is for one of them' "$(seq 1 10)" \
        "$(cat "$directory/a.out" "$directory/b.out" | grep -v '^open$' | sort -n)"
check 'who may not subscribe is told, and closed' "-ERR 'Permissions Violation for Subscription to \"secret.x\"'" \
        "$("$support/peer" through "$(tcp denied)" </dev/null 2>/dev/null)"
hears unix "out.uid.$(id -u)" "$support/peer" through "unix://$directory/stream"
ctl pub "out.uid.$(id -u)" mine
check_does 'a Unix socket: the subject has the uid' await_helper unix '^mine$'
gone

# Buffers of the kernel hold a part of it.
if with nc 'what is thrown away counts for the rate'; then
        head -c 100000000 /dev/zero | timeout 2 nc -N 127.0.0.1 "$(port_of slow)" >/dev/null
        check 'what is thrown away counts for the rate' 124 $?
fi

# --- programs ----------------------------------------------------------------------------------------

if with nc 'nc is told'; then
        hears nc 'out.tcp.>' nc 127.0.0.1 "$(port_of tcp)"
        ctl pub out.tcp.nc 'to nc'
        check_does 'nc is told' await_helper nc '^to nc$'
        gone
        await_that subscribed 'out.tcp.>' 0
fi
if with bash 'bash is told by /dev/tcp'; then
        hears bash 'out.tcp.>' bash -c "exec 3<>/dev/tcp/127.0.0.1/$(port_of tcp); read -r line <&3; echo \"\$line\"; read -r line"
        ctl pub out.tcp.bash 'to bash'
        check_does 'bash is told by /dev/tcp' await_helper bash '^to bash$'
        gone
        await_that subscribed 'out.tcp.>' 0
fi
if with curl 'curl is told by telnet://'; then
        # It waits for its own input, and for nothing else, as long as that is open.
        hears curl 'out.tcp.>' sh -c "exec curl -sN telnet://127.0.0.1:$(port_of tcp) </dev/null"
        ctl pub out.tcp.curl 'to curl'
        check_does 'curl is told by telnet://' await_helper curl '^to curl$'
        gone
        await_that subscribed 'out.tcp.>' 0
fi
if with socat 'socat is told in records'; then
        hears records out.record socat - "UNIX-CONNECT:$directory/record,type=5"
        ctl pub out.record "$(printf 'a record\n.')"
        check_does 'socat is told in records' await_helper records '^a record$'
        gone
fi

# --- datagrams ---------------------------------------------------------------------------------------

start_helper peers "$support/datagram"
exec 8>"$directory/peers.in"

# peers ORDER...
peers() {
        printf '%s\n' "$@" >&8
}

# heard NAME PEER TEXT: the next datagram of a peer.
heard() {
        peers "expect $2"
        check_matches "$1" "^$2 [^ ]* [0-9]* $3\$" "$(await_helper peers "^$2 ")"
}

peers "open udp udp://127.0.0.1:0 udp://127.0.0.1:$(port_of udp)" 'send udp ' \
        "open unix unix+dgram://$directory/me unix+dgram://$directory/dgram" 'send unix anything' \
        "open lines udp://127.0.0.1:0 udp://127.0.0.1:$(port_of lines)" 'send lines x'
await_that subscribed out.udp 2
await_that subscribed out.dgram 1
ctl pub out.udp 'a datagram'
ctl pub out.dgram 'another'
heard 'an empty datagram subscribes' udp 'a datagram'
heard 'so does any other, on a Unix socket' unix another
heard 'with lines it ends in LF' lines 'a datagram\\n'
peers 'send udp again' 'send udp ' 'send unix again'
ctl pub out.udp ''
ctl pub out.udp "$(printf 'two\nlines')"
heard 'who is subscribed is not so twice, and an empty message is no datagram' udp 'two\\nlines'
heard '... but a line' lines '\\n'
heard 'lines of a message are one' lines 'two lines\\n'
check 'no datagram was lost' 0 "$(ctl --json listeners | grep -c '"unanswerable":[1-9]')"
head -c 500000 /dev/zero | tr '\0' x | ctl pub out.dgram
ctl pub out.dgram small
heard 'what fits no datagram is left out' unix small
check 'it is counted' 1 "$(ctl --json listeners | sed 's/{"name"/\n&/g' |
        sed -n 's/^{"name":"dgram".*"lost":{[^}]*"too_large":\([0-9]*\).*/\1/p')"

# --- those who do not read ---------------------------------------------------------------------------

exec 8>&-
hears reader 'out.tcp.>' sh -c "'$support/peer' through '$(tcp tcp)' 2>/dev/null | wc -l"
if with bash 'who does not read is closed'; then
        start_helper deaf bash -c "exec 3<>/dev/tcp/127.0.0.1/$(port_of all); read -r line"
        exec 8>"$directory/deaf.in"
        deaf=$helper
        await_that subscribed 'out.>' 1
        head -c 1000000 /dev/zero | tr '\0' x >"$directory/much"
        for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
                ctl pub out.tcp.much <"$directory/much"
        done
        expect_log 'who does not read is closed' 'client [0-9]*: closed: Slow Consumer'
        exec 8>&-
        "$support/await" exit "$deaf"
        exec 9>&-
        check_does 'another one gets all' await_helper reader '^ *20$'
fi
exec 9>&-

# --- reload, silence, drain ----------------------------------------------------------------------------

hears stays 'out.tcp.>' "$support/peer" through "$(tcp tcp)"
sed 's/out\.\${listener}/new.${listener}/' "$config" >"$config.new" && mv "$config.new" "$config"
ctl reload >/dev/null
ctl pub out.tcp.x 'as before'
check_does 'a reload leaves its subscription as it is' await_helper stays '^as before$'
stays=$helper
start_helper newer "$support/peer" through "$(tcp tcp)"
exec 8>"$directory/newer.in"
await_that subscribed 'new.tcp.>' 1
ctl pub new.tcp.x new
check_does 'new ones have the new one' await_helper newer '^new$'
exec 8>&-
"$support/await" exit "$helper"
deny=', "out.tcp.>"' timeout=100ms
gateways
ctl reload >/dev/null
check_does 'who may not subscribe any more is closed' "$support/await" exit "$stays"
check_matches 'and told' "^-ERR 'Permissions Violation for Subscription to \"out.tcp.>\"" "$(cat "$directory/stays.out")"
exec 9>&-
check_does 'datagram peers that are silent are forgotten' await_that subscribed out.dgram 0

deny=
gateways
ctl reload >/dev/null
hears drained 'out.tcp.>' "$support/peer" through "$(tcp tcp)"
drained=$helper
start_helper publisher "$support/peer" through "$unix"
exec 8>"$directory/publisher.in"
await_helper publisher INFO >/dev/null
ctl drain >/dev/null 2>&1
printf 'PUB out.tcp.x 12\r\nthe last one\r\n' >&8
check_does 'while sockd drains messages are told' await_helper drained '^the last one$'
stop_daemon
check_does 'then the connection ends' "$support/await" exit "$drained"
exec 8>&-
exec 9>&-
check 'the daemon ends in order' 0 "$status"
end_tests
