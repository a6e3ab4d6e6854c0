#!/bin/sh
# All scenarios over TLS, with two workers.
set -u

certificates=$(mktemp -d "${TMPDIR:-/tmp}/certificates.XXXXXX") || exit 99
trap 'rm -rf "$certificates"' EXIT
trap 'exit 1' INT TERM
. "$SOCKD_SOURCE_DIR/tests/system/certificates.sh"
SCENARIO_CERT=$certificates/server.pem
SCENARIO_KEY=$certificates/server.key
export SCENARIO_CERT SCENARIO_KEY
sh "$SOCKD_SOURCE_DIR/tests/system/scenarios.sh" sockd tls 2
