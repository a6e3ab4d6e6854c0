#!/bin/sh
# Forwarding streams with TLS on either side, or both: half-close, much, a reader that is slow; whom a target has
# to be, and what becomes of who is not; and records of seqpacket sockets, which take the same way.
#
# shellcheck disable=SC2034,SC2119 # variables that eval reads; functions without arguments
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"
. "$SOCKD_SOURCE_DIR/tests/system/streams.sh"

. "$SOCKD_SOURCE_DIR/tests/system/certificates.sh"
make_authority stranger
make_certificate many-names authority '/CN=server' \
        'subjectAltName=DNS:localhost,DNS:db.example,IP:127.0.0.1' 'extendedKeyUsage=serverAuth'
make_certificate bob authority '/CN=bob' 'subjectAltName=DNS:bob' 'extendedKeyUsage=clientAuth'
not_after=20200202000000Z make_certificate expired authority '/CN=server' \
        'subjectAltName=DNS:localhost,IP:127.0.0.1' 'extendedKeyUsage=serverAuth'
ca=$certificates/authority.pem
tls="tls = { cert = \"$certificates/many-names.pem\"; key = \"$certificates/many-names.key\"; timeout = \"10s\";"

serve echo "unix://$directory/echo" echo
echo=$served
serve sum tcp://127.0.0.1:0 sum
sum=$served
serve greet "unix://$directory/greet" greet
greet=$served
serve pour "unix://$directory/pour" pour=60000000
pour=$served
serve reset tcp://127.0.0.1:0 reset
reset=$served

# The inner daemon: TLS towards its clients.
listeners=
for name in echo sum greet pour reset; do
        eval "target=\$$name"
        # shellcheck disable=SC2154 # eval
        listener "$name" tls://127.0.0.1:0 "forward = \"$target\"; $tls };"
done
listener verified tls://127.0.0.1:0 "forward = \"$echo\"; $tls verify = true; ca = \"$ca\"; };"
listener expired tls://127.0.0.1:0 "forward = \"$echo\"; tls = { cert = \"$certificates/expired.pem\"; key = \"$certificates/expired.key\"; };"
listener modern tls://127.0.0.1:0 "forward = \"$echo\"; $tls min_version = \"1.3\"; };"
configure_listeners
start_daemon
inner=$daemon
helpers="$helpers $inner"
for name in echo sum greet pour reset verified expired modern; do
        eval "inner_$name=tls://127.0.0.1:$(port_of "$name")"
done

# --- TLS towards clients, as others speak it ---------------------------------------------------------

# ask PORT [OPTION...]: what openssl s_client gets for hello.
ask() {
        ask_port=$1
        shift
        start_helper asker timeout 20 openssl s_client -connect "127.0.0.1:$ask_port" -CAfile "$ca" \
                -verify_return_error -quiet -no_ign_eof "$@"
        exec 8>"$directory/asker.in"
        echo hello >&8
        answer=$(await_helper asker '^hello$')
        exec 8>&-
        "$support/await" exit "$helper"
}
for version in 1_2 1_3; do
        ask "$(port_of echo)" -tls$version
        check "a client of TLS $version" hello "$answer"
done
# --- the outer daemon: TLS towards its targets ----------------------------------------------------------

daemon=
mv "$config" "$directory/inner.conf"
inner_log=$log
log=$directory/outer.log
: >"$log"
unix=unix://$directory/outer
listeners=
trusts="forward_tls = { ca = \"$ca\"; };"
# shellcheck disable=SC2154 # eval
for name in echo sum greet pour reset; do
        eval "target=\$inner_$name"
        listener "$name" "unix://$directory/outer-$name" "forward = \"$target\"; $trusts"
        listener "$name-tls" tls://127.0.0.1:0 "forward = \"$target\"; $trusts $tls };"
done
# shellcheck disable=SC2154 # eval
{
        localhost=$(echo "$inner_echo" | sed 's/127.0.0.1/localhost/')
        listener by-name "unix://$directory/by-name" "forward = \"$localhost\"; $trusts"
        listener named "unix://$directory/named" "forward = \"$inner_echo\"; forward_tls = { ca = \"$ca\"; name = \"db.example\"; };"
        listener misnamed "unix://$directory/misnamed" "forward = \"$inner_echo\"; forward_tls = { ca = \"$ca\"; name = \"other.example\"; };"
        listener distrusts "unix://$directory/distrusts" "forward = \"$inner_echo\"; forward_tls = { ca = \"$certificates/stranger.pem\"; };"
        listener system "unix://$directory/system" "forward = \"$inner_echo\";"
        listener anybody "unix://$directory/anybody" "forward = \"$inner_echo\"; forward_tls = { verify = false; };"
        listener expired "unix://$directory/expired" "forward = \"$inner_expired\"; $trusts"
        listener second "unix://$directory/second" "forward = [\"$inner_expired\", \"$inner_echo\"]; $trusts"
        listener bob "unix://$directory/bob" "forward = \"$inner_verified\"; forward_tls = { ca = \"$ca\"; cert = \"$certificates/bob.pem\"; key = \"$certificates/bob.key\"; };"
        listener nobody "unix://$directory/nobody" "forward = \"$inner_verified\"; $trusts"
        listener modern "unix://$directory/modern" "forward = \"$inner_modern\"; forward_tls = { ca = \"$ca\"; min_version = \"1.3\"; };"
        listener plain "unix://$directory/plain" "forward = \"tls://127.0.0.1:${sum##*:}\"; connect_timeout = \"300ms\"; $trusts"
}
listener records "unix+seqpacket://$directory/records" "forward = \"unix+seqpacket://$directory/record-target\";"
configure_listeners
start_daemon

check_echo 'TLS towards the target' "unix://$directory/outer-echo" 300000
check_echo 'much of it' "unix://$directory/outer-echo" 30000000
check_echo 'nothing' "unix://$directory/outer-echo" 0
said=$(send "unix://$directory/outer-sum" 5000000)
check 'what a target says after the end of input arrives' \
        "$(printf '%s\n' "$said" | sed -n 's/^sent //p')" \
        "$(printf '%s\n' "$said" | sed -n 's/^\([0-9]* [0-9a-f]*\) tcp:.*/\1/p')"
said=$(send "unix://$directory/outer-greet" 5000000)
check_matches 'a target that has ended still gets all' \
        "^ended $(printf '%s\n' "$said" | sed -n 's/^sent //p')\$" "$(became greet '^(ended|broken)')"
check_matches 'and what it said has arrived' '^hello$' "$said"
check 'a target that resets resets the client' 1 "$(send "unix://$directory/outer-reset" 1 | grep -c -e broken -e '^got 0')"

start_helper slow "$stream" receive "unix://$directory/outer-pour" 0
exec 8>"$directory/slow.in"
await_helper slow '^waiting$' >/dev/null
await_that sh -c "[ \$('$SOCKCTL' -s '$unix' --json clients | '$support/json' connections.0.out_bytes) -gt 0 ]"
check 'nobody else waits for who does not read' 60000000 \
        "$("$stream" send "unix://$directory/outer-pour" 0 | sed -n 's/^got \([0-9]*\) .*/\1/p')"
# Sanitizers keep what is freed for a while.
most_kb=60000
! $is_sanitized || most_kb=500000
check_at_most 'what is not read is not kept in memory, outside' "$most_kb" "$(resident_kb "$daemon")"
check_at_most 'and inside' "$most_kb" "$(resident_kb "$inner")"
ticks=$(cpu_ticks "$daemon")
check_echo 'others get on' "unix://$directory/outer-echo" 1000000
check_at_most 'and nothing turns in a circle' 200 "$(($(cpu_ticks "$daemon") - ticks))"
echo >&8
check_matches 'who reads at last gets all' '^got 60000000 ' "$(await_helper slow '^got')"
exec 8>&-
"$support/await" exit "$helper"

start_helper many "$stream" hold "unix://$directory/outer-echo" 100
exec 8>"$directory/many.in"
check 'a hundred at once' 'held 100' "$(await_helper many '^held')"
exec 8>&-
"$support/await" exit "$helper"

ask "$(port_of echo-tls)"
check 'TLS on both sides' hello "$answer"

# --- who the target is -------------------------------------------------------------------------------------

# refused NAME LISTENER REGEX: it leads nowhere, and the log says why.
refused() {
        check_matches "$1" '^(got 0 |broken)' "$(send "unix://$directory/$2" 0)"
        expect_log "$1: the log tells" "listener \"$2\": no target can be reached; .*: $3"
}
check_echo 'a target is who it is called' "unix://$directory/by-name" 1000
check_echo 'or who it should be' "unix://$directory/named" 1000
refused 'and nobody else' misnamed '.*[Hh]ostname mismatch'
refused 'nor one that nobody vouches for' distrusts '.*certificate'
refused 'of whom the system knows' system '.*certificate'
check_echo 'unless that is not asked' "unix://$directory/anybody" 1000
refused 'nor one of yesterday' expired 'certificate has expired'
check_echo 'the next target takes its place' "unix://$directory/second" 1000
check_echo 'again' "unix://$directory/second" 1000
check_echo 'a target that asks for a certificate gets it' "unix://$directory/bob" 1000
check_matches 'and who has none is refused' '^(got 0 |broken)' "$(send "unix://$directory/nobody" 0)"
check_echo 'TLS 1.3 only' "unix://$directory/modern" 1000
refused 'who speaks no TLS is given up' plain 'it did not answer in time'

# --- records -----------------------------------------------------------------------------------------------

if command -v socat >/dev/null; then
        start_helper record-target socat -u "UNIX-LISTEN:$directory/record-target,type=5,fork" STDOUT
        exec 9>"$directory/record-target.in"
        await_that test -S "$directory/record-target"
        printf 'a record\n' | timeout 20 socat -u - "UNIX-CONNECT:$directory/records,type=5"
        check 'records are forwarded' 'a record' "$(await_helper record-target '^a record$')"
        exec 9>&-
else
        skip 'records are forwarded' 'socat is not installed'
fi

stop_daemon
check 'it ends well' 0 "$status"
daemon=$inner
log=$inner_log
stop_daemon
check 'as does the other one' 0 "$status"
end_tests
