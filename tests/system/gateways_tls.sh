#!/bin/sh
# Gateways within TLS, and under the limits and rules of their listeners: the peer of a gateway is a
# client like others, be it by its certificate, its address, or what it uses.
#
# shellcheck disable=SC2016,SC2034,SC2119,SC2317 # variables of sockd; functions; called by others
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"
. "$SOCKD_SOURCE_DIR/tests/system/certificates.sh"

make_certificate alice authority '/CN=alice'
tls="cert = \"$certificates/server.pem\"; key = \"$certificates/server.key\";"
configure 'listeners = (' \
        "{ name = \"local\"; listen = \"$unix\"; }," \
        "{ name = \"lines\"; listen = \"tls://127.0.0.1:0\"; tls = { $tls verify = true; map = true; ca = \"$certificates/authority.pem\"; };" \
        '  publish = "in.${peer.user}.${peer.address}"; },' \
        "{ name = \"ask\"; anonymous = true; listen = \"tls://127.0.0.1:0\"; tls = { $tls }; request = \"svc.tls\"; timeout = \"20s\"; }," \
        "{ name = \"tell\"; anonymous = true; listen = \"tls://127.0.0.1:0\"; tls = { $tls }; subscribe = \"out.tls\"; }," \
        '{ name = "login"; listen = "tcp://127.0.0.1:0"; publish = "in.login"; anonymous = false; },' \
        '{ name = "unknown"; listen = "tcp://127.0.0.1:0"; request = "svc.tls"; anonymous = false; },' \
        '{ name = "shut"; anonymous = true; listen = "tcp://127.0.0.1:0"; request = "svc.tls"; deny = ["127.0.0.0/8"]; },' \
        '{ name = "few"; anonymous = true; listen = "tcp://127.0.0.1:0"; request = "svc.tls"; max_connections = 1; },' \
        '{ name = "idle"; anonymous = true; listen = "tcp://127.0.0.1:0"; request = "svc.silent"; idle_timeout = "1s"; timeout = "3s"; },' \
        '{ name = "fast"; anonymous = true; listen = "udp://127.0.0.1:0"; publish = "in.fast"; framing = "line"; rate = { messages = 1; burst = 3; }; },' \
        "{ name = \"signed\"; listen = \"unix://$directory/signed\"; publish = \"in.signed\"; identify = true; }" \
        ');' \
        'users = ( { name = "alice"; certificate = "CN=alice"; } );'
start_daemon
start_helper heard "$SOCKCTL" -v --json -s "$unix" sub 'in.>'
exec 7>"$directory/heard.in"
await_helper heard subscribed >/dev/null || bail_out "sockctl sub does not begin"

# secretly NAME [OPTION...]: standard input, to a listener within TLS, and what comes back.
secretly() {
        secretly_name=$1
        shift
        timeout 20 openssl s_client -connect "127.0.0.1:$(port_of "$secretly_name")" -quiet \
                -CAfile "$certificates/authority.pem" "$@" 2>/dev/null
}

printf 'within TLS\n' | secretly lines -no_ign_eof -cert "$certificates/alice.pem" -key "$certificates/alice.key"
check 'a line within TLS is a message; the certificate tells the user' \
        '{"subject":"in.alice.127_0_0_1","payload":"within TLS"}' "$(await_helper heard '^\{')"
start_helper upper "$SOCKCTL" -v -s "$unix" reply svc.tls -- tr a-z A-Z
exec 8>"$directory/upper.in"
await_helper upper ': subscribed to ' >/dev/null
check 'questions within TLS are answered' "$(printf 'ONE\nTWO')" "$(printf 'one\ntwo\n' | secretly ask | head -n 2)"
start_helper told timeout 20 openssl s_client -quiet -connect "127.0.0.1:$(port_of tell)"
exec 9>"$directory/told.in"
is_subscribed() {
        [ "$(ctl --no-legend subs out.tls | wc -l)" -eq 1 ]
}
await_that is_subscribed
ctl pub out.tls secret
check_does 'messages are told within TLS' await_helper told '^secret$'
exec 9>&-

# --- rules and limits --------------------------------------------------------------------------------

through() {
        "$support/peer" through "tcp://127.0.0.1:$(port_of "$1")" 2>/dev/null
}

printf 'x\n' | through login
expect_log 'who would have to log in is refused' 'login refused on listener "login"|login refused.* on listener "login"'
check 'and told, if there is an answer' "-ERR 'Authorization Violation'" "$(printf 'x\n' | through unknown)"
check 'so is whose address is not admitted' "-ERR 'Address Not Admitted'" "$(printf 'x\n' | through shut)"
start_helper first "$support/peer" through "tcp://127.0.0.1:$(port_of few)"
exec 9>"$directory/first.in"
echo one >&9
await_helper first ONE >/dev/null
check 'so is who is one too many' "-ERR 'maximum connections exceeded'" "$(printf 'x\n' | through few)"
exec 9>&-

start_helper silent "$SOCKCTL" -v -s "$unix" sub svc.silent
exec 9>"$directory/silent.in"
await_helper silent subscribed >/dev/null
check 'a question that waits is use, and then it is idle' "$(printf "%s\n%s" "-ERR 'Timeout'" "-ERR 'Stale Connection'")" \
        "$({ echo x; "$support/await" line "$log" 'listener "idle" ended' >/dev/null; } | through idle)"
exec 9>&-

if command -v nc >/dev/null; then
        printf '1\n2\n3\n4\n5\n6\n' | nc -u -q0 127.0.0.1 "$(port_of fast)"
        check 'of datagrams the rate counts each line' '"1" "2" "3" ' \
                "$(for i in 1 2 3; do await_helper heard 'in.fast' | sed 's/.*payload":\(".*"\)}/\1/' | tr '\n' ' '; done)"
fi
printf 'signed\n' | "$support/peer" through "unix://$directory/signed" 2>/dev/null
check_matches 'with identify messages are signed' "Sockd-Uid.*$(id -u)" "$(await_helper heard 'in.signed')"

stop_daemon
check 'the daemon ends in order' 0 "$status"
end_tests
