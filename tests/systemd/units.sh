#!/bin/sh
# Proves that systemd finds nothing to complain about in the units and files that it is given, and
# that the service exposes as little of the system as it should.
set -eu

max_exposure=15         # in tenths

command -v systemd-analyze >/dev/null || {
        echo "1..0 # SKIP systemd-analyze is not installed"
        exit 0
}
[ -e "$SOCKD_BUILD_DIR/systemd/sockd.service" ] || {
        echo "1..0 # SKIP sockd was built without libsystemd"
        exit 0
}

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
cp "$SOCKD_SOURCE_DIR/systemd/sockd.socket" "$directory"
# The program need not be installed yet.
sed "s|^ExecStart=[^ ]*|ExecStart=$SOCKD|" "$SOCKD_BUILD_DIR/systemd/sockd.service" \
        >"$directory/sockd.service"

# Prints a test point: title $1, whether it holds $2, and if not, why $3.
point() {
        if $2; then
                echo "ok - $1"
        else
                echo "not ok - $1"
                echo "$3" | sed 's/^/# /'
        fi
}

# verify is also silent about a sound unit.
unit_is_understood() {
        holds=false
        ! complaints=$(systemd-analyze verify --man=no "$directory/$1" 2>&1) ||
                [ -n "$complaints" ] || holds=true
        point "$1 is understood" $holds "$complaints"
}

sysusers_are_understood() {
        holds=false
        ! complaints=$(systemd-sysusers --dry-run \
                "$SOCKD_SOURCE_DIR/systemd/sysusers.d/sockd.conf" 2>&1) || holds=true
        point "sysusers.d/sockd.conf is understood" $holds "$complaints"
}

service_is_confined() {
        holds=false
        ! report=$(systemd-analyze security --no-pager --offline=true --threshold=$max_exposure \
                "$directory/sockd.service" 2>&1) || holds=true
        point "sockd.service is confined" $holds "$report"
        echo "$report" | sed -n 's/.*\(Overall exposure.*\)/# \1/p'
}

echo 1..4
unit_is_understood sockd.service
unit_is_understood sockd.socket
sysusers_are_understood
service_is_confined
