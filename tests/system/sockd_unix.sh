#!/bin/sh
# All scenarios on a Unix socket, with two workers.
exec sh "$SOCKD_SOURCE_DIR/tests/system/scenarios.sh" sockd unix 2
