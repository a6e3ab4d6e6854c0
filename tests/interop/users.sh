#!/bin/sh
# Proves that programs with other people's client libraries, which know nothing of it, are known by the
# user they run as, over TCP on this host: the users' rules give them roles without a secret.
#
# shellcheck disable=SC2119,SC2317 # functions without arguments; called by others
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

if ! can_be_nobody; then
        echo '1..0 # SKIP needs root and setpriv'
        exit 0
fi

# ask UID SUBJECT: what a client of that user gets for a request; $client is the command.
ask() {
        # shellcheck disable=SC2086 # a list of words
        timeout 60 setpriv --reuid "$1" --regid "$1" --clear-groups -- \
                $client "nats://127.0.0.1:$(port_of tcp)" "\$SYS.REQ.SERVER.PING.$2" 2>&1
}

# test_users NAME: of the $client.
test_users() {
        check_matches "$1: a monitor sees clients" '"authorized_user": ?"watch"' "$(ask 7001 CONNZ)"
        check_matches "$1: whom a rule lets see the status does" '"server_id"' "$(ask 7002 VARZ)"
        check_matches "$1: and not the clients" '"code": ?403' "$(ask 7002 CONNZ)"
        check "$1: to a user without a rule nobody answers" nobody "$(ask 7003 VARZ)"
        check "$1: to root neither" nobody "$(ask 0 VARZ)"
}

configure 'users = ( { name = "watch"; peer = { uid = 7001; }; role = "monitor"; },' \
        '            { name = "look"; peer = { uid = 7002; }; role = "none"; } );' \
        "listeners = ( { name = \"local\"; listen = \"$unix\"; }, { name = \"tcp\"; listen = \"tcp://127.0.0.1:0\"; } );"
start_daemon

# Copies that all users can reach.
if [ -x "$SOCKD_BUILD_DIR/tests/interop/libnats_ask" ]; then
        cp "$SOCKD_BUILD_DIR/tests/interop/libnats_ask" "$directory"
        client=$directory/libnats_ask
        test_users libnats
else
        skip 'users with libnats' 'libnats-dev is not installed'
fi
if [ -e "$NODE_DIR/installed.json" ]; then
        cp -R "$NODE_DIR" "$directory/node"
        cp "$SOCKD_SOURCE_DIR"/tests/interop/node/*.mjs "$directory/node"
        chmod -R a+rX "$directory/node"
        client="node $directory/node/ask.mjs"
        test_users node
else
        skip 'users with node' 'node.sh could not install its modules'
fi

stop_daemon
check 'the daemon ends in order' 0 "$status"
end_tests
