#!/bin/sh
# All scenarios on TCP, with two workers.
exec sh "$SOCKD_SOURCE_DIR/tests/system/scenarios.sh" sockd tcp 2
