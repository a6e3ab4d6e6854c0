#!/bin/sh
# Debian's libnats against sockd.
client=$SOCKD_BUILD_DIR/tests/interop/libnats_client
[ -x "$client" ] || {
        echo '1..0 # SKIP libnats-dev is not installed'
        exit 0
}
exec sh "$SOCKD_SOURCE_DIR/tests/interop/run.sh" "$client"
