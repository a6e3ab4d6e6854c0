# shellcheck shell=sh
# Certificates for tests, made by openssl in the directory $certificates, by default within the
# script's $directory. Where there is no TLS, or no openssl, the script is skipped.
#
#       authority.pem, authority.key    of an authority
#       server.pem, server.key          of localhost and 127.0.0.1, by that authority
#       make_authority NAME             NAME.pem and NAME.key, of another authority
#       make_certificate NAME AUTHORITY SUBJECT [EXTENSION...]
#                                       NAME.pem and NAME.key, which nobody else may read
#
# $not_before and $not_after, if set, are the times between which what is made then is valid, and
# $key_options what `openssl genpkey` is to make for a key.

: "${certificates:=$directory/certificates}"
mkdir -p "$certificates"

"$SOCKD" --version | grep -q '+tls' || {
        echo '1..0 # SKIP sockd was built without TLS'
        exit 0
}
command -v openssl >/dev/null || {
        echo '1..0 # SKIP openssl is not installed'
        exit 0
}

openssl_quietly() {
        openssl "$@" >"$certificates/openssl.log" 2>&1 || {
                echo "Bail out! openssl $1 failed"
                sed 's/^/# /' "$certificates/openssl.log"
                exit 1
        }
}

make_key() {
        if [ -n "${key_options:-}" ]; then
                # shellcheck disable=SC2086 # several words
                (umask 077 && openssl_quietly genpkey $key_options -out "$certificates/$1.key")
        else
                (umask 077 && openssl_quietly ecparam -name prime256v1 -genkey -noout -out "$certificates/$1.key")
        fi
}

make_authority() {
        make_key "$1"
        openssl_quietly req -x509 -new -key "$certificates/$1.key" -subj "/CN=$1" -days 30 \
                -out "$certificates/$1.pem"
}

make_certificate() {
        made=$certificates/$1 authority=$certificates/$2
        make_key "$1"
        openssl_quietly req -new -key "$made.key" -subj "$3" -out "$made.csr"
        shift 3
        printf '%s\n' "$@" >"$made.extensions"
        # Only openssl ca can make a certificate that has expired.
        : >"$certificates/index"
        cat >"$certificates/ca.conf" <<EOF
[ca]
default_ca = tests
[tests]
database = $certificates/index
new_certs_dir = $certificates
rand_serial = yes
default_md = sha256
policy = anything
unique_subject = no
[anything]
countryName = optional
organizationName = optional
commonName = optional
domainComponent = optional
EOF
        openssl_quietly ca -batch -notext -preserveDN -config "$certificates/ca.conf" \
                -startdate "${not_before:-20200101000000Z}" -enddate "${not_after:-20991231235959Z}" \
                -cert "$authority.pem" -keyfile "$authority.key" -in "$made.csr" \
                -extfile "$made.extensions" -out "$made.pem"
}

make_authority authority
make_certificate server authority '/C=US/O=Acme/CN=server' \
        'subjectAltName=DNS:localhost,IP:127.0.0.1' 'extendedKeyUsage=serverAuth'
