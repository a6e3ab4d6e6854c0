#!/bin/sh
# All scenarios on a Unix socket, with more workers than processors.
exec sh "$SOCKD_SOURCE_DIR/tests/system/scenarios.sh" sockd unix 4
