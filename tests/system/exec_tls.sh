#!/bin/sh
# Programs within TLS: they have a socket that sockd copies to and from.
#
# shellcheck disable=SC2016,SC2119,SC2317 # texts of other shells; functions without arguments; called by others
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"
. "$SOCKD_SOURCE_DIR/tests/system/certificates.sh"

# on NAME KEYS: a listener.
on() {
        printf ', { name = "%s"; listen = "tls://127.0.0.1:0"; %s\n' "$1" "$2"
        printf '  tls = { cert = "%s/server.pem"; key = "%s/server.key"; }; }\n' "$certificates" "$certificates"
}
make_certificate server authority /CN=server 'subjectAltName=IP:127.0.0.1'
configure 'server = { write_deadline = "100ms"; };' "listeners = ( { name = \"local\"; listen = \"$unix\"; }" \
        "$(on env 'exec = ["/usr/bin/env"];')" "$(on cat 'exec = ["/bin/cat"];')" \
        "$(on much 'exec = ["/usr/bin/head", "-c", "20000000", "/dev/zero"];')" \
        "$(on endless 'exec = ["/usr/bin/head", "-c", "1000000000", "/dev/zero"]; timeout = "1s"; grace = "0s";')" \
        "$(on missing "exec = [\"$directory/missing\"];")" ');'
cp /bin/true "$directory/missing"
start_daemon
ask() {
        timeout 20 openssl s_client -connect "127.0.0.1:$(port_of "$1")" -quiet \
                -CAfile "$certificates/authority.pem" 2>/dev/null
}
count_of() {
        ctl --json listeners | sed 's/{"name"/\n&/g' | grep "^{\"name\":\"$1\"" |
                sed -n "s/.*\"$2\":\([0-9]*\).*/\1/p"
}
has_counted() {
        [ "$(count_of "$1" "$2")" = "$3" ]
}

told=$(ask env </dev/null)
for line in SOCKD_LISTENER=env PROTO=TCP TCPREMOTEIP=127.0.0.1 'SOCKD_TLS_VERSION=1\.3'; do
        check_matches "a program is told ${line%%=*}" "^$line\$" "$told"
done
check 'what it prints comes whole, and then the end' 20000000 "$(ask much </dev/null | wc -c)"

start_helper cat timeout 20 openssl s_client -quiet -CAfile "$certificates/authority.pem" \
        -connect "127.0.0.1:$(port_of cat)"
exec 8>"$directory/cat.in"
echo 'within TLS' >&8
check_does 'it gets what is sent' await_helper cat '^within TLS$'
check_matches 'sockctl shows its process' '"program_pid":[1-9]' "$(ctl --json clients)"
client=$(ctl --json clients | sed 's/},{/}\n{/g' | sed -n 's/.*"cid":\([0-9]*\).*"listener":"cat".*/\1/p')
check_does 'it can be kicked' ctl clients kick "$client"
check_does 'and ends' await_that has_counted cat running 0
exec 8>&-
check 'the client with it' 0 "$("$support/await" exit "$helper"; echo $?)"

# It reads nothing at all.
start_helper deaf sh -c 'timeout 20 openssl s_client -quiet -CAfile "$1" -connect "$2" | sleep 20' sh \
        "$certificates/authority.pem" "127.0.0.1:$(port_of endless)"
exec 8>"$directory/deaf.in"
expect_log 'for who does not read a program waits as long as it may' \
        'listener "endless": /usr/bin/head .* took longer than 1s$'
check_does 'and ends then' await_that has_counted endless running 0
kill "$helper"
exec 8>&-

rm "$directory/missing"
check 'without a program the connection ends' '' "$(ask missing </dev/null)"
expect_log 'which is logged' 'error: listener "missing": cannot execute'
stop_daemon
check 'the end' 0 "$status"
end_tests
