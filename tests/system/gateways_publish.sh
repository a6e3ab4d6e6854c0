#!/bin/sh
# The gateway that publishes: what programs that know no messaging library write to a socket becomes
# messages, on every kind of socket, in every framing, and whatever they write.
#
# shellcheck disable=SC2016,SC2119 # variables of sockd; functions without arguments
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

# gateways [SERVER]: the configuration.
gateways() {
        configure "server = { ${1:-} };" 'listeners = (' \
                "  { name = \"local\"; listen = \"$unix\"; }," \
                '  { name = "tcp"; listen = "tcp://127.0.0.1:0"; publish = "in.${listener}.${peer.address}"; },' \
                '  { name = "short"; listen = "tcp://127.0.0.1:0"; publish = "in.short"; max_line = 10; },' \
                '  { name = "length"; listen = "tcp://127.0.0.1:0"; publish = "in.length"; framing = "length32"; },' \
                '  { name = "eof"; listen = "tcp://127.0.0.1:0"; publish = "in.eof"; framing = "eof"; },' \
                "  { name = \"stream\"; listen = \"unix://$directory/stream\"; publish = \"in.stream.\${peer.uid}.\${peer.gid}\"; }," \
                "  { name = \"record\"; listen = \"unix+seqpacket://$directory/record\"; publish = \"in.record.\${peer.uid}\"; }," \
                "  { name = \"dgram\"; listen = \"unix+dgram://$directory/dgram\"; publish = \"in.dgram.\${peer.uid}.\${peer.unit}\"; }," \
                '  { name = "udp"; listen = "udp://127.0.0.1:0"; publish = "in.udp.${peer.address}"; },' \
                "  { name = \"statsd\"; listen = \"udp://127.0.0.1:0\"; publish = \"${statsd:-in.statsd}\"; framing = \"line\"; }," \
                '  { name = "slow"; listen = "tcp://127.0.0.1:0"; publish = "in.slow"; rate = { bytes = 1000; }; },' \
                '  { name = "denied"; listen = "tcp://127.0.0.1:0"; publish = "secret.x"; }' \
                ');' \
                'default_permissions = { publish = { deny = ["secret.>"]; }; subscribe = [">"]; };'
}

# to NAME: standard input, to a TCP listener, and the end.
to() {
        "$support/peer" through "tcp://127.0.0.1:$(port_of "$1")" 2>/dev/null
}

# arrives NAME SUBJECT PAYLOAD: the next message, as JSON has it.
arrives() {
        check "$1" "{\"subject\":\"$2\",\"payload\":\"$3\"}" "$(await_helper heard '^\{')"
}

gateways 'max_payload = "1M"'
start_daemon
start_helper heard "$SOCKCTL" -v --json -s "$unix" sub 'in.>'
exec 8>"$directory/heard.in"
await_helper heard 'subscribed' >/dev/null || bail_out "sockctl sub does not begin"
uid=$(id -u) gid=$(id -g)

# --- lines -----------------------------------------------------------------------------------------

printf 'one\ntwo\r\n\nl\303\244st' | to tcp
arrives 'a line is a message' in.tcp.127_0_0_1 one
arrives 'it may end in CR LF' in.tcp.127_0_0_1 two
arrives 'an empty line is an empty message' in.tcp.127_0_0_1 ''
arrives 'the last line needs no end' in.tcp.127_0_0_1 läst
printf 'a\000b\001\tc\rd\n' | to tcp
arrives 'NULs and other bytes pass' in.tcp.127_0_0_1 'a\u0000b\u0001\tc\rd'
printf '0123456789\n0123456789a\n\n' | to short
arrives 'a line may have max_line bytes' in.short 0123456789
arrives 'one that is longer is left out' in.short ''
check 'it is counted' 1 "$(lost short too_long)"
expect_log 'and the log tells of it' 'warning: client [0-9]*: listener "short": a message was longer than it may be: max_line is 10 bytes'
head -c 3000000 /dev/zero | to tcp
printf 'after\n' | to tcp
arrives 'a line without end is left out' in.tcp.127_0_0_1 after
check 'it is counted once' 1 "$(lost tcp too_long)"

# --- other framings --------------------------------------------------------------------------------

printf '\0\0\0\003abc\0\0\0\0\0\0\0\002\n\n' | to length
arrives 'length32: a length, and as many bytes' in.length abc
arrives 'it may be 0' in.length ''
arrives 'they may be line ends' in.length '\n\n'
printf '\0\0\0\003abc\377\377\377\377abc\n' | to length
arrives 'length32: what is before a wrong length counts' in.length abc
check 'a length of 4 GB is refused' 1 "$(lost length too_long)"
printf '\0\0\0\003ab' | to length
check_does 'what is incomplete is counted' await_that test "$(lost length incomplete)" = 1
printf 'a\nb\r\n' | to eof
arrives 'eof: the whole input is a message' in.eof 'a\nb\r\n'
printf '' | to eof
arrives 'also an empty one' in.eof ''
head -c 1048577 /dev/zero | to eof
printf 'z' | to eof
arrives 'it may not be longer than max_payload' in.eof z
check 'that is counted' 1 "$(lost eof too_long)"

# Large ones arrive as they were sent, whichever way they take.
start_helper large sh -c "'$SOCKCTL' -v -s '$unix' sub --count 2 "in.*" >'$directory/large'"
exec 9>"$directory/large.in"
check_does 'large messages are awaited' await_helper large subscribed
head -c 1048576 /dev/urandom >"$directory/big"
{
        printf '\0\020\0\0'
        cat "$directory/big"
} | to length
await_helper heard '^\{' >/dev/null
to eof <"$directory/big"
await_helper heard '^\{' >/dev/null
exec 9>&-
"$support/await" exit "$helper"
{
        cat "$directory/big"
        echo
        cat "$directory/big"
        echo
} >"$directory/twice"
check_does 'a mebibyte arrives as it was sent, by length32 and by eof' cmp "$directory/twice" "$directory/large"

# Buffers of the kernel hold a part of it.
if with nc 'the rate is that of what is thrown away, too'; then
        head -c 100000000 /dev/zero | timeout 2 nc -N 127.0.0.1 "$(port_of slow)"
        check 'the rate is that of what is thrown away, too' 124 $?
fi

# --- sockets ---------------------------------------------------------------------------------------

printf 'by peer\n' | "$support/peer" through "unix://$directory/stream" 2>/dev/null
arrives 'a Unix socket: the subject has the uid and the gid' "in.stream.$uid.$gid" 'by peer'
if with socat 'socat publishes lines'; then
        printf 'by socat\n' | socat - "UNIX-CONNECT:$directory/stream"
        arrives 'socat publishes lines' "in.stream.$uid.$gid" 'by socat'
        printf 'a record\n' | socat - "UNIX-CONNECT:$directory/record,type=5"
        arrives 'a record is a message' "in.record.$uid" 'a record\n'
        printf 'a datagram' | socat - "UNIX-SENDTO:$directory/dgram"
        arrives 'a Unix datagram is a message; of a unit nothing is known' "in.dgram.$uid.unknown" 'a datagram'
        printf 'over UDP\n' | socat - "UDP:127.0.0.1:$(port_of udp)"
        arrives 'so is one over UDP' in.udp.127_0_0_1 'over UDP\n'
fi
if with nc 'nc publishes lines'; then
        printf 'by nc\n' | nc -N 127.0.0.1 "$(port_of tcp)"
        arrives 'nc publishes lines' in.tcp.127_0_0_1 'by nc'
        printf 'gorets:1|c\nglork:320|ms\n\ngaugor:333|g' | nc -u -q0 127.0.0.1 "$(port_of statsd)"
        arrives 'nc -u publishes the lines of a datagram' in.statsd 'gorets:1|c'
        arrives 'each by itself' in.statsd 'glork:320|ms'
        arrives 'an empty one too' in.statsd ''
        arrives 'and the last one without an end' in.statsd 'gaugor:333|g'
fi
if with bash 'bash publishes by /dev/tcp and /dev/udp'; then
        bash -c "printf 'by bash\\n' >/dev/tcp/127.0.0.1/$(port_of tcp)"
        arrives 'bash publishes by /dev/tcp' in.tcp.127_0_0_1 'by bash'
        bash -c "printf 'by bash' >/dev/udp/127.0.0.1/$(port_of udp)"
        arrives 'bash publishes by /dev/udp' in.udp.127_0_0_1 'by bash'
fi
if with curl 'curl publishes by telnet://'; then
        printf 'by curl\n' | timeout 20 curl -s -m 1 "telnet://127.0.0.1:$(port_of tcp)"
        arrives 'curl publishes by telnet://' in.tcp.127_0_0_1 'by curl'
fi
# logged NAME SUBJECT ARG...: by logger.
logged() {
        logged_name=$1 logged_subject=$2
        shift 2
        logger -t gateways "$@" "by logger, $*"
        check_matches "$logged_name" "^\\{\"subject\":\"$logged_subject\",\"payload\":\"<13>.*by logger, $*(\\\\n)?\"\\}\$" \
                "$(await_helper heard '^\{')"
}
if with logger 'logger publishes'; then
        logged 'logger publishes over UDP' in.udp.127_0_0_1 -n 127.0.0.1 -P "$(port_of udp)" -d
        logged 'logger publishes over TCP' in.tcp.127_0_0_1 -n 127.0.0.1 -P "$(port_of tcp)" -T
        logged 'logger publishes on a Unix datagram socket' "in.dgram.$uid.unknown" -u "$directory/dgram"
fi

# --- permissions, limits, reload -----------------------------------------------------------------------

printf 'a\nb\n' | to denied
check 'what may not be published is counted' 2 "$(lost denied denied)"
expect_log 'the log tells why' 'may not publish to "secret.x": denied by "secret.>"'

start_helper stays "$support/peer" through "tcp://127.0.0.1:$(port_of tcp)"
exec 9>"$directory/stays.in"
echo before >&9
arrives 'a connection publishes' in.tcp.127_0_0_1 before
sed 's/in\.\${listener}/in.new.${listener}/; s/in\.statsd/in.newer/' "$config" >"$config.new" && mv "$config.new" "$config"
ctl reload >/dev/null
echo behind >&9
arrives 'a reload leaves its subject as it is' in.tcp.127_0_0_1 behind
printf 'x\n' | to tcp
arrives 'new ones have the new one' in.new.tcp.127_0_0_1 x
if with nc 'so have datagrams'; then
        printf 'x' | nc -u -q0 127.0.0.1 "$(port_of statsd)"
        arrives 'so have datagrams' in.newer x
fi
exec 9>&-

# A hundred thousand lines, in pieces as they come.
seq 1 100000 >"$directory/lines"
start_helper counted sh -c "'$SOCKCTL' -v -s '$unix' sub --count 100000 'in.new.>' >'$directory/counted'"
exec 9>"$directory/counted.in"
check_does 'lines are awaited' await_helper counted subscribed
to tcp <"$directory/lines"
exec 9>&-
"$support/await" exit "$helper"
check_does 'a hundred thousand lines arrive, in order' cmp "$directory/lines" "$directory/counted"

exec 8>&-
stop_daemon
check 'the daemon ends in order' 0 "$status"
end_tests
