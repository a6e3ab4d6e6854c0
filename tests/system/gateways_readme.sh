#!/bin/sh
# What the README shows of gateways: its configuration, and each of its commands, as they stand there
# but for the ports and paths.
#
# shellcheck disable=SC2119,SC2317 # functions without arguments; called by others
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

for program in logger nc; do
        command -v $program >/dev/null || {
                echo "1..0 # SKIP $program is not installed"
                exit 0
        }
done

# shown COMMAND NAME PORT: prints it as it is to be run here.
shown() {
        grep -qxF -e "    $1" "$SOCKD_SOURCE_DIR/README.md" || {
                echo "# README.md does not show: $1" >&2
                return 1
        }
        printf '%s\n' "$1" | sed "s/$3/$(port_of "$2")/"
}

awk '/^    listeners = \(/ { is_shown = 1; text = "" }
        is_shown { text = text $0 "\n" }
        /^    \);/ && is_shown { is_shown = 0; if (text ~ /publish = /) printf "%s", text }' \
        "$SOCKD_SOURCE_DIR/README.md" |
        sed -e "s|/tmp/sockd\.sock|$socket|" -e 's|127\.0\.0\.1:[0-9]*|127.0.0.1:0|' >"$config"
start_daemon
check 'the README has a configuration with four listeners' 4 "$(ctl --json listeners | grep -o '"handler"' | wc -l)"

start_helper told "$SOCKCTL" -v -s "$unix" sub 'syslog.127_0_0_1'
exec 7>"$directory/told.in"
await_helper told subscribed >/dev/null
sh -c "$(shown "logger -n 127.0.0.1 -P 5514 -d 'is published to syslog.127_0_0_1'" syslog 5514)"
check_does 'logger publishes' await_helper told 'is published to syslog.127_0_0_1$'

start_helper upper "$SOCKCTL" -v -s "$unix" reply svc.upper -- tr a-z A-Z
exec 8>"$directory/upper.in"
await_helper upper ': subscribed to ' >/dev/null
check 'nc asks' PLEASE "$(sh -c "$(shown 'echo please | nc -N 127.0.0.1 7000' upper 7000)")"

start_helper news sh -c "exec $(shown 'nc 127.0.0.1 7001' news 7001)"
exec 9>"$directory/news.in"
is_subscribed() {
        [ "$(ctl --no-legend subs news.x | wc -l)" -eq 1 ]
}
await_that is_subscribed
ctl pub news.x 'the door is open'
check_does 'nc is told' await_helper news '^the door is open$'

stop_daemon
check 'the daemon ends in order' 0 "$status"
end_tests
