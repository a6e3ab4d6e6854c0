#!/bin/sh
# Logins by client certificates: each kind of name in them makes a user, alone or with a password, and
# what is in none makes none.
#
# shellcheck disable=SC2119,SC2317 # functions without arguments; called by others
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"
. "$SOCKD_SOURCE_DIR/tests/system/certificates.sh"
for name in mail dns uri subject both nobody; do
        case $name in
        mail) names='subjectAltName=email:mail@acme.example' ;;
        dns) names='subjectAltName=DNS:dns.acme.example' ;;
        uri) names='subjectAltName=URI:spiffe://acme/uri' ;;
        *) names='subjectAltName=DNS:other.acme.example' ;;
        esac
        make_certificate "$name" authority "/C=US/O=Acme/CN=$name" "$names" 'extendedKeyUsage=clientAuth'
done
umask 077
printf 'wonderland\n' >"$directory/password"
printf 'castle\n' >"$directory/wrong"

tls="cert = \"$certificates/server.pem\"; key = \"$certificates/server.key\"; ca = \"$certificates/authority.pem\"; verify = true;"
configure 'users = ( { name = "mail"; certificate = "mail@acme.example"; },' \
        '{ name = "dns"; certificate = "dns.acme.example"; role = "monitor"; },' \
        '{ name = "uri"; certificate = "spiffe://acme/uri"; },' \
        '{ name = "subject"; certificate = "CN=subject, O=Acme, C=US"; },' \
        '{ name = "both"; certificate = "CN=both,O=Acme,C=US"; password = "wonderland"; },' \
        '{ name = "alice"; password = "wonderland"; } );' \
        "listeners = ( { name = \"local\"; listen = \"$unix\"; }," \
        "{ name = \"mapped\"; listen = \"tls://127.0.0.1:0\"; tls = { $tls map = true; }; }," \
        "{ name = \"unmapped\"; listen = \"tls://127.0.0.1:0\"; tls = { $tls }; } );"
start_daemon

# login CERTIFICATE LISTENER [OPTION...]: who that is to the daemon, or `refused`.
login() {
        login_certificate=$certificates/$1
        login_address=tls://127.0.0.1:$(port_of "$2")
        shift 2
        start_helper client timeout 20 "$SOCKCTL" -v -s "$login_address" --ca "$certificates/authority.pem" \
                --cert "$login_certificate.pem" --key "$login_certificate.key" "$@" sub --count 1 "who.$n_tests"
        exec 8>"$directory/client.in"
        if "$support/await" line "$directory/client.out" 'subscribed|Authorization' | grep -q subscribed; then
                ctl --json clients | tr '{' '\n' | grep '"listener":"'"$login_listener" |
                        sed -n 's/.*"authorized_user":"\([^"]*\)".*/\1/p' | tail -n 1
        else
                echo refused
        fi
        exec 8>&-
        ctl pub "who.$n_tests" x
        "$support/await" exit "$helper"
}
login_listener=mapped
check 'a mail address' mail "$(login mail mapped)"
check 'a DNS name' dns "$(login dns mapped)"
check 'a URI' uri "$(login uri mapped)"
check 'a subject, in another order' subject "$(login subject mapped)"
check 'a name that is no user' refused "$(login nobody mapped)"
check 'a certificate without the password that goes with it' refused "$(login both mapped)"
check 'with it' both "$(login both mapped --user both --password-file "$directory/password")"
check 'with a wrong one' refused "$(login both mapped --user both --password-file "$directory/wrong")"
check 'the password without the certificate' refused \
        "$(login nobody mapped --user both --password-file "$directory/password")"
check 'another user by his password' alice \
        "$(login nobody mapped --user alice --password-file "$directory/password")"
login_listener=unmapped
check 'a listener that does not map names' refused "$(login mail unmapped)"
check_matches 'a role by certificate' '^mapped ' "$(timeout 20 "$SOCKCTL" -s "tls://127.0.0.1:$(port_of mapped)" \
        --ca "$certificates/authority.pem" --cert "$certificates/dns.pem" --key "$certificates/dns.key" listeners 2>&1)"
stop_daemon
check 'the daemon ended in order' 0 "$status"
end_tests
