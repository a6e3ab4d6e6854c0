#!/bin/sh
# The npm package @nats-io/transport-node against sockd, over TLS.
TLS=server
export TLS
exec sh "$SOCKD_SOURCE_DIR/tests/interop/node.sh"
