#!/bin/sh
# Programs for datagrams: one for each, whose output is the answer.
#
# shellcheck disable=SC2016,SC2119,SC2317 # texts of other shells; functions without arguments; called by others
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

udp=udp://127.0.0.1:0
printf '%s\n' '#!/bin/sh' 'read -r line <"$0.pipe"' 'echo "$line"' >"$directory/held"
chmod 755 "$directory/held"
mkfifo "$directory/held.pipe"
six=
! has_ipv6 || six=', { name = "six"; listen = "udp://[::1]:0"; exec = ["/usr/bin/rev"]; }'
configure "listeners = ( { name = \"local\"; listen = \"$unix\"; }
        , { name = \"rev\"; listen = \"$udp\"; exec = [\"/usr/bin/rev\"]; }
        , { name = \"env\"; listen = \"$udp\"; exec = [\"/usr/bin/env\"]; }
        , { name = \"gone\"; listen = \"$udp\"; exec = [\"$directory/gone\"]; }
        , { name = \"quiet\"; listen = \"$udp\"; exec = [\"/bin/true\"]; }
        , { name = \"much\"; listen = \"$udp\"; exec = [\"/usr/bin/head\", \"-c\", \"1000000000\", \"/dev/zero\"]; }
        , { name = \"late\"; listen = \"$udp\"; exec = [\"/bin/sh\", \"-c\", \"echo half; sleep 1000\"];
            timeout = \"200ms\"; grace = \"0s\"; }
        , { name = \"closing\"; listen = \"$udp\"; exec = [\"/bin/sh\", \"-c\", \"echo said; exec >&-; read -r line\"]; }
        , { name = \"closed\"; listen = \"$udp\"; exec = [\"/bin/sh\", \"-c\", \"exec >&-; read -r line\"]; }
        , { name = \"expired\"; listen = \"$udp\"; exec = [\"/bin/sh\", \"-c\", \"sleep 1000\"]; session_timeout = \"1s\"; }
        , { name = \"held\"; listen = \"$udp\"; exec = [\"$directory/held\"]; concurrency = 1; session_timeout = \"5m\"; }
        , { name = \"path\"; listen = \"unix+dgram://$directory/path\"; exec = [\"/usr/bin/rev\"]; }
        , { name = \"kept\"; listen = \"unix+dgram://$directory/kept\"; exec = [\"/bin/sh\", \"-c\",
                \"cat >>$directory/heard; echo nobody hears\"]; }
        $six );"
start_daemon
at() {
        echo "udp://127.0.0.1:$(port_of "$1")"
}
# tell TEXT...: orders to tests/support/datagram.
tell() {
        printf '%s\n' "$@" | "$support/datagram"
}
# count_of NAME WHAT: of a listener's programs, or datagrams.
count_of() {
        ctl --json listeners | sed 's/{"name"/\n&/g' | grep "^{\"name\":\"$1\"" |
                sed -n "s/.*\"$2\":\([0-9]*\).*/\1/p"
}
has_counted() {
        [ "$(count_of "$1" "$2")" = "$3" ]
}

check_matches 'UDP: what a program prints is the answer' ' 5 olleh$' \
        "$(tell "open a $udp $(at rev)" 'send a hello' 'expect a')"
check_matches 'and the same for the next datagram' ' 3 cba ?a udp.* 3 fed$' \
        "$(tell "open a $udp $(at rev)" 'send a abc' 'expect a' 'send a def' 'expect a' | tr '\n' ' ' | sed 's/ $//')"
told=$(tell "open a $udp $(at env)" 'send a x' 'expect a' | sed 's/\\n/\n/g; s/^.* SOCKD_L/SOCKD_L/')
for line in SOCKD_LISTENER=env PROTO=UDP SOCKD_PEER_ADDRESS=127.0.0.1 UDPREMOTEIP=127.0.0.1 \
        'UDPREMOTEPORT=[0-9]+' SOCKD_LOCAL_ADDRESS=127.0.0.1 "UDPLOCALPORT=$(port_of env)"; do
        check_matches "a program is told ${line%%=*}" "$line( |\$)" "$told"
done
if [ -n "$six" ]; then
        check_matches 'IPv6' ' 5 olleh$' \
                "$(tell 'open a udp://[::1]:0 '"udp://[::1]:$(port_of six)" 'send a hello' 'expect a')"
else
        skip 'IPv6' 'there is no IPv6 here'
fi
check_matches 'Unix' ' 5 olleh$' \
        "$(tell "open a unix+dgram://$directory/a unix+dgram://$directory/path" 'send a hello' 'expect a')"
check_matches 'a long one' ' 20000 y{100}' \
        "$(tell "open a $udp $(at rev)" "send a $(head -c 20000 /dev/zero | tr '\0' y)" 'expect a' | cut -c1-200)"

tell "open a $udp $(at quiet)" 'send a x'
check_does 'who prints nothing sends nothing' await_that has_counted quiet started 1
check 'at all' 0 "$(count_of quiet sent)"
check_matches 'who closes its output early has said what it has said' ' 5 said' \
        "$(tell "open a $udp $(at closing)" 'send a x' 'expect a')"
tell "open a $udp $(at closed)" 'send a x'
check_does 'and nothing' await_that has_counted closed started 1
check_does 'is nothing, when it has ended' await_that has_counted closed running 0
check 'also then' 0 "$(count_of closed sent)"
tell "open a $udp $(at much)" 'send a x'
expect_log 'who prints more than a datagram holds sends nothing' \
        'listener "much": /usr/bin/head prints more than a datagram of 65507 bytes holds'
check 'which is counted' '1 0' "$(count_of much cut) $(count_of much sent)"
tell "open a $udp $(at late)" 'send a x'
expect_log 'nor does who takes too long' 'listener "late": .* took longer than 200ms$'
check 'not even half of it' 0 "$(count_of late sent)"
tell "open a $udp $(at expired)" 'send a x'
expect_log 'who takes longer than session_timeout is ended' \
        'listener "expired": /bin/sh \(pid [0-9]+\) is ended, as the session of its peer is over: Session Expired$'
tell "open a none: unix+dgram://$directory/kept" 'send a word'
check_does 'who cannot be answered is heard' await_that grep -q word "$directory/heard"

tell "open a $udp $(at gone)" 'send a x'
check_does 'a program that is not there is counted' await_that has_counted gone not_started 1
rows=$(ctl listeners | sed -n '/^PROGRAMS OF/,/^$/p')
check_matches 'sockctl has a table of programs' \
        '^PROGRAMS OF +RUNNING +WAITING +STARTED +FAILED +LATE +NOT STARTED +ALSO$' "$rows"
check_matches 'which tells of that' '^gone +0 +0 +0 +0 +0 +1 +-$' "$rows"
check_matches 'and of others' '^late +0 +0 +1 +0 +1 +0 +-$' "$rows"
check_matches 'and what few have' '^much +0 +0 +1 +[01] +0 +0 +1 cut$' "$rows"

# One runs, the others wait; there is a limit.
start_helper peers "$support/datagram"
exec 8>"$directory/peers.in"
echo "open a $udp $(at held)" >&8
echo 'burst 200 a x' >&8
check_does 'datagrams wait for their turn' await_that has_counted held waiting 199
echo 'burst 100 a x' >&8
check_does 'not too many of them' await_that has_counted held busy 43
echo one >"$directory/held.pipe"
echo 'expect a' >&8
check_does 'each is answered in turn' await_helper peers ' 4 one'
peer=$(ctl --json clients | sed 's/},{/}\n{/g' | sed -n 's/.*"cid":\([0-9]*\).*"listener":"held".*/\1/p')
check_does 'a peer can be kicked' ctl clients kick "$peer"
check_does 'and nothing of it is left' await_that has_counted held running 0
check 'nobody waits' 0 "$(count_of held waiting)"
exec 8>&-
stop_daemon
check 'the end' 0 "$status"
end_tests
