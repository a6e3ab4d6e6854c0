#!/bin/sh
# Datagrams, with real packets in networks of the test's own: where replies leave from, how much an
# unproved peer is sent, ports that nobody listens on any more, forged addresses by the hundred
# thousand, what the kernel drops, and workers that share a port.
#
# The daemon runs in the network "near". Its peers are there, on the loopback interface, or in the
# network "far", at the other end of a pair of interfaces.
#
# shellcheck disable=SC2016,SC2086,SC2119,SC2317 # formats; lists of words; functions without
# arguments; called by others
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

# FLOOD_COUNT=1000000 makes more of what takes long.
: "${FLOOD_COUNT:=200000}"
# Peers that gave up read no more orders.
trap 'exit 1' PIPE

# --- networks --------------------------------------------------------------------------------------

# hold_network: a new one, which lasts as long as this script. $within is what runs a command there.
hold_network() {
        AWAIT_SECONDS=100000 unshare --net "$support/await" exit $$ &
        helpers="$helpers $!"
        within="nsenter --net=/proc/$!/ns/net"
        await_that is_apart $!
}
is_apart() {
        [ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ]
}

# What both ends of the pair need. Nothing is rationed, and forged addresses lead nowhere.
prepare() {
        "$@" ip link set lo up &&
                "$@" sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv4.conf.all.rp_filter=0 \
                        net.ipv4.conf.default.rp_filter=0 &&
                { ! $has_six || "$@" sysctl -qw net.ipv6.icmp.ratelimit=0; }
}
make_networks() {
        hold_network && near=$within && hold_network && far=$within &&
                far_net=${far#*=} &&
                $near ip link add dev near0 type veth peer name far0 netns "$(echo "$far_net" | cut -d/ -f3)" &&
                prepare $near && prepare $far &&
                $near ip addr add 10.9.0.1/16 dev near0 && $near ip addr add 10.9.0.2/16 dev near0 &&
                $far ip addr add 10.9.1.1/16 dev far0 && $far ip addr add 10.9.1.2/16 dev far0 &&
                $near ip link set near0 up && $far ip link set far0 up &&
                $near ip route add 10.10.0.0/16 via 10.9.1.1 && $far ip route add blackhole 10.10.0.0/16 ||
                return
        ! $has_six || {
                $near ip addr add fd00:9::1/64 dev near0 nodad && $near ip addr add fd00:9::2/64 dev near0 nodad &&
                        $far ip addr add fd00:9::11/64 dev far0 nodad
        }
}

# port NAME: of a listener.
port() {
        sed -n "s/.*listener \"$1\" listening on udp:.*:\([0-9]*\)\$/\1/p" "$log" | tail -n 1
}

# listen OPTIONS LISTENER...: configures and starts the daemon. A listener is its text, without the
# braces.
listen() {
        {
                echo 'log = { level = "debug"; };'
                echo "server = { $1 };"
                echo "listeners = ( { name = \"local\"; listen = \"$unix\"; }"
                shift
                printf ', { %s }\n' "$@"
                echo ');'
        } >"$config"
        empty_log
        launch $near "$SOCKD" --config "$config"
        await_ready
}

# peers NETWORK: peers that obey what this reads, and what they say.
peers() {
        "$@" "$support/datagram" 2>&1
}

# gather NETWORK...: peers in the background; tell ORDER [REGEX] is obeyed by them, and awaits what
# they say to it; dismiss.
gather() {
        start_helper peers "$@" "$support/datagram"
        exec 8>"$directory/peers.in"
}
tell() {
        printf '%s\n' "$1" >&8
        [ $# -eq 1 ] || await_helper peers "$2"
}
dismiss() {
        exec 8>&-
        "$support/await" exit "$helper"
}

# n_sessions: clients but for the one who asks.
n_sessions() {
        echo $(($(ctl_json connections status) - 1))
}
has_sessions() {
        [ "$(n_sessions)" -eq "$1" ]
}

# blanks N
blanks() {
        printf "%$1s" ''
}

# --- where replies leave from ------------------------------------------------------------------------

test_source() {
        listen '' 'name = "four"; listen = "udp://0.0.0.0:0";' 'name = "six"; listen = "udp://[::]:0"; v6only = true;' \
                'name = "dual"; listen = "udp://[::]:0";'
        for case in "four near 127.0.0.1 127.0.0.2" "four near 127.0.0.3 127.0.0.1" "six near [::1] [::1]" \
                "dual near [::1] [::1]" "dual near 127.0.0.1 127.0.0.2" "four far 10.9.1.1 10.9.0.1" \
                "four far 10.9.1.1 10.9.0.2" "dual far 10.9.1.2 10.9.0.1" "dual far 10.9.1.2 10.9.0.2" \
                "six far [fd00:9::11] [fd00:9::1]" "six far [fd00:9::11] [fd00:9::2]" \
                "dual far [fd00:9::11] [fd00:9::2]"; do
                read -r listener network from to <<EOF
$case
EOF
                name="$listener, from $from in $network: what is sent to $to is answered from there"
                case $case in
                *\[*) $has_six || {
                        skip "$name" 'there is no IPv6 here'
                        continue
                } ;;
                esac
                eval "within=\$$network"
                to=udp://$to:$(port "$listener")
                check "$name" "A $to 6 PONG\\r\\n" "$(printf '%s\n' "open A udp://$from:0 $to" \
                        'send A PING\r\n' 'expect A' | peers $within)"
        done

        # One socket, two addresses: two sessions, and each message leaves from its own.
        to=$(port four)
        gather $far
        tell "open A udp://10.9.1.1:0 udp://10.9.0.1:$to"
        tell 'send A SUB twice 1\r\nPING         \r\n'
        tell 'expect A' PONG >/dev/null
        tell "aim A udp://10.9.0.2:$to"
        tell 'send A SUB twice 2\r\nPING         \r\n'
        tell 'expect A' PONG >/dev/null
        ctl pub twice x
        tell 'settle A' 'settled 2' >/dev/null
        check 'a peer that subscribes at two addresses gets each message from the right one' \
                "A udp://10.9.0.1:$to 18 MSG twice 1 1\\r\\nx\\r\\n A udp://10.9.0.2:$to 18 MSG twice 2 1\\r\\nx\\r\\n " \
                "$(grep MSG "$directory/peers.out" | sort | tr '\n' ' ')"
        dismiss
        stop_daemon
}

# --- how much an unproved peer is sent ---------------------------------------------------------------

# verdict: of the line of `count`, whether more than three bytes for one came, or three datagrams, or
# an error that was longer than the only datagram that was sent.
verdict() {
        tr '/' ' ' | awk '$2 == "in" {
                print ($6 > 3 * $3 || $7 > 3 * $4 || ($4 == 1 && $9 > $3)) ? "wasteful: " $0 : "frugal"
        }'
}

# frugal NAME TEXT: the daemon's answers to one datagram. They have left when a stranger is answered.
frugal() {
        check "$1: at most three times as much comes back" frugal "$(
                printf '%s\n' "open A udp://10.9.1.1:0 $target" "open K udp://10.9.1.2:0 $target" "send A $2" \
                        'insist K PONG PING\r\n' 'settle A' 'count A' | peers $far | grep '^A' | verdict
        )"
}

# refused NAME COOKIE: in a CONNECT of A, and with it the rest of the datagram.
refused() {
        tell "send A CONNECT {\"cookie\":\"$2\"}$(blanks 400)\\r\\nSUB refused 1\\r\\n"
        n_lines=$(wc -l <"$directory/peers.out")
        tell 'settle A' settled >/dev/null
        check_matches "$1 is refused" 'ERR .Invalid Cookie' "$(tail -n "+$((n_lines + 1))" "$directory/peers.out")"
        check "$1 leaves nothing behind" 0 "$(n_sessions)"
}

# cookie: that the peers were given last.
cookie() {
        sed -n 's/.*"cookie":"\([0-9a-f]*\)".*/\1/p' "$directory/peers.out" | tail -n 1
}

test_amplification() {
        listen 'workers = 1;' 'name = "udp"; listen = "udp://0.0.0.0:0";' \
                'name = "short"; listen = "udp://0.0.0.0:0"; cookie_lifetime = "10ms";' \
                "name = \"dgram\"; listen = \"unix+dgram://$directory/d\";"
        target=udp://10.9.0.1:$(port udp)
        pings=$(printf '%200s' '' | sed 's/ /PING\\n/g')
        wrong=$(printf '%50s' '' | sed 's/ /SUB a..b 1\\n/g')
        frugal PING 'PING\r\n'
        frugal 'the shortest PING' 'PING\n'
        frugal 'two hundred PINGs' "$pings"
        frugal PONG 'PONG\r\n'
        frugal PUB 'PUB a 1\r\nx\r\n'
        frugal SUB 'SUB a 1\r\n'
        frugal 'SUB and PUB to oneself' 'SUB a 1\r\nPUB a 1\r\nx\r\nPUB a 1\r\nx\r\n'
        frugal 'many subscriptions of one message' \
                "$(printf '%s' 'SUB a ' 1 2 3 4 5 6 7 8 9 | sed 's/[1-9]/&\\nSUB a /g')10\\nPUB a 1\\r\\nx\\r\\n"
        frugal UNSUB 'UNSUB 1\r\n'
        frugal CONNECT 'CONNECT {}\r\n'
        frugal 'CONNECT with blanks' "CONNECT {}$(blanks 400)\\r\\n"
        frugal 'verbose' 'CONNECT {"verbose":true}\r\nPONG\r\nPONG\r\nPONG\r\nPONG\r\nPONG\r\nPONG\r\n'
        frugal 'a wrong CONNECT' 'CONNECT {"account":"x"}\r\n'
        frugal 'a wrong cookie' 'CONNECT {"cookie":"0"}\r\n'
        frugal 'a CONNECT that is no object' 'CONNECT 1\r\n'
        frugal 'HPUB without headers' 'HPUB a 12 12\r\nNATS/1.0\r\n\r\n\r\n'
        frugal HPUB 'CONNECT {"headers":true}\r\nHPUB a 12 12\r\nNATS/1.0\r\n\r\n\r\n'
        frugal 'a request that nobody hears' \
                'CONNECT {"headers":true,"no_responders":true}\r\nSUB i 1\r\nPUB nobody i 0\r\n\r\n'
        frugal 'one byte' 'x'
        frugal 'rubbish' 'xyz\r\n'
        frugal 'binary rubbish' '\x00\xff\x80\x0d\x0a\x01\x02\x03'
        frugal 'nothing' ''
        frugal 'an empty line' '\r\n'
        frugal 'half a PUB' 'PUB a 5\r\nhe'
        frugal 'half a SUB' 'SUB'
        frugal 'a payload that is too large' 'PUB a 99999999\r\n'
        frugal 'a line that is too long' "SUB $(printf '%5000s' '' | tr ' ' a)"
        frugal 'fifty wrong SUBs' "$wrong"
        frugal 'INFO' 'INFO {}\r\nINFO x\r\n'

        # What others cause: a flood of messages, and one large answer. The witness, who is proved, gets
        # all of it.
        gather $far
        tell "open A udp://10.9.1.1:0 $target"
        tell "open W unix+dgram://$directory/w unix+dgram://$directory/d"
        tell 'send W SUB answer 1\r\nSUB flood 2\r\nPING\r\n'
        tell 'expect W' PONG >/dev/null
        n_before=$(n_sessions)
        tell 'send A SUB flood 1\r\n'
        await_that has_sessions $((n_before + 1))
        ctl pub --count 1000 flood message
        tell 'settle A' settled >/dev/null
        tell 'count A' '^A in' | tr '/' ' ' >"$directory/count"
        read -r _ _ n_in _ _ n_out n_datagrams _ <"$directory/count"
        check_at_most 'a subscriber that others flood: at most three times as much comes back' $((3 * n_in)) "$n_out"
        check 'but that much does come' 1 "$n_datagrams"
        tell 'send A UNSUB 1\r\n'
        tell 'settle W' 'W settled' >/dev/null
        check 'others get all of it' 1000 "$(grep -c '^W .* MSG flood' "$directory/peers.out")"

        start_helper service "$SOCKCTL" -s "$unix" --verbose reply service -- \
                sh -c 'head -c 60000 /dev/zero | tr "\0" x'
        service=$helper
        exec 9>"$directory/service.in"
        await_helper service 'subscribed to' >/dev/null
        tell "open B udp://10.9.1.1:0 $target"
        tell 'send B SUB answer 1\r\nPUB service answer 0\r\n\r\n'
        tell 'expect W' '^W .* MSG answer' >/dev/null
        tell 'settle B' 'B settled' >"$directory/settled"
        check 'an unproved peer gets no large answer' 'B settled 0' "$(cat "$directory/settled")"
        tell 'count B' '^B in' >"$directory/count"
        check 'nor anything that is too much' frugal "$(verdict <"$directory/count")"

        tell "send B CONNECT {}$(blanks 400)\\r\\n"
        tell 'expect B' '^B .* INFO' >/dev/null
        tell 'send B CONNECT {"cookie":"@B@"}\r\nPUB service answer 0\r\n\r\n'
        tell 'expect B' '^B .* INFO' >/dev/null
        check_matches 'one that has proved its address gets it whole' "^B $target 600[0-9][0-9] MSG answer 1 60000" \
                "$(tell 'expect B' '^B .* MSG answer')"
        ctl pub --count 1000 answer y
        check_matches 'and all the others' 'B settled 1000' "$(tell 'settle B' 'B settled')"
        kill "$service"
        exec 9>&-
        tell 'send B UNSUB 1\r\n'
        dismiss
        stop_daemon
}

test_cookies() {
        set -- 'name = "udp"; listen = "udp://0.0.0.0:0"; session_timeout = "1s";' \
                'name = "short"; listen = "udp://0.0.0.0:0"; cookie_lifetime = "10ms";'
        listen 'workers = 1;' "$@"
        port=$(port udp)
        gather $far
        tell "open A udp://10.9.1.1:0 udp://10.9.0.1:$port"
        refused 'a forged cookie' 0123456789abcdef0123456789abcdef
        refused 'an empty cookie' ''
        tell "open B udp://10.9.1.2:0 udp://10.9.0.1:$port"
        tell "send B CONNECT {}$(blanks 400)\\r\\n"
        tell 'expect B' '^B .* INFO' >/dev/null
        refused 'the cookie of another address' "$(cookie)"

        tell "send A CONNECT {}$(blanks 400)\\r\\n"
        tell 'expect A' '^A .* INFO' >/dev/null
        cookie=$(cookie)
        tell "aim A udp://10.9.0.1:$(port short)"
        tell "send A CONNECT {}$(blanks 400)\\r\\n"
        tell 'expect A' '^A .* INFO' >/dev/null
        check_matches 'a cookie that expired is refused' 'Invalid Cookie' "$(
                tell "insist A Invalid CONNECT {\"cookie\":\"$(cookie)\"}$(blanks 400)\\r\\n" '^A .* -ERR'
        )"
        tell 'settle A' settled >/dev/null
        tell "aim A udp://10.9.0.1:$port"
        tell "send A CONNECT {\"cookie\":\"$cookie\"}$(blanks 400)\\r\\n"
        check_matches 'one of a listener where they last longer is still good' 'A settled 1$' \
                "$(tell 'settle A' settled)"

        stop_daemon
        listen 'workers = 1;' "name = \"udp\"; listen = \"udp://0.0.0.0:$port\";"
        refused 'a cookie from before the restart' "$cookie"
        dismiss
        stop_daemon
}

# --- what may be forged ------------------------------------------------------------------------------

# prove PEER: it shows the cookie that it is given.
prove() {
        tell "send $1 CONNECT {}$(blanks 400)\\r\\n"
        tell "expect $1" "^$1 .* INFO" >/dev/null
        tell "send $1 CONNECT {\"cookie\":\"@$1@\"}\\r\\n$2"
        tell "expect $1" "^$1 .* INFO" >/dev/null
}

# subscribe_often FROM TO: the text of subscriptions with these numbers.
subscribe_often() {
        seq "$1" "$2" | sed 's/.*/SUB often &\\r\\n/' | tr -d '\n'
}
n_subscriptions() {
        ctl --no-legend subs often | wc -l
}
has_subscriptions() {
        [ "$(n_subscriptions)" -eq "$1" ]
}

# Whoever may have a forged address holds little, and keeps nobody out who has proved his.
test_shares() {
        listen '' 'name = "udp"; listen = "udp://0.0.0.0:0"; max_sessions_per_source = 4;'
        target=udp://10.9.0.1:$(port udp)
        gather $far
        tell "open A udp://10.9.1.1:0 $target"
        tell "send A $(subscribe_often 1 40)"
        check_matches 'an unproved peer has few subscriptions, and is told so' \
                "ERR 'maximum subscriptions exceeded'" "$(tell 'expect A' '^A ')"
        check 'as many as it may have' 16 "$(n_subscriptions)"
        tell 'settle A' '^A settled' >/dev/null
        tell "send A UNSUB 1\\r\\nSUB $(printf '%64s' '' | sed 's/ /a./g')a 1\\r\\nSUB a.b.c.d.e.f.g.* 1\\r\\n"
        check_matches 'and none to subjects of many tokens' "ERR 'Subject Too Long without Cookie'" \
                "$(tell 'expect A' '^A ')"
        check 'but for those of some' 15 "$(n_subscriptions)"
        tell 'settle A' '^A settled' >/dev/null
        prove A "$(subscribe_often 17 40)"
        check_does 'one that has proved its address has more' await_that has_subscriptions 39

        for peer in B C D; do
                tell "open $peer udp://10.9.1.2:0 $target"
        done
        tell "send B SUB b 1\\r\\n"
        tell "send C SUB c 1\\r\\n"
        await_that has_sessions 3
        tell "send D SUB d 1\\r\\n$(blanks 50)\\r\\n"
        check_matches 'unproved sessions are half of those of a source at most' \
                "ERR 'maximum sessions exceeded'" "$(tell 'expect D' '^D ')"
        prove D 'SUB d 1\r\n'
        check_does 'the others are for who has proved its address' await_that has_sessions 4
        dismiss
        stop_daemon
}

# What goes to all is not for one worker alone: nobody takes it, and nobody answers.
test_broadcast() {
        listen 'workers = 4;' 'name = "udp"; listen = "udp://0.0.0.0:0";' 'name = "dual"; listen = "udp://[::]:0";' \
                'name = "group"; listen = "udp://0.0.0.0:0"; join = ["239.1.2.3"]; interface = "near0";'
        start_helper heard "$SOCKCTL" -v -s "$unix" sub 'to.*'
        exec 9>"$directory/heard.in"
        await_helper heard subscribed >/dev/null || bail_out 'sockctl sub does not begin'
        gather $far
        for listener in udp dual; do
                tell "open $listener udp://10.9.1.1:0 udp://10.9.255.255:$(port $listener)"
                tell "send $listener PUB to.all 3\\r\\nall\\r\\nPING\\r\\nSUB to.all 1\\r\\n"
                tell "aim $listener udp://10.9.0.1:$(port $listener)"
                tell "insist $listener PONG PING\\r\\n" "^$listener .* PONG" >/dev/null
                expect_counter "$listener" broadcast 4
                tell "settle $listener" "^$listener settled" >/dev/null
        done
        # A listener of groups has one socket, and takes it.
        tell "open group udp://10.9.1.1:0 udp://10.9.255.255:$(port group)"
        tell 'send group PUB to.group 5\r\ngroup\r\n'
        check_does 'what goes to all reaches listeners that only receive' await_helper heard '^group$'
        check 'others get none of it' 0 "$(grep -c '^all$' "$directory/heard.out")"
        check 'nor do they answer' 2 "$(grep -c '://' "$directory/peers.out")"
        check 'nor have a session' 1 "$(n_sessions)"
        dismiss
        exec 9>&-
        stop_daemon
}
# expect_counter LISTENER WHY N: so many were dropped by the listener.
expect_counter() {
        check_does "$1: $3 are counted as $2" await_that has_counter "$@"
}
has_counter() {
        ctl --json listeners | tr '{' '\n' | grep -A 9 "\"name\":\"$1\"" | grep -q "\"$2\":$3[,}]"
}

# --- lame duck mode ----------------------------------------------------------------------------------

test_drain() {
        listen '' 'name = "udp"; listen = "udp://127.0.0.1:0";' \
                "name = \"dgram\"; listen = \"unix+dgram://$directory/d\";"
        gather $near
        for peer in A B C; do
                tell "open $peer udp://127.0.0.1:0 udp://127.0.0.1:$(port udp)"
        done
        tell "open D unix+dgram://$directory/p unix+dgram://$directory/d"
        for peer in A D; do
                tell "send $peer CONNECT {\"protocol\":1}\\r\\nSUB drain 1\\r\\n"
                tell "expect $peer" "^$peer .* INFO" >/dev/null
        done
        tell 'send B SUB drain 1\r\nPING\r\n'
        tell 'expect B' '^B .* PONG' >/dev/null
        ctl drain >/dev/null 2>&1
        for peer in A D; do
                check_matches "$peer: a session that understands it is asked to leave" '"ldm":true' \
                        "$(tell "expect $peer" "^$peer .*ldm")"
        done
        tell 'send C SUB drain 1\r\n'
        check_matches 'a new one is told why it cannot be' "ERR 'Server Shutdown'" "$(tell 'expect C' '^C ')"
        tell 'send C PUB drain 4\r\nlast\r\n'
        check_matches 'what is published comes to those who are still there' 'MSG drain 1 4' \
                "$(tell 'expect B' '^B .* MSG')"
        dismiss
        stop_daemon
}

# --- peers that are gone -----------------------------------------------------------------------------

# gone NAME NETWORK FROM TO: of three subscribers one closes its socket.
gone() {
        gather $2
        for peer in A B; do
                tell "open $peer udp://$3:0 udp://$4"
                tell "send $peer CONNECT {}$(blanks 400)\\r\\n"
                tell "expect $peer" "^$peer .* INFO" >/dev/null
                tell "send $peer CONNECT {\"cookie\":\"@$peer@\"}\\r\\nSUB gone 1\\r\\n"
                tell "expect $peer" "^$peer .* INFO" >/dev/null
        done
        tell 'close A'
        tell 'say A is closed' '^A is closed' >/dev/null
        ctl pub gone 1
        expect_log "$1: the session of a closed socket ends" 'disconnected: Port Unreachable'
        check "$1: another one stays" 1 "$(n_sessions)"
        # Strangers may be gone as well, before their answers come.
        for i in 1 2 3; do
                tell "open S$i udp://$3:0 udp://$4"
                tell "send S$i PING\\r\\n"
                tell "close S$i"
                ctl pub gone "2"
        done
        ctl pub gone 3
        check_matches "$1: and gets all messages" '^B settled 5' "$(tell 'settle B' '^B settled')"

        for i in 1 2 3 4 5 6 7 8 9 10; do
                tell "open C$i udp://$3:0 udp://$4"
                tell "send C$i SUB gone 1\\r\\nPING$(blanks 200)\\r\\n"
                tell "expect C$i" "^C$i .* PONG" >/dev/null
        done
        for i in 1 2 3 4 5 6 7 8 9 10; do
                tell "close C$i"
        done
        tell 'say all are closed' '^all are closed' >/dev/null
        ctl pub gone 4
        check_does "$1: so do those of ten closed sockets" await_that has_sessions 1
        ctl pub gone 5
        check_matches "$1: the other one still gets all" '^B settled 2' "$(tell 'settle B' '^B settled')"
        tell "send B UNSUB 1\\r\\nPING$(blanks 200)\\r\\n"
        tell 'expect B' '^B .* PONG' >/dev/null
        tell 'close B'
        dismiss
}

# gone_from NAME FROM TO TO: of two sockets at one address, that speak to two of ours, one is closed.
gone_from() {
        gather $near
        tell "open A udp://$2:0 udp://$3"
        tell "twin B A udp://$4"
        for peer in A B; do
                tell "send $peer SUB gone.$peer 1\\r\\nPING\\r\\n"
                tell "expect $peer" "^$peer .* PONG" >/dev/null
        done
        tell 'close B'
        tell 'say B is closed' '^B is closed' >/dev/null
        ctl pub gone.B x
        check_does "$1: what is closed at one of our addresses ends there" await_that has_sessions 1
        ctl pub gone.A x
        check_matches "$1: and lives on at the other" '^A .* MSG gone.A' "$(tell 'expect A' '^A .*')"
        dismiss
}

test_gone() {
        listen '' 'name = "four"; listen = "udp://0.0.0.0:0";' 'name = "dual"; listen = "udp://[::]:0";' \
                'name = "one"; listen = "udp://127.0.0.1:0";'
        gone 'IPv4' "$near" 127.0.0.1 127.0.0.1:"$(port four)"
        restart
        gone 'one address' "$near" 127.0.0.1 127.0.0.1:"$(port one)"
        restart
        gone 'IPv4, from afar' "$far" 10.9.1.1 10.9.0.2:"$(port four)"
        restart
        gone 'IPv4 on a socket of IPv6' "$far" 10.9.1.1 10.9.0.1:"$(port dual)"
        restart
        gone_from 'IPv4, two addresses' 127.0.0.1 127.0.0.1:"$(port four)" 127.0.0.2:"$(port four)"
        restart
        gone_from 'IPv4 on a socket of IPv6, two addresses' 127.0.0.1 127.0.0.1:"$(port dual)" 127.0.0.2:"$(port dual)"
        if $has_six; then
                restart
                gone_from 'IPv6, two addresses' '[fd00:9::1]' "[fd00:9::1]:$(port dual)" "[fd00:9::2]:$(port dual)"
                restart
                gone 'IPv6' "$near" '[::1]' "[::1]:$(port dual)"
                restart
                gone 'IPv6, from afar' "$far" '[fd00:9::11]' "[fd00:9::2]:$(port dual)"
        else
                skip 'IPv6' 'there is no IPv6 here'
        fi
        stop_daemon
}
restart() {
        stop_daemon
        empty_log
        launch $near "$SOCKD" --config "$config"
        await_ready
}

# --- together -------------------------------------------------------------------------------------------

# together NAME FROM TO: of several peers in one batch each gets its own, though one is gone and one
# does not read. FROM holds a % for the number of the peer.
together() {
        gather $near
        for i in 1 2 3 4 5 6; do
                tell "open P$i $(echo "$2" | sed "s/%/$i/") $3"
                tell "send P$i SUB together.all $i\\r\\nSUB together.$i 0\\r\\nPING\\r\\n"
                tell "expect P$i" "^P$i .* PONG" >/dev/null
        done
        tell 'close P3'
        tell 'say P3 is closed' '^P3 is closed' >/dev/null
        tell 'burst 40 P1 PUB together.5 1\r\nx\r\n' '^P1 burst' >/dev/null
        tell 'send P1 PUB together.all 1\r\ny\r\n'
        for i in 1 2 4 6; do
                check_matches "$1: peer $i gets its own" "MSG together.all $i 1" \
                        "$(tell "expect P$i" "^P$i .* MSG together.all")"
        done
        check_does "$1: the one that is gone has no session" await_that has_sessions 5
        dismiss
}

test_together() {
        listen 'workers = 2;' 'name = "udp"; listen = "udp://127.0.0.1:0";' \
                "name = \"dgram\"; listen = \"unix+dgram://$directory/d\";"
        together UDP udp://127.0.0.1:0 "udp://127.0.0.1:$(port udp)"
        restart
        together Unix "unix+dgram://$directory/p%" "unix+dgram://$directory/d"
        stop_daemon
}

# --- peers that do not read ----------------------------------------------------------------------------

# is_served PEER WHAT: beside those who do not read.
is_served() {
        tell "send $1 PING\\r\\n"
        check_matches "$2, another peer is answered" PONG "$(tell "expect $1" "^$1 .* PONG")"
        for i in 1 2 3 4 5 6 7 8 9 10; do
                for j in 1 2 3 4 5 6 7 8 9 10; do
                        tell "send $1 SUB $1.$i.$j 1 \\r\\nPUB $1.$i.$j 5\\r\\nhello\\r\\n"
                        tell "expect $1"
                done
        done
        tell "say $1 had all" "^$1 had all" >/dev/null
        check "$2, he gets all that is his" 100 "$(grep -c "^$1 .* MSG $1.*hello" "$directory/peers.out")"
}

# The peers of a Unix socket share its send buffer.
test_stall() {
        # As systemd has it: a peer's queue alone stops nobody.
        qlen=$($near sysctl -n net.unix.max_dgram_qlen)
        $near sysctl -qw net.unix.max_dgram_qlen=512
        listen 'workers = 2;' "name = \"dgram\"; listen = \"unix+dgram://$directory/d\"; send_buffer = \"208K\";"
        gather $near
        for peer in long short stranger A B C D; do
                tell "open $peer unix+dgram://$directory/$peer unix+dgram://$directory/d"
        done
        for peer in long short; do
                tell "send $peer SUB to.$peer 1\\r\\nPING\\r\\n"
                tell "expect $peer" "^$peer .* PONG" >/dev/null
        done
        tell "burst 4 A PUB to.long 60000\\r\\n$(blanks 60000)\\r\\n" '^A burst' >/dev/null
        is_served A 'while one has long messages'
        tell 'burst 1000 A PUB to.short 1\r\nx\r\n' '^A burst' >/dev/null
        is_served B 'while one has many short ones as well'
        tell 'burst 1000 stranger NONSENSE\r\n' '^stranger burst' >/dev/null
        is_served C 'while a stranger does not read what is wrong'
        check_matches 'who reads at last has all that waited' '^long settled 4' "$(tell 'settle long' '^long settled')"
        check_matches 'be it short' '^short settled 1000' "$(tell 'settle short' '^short settled')"
        is_served D 'afterwards'
        dismiss
        stop_daemon
        $near sysctl -qw net.unix.max_dgram_qlen="$qlen"
}

# n_waiting: bytes, for all peers.
n_waiting() {
        ctl --json clients | tr ',' '\n' | sed -n 's/.*"pending_bytes":\([0-9]*\).*/\1/p' |
                awk '{ n += $1 } END { print n + 0 }'
}
# have_read PEER...: all that was for them.
have_read() {
        for peer in "$@"; do
                tell "take $peer" "^$peer took" >/dev/null
        done
        [ "$(n_waiting)" -eq 0 ]
}

# What waits is limited for each peer, and for all of a listener.
test_waiting() {
        listen 'workers = 2; max_pending = "256K"; max_payload = "64K";' \
                "name = \"dgram\"; listen = \"unix+dgram://$directory/d\"; send_buffer = \"208K\";"
        gather $near
        for i in 1 2 3 4 5 6 7 8 A; do
                tell "open P$i unix+dgram://$directory/w$i unix+dgram://$directory/d"
        done
        for i in 1 2 3 4 5 6 7 8; do
                tell "send P$i SUB waiting 1\\r\\nPING\\r\\n"
                tell "expect P$i" "^P$i .* PONG" >/dev/null
        done
        for round in first second; do
                tell "burst 300 PA PUB waiting 1000\\r\\n$(blanks 1000)\\r\\n" '^PA burst' >/dev/null
                tell 'send PA PING\r\n'
                tell 'expect PA' '^PA .* PONG' >/dev/null
                n=$(n_waiting)
                check_at_most "$round time: for eight who do not read no more waits than may" 262144 "$n"
                check_at_most "$round time: but hardly less" "$n" 200000
                check_does "$round time: nothing does when they have read" await_that have_read P1 P2 P3 P4 P5 P6 P7 P8
        done
        dismiss
        stop_daemon
}

# --- abuse ---------------------------------------------------------------------------------------------

# ask: whether a request of somebody else is answered.
ask() {
        [ "$(ctl request echo "$1" 2>&1)" = "$1" ]
}

# undisturbed NAME ORDER: others are served while the peers obey, and memory stays as it is.
undisturbed() {
        rss_kb=$(resident_kb "$daemon")
        n_asked=0
        n_unanswered=0
        tell "$2"
        while ! grep -q "$3" "$directory/peers.out"; do
                n_asked=$((n_asked + 1))
                ask "$n_asked" || n_unanswered=$((n_unanswered + 1))
                if [ "$n_unanswered" -eq 3 ] || ! kill -0 "$flooder"; then
                        break
                fi
        done
        check_matches "$1: all of them were taken" "$3" "$(cat "$directory/peers.out")"
        check "$1: others are served meanwhile" 0 "$n_unanswered"
        check_does "$1: and afterwards" ask afterwards
        if $is_sanitized; then
                skip "$1: memory stays as it is" 'a sanitizer keeps what is freed'
        else
                check_at_most "$1: memory stays as it is" $((rss_kb + 4000)) "$(resident_kb "$daemon")"
        fi
}

test_abuse() {
        listen '' 'name = "udp"; listen = "udp://0.0.0.0:0"; receive_buffer = "4M";' \
                'name = "few"; listen = "udp://0.0.0.0:0"; receive_buffer = "4M"; max_sessions = 500; max_sessions_per_source = 3;' \
                "name = \"dgram\"; listen = \"unix+dgram://$directory/d\";"
        sed -i 's/"debug"/"info"/' "$config"
        ctl reload >/dev/null
        start_helper service "$SOCKCTL" -s "$unix" --verbose reply echo --echo
        exec 9>"$directory/service.in"
        await_helper service 'subscribed to' >/dev/null
        gather $far
        flooder=$helper
        tell "open N udp://10.9.1.1:0 udp://10.9.0.1:$(port udp)"
        tell 'flood 1000 10.10.0.1 N PUB abuse 1\r\nx\r\n' 'N flooded 1000$' >/dev/null
        tell 'flood 1000 10.10.0.1 N ' 'N flooded 1000$' >/dev/null
        undisturbed "$FLOOD_COUNT forged publishers" "flood $FLOOD_COUNT 10.10.0.1 N PUB abuse 1\\r\\nx\\r\\n" \
                "^N flooded $FLOOD_COUNT\$"
        check_does 'and leave no session' await_that has_sessions 1
        undisturbed "$((FLOOD_COUNT + 1)) forged datagrams of rubbish" "flood $((FLOOD_COUNT + 1)) 10.10.0.1 N " \
                "^N flooded $((FLOOD_COUNT + 1))\$"
        check_does 'and leave no session' await_that has_sessions 1
        tell "open F udp://10.9.1.2:0 udp://10.9.0.1:$(port few)"
        undisturbed '20,000 forged subscribers' 'flood 20000 10.10.0.1 F SUB abuse.* 1\r\n' '^F flooded 20000'
        # The second half is for those who have proved their address.
        check 'no more of them have a session than may' 251 "$(n_sessions)"
        ctl pub abuse.x 1
        check_does 'publishing to them disturbs nobody' ask them
        tell 'send F SUB a 1\r\n                                   \r\n'
        check_matches 'another one is told so' "ERR 'maximum sessions exceeded'" "$(tell 'expect F' '^F .*ERR')"
        dismiss

        gather $near
        flooder=$helper
        tell "open L udp://127.0.0.1:0 udp://127.0.0.1:$(port udp)"
        tell "open D unix+dgram://$directory/l unix+dgram://$directory/d"
        for peer in L D; do
                for text in '' '\r\n' '\n\n\n\n' 'PUB' 'PUB a' 'PUB a 5\r\n' 'PUB a 5\r\nhello' 'PUB a 5\r\nhello\r' \
                        'SUB a' 'UNSUB' 'HPUB a 5' 'CONNECT {' 'CONNECT {"a":' 'INFO {}\r\nINFO {' 'INFO {"a":1}\r\nINFO [1]\r\n' \
                        'PUB a -1\r\n\r\n' 'PUB a 18446744073709551616\r\n' '\x00' '\xff\xfe\xfd\r\n\x00\x00\r\nPING\r\n' \
                        'MSG a 1 1\r\nx\r\n' '+OK\r\n-ERR x\r\nPING\r\n'; do
                        tell "send $peer $text"
                        tell "settle $peer" "^$peer settled" >/dev/null
                done
                # The longest that UDP over IPv4 takes: of one byte, of an operation with all of it, and cut.
                long=$(printf '%65507s' '' | tr ' ' x)
                for text in "$long" "PUB large 65488\\r\\n${long%???????????????????}\\r\\n" \
                        "PUB large 65507\\r\\n${long%?????????????????}"; do
                        tell "send $peer $text"
                        tell "settle $peer" "^$peer settled" >/dev/null
                done
                check "$peer: what is wrong or incomplete is answered with one error each" 21 \
                        "$(grep -c "^$peer .* -ERR" "$directory/peers.out")"
                check "$peer: and with nothing else" 0 \
                        "$(grep "^$peer .*://" "$directory/peers.out" | grep -cv -- ' -ERR')"
                check_does "$peer: and disturb nobody" ask "$peer"
        done
        dismiss
        check_does 'there is no session of theirs' await_that has_sessions 251
        exec 9>&-
        stop_daemon
}

# --- forged hosts that are not there -------------------------------------------------------------------

# What is sent to them waits for seconds until nobody says where they are.
test_absent() {
        listen 'workers = 1;' 'name = "udp"; listen = "udp://0.0.0.0:0"; send_buffer = "64K";'
        gather $far
        tell "open N udp://10.9.1.1:0 udp://10.9.0.1:$(port udp)"
        prove N 'SUB to.n 1\r\n'
        tell 'count N' '^N in' | tr '/' ' ' >"$directory/before"
        tell 'flood 400 10.9.5.1 N PING\r\n' '^N flooded' >/dev/null
        tell 'count N' '^N in .*' | tr '/' ' ' >"$directory/after"
        # After each 64, and at the end.
        check 'whose address is proved is answered each time, beside forged hosts that are not there' 7 \
                "$(awk '{ n = $4 - n } END { print n }' "$directory/before" "$directory/after")"
        ctl pub --count 1000 to.n x
        check_matches 'and gets all messages' '^N settled 1000' "$(tell 'settle N' '^N settled')"
        check 'and so does who is on this machine' 100 "$({
                echo "open L udp://127.0.0.1:0 udp://127.0.0.1:$(port udp)"
                for i in $(seq 100); do
                        printf '%s\n' 'send L PING\r\n' 'expect L'
                done
        } | peers $near | grep -c PONG)"
        dismiss
        stop_daemon
}

# --- what is too large ---------------------------------------------------------------------------------

test_large() {
        listen '' 'name = "udp"; listen = "udp://127.0.0.1:0";'
        gather $near
        tell "open A udp://127.0.0.1:0 udp://127.0.0.1:$(port udp)"
        tell 'send A SUB large 1\r\nPING\r\n'
        tell 'expect A' PONG >/dev/null
        ctl pub large "$(blanks 65486)"
        ctl pub large "$(blanks 65487)"
        check_matches 'a datagram is as large as can be' '^A .* 65507 MSG large 1 65486' "$(tell 'expect A' '^A .* MSG')"
        check_matches 'of what is larger the peer is told' "ERR 'Message Too Large for Transport'" \
                "$(tell 'expect A' '^A .* -ERR')"
        check 'and it is counted' 1 "$(ctl_json listeners.1.datagrams.dropped.too_large listeners)"
        dismiss
        stop_daemon
}

# --- what the kernel drops -------------------------------------------------------------------------------

is_stopped() {
        grep -q '^State:[[:space:]]*T' "/proc/$daemon/status"
}

test_overflow() {
        listen 'workers = 1;' 'name = "udp"; listen = "udp://127.0.0.1:0"; receive_buffer = "8K";'
        gather $near
        tell "open A udp://127.0.0.1:0 udp://127.0.0.1:$(port udp)"
        tell 'send A PING\r\n'
        tell 'expect A' PONG >/dev/null
        check 'nothing was dropped before' 0 "$(count_log 'the kernel dropped')"
        kill -STOP "$daemon"
        await_that is_stopped
        tell 'burst 1000 A PUB a 1\r\nx\r\n' '^A burst' >/dev/null
        kill -CONT "$daemon"
        tell 'insist A PONG PING\r\n' '^A .* PONG' >/dev/null
        expect_log 'what the kernel dropped is told of' 'warning: listener "udp": the kernel dropped datagrams'
        dismiss
        stop_daemon
}

# --- multicast ---------------------------------------------------------------------------------------

# group NAME TO: what is published to a group arrives, and nothing is answered.
group() {
        tell "open $1 $2 $3"
        tell "send $1 PUB group $(printf %s "$1" | wc -c)\\r\\n$1\\r\\nPING\\r\\nSUB group 1\\r\\nrubbish\\r\\n"
        check_does "$1: what is published to a group arrives" await_helper heard "^$1\$"
}

test_multicast() {
        six='name = "six"; listen = "udp://[::]:0"; v6only = true; join = ["ff15::123"]; interface = "near0";'
        $has_six || six='name = "six"; listen = "udp://127.0.0.1:0";'
        $far ip route add 224.0.0.0/4 dev far0
        ! $has_six || $far ip -6 route add ff15::/16 dev far0 table local
        listen '' 'name = "group"; listen = "udp://0.0.0.0:0"; join = ["239.1.2.3", "239.1.2.4"]; interface = "near0";' "$six"
        start_helper heard "$SOCKCTL" -v -s "$unix" sub group
        exec 9>"$directory/heard.in"
        await_helper heard subscribed >/dev/null || bail_out 'sockctl sub does not begin'
        gather $far
        tell "open Z udp://10.9.1.1:0 udp://239.1.2.5:$(port group)"
        tell 'send Z PUB group 5\r\nother\r\n'
        group IPv4 udp://10.9.1.1:0 "udp://239.1.2.3:$(port group)"
        group second udp://10.9.1.2:0 "udp://239.1.2.4:$(port group)"
        check 'nothing is answered, and there is no session' '0 0' \
                "$(ctl_json listeners.1.datagrams.sent listeners) $(ctl_json listeners.1.total_connections listeners)"
        expect_counter group unanswerable 4
        check 'other groups are not taken' 2 "$(ctl_json listeners.1.datagrams.received listeners)"
        if $has_six; then
                group IPv6 'udp://[fd00:9::11]:0' "udp://[ff15::123]:$(port six)"
                check 'nothing is answered over IPv6' 0 "$(ctl_json listeners.2.datagrams.sent listeners)"
        fi
        dismiss
        exec 9>&-
        stop_daemon
}

# --- several workers ---------------------------------------------------------------------------------------

# buffers: of the sockets on $port.
buffers() {
        $near ss -Hlunm "sport = :$port" | grep -o 'rb[0-9]*'
}

test_workers() {
        listen 'workers = 4;' 'name = "udp"; listen = "udp://0.0.0.0:0"; receive_buffer = "64K";'
        port=$(port udp)
        if command -v ss >/dev/null; then
                check 'each worker has a socket of its own on the port' 4 "$(buffers | wc -l)"
                check 'each with a buffer as large as configured' rb131072 "$(buffers | sort -u)"
                sed -i 's/64K/128K/' "$config"
                ctl reload >/dev/null
                check 'and with a larger one after a reload' rb262144 "$(buffers | sort -u)"
        else
                for name in 'each worker has a socket of its own on the port' \
                        'each with a buffer as large as configured' 'and with a larger one after a reload'; do
                        skip "$name" 'ss is not installed'
                done
        fi
        gather $near
        for i in $(seq 64); do
                tell "open P$i udp://127.0.0.1:0 udp://127.0.0.1:$port"
                tell "send P$i SUB all 1\\r\\nPING\\r\\n"
                tell "expect P$i" "^P$i .* PONG" >/dev/null
        done
        check 'each of 64 peers has a session' 64 "$(n_sessions)"
        for i in 1 2 3 4 5 6 7 8 9 10; do
                ctl pub all "$i"
        done
        # They publish as well, each one message.
        for i in $(seq 64); do
                tell "send P$i PUB all 3\\r\\n$((100 + i))\\r\\n"
        done
        for i in $(seq 64); do
                tell "settle P$i" "^P$i settled" >/dev/null
        done
        # Their messages may still be on their way from one worker to another.
        for i in $(seq 64); do
                tell "settle P$i" "^P$i settled" >/dev/null
        done
        grep ' MSG all ' "$directory/peers.out" | sort | uniq -c | awk '{ print $1 }' | sort | uniq -c |
                awk '{ print $1 " messages came " $2 " times" }' >"$directory/times"
        check 'each of them gets each message exactly once' "$((64 * 74)) messages came 1 times" \
                "$(cat "$directory/times")"
        dismiss
        stop_daemon
}

# --- all of it -----------------------------------------------------------------------------------------

has_six=false
! has_ipv6 || has_six=true
why_not=
if ! $is_root; then
        why_not='needs root'
elif ! command -v ip >/dev/null || ! command -v nsenter >/dev/null; then
        why_not='needs ip and nsenter'
elif ! make_networks 2>"$directory/why"; then
        why_not="networks cannot be made here: $(tail -n 1 "$directory/why")"
fi
for part in source amplification cookies shares broadcast drain gone together stall waiting abuse absent large overflow multicast workers; do
        if [ -n "$why_not" ]; then
                skip "datagrams: $part" "$why_not"
        elif [ -z "${DATAGRAM_PARTS:-}" ] || echo " $DATAGRAM_PARTS " | grep -q " $part "; then
                "test_$part"
                check "$part: none of all this was an error of ours" 0 \
                        "$(count_log ' error: |runtime error|Sanitizer')"
                check "$part: the daemon ended in order" 0 "$status"
        fi
done

end_tests
