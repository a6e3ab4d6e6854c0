#!/bin/sh
# Proves that other people's client libraries log in: with a user and a password, plain or hashed, with
# a token, and with an nkey, several methods at once; and that they understand a refusal.
#
# shellcheck disable=SC2119,SC2317 # functions without arguments; called by others
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

umask 077
printf 'castle\n' >"$directory/password"
"$SOCKCTL" nkey >"$directory/key" || bail_out 'no key can be made'
"$SOCKCTL" nkey >"$directory/other"
seed=$(sed -n 's/^seed: //p' "$directory/key")
other=$(sed -n 's/^seed: //p' "$directory/other")
public_of() {
        printf '%s\n' "$1" | "$SOCKCTL" nkey --public -
}
NKEY_PUBLIC=$(public_of "$seed")
export NKEY_PUBLIC
configure 'users = ( { name = "alice"; password = "wonderland"; },' \
        "{ name = \"kafka\"; password = \"$("$SOCKCTL" passwd --bcrypt --cost 8 <"$directory/password")\"; }," \
        "{ name = \"yes\"; password = \"$("$SOCKCTL" passwd <"$directory/password")\"; }," \
        '{ name = "robot"; token = "tin-man"; },' \
        "{ name = \"keeper\"; nkey = \"$NKEY_PUBLIC\"; } );" \
        "listeners = ( { name = \"local\"; listen = \"$unix\"; }, { name = \"tcp\"; listen = \"tcp://127.0.0.1:0\"; } );"
start_daemon

# ask ARG...: of the $client.
ask() {
        # shellcheck disable=SC2086 # a list of words
        timeout 60 $client "nats://127.0.0.1:$(port_of tcp)" nobody.here "$@" 2>&1
}

# test_logins NAME
test_logins() {
        check "$1: a password" nobody "$(ask user alice wonderland)"
        check "$1: a wrong password" refused "$(ask user alice castle)"
        check "$1: a password that is kept as a bcrypt hash" nobody "$(ask user kafka castle)"
        check "$1: one that is kept as a yescrypt hash" nobody "$(ask user yes castle)"
        check "$1: a wrong one" refused "$(ask user yes wonderland)"
        check "$1: a token" nobody "$(ask token tin-man)"
        check "$1: a wrong token" refused "$(ask token lion)"
        check "$1: an nkey" nobody "$(ask nkey "$seed")"
        NKEY_PUBLIC=$(public_of "$other")
        check "$1: another nkey" refused "$(ask nkey "$other")"
        NKEY_PUBLIC=$(public_of "$seed")
        check "$1: nothing at all" refused "$(ask)"
}

if [ -x "$SOCKD_BUILD_DIR/tests/interop/libnats_ask" ]; then
        client=$SOCKD_BUILD_DIR/tests/interop/libnats_ask
        test_logins libnats
        NKEY_PUBLIC=$(public_of "$seed")
        check 'libnats: an nkey that it says and does not have' refused "$(ask nkey "$other")"
else
        skip 'logins with libnats' 'libnats-dev is not installed'
fi
if [ -e "$NODE_DIR/installed.json" ]; then
        cp -R "$NODE_DIR" "$directory/node"
        cp "$SOCKD_SOURCE_DIR"/tests/interop/node/*.mjs "$directory/node"
        client="node $directory/node/ask.mjs"
        test_logins node
else
        skip 'logins with node' 'node.sh could not install its modules'
fi
stop_daemon
check 'the daemon ends in order' 0 "$status"
end_tests
