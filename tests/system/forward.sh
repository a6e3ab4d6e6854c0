#!/bin/sh
# Forwarding streams: between all families, with half-close either way, aborts, a reader that is slow, targets
# that are down, come back, or are names; limits and kicks; a reload in traffic; many at once; and nothing is
# left of any.
#
# shellcheck disable=SC2034,SC2119 # variables that eval reads; functions without arguments
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

. "$SOCKD_SOURCE_DIR/tests/system/streams.sh"

ipv6=
! has_ipv6 || ipv6=ipv6

# --- all families -------------------------------------------------------------------------------------

serve echo-unix "unix://$directory/echo" echo
echo_unix=$served
serve echo-abstract "unix:@sockd-echo-$$" echo
echo_abstract=$served
serve echo-ipv4 tcp://127.0.0.1:0 echo
echo_ipv4=$served
echo_ipv6=
if [ "$ipv6" ]; then
        serve echo-ipv6 'tcp://[::1]:0' echo
        echo_ipv6=$served
fi

# listen_address FAMILY NAME: an address to listen on.
listen_address() {
        case $1 in
        unix) echo "unix://$directory/$2" ;;
        abstract) echo "unix:@sockd-$2-$$" ;;
        ipv4) echo tcp://127.0.0.1:0 ;;
        ipv6) echo 'tcp://[::1]:0' ;;
        esac
}

listeners=
for from in unix abstract ipv4 $ipv6; do
        for to in unix abstract ipv4 $ipv6; do
                eval "target=\$echo_$to"
                # shellcheck disable=SC2154 # eval
                listener "$from-$to" "$(listen_address "$from" "$from-$to")" "forward = \"$target\";"
        done
done
configure_listeners
start_daemon
for from in unix abstract ipv4 ipv6; do
        for to in unix abstract ipv4 ipv6; do
                case $from$to:$ipv6 in
                *ipv6*:)
                        skip "$from to $to" 'there is no IPv6 here'
                        continue
                        ;;
                esac
                check_echo "$from to $to" "$(address_of "$from-$to")" 300000
        done
done
check_echo '100 MB arrive as they were sent, and come back' "$(address_of ipv4-unix)" 100000000
check_echo 'nothing is an amount as well' "$(address_of unix-ipv4)" 0
check_matches 'sockctl listeners shows the handler' 'forward' "$(ctl listeners)"
before=$(count_descriptors "$daemon")
stop_daemon
check 'it ends well' 0 "$status"

# --- half-close, aborts, and who does not read --------------------------------------------------------

serve sum tcp://127.0.0.1:0 sum
listeners=
listener sum "unix://$directory/sum" "forward = \"$served\";"
serve greet tcp://127.0.0.1:0 greet
listener greet "unix://$directory/greet" "forward = \"$served\";"
serve pour "unix://$directory/pour-target" pour=60000000
listener pour tcp://127.0.0.1:0 "forward = \"$served\";"
serve reset tcp://127.0.0.1:0 reset
listener reset tcp://127.0.0.1:0 "forward = \"$served\";"
serve deaf tcp://127.0.0.1:0 deaf
listener deaf tcp://127.0.0.1:0 "forward = \"$served\";"
serve quit "unix://$directory/quit-target" quit
listener quit "unix://$directory/quit" "forward = \"$served\";"
listener echo tcp://127.0.0.1:0 "forward = \"$echo_ipv4\";"
listener echo-unix tcp://127.0.0.1:0 "forward = \"$echo_unix\";"
listener idle tcp://127.0.0.1:0 "forward = \"$echo_ipv4\"; idle_timeout = \"200ms\";"
listener rated tcp://127.0.0.1:0 "forward = \"$echo_ipv4\"; rate = { bytes = \"1M\"; };"
listener one tcp://127.0.0.1:0 "forward = \"$echo_ipv4\"; max_connections = 1;"
configure_listeners
empty_log
start_daemon

said=$(send "unix://$directory/sum" 5000000)
check 'what a target says after the end of input arrives' \
        "$(printf '%s\n' "$said" | sed -n 's/^sent //p')" \
        "$(printf '%s\n' "$said" | sed -n 's/^\([0-9]* [0-9a-f]*\) tcp:.*/\1/p')"
said=$(send "unix://$directory/greet" 5000000)
check_matches 'a target that has ended still gets all' \
        "^ended $(printf '%s\n' "$said" | sed -n 's/^sent //p')\$" "$(became greet '^(ended|broken)')"
check_matches 'and what it said has arrived' '^hello$' "$said"

before=$(resident_kb "$daemon")
start_helper slow "$stream" receive "$(address_of pour)" 0
exec 8>"$directory/slow.in"
await_helper slow '^waiting$' >/dev/null
await_that sh -c "[ \$('$SOCKCTL' -s '$unix' --json clients | '$support/json' connections.0.out_bytes) -gt 0 ]"
resident=$(resident_kb "$daemon")
ticks=$(cpu_ticks "$daemon")
check_at_most 'what nobody reads is not kept in memory' $((before + 30000)) "$resident"
# A second client, who reads, has to get all of his while the first one waits.
check 'nobody else waits for who does not read' 60000000 \
        "$("$stream" send "$(address_of pour)" 0 | sed -n 's/^got \([0-9]*\) .*/\1/p')"
echo >&8
check_matches 'who reads at last gets all' '^got 60000000 ' "$(await_helper slow '^got')"
exec 8>&-
"$support/await" exit "$helper"

start_helper deaf-client "$stream" send "$(address_of deaf)" 50000000
exec 8>"$directory/deaf-client.in"
await_that sh -c "ss -tn state established '( dport = :$(port_of deaf) )' | awk '\$2 > 100000 { found = 1 } END { exit !found }'"
ticks=$(cpu_ticks "$daemon")
check_echo 'others get on while a target does not read' "$(address_of echo)" 1000000
check_at_most 'and nothing turns in a circle' 200 "$(($(cpu_ticks "$daemon") - ticks))"
check_does 'who is stuck can be kicked' ctl clients kick "$(ctl_json connections.0.cid clients)"
check 'and is told that it was no orderly end' broken "$(await_helper deaf-client '^broken')"
exec 8>&-
start_helper stuck "$stream" stall "$(address_of deaf)"
exec 8>"$directory/stuck.in"
await_helper stuck '^stalled$' >/dev/null
check 'who is not read waits' deaf "$(ctl_json connections.0.listener clients)"
echo >&8
check_does 'a reset is seen although nothing is read' \
        await_that sh -c "! '$SOCKCTL' -s '$unix' --json clients | grep -q '\"deaf\"'"
exec 8>&-

said=$("$stream" send "$(address_of reset)" 1)
check 'a target that resets resets the client' broken "$said"
# A target that leaves without having read all: what it said before reaches a client that is slow.
start_helper late "$stream" receive "unix://$directory/quit" 1
exec 8>"$directory/late.in"
said=$(became quit '^ended')
echo >&8
check 'a target that leaves early has said what it said' "got ${said#ended }" "$(await_helper late '^(got|broken)')"
exec 8>&-
"$stream" abort "$(address_of echo)"
check 'a client that resets resets the target' broken "$(became echo-ipv4 '^broken')"
"$stream" abort "$(address_of echo-unix)"
check_matches 'or ends it, where there is no reset' '^(broken|ended)' "$(became echo-unix '^(broken|ended 1 )')"

# --- who is there, kicks and the end -------------------------------------------------------------------

start_helper watched "$stream" watch "$(address_of echo)"
exec 8>"$directory/watched.in"
await_helper watched '^there$' >/dev/null
id=$(ctl --json clients | "$support/json" connections.0.cid)
check 'sockctl clients tells the listener' echo "$(ctl_json listener clients show "$id")"
check 'and the bytes in' 1 "$(ctl_json in_bytes clients show "$id")"
check 'and out' 1 "$(ctl_json out_bytes clients show "$id")"
check_does 'a client can be kicked' ctl clients kick "$id"
check_matches 'and is told' '^(ended|broken)$' "$(await_helper watched '^(ended|broken)$')"
exec 8>&-
check_matches 'as is its target' '^broken$' "$(became echo-ipv4 '^broken')"

start_helper watched "$stream" watch "$(address_of idle)"
exec 8>"$directory/watched.in"
check_matches 'who says nothing for too long is closed' '^(ended|broken)$' "$(await_helper watched '^(ended|broken)$')"
exec 8>&-
expect_log 'which the log tells' 'on listener "idle" ended: Idle Timeout'
check_matches 'as is its target' '^broken$' "$(became echo-ipv4 '^broken')"
since_ms=$(now_ms)
check_echo 'a rate holds for what is forwarded' "$(address_of rated)" 5000000
became echo-ipv4 '^ended 5000000 ' >/dev/null
check_at_most 'which takes its time' "$(($(now_ms) - since_ms))" 2000
start_helper watched "$stream" watch "$(address_of one)"
exec 8>"$directory/watched.in"
await_helper watched '^there$' >/dev/null
check_matches 'who is one too many is refused' '^(got 0 |broken)' "$(send "$(address_of one)" 0)"
exec 8>&-
kill "$helper"
became echo-ipv4 '^(ended|broken)' >/dev/null

# --- many at once, and a reload in traffic ---------------------------------------------------------------

before=$(count_descriptors "$daemon")
start_helper many "$stream" hold "$(address_of echo-unix)" 400
exec 8>"$directory/many.in"
check 'hundreds at once' 'held 400' "$(await_helper many '^held')"
with_many=$(count_descriptors "$daemon")
check_at_most 'an idle one has two descriptors, and no pipe' "$((before + 2 * 400 + 40))" "$with_many"
sed "s|forward = \"$echo_unix\"|forward = \"$echo_ipv4\"|" "$config" >"$config.new" && mv "$config.new" "$config"
check_does 'the configuration is read again' ctl reload
echo >&8
check 'those who are there stay with their targets' 'turned 400' "$(await_helper many '^turned')"
check_echo 'who comes now goes to the new one' "$(address_of echo-unix)" 4321
check_matches 'it was the new one' '^ended 4321 ' "$(became echo-ipv4 '^ended 4321 ')"
exec 8>&-
"$support/await" exit "$helper"
check_does 'descriptors are given back' await_that has_descriptors "$daemon" "$((before + 40))"

start_helper watched "$stream" watch "$(address_of echo)"
exec 8>"$directory/watched.in"
await_helper watched '^there$' >/dev/null
stop_daemon
check 'the end of the daemon is an orderly one' 0 "$status"
check_matches 'and ends its clients' '^(ended|broken)$' "$(await_helper watched '^(ended|broken)$')"
exec 8>&-

# --- targets that are down -------------------------------------------------------------------------------

dead="unix://$directory/dead"
listeners=
listener none "unix://$directory/none" "forward = \"$dead\";"
listener second "unix://$directory/second" "forward = [\"$dead\", \"$echo_ipv4\"];"
listener both "unix://$directory/both" "forward = [\"$echo_unix\", \"$echo_ipv4\"];"
listener name "unix://$directory/name" "forward = \"tcp://localhost:${echo_ipv4##*:}\"; resolve_interval = \"100ms\";"
listener nowhere "unix://$directory/nowhere" 'forward = "tcp://no-such-host.invalid:1"; connect_timeout = "2s";'
listener black "unix://$directory/black" "forward = [\"tcp://127.0.0.1:1\", \"$dead\"]; connect_timeout = \"100ms\";"
# A kernel that limits open pipes and files is one that the relay must live with.
configure_listeners
empty_log
start_daemon

check_matches 'without a target the client is closed' '^(got 0 |broken)' "$(send "unix://$directory/none" 0)"
expect_log 'which the log tells' 'listener "none": no target can be reached; .*/dead: No such file'
check 'and which is counted' 1 "$(ctl_json unreachable_targets status)"
for i in 1 2 3; do
        check_echo "another one takes the place of one that is down, $i" "unix://$directory/second" 1000
done
expect_log 'which is told' 'listener "second": target .*/dead: No such file or directory; it is tried last for 10s'
serve revived "$dead" echo
check_echo 'a target that has come up is reached' "unix://$directory/none" 1000
expect_log 'which is told as well' 'listener "none": target .*/dead is there again'
check_matches 'that is it' '^ended 1000 ' "$(became revived '^ended 1000 ')"
for i in 1 2 3 4; do
        check_echo "in turns, $i" "unix://$directory/both" "$((7000 + i % 2))"
done
check_matches 'they take turns' '^ended 700. ' "$(became echo-unix '^ended 700. ')"
check_matches 'each its own' '^ended 700. ' "$(became echo-ipv4 '^ended 700. ')"
check_echo 'a name is looked up' "unix://$directory/name" 1000
check_echo 'and used again' "unix://$directory/name" 1000
check_matches 'a name that is not known leads nowhere' '^(got 0 |broken)' "$(send "unix://$directory/nowhere" 0)"
expect_log 'the log tells that, too' 'no target can be reached; .*no-such-host.invalid:1: '
check_echo 'a port where nobody is does not keep from the next target' "unix://$directory/black" 1000
expect_log 'it is told why not' 'listener "black": target tcp://127.0.0.1:1: Connection refused; it is tried last'
check_matches 'those that failed are counted' '^[3-9]$' "$(ctl_json failed_targets status)"
stop_daemon
check 'it ends well once more' 0 "$status"

# --- without descriptors for pipes ------------------------------------------------------------------------

listeners=
listener echo tcp://127.0.0.1:0 "forward = \"$echo_ipv4\";"
configure_listeners
sed -i 's/workers = 2/workers = 1/' "$config"
empty_log
start_daemon
check_echo 'once, so that all is open that stays so' "$(address_of echo)" 1000
if command -v prlimit >/dev/null; then
        # Of the descriptors that are left a client, and its upstream, take two.
        highest=$(find "/proc/$daemon/fd" -type l | sed 's|.*/||' | sort -n | tail -n 1)
        start_helper held "$stream" hold "$(address_of echo)" 2
        exec 8>"$directory/held.in"
        await_helper held '^held' >/dev/null
        prlimit --pid "$daemon" --nofile="$((highest + 8)):$((highest + 8))"
        echo >&8
        check 'connections get on' 'turned 2' "$(await_helper held '^turned')"
        check_echo 'and others come' "$(address_of echo)" 3000000
        exec 8>&-
        "$support/await" exit "$helper"
else
        skip 'connections get on' 'there is no prlimit'
        skip 'and others come' 'there is no prlimit'
fi
stop_daemon
check 'it ends well at last' 0 "$status"
end_tests
