#!/bin/sh
# The npm package @nats-io/transport-node against sockd.
exec sh "$SOCKD_SOURCE_DIR/tests/interop/run.sh" "$SOCKD_SOURCE_DIR/tests/interop/node/client.mjs"
