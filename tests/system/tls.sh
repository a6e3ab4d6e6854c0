#!/bin/sh
# TLS: which versions and ciphers, before INFO, after it and beside plain clients; certificates of both
# sides; handshakes that are slow, cut off or none; and a certificate that is exchanged during traffic.
#
# shellcheck disable=SC2016,SC2119,SC2317 # formats; functions without arguments; called by others
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"
. "$SOCKD_SOURCE_DIR/tests/system/certificates.sh"
make_authority stranger
make_certificate bob authority '/C=US/O=Acme/CN=bob' \
        'subjectAltName=email:bob@acme.example,DNS:bob.acme' 'extendedKeyUsage=clientAuth'
make_certificate wrong_use authority '/CN=bob' 'extendedKeyUsage=serverAuth'
make_certificate wrong_authority stranger '/CN=bob' 'extendedKeyUsage=clientAuth'
not_after=20200202000000Z make_certificate expired authority '/CN=bob' 'extendedKeyUsage=clientAuth'
ca=$certificates/authority.pem

tls="cert = \"$certificates/server.pem\"; key = \"$certificates/server.key\";"
verify="verify = true; ca = \"$ca\";"

# listeners TEXT...: the configuration has these, beside the local one.
listeners() {
        configure 'server = { workers = 2; };' 'log = { level = "debug"; };' \
                "listeners = ( { name = \"local\"; listen = \"$unix\"; }" "$@" ');'
}
all() {
        listeners ", { name = \"tls\"; listen = \"tls://127.0.0.1:0\"; tls = { $tls timeout = \"10s\"; }; }" \
                ', { name = "plain"; listen = "tcp://127.0.0.1:0"; }' \
                ", { name = \"first\"; listen = \"tls://127.0.0.1:0\"; tls = { $tls first = true; }; }" \
                ", { name = \"mixed\"; listen = \"tcp://127.0.0.1:0\"; tls = { $tls required = false; timeout = \"300ms\"; }; }" \
                ", { name = \"quick\"; listen = \"tls://127.0.0.1:0\"; tls = { $tls timeout = \"300ms\"; }; }" \
                ", { name = \"verify\"; listen = \"tls://127.0.0.1:0\"; tls = { $tls $verify map = true; }; }" \
                ", { name = \"patient\"; listen = \"tls://127.0.0.1:0\"; tls = { $tls timeout = \"5m\"; }; }" \
                ", { name = \"modern\"; listen = \"tls://127.0.0.1:0\"; tls = { $tls first = true; min_version = \"1.3\"; }; }"
}
all
start_daemon
tls_=127.0.0.1:$(port_of tls)
verify_=127.0.0.1:$(port_of verify)
first=127.0.0.1:$(port_of first)
mixed=127.0.0.1:$(port_of mixed)
quick=127.0.0.1:$(port_of quick)
modern=127.0.0.1:$(port_of modern)
patient=127.0.0.1:$(port_of patient)

check 'sockctl listeners tells who has TLS, and how' \
        'local=- tls=required plain=- first=first mixed=optional quick=required verify=required,verify,map patient=required modern=first ' \
        "$(ctl listeners --no-legend | awk '{ printf "%s=%s ", $1, $4 }')"
check '... in JSON as well' 'true false true' \
        "$(ctl_json listeners.6.tls.required listeners) $(ctl_json listeners.6.tls.first listeners) $(ctl_json listeners.6.tls.verify listeners)"

# publish ADDRESS [OPTION...]: sockctl publishes; what it says, and its status.
publish() {
        publish_to=$1
        shift
        output=$(timeout 20 "$SOCKCTL" -s "$publish_to" --timeout 15s "$@" pub greet hello 2>&1)
        status=$?
}

# ask ADDRESS [OPTION...]: what openssl s_client says on a port where TLS comes first. The last line
# has sockd end the connection.
ask() {
        ask_to=$1
        shift
        printf 'CONNECT {"verbose":false}\r\nPING\r\nTHE-END\r\n' |
                timeout 20 openssl s_client -connect "$ask_to" -CAfile "$ca" -ign_eof -nocommands "$@" 2>&1
}

# --- versions and ciphers --------------------------------------------------------------------------

weak='DEFAULT:@SECLEVEL=0'
for version in 1_2 1_3; do
        said=$(ask "$first" -tls$version)
        check_matches "TLS $version is spoken" '^PONG' "$said"
        check_matches "TLS $version: INFO comes inside, and says so" '^INFO \{.*"tls_required":true' "$said"
        check_matches "TLS $version: the server proves itself" 'Verify return code: 0 \(ok\)' "$said"
        check_matches "TLS $version: nothing is compressed" 'Compression: NONE' "$said"
done
for version in 1 1_1; do
        said=$(ask "$first" -tls$version -cipher "$weak")
        check_lacks "TLS $version is refused" '^INFO|^PONG' "$said"
        check_matches "TLS $version: and the peer is told" 'alert protocol version' "$said"
done
for cipher in ECDHE-ECDSA-AES128-SHA ECDHE-ECDSA-AES256-SHA384 ECDHE-ECDSA-AES128-CCM AES128-GCM-SHA256; do
        said=$(ask "$first" -tls1_2 -cipher "$cipher:@SECLEVEL=0")
        check_lacks "$cipher is refused" '^INFO|^PONG' "$said"
done
for cipher in ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-ECDSA-CHACHA20-POLY1305; do
        check_matches "$cipher is spoken" '^PONG' "$(ask "$first" -tls1_2 -cipher "$cipher")"
done
check_matches 'the server chooses the cipher' 'Cipher is ECDHE-ECDSA-AES128-GCM-SHA256' \
        "$(ask "$first" -tls1_2 -cipher ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256)"
start_helper anew timeout 20 openssl s_client -connect "$first" -CAfile "$ca" -tls1_2
exec 8>"$directory/anew.in"
await_helper anew '^INFO' >/dev/null
echo R >&8
check_does 'nothing is negotiated anew' await_helper anew 'no renegotiation'
exec 8>&-
check_lacks 'min_version: TLS 1.2 is refused' '^INFO' "$(ask "$modern" -tls1_2)"
check_matches 'min_version: TLS 1.3 is spoken' '^PONG' "$(ask "$modern")"

for version in 1_2 1_3; do
        ask "$first" -tls$version -sess_out "$directory/session" >/dev/null
        check_matches "TLS $version: a session is resumed" '^Reused' \
                "$(ask "$first" -tls$version -sess_in "$directory/session")"
done

# --- before INFO, after it, and beside plain clients ------------------------------------------------

publish "tls://$tls_" --ca "$ca"
check 'TLS begins after INFO' 0 "$status"
publish "tcp://$tls_" --ca "$ca"
check 'also where the server alone wants it' 0 "$status"
publish "tls://localhost:${tls_##*:}" --ca "$ca"
check 'by the name of the host' 0 "$status"
publish "tls://$tls_"
check 'a server that nobody vouches for is not believed' 1 "$status"
check_matches 'and why' 'the server.s certificate is not accepted: .*--ca' "$output"
publish "tls://$first" --ca "$ca" --tls-first
check 'TLS begins before INFO' 0 "$status"
publish "tls://$first" --ca "$ca" --timeout 500ms
check_matches 'who waits for INFO there is told' 'if TLS comes first there, use --tls-first' "$output"
publish "tls://$mixed" --ca "$ca"
check 'TLS on a mixed port' 0 "$status"
publish "tcp://$mixed"
check 'no TLS on a mixed port' 0 "$status"
plain=$(printf 'PING\r\n' | "$support/peer" talk "tcp://$mixed")
check_matches 'INFO of a mixed port' '"tls_available":true' "$plain"
check_lacks 'which does not want TLS' 'tls_required' "$plain"
info=$(printf 'PING\r\n' | "$support/peer" talk "tcp://$tls_")
check_matches 'INFO of a port of TLS' '"tls_required":true' "$info"
check_lacks 'which is no mixed one' 'tls_available|tls_verify' "$info"
check_lacks 'a client without TLS is closed, without a word' 'PONG|ERR' "$info"
check_matches 'INFO where certificates are asked for' '"tls_required":true,"tls_verify":true' \
        "$(printf 'PING\r\n' | "$support/peer" talk "tcp://$verify_")"
publish "tls://127.0.0.1:$(port_of plain)" --ca "$ca"
check 'sockctl does without no TLS that was asked for' 1 "$status"
check_matches 'and says so' 'the server does not offer TLS' "$output"
publish "tls://$tls_" --ca "$ca" --key "$certificates/bob.key"
check '--key without --cert is misuse' 2 "$status"

# --- certificates of clients -----------------------------------------------------------------------

# prove NAME: sockctl publishes with that certificate.
prove() {
        publish "tls://$verify_" --ca "$ca" --cert "$certificates/$1.pem" --key "$certificates/$1.key"
}
prove bob
check 'a good certificate' 0 "$status"
publish "tls://$verify_" --ca "$ca"
check 'none' 1 "$status"
check_matches 'and what is missing' 'certificate required' "$output"
expect_log 'the log tells as well, and of whom' 'from 127.0.0.1: TLS: peer did not return a certificate'
prove wrong_use
check 'one for servers' 1 "$status"
expect_log 'the log tells why' 'TLS: unsuitable certificate purpose'
prove wrong_authority
check 'one of another authority' 1 "$status"
expect_log 'the log tells why' 'TLS: unable to get local issuer certificate'
prove expired
check 'one that has expired' 1 "$status"
check_matches 'the peer is told why' 'certificate expired' "$output"
expect_log 'and so is the log' 'TLS: certificate has expired'

start_helper bob "$SOCKCTL" -s "tls://$verify_" --ca "$ca" --cert "$certificates/bob.pem" \
        --key "$certificates/bob.key" --verbose sub greet
exec 9>"$directory/bob.in"
await_helper bob 'subscribed to' >/dev/null
bob=$helper
id=$(ctl --json clients | sed 's/},{/}\n{/g' | sed -n 's/.*"cid":\([0-9]*\).*"listener":"verify".*/\1/p')
shown=$(ctl clients show "$id")
check_matches 'sockctl shows the version' 'tls_version: +1\.3$' "$shown"
check_matches 'the cipher' 'tls_cipher_suite: +TLS_AES_128_GCM_SHA256$' "$shown"
check_matches 'and whose certificate it is' 'tls_subject: +CN=bob,O=Acme,C=US$' "$shown"

# --- handshakes that fail ----------------------------------------------------------------------------

failures() {
        ctl_json tls_handshake_failures status
}
before=$(failures)
"$support/peer" silent "tcp://$quick" >"$directory/silent"
check 'who says nothing has INFO, and then the end' 'INFO (closed) ' \
        "$(cut -d' ' -f2 "$directory/silent" | tr '\n' ' ')"
closed_ms=$(sed -n 's/ (closed)$//p' "$directory/silent")
check_at_most 'not before it is time' "$closed_ms" 290
check_at_most 'soon after' 5000 "$closed_ms"
expect_log 'and the log says so' 'TLS: there was no handshake in time'
check 'what is no TLS is closed without a word' '(closed)' \
        "$(printf 'GET / HTTP/1.0\r\n\r\n' | "$support/peer" talk "tcp://$quick" | grep -v '^INFO')"
expect_log 'and the log says so' 'TLS: what it says is none'
printf '\026\003\001\000\005hello' | "$support/peer" talk "tcp://$quick" >/dev/null
expect_log 'garbage in a record is refused' 'disconnected: TLS Handshake Failure'
check_does 'random bytes are survived' "$support/peer" flood "tcp://$quick" 100 42
check 'who does nothing but change keys is closed' closed "$("$support/tls_peer" "tcp://$first" updates 2>&1)"
expect_log 'the log says why, and where it came from' \
        'warning: client [0-9]+ from 127.0.0.1: closed: more than 32 records of TLS without data'
check 'it is counted' 1 "$(ctl_json tls_floods status)"
check 'failures are counted' true "$([ "$(failures)" -ge $((before + 2)) ] && echo true)"
start_helper late "$support/peer" talk "tcp://$mixed"
exec 8>"$directory/late.in"
expect_log 'who says nothing on a mixed port is no TLS client' 'client [0-9]*: no TLS$'
printf 'PING\r\n' >&8
exec 8>&-
check_does 'and may speak later' await_helper late '^PONG'

# half NAME N ADDRESS [BYTES]: so many handshakes that do not go on.
half() {
        half_name=$1 half_n=$2
        shift 2
        start_helper "$half_name" "$support/tls_peer" "$1" "$half_n" ${2:+"$2"}
        exec 8>"$directory/$half_name.in"
        await_helper "$half_name" '^held$' >/dev/null || bail_out 'no handshakes'
}
rss_kb=$(resident_kb "$daemon")
half many 2600 "tcp://$tls_"
publish "tls://$tls_" --ca "$ca"
check 'others have their handshake among 2600 that do not go on' 0 "$status"
grown_kb=$(($(resident_kb "$daemon") - rss_kb))
if $is_sanitized; then
        skip 'they have a bounded part of memory' 'a sanitizer has a memory of its own'
else
        # 1024 for each worker, of some 48 KiB.
        check_at_most 'they have a bounded part of memory' 140000 "$grown_kb"
fi
exec 8>&-
check_does 'all of them end' await_helper many '^closed$'
expect_log 'that there were too many is said' 'more than 1024 TLS handshakes wait for their peers'

# Those that wait longest are of another source.
start_helper few "$support/tls_peer" "tcp://$patient" 8 9999 127.0.0.3
exec 7>"$directory/few.in"
await_helper few '^held$' >/dev/null || bail_out 'no handshakes'
few=$helper
before=$(failures)
half many 2600 "tcp://$patient"
# 1024 for each of the two workers.
have_failed() {
        [ "$(failures)" -ge $((before + 2600 + 8 - 2048)) ]
}
check_does 'of too many some are given up' await_that have_failed
exec 7>&-
check 'but none of a source that has few' '8 open' "$(await_helper few ' open$')"
kill "$few" "$helper"
exec 8>&-
half part 1000 "tcp://$quick" 100
exec 8>&-
check_does 'those that are cut off end as well' await_helper part '^closed$'
publish "tls://$tls_" --ca "$ca"
check 'others are not concerned' 0 "$status"
check 'one who was there is still there' hello "$(await_helper bob '^hello$')"

# --- a certificate that is exchanged -----------------------------------------------------------------

served() {
        ask "$first" | openssl x509 -noout -subject
}
check_matches 'the old certificate is served' 'CN = server$' "$(served)"
make_certificate renewed authority '/C=US/O=Acme/CN=renewed' 'subjectAltName=DNS:localhost,IP:127.0.0.1'
start_helper reader "$SOCKCTL" -s "tls://$tls_" --ca "$ca" --verbose sub --count 1000000 traffic
exec 7>"$directory/reader.in"
await_helper reader 'subscribed to' >/dev/null
reader=$helper
start_helper writer "$SOCKCTL" -s "tls://$tls_" --ca "$ca" --verbose pub --count 1000000 traffic x
exec 8>"$directory/writer.in"
tls="cert = \"$certificates/renewed.pem\"; key = \"$certificates/renewed.key\";"
all
n_reloads=0
while kill -0 "$reader" 2>/dev/null; do
        ctl reload >"$directory/reload" 2>&1 || break
        n_reloads=$((n_reloads + 1))
done
wait "$reader"
check "a reader during reloads gets all" 0 $?
check_at_most 'there were some' "$n_reloads" 1
check 'none failed' 'configuration reloaded' "$(tail -n 1 "$directory/reload")"
check_matches 'the new certificate is served' 'CN = renewed$' "$(served)"
exec 7>&- 8>&-
kill -0 "$bob"
check 'one who was there is still there' 0 $?

tls="cert = \"$certificates/renewed.pem\"; key = \"$certificates/server.key\";"
all
check_matches 'a reload with a wrong key is refused' 'listeners\[1\]\.tls\.key: .*does not belong' \
        "$(ctl reload 2>&1)"
check_matches 'and changes nothing' 'CN = renewed$' "$(served)"
exec 9>&-
stop_daemon
check 'the daemon ends in order' 0 "$status"

# --- what is wrong with a configuration --------------------------------------------------------------

# wrong NAME TLS REGEX: a configuration with these settings of TLS is refused, at that line.
wrong() {
        listeners ", { name = \"tls\"; listen = \"tls://127.0.0.1:0\";" "tls = { $2 }; }"
        run_daemon --check --config "$config"
        check_matches "$1" "^$config:5: listeners\[1\]\.tls$3" "$output"
}
c=$certificates
cp "$c/server.key" "$c/open.key"
chmod 644 "$c/open.key"
openssl_quietly pkey -in "$c/server.key" -aes128 -passout pass:x -out "$c/locked.key"
wrong 'no certificate' "key = \"$c/server.key\";" ': there is no "cert"'
wrong 'no key' "cert = \"$c/server.pem\";" ': there is no "key"'
wrong 'a file that is not there' "cert = \"$c/none.pem\"; key = \"$c/server.key\";" \
        '\.cert: found ".*none\.pem", which cannot be used: No such file'
wrong 'a directory' "cert = \"$c\"; key = \"$c/server.key\";" '\.cert: found ".*", which cannot be used: it is not a regular file'
wrong 'a key for everybody' "cert = \"$c/server.pem\"; key = \"$c/open.key\";" \
        '\.key: found ".*open\.key", which cannot be used: anyone may read it'
wrong 'a key with a password' "cert = \"$c/server.pem\"; key = \"$c/locked.key\";" \
        '\.key: expected a file with a private key, without a password'
wrong 'a key of another certificate' "cert = \"$c/server.pem\"; key = \"$c/bob.key\";" \
        '\.key: the key does not belong to the certificate in cert'
wrong 'no certificate in the file' "cert = \"$c/server.key\"; key = \"$c/server.key\";" \
        '\.cert: expected a file that begins with a certificate'
wrong 'no authorities' "cert = \"$c/server.pem\"; key = \"$c/server.key\"; verify = true;" '\.ca: found nothing'
wrong 'authorities for nothing' "cert = \"$c/server.pem\"; key = \"$c/server.key\"; ca = \"$ca\";" '\.ca: without verify'
wrong 'no certificates of authorities' \
        "cert = \"$c/server.pem\"; key = \"$c/server.key\"; verify = true; ca = \"$c/server.key\";" \
        '\.ca: expected a file of certificates'
wrong 'names without proof' "cert = \"$c/server.pem\"; key = \"$c/server.key\"; map = true;" '\.map: without verify'
wrong 'first for some' "cert = \"$c/server.pem\"; key = \"$c/server.key\"; first = true; required = false;" '\.first: '
wrong 'an old version' "cert = \"$c/server.pem\"; key = \"$c/server.key\"; min_version = \"1.1\";" \
        '\.min_version: found "1\.1", expected "1\.2" or "1\.3"'
wrong 'a relative path without credentials' 'cert = "server.pem"; key = "server.key";' \
        '\.cert: found "server\.pem", .* of a credential'
listeners ', { name = "tls"; listen = "tls://127.0.0.1:0";' 'tls = { cert = "server.pem"; key = "server.key"; }; }'
check_matches 'a relative path is a credential' 'the configuration is valid' \
        "$(CREDENTIALS_DIRECTORY=$c "$SOCKD" --check --config "$config")"
listeners ", { name = \"u\"; listen = \"udp://127.0.0.1:0\"; tls = { $tls }; }"
run_daemon --check --config "$config"
check_matches 'TLS on UDP' 'listeners\[1\]\.tls: only for tcp:// and tls:// listeners' "$output"
listeners ", { name = \"u\"; listen = \"unix://$directory/x\"; tls = { $tls }; }"
run_daemon --check --config "$config"
check_matches 'TLS on a Unix socket' 'listeners\[1\]\.tls: only for tcp:// and tls:// listeners' "$output"

end_tests
