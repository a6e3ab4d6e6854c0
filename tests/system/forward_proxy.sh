#!/bin/sh
# The PROXY protocol: headers that are sent to targets, of both versions and of all families; headers that are
# accepted, by a forward and by the bus, however they are cut; what they mean for identity, rates and reports;
# and peers that send none, or something else.
#
# shellcheck disable=SC2119 # functions without arguments
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"
. "$SOCKD_SOURCE_DIR/tests/system/streams.sh"

serve tell tcp://127.0.0.1:0 tell
told=$served
serve echo "unix://$directory/echo" echo
echo=$served

listeners=
listener plain tcp://127.0.0.1:0 "forward = \"$told\";"
listener v1 tcp://127.0.0.1:0 "forward = \"$told\"; send_proxy = \"v1\";"
listener v2 tcp://127.0.0.1:0 "forward = \"$told\"; send_proxy = \"v2\";"
listener v1-unix "unix://$directory/v1" "forward = \"$told\"; send_proxy = \"v1\";"
listener v2-unix "unix://$directory/v2" "forward = \"$told\"; send_proxy = \"v2\";"
listener chain1 tcp://127.0.0.1:0 "forward = \"$told\"; accept_proxy = true; send_proxy = \"v1\";"
listener chain2 "unix://$directory/chain2" "forward = \"$told\"; accept_proxy = true; send_proxy = \"v2\";"
listener echo tcp://127.0.0.1:0 "forward = \"$echo\"; accept_proxy = true;"
listener bus "unix://$directory/bus" 'accept_proxy = true; anonymous = true;'
listener named "unix://$directory/named" 'accept_proxy = true; anonymous = false;'
listener named-tcp tcp://127.0.0.1:0 'accept_proxy = true; anonymous = false;'
listener denies tcp://127.0.0.1:0 "forward = \"$echo\"; accept_proxy = true; deny = [\"192.0.2.0/24\"];"
if has_ipv6; then
        listener six 'tcp://[::1]:0' "forward = \"$told\"; send_proxy = \"v1\";"
        listener dual 'tcp://[::]:0' "forward = \"$told\"; send_proxy = \"v1\";"
fi
configure_listeners
cat >>"$config" <<EOT
users = ( { name = "root"; peer = { uid = $(id -u); }; role = "admin"; } );
EOT
start_daemon

# say ADDRESS FORMAT [ARG...]: sends bytes, of which printf makes the format, and prints what comes.
say() {
        say_to=$1
        shift
        # shellcheck disable=SC2059 # it is a format
        printf "$@" | case $say_to in
        unix:*) timeout 20 nc -N -U "${say_to#unix://}" ;;
        *)
                say_to=${say_to#tcp://}
                timeout 20 nc -N "${say_to%:*}" "${say_to##*:}"
                ;;
        esac
}

# tell ADDRESS FORMAT [ARG...]: the same, and what the target got.
tell() {
        say "$@" >/dev/null
        became tell '^told' | sed 's/^told //'
}

# --- sent ------------------------------------------------------------------------------------------------

check 'without send_proxy there is no header' hello "$(tell "$(address_of plain)" hello)"
check_matches 'v1' "^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 [0-9]+ $(port_of v1)\\\\x0d\\\\x0ahello\$" \
        "$(tell "$(address_of v1)" hello)"
signature='\\x0d\\x0a\\x0d\\x0a\\x00\\x0d\\x0aQUIT\\x0a'
check_matches 'v2' "^$signature!\\\\x11\\\\x00\\\\x0c\\\\x7f\\\\x00\\\\x00\\\\x01\\\\x7f\\\\x00\\\\x00\\\\x01.*hello\$" \
        "$(tell "$(address_of v2)" hello)"
check 'v1 of a Unix peer' 'PROXY UNKNOWN\x0d\x0ahello' "$(tell "unix://$directory/v1" hello)"
check_matches 'v2 of a Unix peer' "^${signature}!1\\\\x00\\\\xd8(\\\\x00){108}$directory/v2(\\\\x00)+hello\$" \
        "$(tell "unix://$directory/v2" hello)"
check 'nothing behind it is something as well' '^PROXY UNKNOWN\x0d\x0a' "^$(tell "unix://$directory/v1" '')"
if has_ipv6; then
        check_matches 'v1 over IPv6' "^PROXY TCP6 ::1 ::1 [0-9]+ $(port_of six)\\\\x0d\\\\x0ahello\$" \
                "$(tell "tcp://::1:$(port_of six)" hello)"
        check_matches 'IPv4 on a socket of IPv6 is IPv4' "^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 " \
                "$(tell "tcp://127.0.0.1:$(port_of dual)" hello)"
else
        skip 'v1 over IPv6' 'there is no IPv6 here'
        skip 'IPv4 on a socket of IPv6 is IPv4' 'there is no IPv6 here'
fi

# --- accepted --------------------------------------------------------------------------------------------

line='PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n'
line6='PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n'
block='\r\n\r\n\0\r\nQUIT\n\041\021\0\014\300\0\002\001\306\063\144\002\334\004\001\273'
own='\r\n\r\n\0\r\nQUIT\n\040\0\0\0'
tlvs='\r\n\r\n\0\r\nQUIT\n\041\021\0\020\300\0\002\001\306\063\144\002\334\004\001\273\004\0\001x'

check 'v1 is passed on' 'PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\x0d\x0ahello' \
        "$(tell "$(address_of chain1)" "${line}hello")"
check 'v2 as v1' 'PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\x0d\x0ahello' \
        "$(tell "$(address_of chain1)" "${block}hello")"
check 'what v2 has beside addresses is skipped' 'PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\x0d\x0ahello' \
        "$(tell "$(address_of chain1)" "${tlvs}hello")"
check 'IPv6' 'PROXY TCP6 2001:db8::1 2001:db8::2 1 2\x0d\x0ahello' "$(tell "$(address_of chain1)" "${line6}hello")"
check_matches 'over Unix' '^'"$signature"'!\\x11\\x00\\x0c\\xc0\\x00\\x02\\x01\\xc63d\\x02\\xdc\\x04\\x01\\xbbhello$' \
        "$(tell "unix://$directory/chain2" "${line}hello")"
check_matches 'of a connection of its own the proxy is the peer' '^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 ' \
        "$(tell "$(address_of chain1)" "${own}hello")"
check_matches 'as if it says that it does not know' '^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 ' \
        "$(tell "$(address_of chain1)" 'PROXY UNKNOWN\r\nhello')"
# What the proxy is to the kernel would make its clients root.
hello='CONNECT {"verbose":false}\r\nPING\r\n'
none='\r\n\r\n\0\r\nQUIT\n\041\0\0\0'
for kind in "unix://$directory/named" "$(address_of named-tcp)"; do
        check_lacks "${kind%%:*}: whom it does not know is not what the proxy is" PONG "$(say "$kind" "PROXY UNKNOWN\r\n$hello")"
        check_lacks "${kind%%:*}: nor is whom v2 has no words for" PONG "$(say "$kind" "$none$hello" | tr -d '\0')"
        check_matches "${kind%%:*}: but a connection of its own is" PONG "$(say "$kind" "$own$hello")"
done
check 'through two daemons, as it were' "$(printf 'hello')" "$(say "$(address_of echo)" "${line}hello")"

# A header that comes byte by byte, and is followed by the first words at once.
{
        for byte in P R O X Y ' ' T C P 4 ' ' 1 . 2 . 3 . 4 ' ' 5 . 6 . 7 . 8 ' ' 9 ' ' 1 0 '\r' '\n'; do
                # shellcheck disable=SC2059 # it is a format
                printf "$byte"
                # What is written at once would be read at once.
                ctl_json now status >/dev/null
        done
        printf hello
} | timeout 20 nc -N 127.0.0.1 "$(port_of chain1)" >/dev/null
check 'however it is cut' 'PROXY TCP4 1.2.3.4 5.6.7.8 9 10\x0d\x0ahello' "$(became tell '^told' | sed 's/^told //')"

# --- who it is then -----------------------------------------------------------------------------------------

check_matches 'the bus accepts it as well' '^PONG' "$(talk "unix://$directory/bus" "${line}CONNECT {}\r\nPING\r\n")"
check_matches 'a connection of its own has its credentials' '^PONG' \
        "$(talk "unix://$directory/named" "${own}CONNECT {}\r\nPING\r\n")"
check_lacks 'who is introduced does not have those of the proxy' '^PONG' \
        "$(talk "unix://$directory/named" "${line}CONNECT {}\r\nPING\r\n")"
expect_log 'he is known by the address that the header tells' 'from 192\.0\.2\.1: login refused|192\.0\.2\.1.*login refused'
mkfifo "$directory/held"
timeout 60 nc -N 127.0.0.1 "$(port_of echo)" <"$directory/held" >"$directory/held.out" &
helpers="$helpers $!"
exec 8>"$directory/held"
# shellcheck disable=SC2059 # it is a format
printf "${line}hello\n" >&8
"$support/await" line "$directory/held.out" '^hello$' >/dev/null
check 'sockctl clients shows whom the header tells of' 192.0.2.1 "$(ctl_json connections.0.ip clients)"
check 'and his port' 56324 "$(ctl_json connections.0.port clients)"
check 'but no uid' '' "$(ctl_json connections.0.uid clients 2>/dev/null)"
exec 8>&-

check 'who is denied is he whom the header tells of' '' "$(say "$(address_of denies)" "${line}hello")"
check 'others are not' hello "$(say "$(address_of denies)" "${line6}hello")"

# --- who sends none --------------------------------------------------------------------------------------------

# Who says nothing is waited for, for a while.
start_helper silent "$support/peer" silent "$(address_of echo)"
exec 8>"$directory/silent.in"
exec 8>&-
expect_log 'who is silent is closed after a while' 'listener "echo": tcp://127.0.0.1:[0-9]*: it sent no PROXY header in time'

before=$(ctl_json proxy_header_failures status)
check 'who says something else is closed' '' "$(say "$(address_of echo)" 'GET / HTTP/1.0\r\n\r\n')"
expect_log 'which the log tells' 'listener "echo": tcp://127.0.0.1:[0-9]*: what it says first is no PROXY header'
check 'so is who begins well' '' "$(say "$(address_of echo)" 'PROXY TCP4 1.2.3.4 1.2.3.4 1 99999\r\nhello')"
check 'or ends in the middle' '' "$(say "$(address_of echo)" 'PROXY TCP4 1.2.')"
check 'or says what v2 has no meaning for' '' "$(say "$(address_of echo)" '\r\n\r\n\0\r\nQUIT\n\051\021\0\014xxxxxxxxxxxx')"
check 'or says nothing' '' "$(say "$(address_of echo)" '')"
check 'or has too long a header' '' "$(say "$(address_of echo)" '\r\n\r\n\0\r\nQUIT\n\041\021\377\377')"
check 'all of them are counted' "$((before + 6))" "$(ctl_json proxy_header_failures status)"
check 'a header where none is expected is data' 'PROXY TCP4 1.2.3.4 1.2.3.4 1 1\x0d\x0ahello' \
        "$(tell "$(address_of plain)" 'PROXY TCP4 1.2.3.4 1.2.3.4 1 1\r\nhello')"
"$support/peer" flood "$(address_of echo)" 50 7 >/dev/null 2>&1
check_matches 'random bytes do no harm' '^hello$' "$(say "$(address_of echo)" "${block}hello\n")"

before=$(count_descriptors "$daemon")

# --- in great number ---------------------------------------------------------------------------------------------

start_helper many "$stream" hang "$(address_of echo)" 1500
exec 8>"$directory/many.in"
await_helper many '^hanging 1500$' >/dev/null || bail_out 'they cannot hang'
check_matches 'those who say nothing keep nobody out' '^hello$' "$(say "$(address_of echo)" "${block}hello\n")"
check_at_most 'and are not more than so many' "$((before + 2 * 1024 + 100))" "$(count_descriptors "$daemon")"
exec 8>&-
"$support/await" exit "$helper"
check_does 'nothing is left of them' await_that has_descriptors "$daemon" "$((before + 20))"
hung=$(mktemp -u "$directory/hung.XXXXXX")
mkfifo "$hung"
timeout 60 nc -N 127.0.0.1 "$(port_of echo)" <"$hung" >/dev/null &
helpers="$helpers $!"
exec 8>"$hung"
printf 'PROXY ' >&8
stop_daemon
check 'one of them does not delay the end' 0 "$status"
check_at_most 'by more than a moment' 3000 "$took_ms"
exec 8>&-
end_tests
