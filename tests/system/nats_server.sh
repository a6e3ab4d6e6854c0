#!/bin/sh
# The scenarios whose behaviour is shared, on the real nats-server: our reading of the protocol.
exec sh "$SOCKD_SOURCE_DIR/tests/system/scenarios.sh" nats-server tcp 1
