#!/bin/sh
# Runs all scenarios: scenarios.sh SERVER TRANSPORT WORKERS. Output is TAP.
set -eu

jobs=${SCENARIO_JOBS:-4}
[ "$1" = sockd ] || command -v nats-server >/dev/null || {
        echo '1..0 # SKIP nats-server is not installed'
        exit 0
}
WORKERS=$3
export WORKERS
exec "$SOCKD_BUILD_DIR/tests/system/scenario" --server "$1" --sockd "$SOCKD" --transport "$2" \
        -j "$jobs" "$SOCKD_SOURCE_DIR"/tests/system/*.test
