#!/bin/sh
# Forwarding datagrams: UDP to UDP and to Unix and back, a session for each peer, who cannot be answered, targets
# that are down and come back, limits, rates, a kick, names; and nothing is left of any.
#
# shellcheck disable=SC2119,SC2317 # functions without arguments; functions that await_that calls
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"
. "$SOCKD_SOURCE_DIR/tests/system/streams.sh"

# Another sockd is the target.
listeners=
listener udp udp://127.0.0.1:0 'echo = true;'
listener dgram "unix+dgram://$directory/echo" 'echo = true;'
configure_listeners
start_daemon
target=$daemon
helpers="$helpers $target"
echo_udp=udp://127.0.0.1:$(port_of udp)
echo_dgram=unix+dgram://$directory/echo
daemon=
log=$directory/log2
: >"$log"
unix=unix://$directory/s2

listeners=
listener udp-udp udp://127.0.0.1:0 "forward = \"$echo_udp\";"
listener udp-dgram udp://127.0.0.1:0 "forward = \"$echo_dgram\";"
listener dgram-udp "unix+dgram://$directory/dgram-udp" "forward = \"$echo_udp\";"
listener dgram-dgram "unix+dgram://$directory/dgram-dgram" "forward = \"$echo_dgram\";"
listener two udp://127.0.0.1:0 "forward = [\"unix+dgram://$directory/nobody\", \"$echo_udp\"];"
listener late udp://127.0.0.1:0 "forward = \"unix+dgram://$directory/late\";"
listener name udp://127.0.0.1:0 "forward = \"udp://localhost:${echo_udp##*:}\";"
listener dead udp://127.0.0.1:0 'forward = "udp://127.0.0.1:1";'
listener hollow udp://127.0.0.1:0 "forward = \"unix+dgram://$directory/hollow\";"
listener one-dead udp://127.0.0.1:0 "forward = [\"udp://127.0.0.1:1\", \"$echo_udp\"];"
listener few udp://127.0.0.1:0 "forward = \"$echo_udp\"; max_sessions = 2; session_timeout = \"1s\";"
listener sink "unix+dgram://$directory/sink" "forward = \"unix+dgram://$directory/sunk\";"
listener slow udp://127.0.0.1:0 "forward = \"$echo_udp\"; rate = { messages = 1; burst = 2; };"
configure_listeners
start_daemon

start_helper peers "$support/datagram"
exec 8>"$directory/peers.in"
# obey ORDER...: orders to the peers.
obey() {
        printf '%s\n' "$@" >&8
}
# expect NAME TEST TEXT: what the peer NAME gets.
expect() {
        obey "expect $1"
        got=$(await_helper peers "^$1 ")
        check "$2" "$3" "${got##* }"
}

for from in udp dgram; do
        for to in udp dgram; do
                case $from in
                udp) obey "open $from$to udp://127.0.0.1:0 udp://127.0.0.1:$(port_of "udp-$to")" ;;
                dgram) obey "open $from$to unix+dgram://$directory/p$to unix+dgram://$directory/dgram-$to" ;;
                esac
                obey "send $from$to hello-$from-$to"
                expect "$from$to" "$from to $to, and back" "hello-$from-$to"
                obey "send $from$to again"
                expect "$from$to" "$from to $to, again" again
        done
done
check 'each peer has its session' 4 "$(ctl_json sessions status)"
check 'with bytes in' 18 "$(ctl_json connections.0.in_bytes clients)"
check 'and out' 18 "$(ctl_json connections.0.out_bytes clients)"

# Two peers of one listener do not get each other's answers.
obey "open a udp://127.0.0.1:0 udp://127.0.0.1:$(port_of udp-udp)" "open b udp://127.0.0.1:0 udp://127.0.0.1:$(port_of udp-udp)"
obey 'send a from-a' 'send b from-b'
expect a 'who asked gets his answer' from-a
expect b 'and nobody else' from-b
long=$(printf '%01400d' 7)
obey "send a $long"
obey 'expect a'
check_matches 'long ones pass' ' 1400 0' "$(await_helper peers '^a ')"

# --- who cannot be answered ------------------------------------------------------------------------------

obey "open sunk unix+dgram://$directory/sunk unix+dgram://$directory/sink" \
        "open unbound none: unix+dgram://$directory/sink" 'send unbound one-way' 'expect sunk'
got=$(await_helper peers '^sunk ')
check 'who has no address is forwarded all the same' one-way "${got##* }"
obey 'send unbound once-more'
expect sunk 'again' once-more
check 'and is no session' 0 "$(ctl --json listeners | tr '{' '\n' | sed -n 's/.*"name": *"sink".*"connections": *\([0-9]*\).*/\1/p')"

# --- targets that are not there -----------------------------------------------------------------------------

for i in 1 2 3; do
        obey "open two$i udp://127.0.0.1:0 udp://127.0.0.1:$(port_of two)" "send two$i hello-$i"
        expect "two$i" "the next target takes the place of one that is not there, $i" "hello-$i"
done
obey "open late udp://127.0.0.1:0 udp://127.0.0.1:$(port_of late)" 'send late lost'
expect_log 'no target at all is told' 'listener "late": no target can be reached; .*/late: No such file'
obey "open come unix+dgram://$directory/late unix+dgram://$directory/late" 'send late found'
expect come 'one that has come is reached' found
obey 'close come' "send late lost"
obey "say said"
await_helper peers '^said$' >/dev/null
rm -f "$directory/late"
obey "open back unix+dgram://$directory/late unix+dgram://$directory/late" 'send late found-again'
expect back 'and again, after it was gone' found-again
obey "open named udp://127.0.0.1:0 udp://127.0.0.1:$(port_of name)" 'insist named hello hello'
check_matches 'a name is looked up' ' hello$' "$(await_helper peers '^named ')"

# Of UDP nothing tells that a target is not there but the refusal of what was sent to it.
obey "open dead udp://127.0.0.1:0 udp://127.0.0.1:$(port_of dead)"
for i in 1 2 3 4 5 6; do
        obey "send dead $i"
done
# has_dropped LISTENER REASON N
has_dropped() {
        [ "$(ctl --json listeners | sed 's/{"name"/\n&/g' |
                sed -n "s/^{\"name\":\"$1\".*\"dropped\":{[^}]*\"$2\":\([0-9]*\).*/\1/p")" = "$3" ]
}
check_does 'datagrams that nobody takes are counted' await_that has_dropped dead target 6
expect_log 'and told' 'listener "dead": target udp://127.0.0.1:1: Connection refused$'
obey "open one-dead udp://127.0.0.1:0 udp://127.0.0.1:$(port_of one-dead)" 'insist one-dead hello hello'
check_matches 'the next target is used' ' hello$' "$(await_helper peers '^one-dead ')"
expect_log 'and the one before rests' 'listener "one-dead": target udp://127.0.0.1:1: Connection refused; it is tried last for 10s'

# A target that answers without a byte: sockd sends no such datagram, but says so.
obey "open hollow unix+dgram://$directory/hollow unix+dgram://$directory/nobody" \
        "open asks udp://127.0.0.1:0 udp://127.0.0.1:$(port_of hollow)" 'send asks x' 'expect hollow'
got=$(await_helper peers '^hollow ')
from=${got#hollow }
obey "aim hollow ${from%% *}" 'send hollow ' 'send hollow y' 'expect asks'
check_matches 'what comes behind an empty answer arrives' ' y$' "$(await_helper peers '^asks ')"
check_does 'the empty one is counted' await_that has_dropped hollow empty 1

# --- limits -----------------------------------------------------------------------------------------------

for i in 1 2; do
        obey "open few$i udp://127.0.0.1:0 udp://127.0.0.1:$(port_of few)" "send few$i hello-$i"
        expect "few$i" "session $i" "hello-$i"
done
obey "open few3 udp://127.0.0.1:0 udp://127.0.0.1:$(port_of few)" 'send few3 hello-3' 'insist few3 hello hello-3'
check_matches 'one more has to wait until another one ends' ' hello-3$' "$(await_helper peers '^few3 ')"
obey "open slow udp://127.0.0.1:0 udp://127.0.0.1:$(port_of slow)" 'burst 10 slow x' 'expect slow'
check_matches 'some of many come' 'x$' "$(await_helper peers '^slow udp')"
check_does 'others are dropped for the rate' await_that sh -c \
        "'$SOCKCTL' -s '$unix' --json listeners | tr '{' '\n' | grep -Eq '\"rate\": *[1-9]'"

before=$(count_descriptors "$daemon")
ctl --json clients | tr '{' '\n' | sed -n 's/.*"cid": *\([0-9]*\),.*"listener": *"udp-udp".*/\1/p' >"$directory/ids"
n=0
while read -r id; do
        ctl clients kick "$id" >/dev/null 2>&1 && n=$((n + 1))
done <"$directory/ids"
check 'sessions can be kicked' 3 "$n"
check_does 'and give their descriptors back' await_that has_descriptors "$daemon" "$((before - 2))"
obey 'send a anew'
expect a 'who comes again has a new one' anew
check_does 'sessions end when their peers are silent' await_log 'disconnected: Session Expired'
exec 8>&-
"$support/await" exit "$helper"
stop_daemon
check 'it ends well' 0 "$status"
kill "$target"
end_tests
