#!/bin/sh
# Limits of listeners with TLS: who is refused has no handshake.
#
# shellcheck disable=SC2119 # functions without arguments
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

certificates=$directory/certificates
mkdir "$certificates"
. "$SOCKD_SOURCE_DIR/tests/system/certificates.sh"
make_authority authority
make_certificate server authority '/CN=server' 'subjectAltName=DNS:localhost,IP:127.0.0.1'
tls="cert = \"$certificates/server.pem\"; key = \"$certificates/server.key\";"

configure "listeners = ( { name = \"local\"; listen = \"$unix\"; }," \
        "{ name = \"after\"; listen = \"tls://127.0.0.1:0\"; tls = { $tls }; deny = [\"127.0.0.2\"]; }," \
        "{ name = \"first\"; listen = \"tls://127.0.0.1:0\"; tls = { $tls first = true; }; deny = [\"127.0.0.2\"]; } );"
start_daemon

# knocks NAME FROM: what a client gets that speaks no TLS.
knocks() {
        PEER_FROM=tcp://$2:0 "$support/peer" talk "tcp://127.0.0.1:$(port_of "$1")" </dev/null | cut -d' ' -f1-2 |
                sed 's/ {.*//' | paste -sd' '
}
check 'who is refused is told after INFO' "INFO -ERR 'Address (closed)" "$(knocks after 127.0.0.2)"
check 'where TLS comes first there is no word' '(closed)' "$(knocks first 127.0.0.2)"
check 'both are counted' '1 1' \
        "$(ctl_json listeners.1.refused.address listeners) $(ctl_json listeners.2.refused.address listeners)"
stop_daemon
check 'the daemon ends in order' 0 "$status"

end_tests
