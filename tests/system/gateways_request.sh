#!/bin/sh
# The gateway whose peers ask: what plain programs write to a socket is answered by services on the
# bus, in the order of the questions, or by an error.
#
# shellcheck disable=SC2016,SC2119 # variables of sockd; functions without arguments
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

gateways() {
        configure "server = { ${1:-} };" 'listeners = (' \
                "  { name = \"local\"; listen = \"$unix\"; }," \
                '  { name = "tcp"; listen = "tcp://127.0.0.1:0"; request = "svc.${listener}"; timeout = "20s"; },' \
                '  { name = "one"; listen = "tcp://127.0.0.1:0"; request = "svc.tcp"; max_in_flight = 1; timeout = "20s"; },' \
                '  { name = "short"; listen = "tcp://127.0.0.1:0"; request = "svc.tcp"; max_line = 5; timeout = "20s"; },' \
                '  { name = "length"; listen = "tcp://127.0.0.1:0"; request = "svc.tcp"; framing = "length32"; timeout = "20s"; },' \
                '  { name = "eof"; listen = "tcp://127.0.0.1:0"; request = "svc.tcp"; framing = "eof"; timeout = "20s"; },' \
                '  { name = "quick"; listen = "tcp://127.0.0.1:0"; request = "svc.silent"; timeout = "100ms"; },' \
                '  { name = "nobody"; listen = "tcp://127.0.0.1:0"; request = "svc.nobody"; },' \
                '  { name = "denied"; listen = "tcp://127.0.0.1:0"; request = "secret.x"; },' \
                "  { name = \"stream\"; listen = \"unix://$directory/stream\"; request = \"svc.tcp\"; timeout = \"20s\"; }," \
                "  { name = \"record\"; listen = \"unix+seqpacket://$directory/record\"; request = \"svc.tcp\"; timeout = \"20s\"; }," \
                "  { name = \"dgram\"; listen = \"unix+dgram://$directory/dgram\"; request = \"svc.tcp\"; timeout = \"20s\"; }," \
                '  { name = "udp"; listen = "udp://127.0.0.1:0"; request = "svc.tcp"; timeout = "20s"; },' \
                '  { name = "lines"; listen = "udp://127.0.0.1:0"; request = "svc.tcp"; framing = "line"; timeout = "20s"; },' \
                '  { name = "void"; listen = "udp://127.0.0.1:0"; request = "svc.nobody"; }' \
                ');' \
                'default_permissions = { publish = { deny = ["secret.>"]; }; subscribe = [">"]; };'
}

# ask NAME: standard input, to a TCP listener, whose answers are printed.
ask() {
        "$support/peer" through "tcp://127.0.0.1:$(port_of "$1")" 2>/dev/null
}

# serve NAME SUBJECT ARG...: sockctl reply, whose input is descriptor 8.
serve() {
        serve_name=$1 serve_subject=$2
        shift 2
        start_helper "$serve_name" "$SOCKCTL" -v -s "$unix" reply "$serve_subject" "$@"
        exec 8>"$directory/$serve_name.in"
        await_helper "$serve_name" ': subscribed to ' >/dev/null || bail_out "sockctl reply does not begin"
}

# leave: the last one goes.
leave() {
        exec 8>&-
        kill "$helper"
        "$support/await" exit "$helper"
}

gateways 'write_deadline = "2s"'
start_daemon

# --- framings --------------------------------------------------------------------------------------

serve upper svc.tcp -- tr a-z A-Z
check 'each line is answered by a line, which ends as the question did' "$(printf 'A\nB\r\n\nLAST\n.')" \
        "$(printf 'a\nb\r\n\nlast' | ask tcp; echo .)"
check 'length32 is answered so' "$(printf '0000000341424300000000000000010a')" \
        "$(printf '\0\0\0\003abc\0\0\0\0\0\0\0\001\n' | ask length | od -An -v -tx1 | tr -d ' \n')"
check 'eof by the bytes of the answer, and the end' "$(printf 'A\nB\n.')" "$(printf 'a\nb\n' | ask eof; echo .)"
check 'one question after the other' "$(printf 'A\nB\nC')" "$(printf 'a\nb\nc\n' | ask one)"
check 'a line that is too long is told in its turn' "$(printf "AB\n-ERR 'Maximum Payload Violation'\nC")" \
        "$(printf 'ab\nabcdef\nc\n' | ask short)"
check 'a length of 4 GB as well, and that is the end' \
        "$(printf '\0\0\0\002AB\0\0\0\040%s' "-ERR 'Maximum Payload Violation'" | od -An -v -tx1)" \
        "$(printf '\0\0\0\002ab\377\377\377\377' | ask length | od -An -v -tx1)"
check 'over a Unix socket' UNIX "$(printf 'unix\n' | "$support/peer" through "unix://$directory/stream" 2>/dev/null)"
leave

serve lines svc.tcp -- printf 'one\ntwo\r\nthree\n'
check 'an answer of several lines is one line' 'one two three' "$(printf 'x\n' | ask tcp)"
check 'eof leaves it as it is' "$(printf 'one\ntwo\r\nthree')" "$(printf 'x\n' | ask eof)"
leave

# --- programs ----------------------------------------------------------------------------------------

serve upper svc.tcp -- tr a-z A-Z
if with nc 'nc asks'; then
        check 'nc asks' 'BY NC' "$(printf 'by nc\n' | nc -N 127.0.0.1 "$(port_of tcp)")"
        check 'nc -u asks' 'BY NC' "$(printf 'by nc' | nc -u -w1 127.0.0.1 "$(port_of udp)")"
        check 'nc -u asks by lines' "$(printf 'A\nB')" "$(printf 'a\nb\n' | nc -u -w1 127.0.0.1 "$(port_of lines)")"
fi
if with socat 'socat asks'; then
        check 'socat asks' 'BY SOCAT' "$(echo 'by socat' | socat -t20 - "TCP:127.0.0.1:$(port_of tcp)")"
        check 'socat asks in records' RECORD "$(printf record | socat -t20 - "UNIX-CONNECT:$directory/record,type=5")"
        check 'socat asks on a Unix datagram socket' DATAGRAM \
                "$(printf datagram | socat -t1 - "UNIX-SENDTO:$directory/dgram,bind=$directory/me")"
fi
if with bash 'bash asks by /dev/tcp'; then
        check 'bash asks by /dev/tcp' 'BY BASH' \
                "$(bash -c "exec 3<>/dev/tcp/127.0.0.1/$(port_of tcp); echo 'by bash' >&3; read -r line <&3; echo \"\$line\"")"
fi
if with curl 'curl asks by telnet://'; then
        check 'curl asks by telnet://' 'BY CURL' \
                "$(printf 'by curl\n' | timeout 20 curl -s -m 2 "telnet://127.0.0.1:$(port_of tcp)")"
fi
leave

# --- many --------------------------------------------------------------------------------------------

serve echo svc.tcp --echo
seq 1 10000 >"$directory/questions"
ask tcp <"$directory/questions" >"$directory/answers"
check_does 'ten thousand questions at once are answered in their order' cmp "$directory/questions" "$directory/answers"
ask one <"$directory/questions" | head -n 3000 >"$directory/answers"
check 'so are those that wait for each other' "$(seq 1 3000)" "$(cat "$directory/answers")"
head -c 1048576 /dev/urandom >"$directory/big"
ask eof <"$directory/big" >"$directory/answers"
check_does 'a mebibyte comes back as it was' cmp "$directory/big" "$directory/answers"
if with socat 'an answer that is too large for a datagram is an error'; then
        # What fits a record on its way in, and not on its way out, as that has fewer bytes there.
        leave
        serve large svc.tcp -- head -c 300000 /dev/zero
        check 'an answer that is too large for a datagram is an error' "-ERR 'Answer Too Large'" \
                "$(printf x | socat -t1 - "UNIX-SENDTO:$directory/dgram,bind=$directory/me")"
        check 'it is counted' 1 "$(lost dgram too_large)"
fi
leave

# Answers that come in another order than the questions.
serve slow svc.tcp --queue q -- sh -c 'read -r line; echo "$line"'
serve_first=$helper
serve fast svc.tcp --queue q -- cat
check_does 'two services answer in the order of the questions' test \
        "$(seq 1 200)" = "$(seq 1 200 | ask tcp)"
kill "$serve_first"
leave

# --- errors ------------------------------------------------------------------------------------------

check 'nobody responds' "$(printf "%s\n%s" "-ERR 'No Responders'" "-ERR 'No Responders'")" "$(printf 'a\nb\n' | ask nobody)"
check 'that is counted' 2 "$(lost nobody no_responders)"
expect_log 'and told' 'listener "nobody": nobody answers what is asked: "svc.nobody"$'
check 'who may not publish is told' "-ERR 'Permissions Violation for Publish to \"secret.x\"'" "$(printf 'a\n' | ask denied)"
check 'that is counted, too' 1 "$(lost denied denied)"
if with nc 'a datagram gets an error as well'; then
        check 'a datagram gets an error as well' "-ERR 'No Responders'" \
                "$(printf 'a' | nc -u -w1 127.0.0.1 "$(port_of void)")"
fi
if $is_root && with socat 'who would answer the answer is not answered'; then
        check 'who would answer the answer is not answered' '' \
                "$(printf x | socat -t1 - "UDP:127.0.0.1:$(port_of void),bind=127.0.0.1:17")"
        check 'that is counted' 1 "$(ctl --json listeners | sed 's/{"name"/\n&/g' |
                sed -n 's/^{"name":"void".*"loop":\([0-9]*\).*/\1/p')"
fi
start_helper silent "$SOCKCTL" -v -s "$unix" sub svc.silent
exec 8>"$directory/silent.in"
await_helper silent subscribed >/dev/null
check 'a service that never answers is not waited for' "$(printf "%s\n%s" "-ERR 'Timeout'" "-ERR 'Timeout'")" \
        "$(printf 'a\nb\n' | ask quick)"
check 'it is counted' 2 "$(lost quick timeout)"
expect_log 'and told with its subject' 'listener "quick": a question was not answered in time: "svc.silent"$'
leave

# A service that speaks the protocol by itself.
start_helper raw "$support/peer" through "$unix"
exec 8>"$directory/raw.in"
printf 'CONNECT {"verbose":false,"headers":true}\r\nSUB svc.tcp 1\r\nPING\r\n' >&8
await_helper raw '^PONG' >/dev/null
start_helper asks "$support/peer" through "tcp://127.0.0.1:$(port_of tcp)"
exec 9>"$directory/asks.in"
printf 'one\ntwo\nthree\n' >&9
# asked: where the next question is to be answered.
asked() {
        await_helper raw '^MSG svc.tcp' | cut -d ' ' -f 4
}
set -- "$(asked)" "$(asked)" "$(asked)"
check 'each question has an inbox of its own' 3 "$(printf '%s\n' "$@" | sort -u | wc -l)"
check_matches 'nobody guesses it' '^_INBOX\.[0-9A-Za-z]{10}\.[0-9A-Za-z]{10}$' "$1"
printf 'PUB %s 1\r\n3\r\nPUB %s 4\r\nlate\r\nPUB %s 5\r\nwrong\r\n' "$3" "$3" "${1%?}-" >&8
block=$(printf 'NATS/1.0\r\nNats-Service-Error: it is broken\r\nNats-Service-Error-Code: 500\r\n\r\n.')
block=${block%.}
printf 'HPUB %s %d %d\r\n%s\r\n' "$2" "${#block}" "${#block}" "$block" >&8
printf 'HPUB %s 16 16\r\nNATS/1.0 503\r\n\r\n\r\n' "$1" >&8
check_does 'an answer that nobody responds is an error' await_helper asks "^-ERR 'No Responders'\$"
check_does 'so is the error of a service' await_helper asks "^-ERR '500 it is broken'\$"
check_does 'the first answer counts, in the order of the questions' await_helper asks '^3$'
printf 'PING\r\n' >&8
await_helper raw '^PONG' >/dev/null
printf 'four\n' >&9
reply=$(asked)
printf 'HPUB %s 12 14\r\nNATS/1.0\r\n\r\n4!\r\n' "$reply" >&8
check_does 'answers have no headers, and none comes late' await_helper asks '^4!$'
check 'there were no others' 4 "$(grep -vc '^open$' "$directory/asks.out")"
exec 9>&-
exec 8>&-

# --- those who do not read -----------------------------------------------------------------------------

serve echo svc.tcp --echo
if with bash 'who asks and does not read is held back, and closed'; then
        start_helper deaf bash -c "exec 3<>/dev/tcp/127.0.0.1/$(port_of tcp); yes '$(head -c 60000 /dev/zero | tr '\0' y)' | head -c 100000000 >&3"
        exec 9>"$directory/deaf.in"
        check 'another peer is answered meanwhile' x "$(printf 'x\n' | ask tcp)"
        expect_log 'who asks and does not read is held back, and closed' \
                'client [0-9]*: closed: Slow Consumer \(Write Deadline\)'
        exec 9>&-
fi

# --- reload, drain -------------------------------------------------------------------------------------

start_helper stays "$support/peer" through "tcp://127.0.0.1:$(port_of tcp)"
exec 9>"$directory/stays.in"
echo one >&9
check_does 'a connection asks' await_helper stays '^one$'
sed 's/svc\.\${listener}/svc.nobody/' "$config" >"$config.new" && mv "$config.new" "$config"
ctl reload >/dev/null
echo two >&9
check_does 'it asks the same service after a reload' await_helper stays '^two$'
check 'a new one another' "-ERR 'No Responders'" "$(printf 'x\n' | ask tcp)"
ctl drain >/dev/null 2>&1
echo three >&9
check_does 'while sockd drains it is still answered' await_helper stays '^three$'
exec 9>&-
stop_daemon
check 'the daemon ends in order' 0 "$status"
end_tests
