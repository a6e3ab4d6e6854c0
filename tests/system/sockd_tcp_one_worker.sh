#!/bin/sh
# All scenarios on TCP, with a single worker.
exec sh "$SOCKD_SOURCE_DIR/tests/system/scenarios.sh" sockd tcp 1
