#!/bin/sh
# The small services, echo, discard, daytime, time and chargen: on each kind of socket, over TLS, for
# whom a listener admits and for nobody else; and datagrams that would go to and fro for ever.
#
# shellcheck disable=SC2119,SC2317 # functions without arguments; called by others
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

services='echo discard daytime time chargen'

# on ADDRESS SUFFIX: a listener for each service, on addresses with its name for NAME.
on() {
        for service in $services; do
                printf ', { name = "%s_%s"; listen = "%s"; %s = true; }\n' "$service" "$2" \
                        "$(printf '%s' "$1" | sed "s|NAME|$service|")" "$service"
        done
}
tls=
if "$SOCKD" --version | grep -q '+tls'; then
        certificates=$directory/certificates
        mkdir "$certificates"
        . "$SOCKD_SOURCE_DIR/tests/system/certificates.sh"
        make_authority authority
        make_certificate server authority /CN=server 'subjectAltName=IP:127.0.0.1'
        tls=", { name = \"echo_tls\"; listen = \"tls://127.0.0.1:0\"; echo = true;
                tls = { cert = \"$certificates/server.pem\"; key = \"$certificates/server.key\"; }; }
             , { name = \"daytime_tls\"; listen = \"tls://127.0.0.1:0\"; daytime = true;
                tls = { cert = \"$certificates/server.pem\"; key = \"$certificates/server.key\"; }; }"
fi
six=
! has_ipv6 || six=$(on 'tcp://[::1]:0' tcp6; on 'udp://[::1]:0' udp6)
configure 'server = { write_deadline = "500ms"; };' "listeners = ( { name = \"local\"; listen = \"$unix\"; }" "$(on tcp://127.0.0.1:0 tcp)" \
        "$(on "unix://$directory/NAME" unix)" "$(on "unix+seqpacket://$directory/NAME.record" record)" \
        "$(on udp://127.0.0.1:0 udp)" "$(on "unix+dgram://$directory/NAME.datagram" datagram)" \
        "$six" "$tls"
cat >>"$config" <<EOF
, { name = "closed"; listen = "tcp://127.0.0.1:0"; daytime = true; anonymous = false; }
, { name = "closed_udp"; listen = "udp://127.0.0.1:0"; echo = true; anonymous = false; }
, { name = "relay_udp"; listen = "udp://127.0.0.1:0"; forward = "unix+dgram://$directory/echo.datagram"; }
, { name = "metered"; listen = "tcp://127.0.0.1:0"; echo = true; rate = { bytes = "1M"; }; });
users = ( { name = "somebody"; peer = { pid = 1; }; } );
EOF
TZ=UTC start_daemon

# of NAME SCHEME: where a listener on the Internet is.
of() {
        case $1 in
        *6) echo "$2://[::1]:$(port_of "$1")" ;;
        *) echo "$2://127.0.0.1:$(port_of "$1")" ;;
        esac
}

# --- streams and records -----------------------------------------------------------------------------

day='^(Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, [A-Z][a-z]+ [0-9]{2}, [0-9]{4} [0-9:]{8}-UTC'

# streams KIND: the services on one kind of stream. address_of SERVICE prints where.
streams() {
        check "$1: echo says what it is told" 'one two' \
                "$(printf 'one\r\ntwo\r\nPONG\r\n' | "$support/peer" talk "$(address_of echo)" |
                        grep -v PONG | tr -d '\r' | tr '\n' ' ' | sed 's/ $//')"
        check "$1: discard says nothing" '(closed)' \
                "$(printf 'one\r\ntwo\r\n' | "$support/peer" talk "$(address_of discard)")"
        check_matches "$1: daytime tells it" "$day" \
                "$("$support/peer" talk "$(address_of daytime)" </dev/null)"
        # shellcheck disable=SC2046 # words
        set -- "$1" $("$support/peer" take "$(address_of time)" 4 2>/dev/null </dev/null | od -An -tu1)
        seconds=$(((($2 * 256 + $3) * 256 + $4) * 256 + $5))
        check_at_most "$1: time tells it, from 1900 on" 5 \
                $(($(date +%s) + 2208988800 - seconds))
        check "$1: chargen tells its pattern" "$pattern" \
                "$("$support/peer" take "$(address_of chargen)" 148 2>/dev/null </dev/null | tr -d '\r')"
}
pattern=" !\"#\$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_\`abcdefg
!\"#\$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_\`abcdefgh"
address_of() {
        of "$1_tcp" tcp
}
streams TCP
address_of() {
        echo "unix://$directory/$1"
}
streams Unix
if [ -n "$six" ]; then
        address_of() {
                of "$1_tcp6" tcp
        }
        streams IPv6
else
        skip 'IPv6' 'there is no IPv6 here'
fi
address_of() {
        echo "unix+seqpacket://$directory/$1.record"
}
check 'records: echo' 'one' "$(printf one | "$support/peer" through "$(address_of echo)" 2>/dev/null)"
check_matches 'records: daytime' "$day" \
        "$("$support/peer" through "$(address_of daytime)" </dev/null 2>/dev/null)"

if [ -n "$tls" ]; then
        ask_tls() {
                timeout 20 openssl s_client -connect "127.0.0.1:$(port_of "$1")" -quiet \
                        -CAfile "$certificates/authority.pem" 2>/dev/null
        }
        check_matches 'TLS: daytime' "$day" "$(ask_tls daytime_tls </dev/null)"
        mkfifo "$directory/asked"
        start_helper tls timeout 20 openssl s_client -quiet -CAfile "$certificates/authority.pem" \
                -connect "127.0.0.1:$(port_of echo_tls)"
        exec 8>"$directory/tls.in"
        echo 'within TLS' >&8
        check_does 'TLS: echo' await_helper tls '^within TLS$'
        exec 8>&-
else
        skip 'TLS' 'sockd was built without it'
fi

# --- half-close, and who does not read -------------------------------------------------------------

check 'all of 8 MB comes back after the half-close' 8388608 \
        "$(head -c 8388608 /dev/zero | "$support/peer" through "$(of echo_tcp tcp)" 2>/dev/null | wc -c)"
stuffed=$(timeout 20 "$support/peer" stuff "$(of echo_tcp tcp)" | sed -n 's/^stuffed //p')
check_at_most 'who does not read is not read for ever' 50000000 "${stuffed:-999999999}"
expect_log 'and is closed' 'Slow Consumer'
n_before=$(count_log 'Slow Consumer')
is_given_up() {
        [ "$(count_log 'Slow Consumer')" -gt "$n_before" ]
}
start_helper deaf "$support/stream" hang "$(of chargen_tcp tcp)" 1
exec 8>"$directory/deaf.in"
check_does 'and so is who does not read what is generated' await_that is_given_up
exec 8>&-

# --- who may -----------------------------------------------------------------------------------------

check 'whom nothing is known of is refused where that is asked' '(closed)' \
        "$("$support/peer" talk "$(of closed tcp)" </dev/null)"
expect_log 'and the log says so' 'login refused on listener "closed"'
check 'with a rate all comes through as well' 3145728 \
        "$(head -c 3145728 /dev/zero | "$support/peer" through "$(of metered tcp)" 2>/dev/null | wc -c)"
start_helper known "$support/peer" through "$(of echo_tcp tcp)"
exec 8>"$directory/known.in"
await_helper known '^open$' >/dev/null
check_matches 'sockctl shows who is there' ' echo_tcp' "$(ctl clients show "$(ctl --json clients |
        sed 's/},{/}\n{/g' | sed -n 's/.*"cid":\([0-9]*\).*"listener":"echo_tcp".*/\1/p')" | tr -s ' ')"
exec 8>&-

# --- datagrams ---------------------------------------------------------------------------------------

# order TEXT...: to tests/support/datagram; prints what that prints.
order() {
        printf '%s\n' "$@" | "$support/datagram"
}
# datagrams KIND FROM ECHO DISCARD DAYTIME TIME CHARGEN
datagrams() {
        check_matches "$1: echo" ' 5 hello$' "$(order "open a $2 $3" 'send a hello' 'expect a')"
        check_matches "$1: daytime" " $(echo "$day" | cut -c2-)" \
                "$(order "open a $2 $5" 'send a a question of some length' 'expect a')"
        check_matches "$1: time" ' 4 ' "$(order "open a $2 $6" 'send a ??' 'expect a')"
        check_matches "$1: chargen, not more than was sent" " 7  !\"#\\$%&" \
                "$(order "open a $2 $7" 'send a 1234567' 'expect a')"
        check "$1: discard" 'a took 0' \
                "$(order "open a $2 $4" 'send a hello' "open b $2 $3" 'send b x' 'expect b' 'take a' |
                        tail -n 1)"
}
datagrams UDP udp://127.0.0.1:0 "$(of echo_udp udp)" "$(of discard_udp udp)" \
        "$(of daytime_udp udp)" "$(of time_udp udp)" "$(of chargen_udp udp)"
[ -z "$six" ] || datagrams 'UDP on IPv6' 'udp://[::1]:0' "$(of echo_udp6 udp)" \
        "$(of discard_udp6 udp)" "$(of daytime_udp6 udp)" "$(of time_udp6 udp)" "$(of chargen_udp6 udp)"
# shellcheck disable=SC2046 # words
datagrams 'Unix datagrams' any: $(for service in $services; do
        echo "unix+dgram://$directory/$service.datagram"
done)
check 'a datagram of whom nothing is known is refused where that is asked' 'b took 0' \
        "$(order "open b udp://127.0.0.1:0 $(of closed_udp udp)" 'send b hello' \
                "open a udp://127.0.0.1:0 $(of echo_udp udp)" 'send a x' 'expect a' 'take b' | tail -n 1)"

# dropped LISTENER: for being one of a loop.
dropped() {
        ctl --json listeners | sed 's/},{"name"/}\n{"name"/g' | grep "\"name\":\"$1\"" |
                sed -n 's/.*"loop":\([0-9]*\).*/\1/p'
}
if $is_root; then
        check 'what comes from the port of such a service' 1 "$(
                order "open a udp://127.0.0.1:0 $(of echo_udp udp)" 'forge a udp://127.0.0.1:19 round' \
                        'send a x' 'expect a' >/dev/null
                dropped echo_udp
        )"
        # From one to the other, and back, with one hop less each time.
        check_matches 'two services end by themselves' ' x$' "$(
                order "open a udp://127.0.0.1:0 $(of echo_udp udp)" \
                        "forge a $(of chargen_udp udp) round and round" 'send a x' 'expect a'
        )"
        check_does 'and the last one of them counts it' await_that sh -c \
                "[ $(($(dropped echo_udp) + $(dropped chargen_udp))) -gt 1 ]"
        # Through a forward to one of them as well.
        n_before=$(($(dropped echo_udp) + $(dropped relay_udp)))
        check_matches 'a service and a way to another one end as well' ' x$' "$(
                order "open a udp://127.0.0.1:0 $(of relay_udp udp)" \
                        "forge a $(of echo_udp udp) round and round" 'send a x' 'expect a'
        )"
        has_ended() {
                [ $(($(dropped echo_udp) + $(dropped relay_udp))) -gt "$n_before" ]
        }
        check_does 'and that is counted' await_that has_ended
else
        skip 'loops' 'forging needs root'
fi

# --- reload ------------------------------------------------------------------------------------------

sed -i 's/"echo_udp"; listen = \(.*\); echo = true/"echo_udp"; listen = \1; daytime = true/
        s/"echo_tcp"; listen = \(.*\); echo = true/"echo_tcp"; listen = \1; daytime = true/' "$config"
start_helper before "$support/peer" through "$(of echo_tcp tcp)"
exec 8>"$directory/before.in"
await_helper before '^open$' >/dev/null
check 'a listener may have another handler' 'configuration reloaded' "$(ctl reload)"
check_matches 'who connects then has that' "$day" \
        "$("$support/peer" talk "$(of echo_tcp tcp)" </dev/null)"
check_matches 'so has who sends a datagram' "$(echo "$day" | cut -c2-)" \
        "$(order "open a udp://127.0.0.1:0 $(of echo_udp udp)" 'send a a question of some length' 'expect a')"
echo 'still there' >&8
check_does 'who was there keeps his' await_helper before '^still there$'
exec 8>&-
stop_daemon
check 'the daemon ends in order' 0 "$status"

# --- what is wrong with a configuration --------------------------------------------------------------

# wrong NAME SETTINGS REGEX
wrong() {
        configure 'listeners = ( { name = "x"; listen = "tcp://127.0.0.1:0";' "$2 } );"
        run_daemon --check --config "$config"
        check_matches "$1" "^$config:2: listeners\[0\]\.$3" "$output"
}
wrong 'two handlers' 'echo = true; time = true;' 'time: a listener has one handler, and this one has echo$'
configure 'listeners = ( { name = "x"; listen = "udp://*:7007"; join = ["239.1.2.3"];' 'echo = true; } );'
run_daemon --check --config "$config"
check_matches 'an answer to many' 'listeners\[0\]\.echo: it answers, but a listener with join only receives$' \
        "$output"
[ -z "$tls" ] || wrong 'TLS for some' "echo = true; tls = { cert = \"$certificates/server.pem\";
        key = \"$certificates/server.key\"; required = false; };" 'tls: required = false is for NATS clients'
end_tests
