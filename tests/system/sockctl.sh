#!/bin/sh
# Proves that sockctl moves messages through sockd, on a Unix socket.
set -eu

clean_up() {
        [ -z "$daemon" ] || { kill "$daemon" && wait "$daemon"; } 2>/dev/null || true
        rm -rf "$directory"
}

daemon=
directory=$(mktemp -d "${TMPDIR:-/tmp}/sockd-test.XXXXXX")
trap clean_up EXIT
trap 'exit 143' INT TERM

# The log is read all the time, as a full pipe would be lost lines; a line of it says that sockd
# listens.
mkfifo "$directory/log"
echo 'log = { target = "stderr"; };' >"$directory/sockd.conf"
"$SOCKD" --config "$directory/sockd.conf" --listen "unix://$directory/sockd.sock" \
        2>"$directory/log" &
daemon=$!
exec 9<"$directory/log"
ready=false
while IFS= read -r line <&9; do
        echo "# $line"
        case $line in
        *ready) ready=true && break ;;
        esac
done
$ready || {
        echo "Bail out! sockd does not start"
        exit 1
}
cat <&9 >/dev/null &
sh "$SOCKD_SOURCE_DIR/tests/ctl/test_sockctl.sh" "unix://$directory/sockd.sock"
