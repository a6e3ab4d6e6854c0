#!/bin/sh
# Debian's libnats against sockd, over TLS, with certificates of both sides.
TLS=both
export TLS
exec sh "$SOCKD_SOURCE_DIR/tests/interop/libnats.sh"
