#!/bin/sh
# Proves that the hashes and keys which sockctl makes are those that nats-server takes, and that
# sockctl logs in with each kind of credentials, to a server that nobody here wrote.
#
# shellcheck disable=SC2119 # functions without arguments
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

command -v nats-server >/dev/null || {
        echo '1..0 # SKIP nats-server is not installed'
        exit 0
}

umask 077
unset SOCKD_USER SOCKD_PASSWORD_FILE SOCKD_TOKEN_FILE SOCKD_NKEY

# start_server TEXT...: nats-server with this configuration, whose address is in $address.
start_server() {
        printf '%s\n' "$@" >"$directory/nats.conf"
        launch nats-server -a 127.0.0.1 -p -1 -c "$directory/nats.conf"
        await_log 'Server is ready$' >/dev/null || bail_out "nats-server did not start"
        address=tcp://$(sed -n 's/.*Listening for client connections on //p' "$log" | tail -n 1)
}

# login ARG...: whether the server lets sockctl in, by its exit status.
login() {
        output=$(timeout 20 "$SOCKCTL" -s "$address" pub "$@" test.login x 2>&1 </dev/null)
        echo $?
}

echo 'hunter2' >"$directory/password"
echo 'hunter3' >"$directory/wrong"
hash=$("$SOCKCTL" passwd --bcrypt --cost 4 <"$directory/password")
"$SOCKCTL" nkey >"$directory/nkey"
"$SOCKCTL" nkey >"$directory/other"

start_server "authorization { users = [ { user: alice, password: \"$hash\" }," \
        "{ nkey: $("$SOCKCTL" nkey --public "$directory/nkey") } ] }"
check 'nobody comes in without credentials' 4 "$(login)"
check 'a user and his password do' 0 "$(login --user alice --password-file "$directory/password")"
check 'not with another password' 4 "$(login --user alice --password-file "$directory/wrong")"
check 'nor with none' 4 "$(login --user alice)"
check 'nor another user' 4 "$(login --user bob --password-file "$directory/password")"
check 'a key does' 0 "$(login --nkey "$directory/nkey")"
check 'another one does not' 4 "$(login --nkey "$directory/other")"
check 'the environment names a user and his password' 0 \
        "$(SOCKD_USER=alice SOCKD_PASSWORD_FILE=$directory/password login)"
check 'and a key' 0 "$(SOCKD_NKEY=$directory/nkey login)"
check 'options come first' 4 "$(SOCKD_NKEY=$directory/nkey login --nkey "$directory/other")"
check 'a password is that of a user' 2 "$(login --password-file "$directory/password")"
check_matches 'a file that is missing is named' "^sockctl: $directory/none: No such file" \
        "$(timeout 20 "$SOCKCTL" -s "$address" pub --user alice --password-file "$directory/none" x x 2>&1)"
check_matches 'and so is one without a seed' "^sockctl: $directory/password: there is no line with" \
        "$(timeout 20 "$SOCKCTL" -s "$address" pub --nkey "$directory/password" x x 2>&1)"
stop_daemon

start_server "authorization { token: \"$hash\" }"
check 'a token comes in' 0 "$(login --token-file "$directory/password")"
check 'another one does not' 4 "$(login --token-file "$directory/wrong")"
check 'the environment names a token' 0 "$(SOCKD_TOKEN_FILE=$directory/password login)"
output=$(timeout 20 "$SOCKCTL" -s "$address" pub --nkey "$directory/nkey" x x 2>&1)
check_matches 'a server that knows no keys is told from one that refuses' 'the server knows no nkeys$' "$output"
stop_daemon

end_tests
