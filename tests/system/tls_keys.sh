#!/bin/sh
# Private keys of TLS, of each kind: what a core dump would have of them, while they are in use and
# after they have been exchanged. And passwords that came by TLS.
#
# shellcheck disable=SC2119 # functions without arguments
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

. "$SOCKD_SOURCE_DIR/tests/system/certificates.sh"
$is_sanitized && {
        echo '1..0 # SKIP sanitizers keep what was freed'
        exit 0
}
$is_root || {
        echo '1..0 # SKIP the memory of the daemon is for root'
        exit 0
}

kinds='sec1 p256 p384 rsa ed25519'

# make_keys PREFIX: one of each kind, with its certificate.
make_keys() {
        for kind in $kinds; do
                case $kind in
                sec1) key_options= ;;
                p256) key_options='-algorithm EC -pkeyopt ec_paramgen_curve:P-256' ;;
                p384) key_options='-algorithm EC -pkeyopt ec_paramgen_curve:P-384' ;;
                rsa) key_options='-algorithm RSA -pkeyopt rsa_keygen_bits:2048' ;;
                ed25519) key_options='-algorithm ED25519' ;;
                esac
                make_certificate "$1$kind" authority "/CN=$1$kind" 'extendedKeyUsage=serverAuth'
        done
}

# serve PREFIX: a listener for each key.
serve() {
        set -- "$1" "{ name = \"local\"; listen = \"$unix\"; }"
        for kind in $kinds; do
                set -- "$@" ", { name = \"$kind\"; listen = \"tls://127.0.0.1:0\"; tls = { first = true;" \
                        "cert = \"$certificates/$1$kind.pem\"; key = \"$certificates/$1$kind.key\"; }; }"
        done
        shift
        configure 'server = { workers = 2; };' "listeners = (" "$@" ');'
}

# numbers NAME: what the key consists of, a word and hexadecimal digits a line: the middle of each
# number, of which no part is to be found.
numbers() {
        openssl pkey -in "$certificates/$1.key" -noout -text | awk '
                function tell() {
                        if (word != "" && length(digits) >= 32)
                                print word, substr(digits, int((length(digits) - 32) / 4) * 2 + 1, 32)
                        digits = ""
                }
                /^[a-zA-Z0-9]+:/ { tell(); word = $1; sub(/:.*/, "", word) }
                /^ / { gsub(/[ :]/, ""); digits = digits $0 }
                END { tell() }'
}

# shake KIND VERSION N: so many handshakes at a time.
shake() {
        address=127.0.0.1:$(port_of "$1")
        pids='' i=0
        while [ $i -lt "$3" ]; do
                printf 'CONNECT {"verbose":false}\r\nPING\r\nTHE-END\r\n' |
                        timeout 60 openssl s_client -connect "$address" -CAfile "$certificates/authority.pem" \
                                -ign_eof -nocommands "-tls$2" >"$directory/shaken.$i" 2>&1 &
                pids="$pids $!"
                i=$((i + 1))
        done
        # shellcheck disable=SC2086 # several
        wait $pids
        cat "$directory"/shaken.*
        rm "$directory"/shaken.*
}

# look_for PREFIX WHEN: each number of each key.
look_for() {
        for kind in $kinds; do
                numbers "$1$kind" >"$directory/numbers"
                while read -r word digits; do
                        n=$("$support/dumpable" -x "$daemon" "$digits")
                        case $word in
                        pub | modulus) public=$((public + n)) ;;
                        *) check "no core dump has $word of $kind $2" 0 "$n" ;;
                        esac
                done <"$directory/numbers"
        done
}

make_keys old_
make_keys new_
serve old_
start_daemon
public=0
look_for old_ 'at the start'
check 'what is public is found' true "$([ "$public" -gt 0 ] && echo true)"
for kind in $kinds; do
        for version in 1_2 1_3; do
                check "8 handshakes of TLS $version with $kind" 8 \
                        "$(shake "$kind" $version 8 | grep -c '^PONG')"
        done
done
look_for old_ 'that is in use'
serve new_
check_matches 'keys are exchanged' 'configuration reloaded' "$(ctl reload 2>&1)"
for kind in $kinds; do
        check "a handshake with the new key, $kind" 1 "$(shake "$kind" 1_3 1 | grep -c '^PONG')"
done
look_for old_ 'that was'
look_for new_ 'that came'
stop_daemon
check 'the daemon ends in order' 0 "$status"

# --- passwords -------------------------------------------------------------------------------------

umask 077
echo 'wonderland-Qz84xw' >"$directory/password"
configure 'log = { level = "debug"; };' \
        "users = ( { name = \"alice\"; password_file = \"$directory/password\"; } );" \
        'listeners = ( { name = "tls"; listen = "tls://127.0.0.1:0";' \
        "tls = { cert = \"$certificates/server.pem\"; key = \"$certificates/server.key\"; }; } );"
start_daemon
tls=tls://127.0.0.1:$(port_of tls)
start_helper alice "$SOCKCTL" -s "$tls" --ca "$certificates/authority.pem" --user alice \
        --password-file "$directory/password" --verbose sub greet
exec 9>"$directory/alice.in"
check_does 'a password is taken' await_helper alice 'subscribed to'
check 'it is not left in memory while its client is there' 0 \
        "$("$support/dumpable" "$daemon" wonderland-Qz84xw)"
exec 9>&-
kill "$helper"
expect_log 'its client goes' 'disconnected'
check 'nor afterwards' 0 "$("$support/dumpable" "$daemon" wonderland-Qz84xw)"
check 'but what is no secret is found' true \
        "$([ "$("$support/dumpable" "$daemon" "$certificates/server.pem")" -gt 0 ] && echo true)"
stop_daemon
end_tests
