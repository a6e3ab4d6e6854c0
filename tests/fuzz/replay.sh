#!/bin/sh
# Replays the inputs of the fuzzers, those that were found and those that were written.
set -eu

for target in address config parser; do
        "$SOCKD_BUILD_DIR/tests/fuzz/replay_$target" "$SOCKD_SOURCE_DIR/tests/fuzz/corpus/$target"
done
