#!/bin/sh
# Limits of listeners with TLS: who is refused has no handshake; idle and total time count from the
# connection on, and what is said of them comes within TLS.
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
        "{ name = \"first\"; listen = \"tls://127.0.0.1:0\"; tls = { $tls first = true; }; deny = [\"127.0.0.2\"]; }," \
        "{ name = \"idle\"; listen = \"tls://127.0.0.1:0\"; tls = { $tls timeout = \"1h\"; }; idle_timeout = \"1s\"; }," \
        "{ name = \"short\"; listen = \"tls://127.0.0.1:0\"; tls = { $tls timeout = \"1h\"; first = true; }; max_time = \"1s\"; } );"
start_daemon

# knocks NAME FROM: what a client gets that speaks no TLS.
knocks() {
        PEER_FROM=tcp://$2:0 "$support/peer" talk "tcp://127.0.0.1:$(port_of "$1")" </dev/null | cut -d' ' -f1-2 |
                sed 's/ {.*//' | paste -sd' '
}
# subscribes NAME: a client that speaks TLS, until its end.
subscribes() {
        output=$(timeout 20 "$SOCKCTL" -s "tls://127.0.0.1:$(port_of "$1")" --ca "$certificates/authority.pem" \
                ${2:+"$2"} sub limits 2>&1 </dev/null)
        status=$?
}

check 'who is refused is told after INFO' "INFO -ERR 'Address (closed)" "$(knocks after 127.0.0.2)"
check 'where TLS comes first there is no word' '(closed)' "$(knocks first 127.0.0.2)"
check 'both are counted' '1 1' \
        "$(ctl_json listeners.1.refused.address listeners) $(ctl_json listeners.2.refused.address listeners)"
subscribes idle
check 'who is idle is ended' 1 "$status"
check_matches 'and told so within TLS' 'Stale Connection' "$output"
check 'who never begins with the handshake as well, in silence' 'INFO (closed)' "$(knocks idle 127.0.0.1)"
check 'both are counted' 2 "$(ctl_json listeners.3.expired.idle_timeout listeners)"
check 'after its time a handshake ends that has not begun' '(closed)' "$(knocks short 127.0.0.1)"
subscribes short --tls-first
check 'and a client' 5 "$status"
check 'both are counted' 2 "$(ctl_json listeners.4.expired.max_time listeners)"
stop_daemon
check 'the daemon ends in order' 0 "$status"

end_tests
