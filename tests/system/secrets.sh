#!/bin/sh
# Passwords, tokens and nkeys of users: where they may stand, what is warned of, and that no secret is
# told or can be found in a core dump. And the verbs of sockctl that make hashes and keys.
#
# shellcheck disable=SC2119 # functions without arguments
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

umask 077
plain='plain-Qz81xw'
token='token-Qz82xw'
filed='filed-Qz83xw'

# users TEXT...: the configuration has these.
users() {
        configure 'log = { target = "stderr"; level = "trace"; };' "users = ( $* );" \
                "listeners = ( { name = \"local\"; listen = \"$unix\"; } );"
}

# check_config: $output and $status of the check.
check_config() {
        output=$(timeout 20 "$SOCKCTL" config check "$config" 2>&1 </dev/null)
        status=$?
}

echo "$filed" >"$directory/password"

# --- sockctl passwd and nkey -----------------------------------------------------------------------

hash=$(echo "$plain" | "$SOCKCTL" passwd)
# shellcheck disable=SC2016 # that is how it begins
check_matches 'a hash is one of yescrypt' '^\$y\$j9T\$[./0-9A-Za-z]+\$[./0-9A-Za-z]{43}$' "$hash"
hash=$(echo "$plain" | "$SOCKCTL" passwd --bcrypt --cost 4)
# shellcheck disable=SC2016 # the same
check_matches 'or of bcrypt' '^\$2b\$04\$[./0-9A-Za-z]{53}$' "$hash"
check 'which is JSON on request' 60 \
        "$(echo "$plain" | "$SOCKCTL" --json passwd --bcrypt --cost 4 | "$support/json" hash | wc -m | awk '{ print $1 - 1 }')"
check 'another one each time' 2 \
        "$({ echo "$hash"; echo "$plain" | "$SOCKCTL" passwd --bcrypt --cost 4; } | sort -u | wc -l)"
check_lacks 'a password that is too long for bcrypt has no hash' '^.2b' \
        "$(printf '%073d\n' 0 | "$SOCKCTL" passwd --bcrypt 2>&1)"
check_matches 'nor has an empty one' 'is empty, or has a NUL byte in it$' \
        "$(echo | "$SOCKCTL" passwd 2>&1)"
check_matches 'nor has one with a NUL' 'is empty, or has a NUL byte in it$' \
        "$(printf 'a\0b\n' | "$SOCKCTL" passwd 2>&1)"
check_matches 'the cost is limited' 'cost "12": 1 to 11 was expected, for yescrypt$' \
        "$("$SOCKCTL" passwd --cost 12 2>&1 </dev/null)"

"$SOCKCTL" nkey >"$directory/alice"
check_matches 'a pair of keys has a seed' '^seed: SU[A-Z2-7]{56}$' "$(cat "$directory/alice")"
check_matches '... and a public key' '^public: U[A-Z2-7]{55}$' "$(cat "$directory/alice")"
seed=$(sed -n 's/^seed: //p' "$directory/alice")
public=$(sed -n 's/^public: //p' "$directory/alice")
check 'which is that of the seed in the file' "$public" "$("$SOCKCTL" nkey --public "$directory/alice")"
check '... or on standard input' "$public" "$(echo "$seed" | "$SOCKCTL" nkey --public)"
check '... and JSON on request' "$public" \
        "$("$SOCKCTL" --json nkey --public "$directory/alice" | "$support/json" public)"
check_lacks 'another pair is another one' "$seed|$public" "$("$SOCKCTL" --json nkey)"
chmod o+r "$directory/alice"
check_matches 'a seed that anyone may read is refused' ': anyone may read it' \
        "$("$SOCKCTL" nkey --public "$directory/alice" 2>&1)"

# --- what is said of them --------------------------------------------------------------------------

users "{ name = \"a\"; password = \"$plain\"; }, { name = \"b\"; token = \"$token\"; }," \
        "{ name = \"c\"; password_file = \"$directory/password\"; }," \
        "{ name = \"d\"; password = \"$hash\"; }, { name = \"e\"; nkey = \"$public\"; }"
check_config
check 'secrets in plain text are no error' 0 "$status"
check_matches 'but are warned of' "^warning: $config:2: users\[0\]\.password: it stands here in plain" "$output"
check_matches '... each of them' "^warning: $config:2: users\[1\]\.token: it stands here in plain" "$output"
check 'and others are not' 3 "$(echo "$output" | wc -l)"
chmod o+r "$config"
check_config
check_matches 'secrets that anyone may read are warned of' "^warning: $config: there are secrets in" "$output"
all=$output

start_daemon
said=$(cat "$log")
check_matches 'warnings are in the log at the start' 'warning: .*: users\[0\]\.password: it stands here' "$said"
check_matches '... all of them' 'warning: .*: there are secrets in this file' "$said"
check_matches 'users without a peer are nobody the kernel knows' 'is running' "$(ctl status)"
output=$(ctl reload 2>&1)
check_matches 'a reload tells warnings' 'users\[1\]\.token: it stands here in plain text' "$output"
all=$all$output

if $is_sanitized; then
        skip 'no secret is in a core dump' 'sanitizers keep what was freed'
elif ! $is_root; then
        skip 'no secret is in a core dump' 'needs root'
else
        check 'what is no secret is found in memory' true \
                "$([ "$("$support/dumpable" "$daemon" "$unix")" -gt 0 ] && echo true)"
        for secret in "$plain" "$token" "$filed" "$hash"; do
                check 'no secret is in a core dump' 0 "$("$support/dumpable" "$daemon" "$secret")"
        done
fi

users "{ name = \"a\"; password = [ \"$plain\" ]; }, { name = \"b\"; token = \"$token\"; token = 1; }"
all=$all$(ctl reload 2>&1)
users "{ name = \"a\"; password = \"\$2b\$$plain\"; }, { name = \"e\"; nkey = \"$seed\"; }," \
        "{ name = \"b\"; token = \"$token\"; token_file = \"$directory/password\"; }"
output=$(ctl reload 2>&1)
check_matches 'a malformed hash is an error' 'users\[0\]\.password: .* begins like a hash' "$output"
check_matches 'and so is a seed instead of its public key' 'users\[1\]\.nkey: .* but it is a seed' "$output"
check_matches 'and a token at two places' 'users\[2\]\.token_file: there is "token" already' "$output"
all=$all$output
chmod o+r "$directory/password"
users "{ name = \"c\"; password_file = \"$directory/password\"; }, { name = \"f\"; }"
output=$(ctl reload 2>&1)
check_matches 'a file that anyone may read is an error' 'users\[0\]\.password_file: .* anyone may read it' "$output"
check_matches 'and so is a user that nothing is known of' 'users\[1\]: found nothing' "$output"
stop_daemon
check_lacks 'no secret was told' "$plain|$token|$filed|$seed" "$all$output"
check_lacks '... nor is one in the log' "$plain|$token|$filed|$seed" "$(cat "$log")"

chmod 600 "$directory/password"
users '{ name = "c"; password_file = "password"; }'
check_config
check_matches 'a credential needs its directory' 'CREDENTIALS_DIRECTORY is not set$' "$output"
CREDENTIALS_DIRECTORY=$directory
export CREDENTIALS_DIRECTORY
check_config
check 'and is found there' "$config: the configuration is valid: 1 listener" "$output"

# --- sockctl with them -----------------------------------------------------------------------------

# login ARG...: whether the daemon lets sockctl in, by its exit status.
login() {
        timeout 20 "$SOCKCTL" -s "tcp://127.0.0.1:$(port_of tcp)" pub "$@" test.login x >/dev/null 2>&1 </dev/null
        echo $?
}

chmod o-r "$directory/alice"
echo "$plain" >"$directory/plain"
echo "$token" >"$directory/token"
"$SOCKCTL" nkey >"$directory/other"
configure 'log = { target = "stderr"; };' \
        "users = ( { name = \"a\"; password = \"$hash\"; }, { name = \"b\"; token_file = \"token\"; }," \
        "{ name = \"c\"; nkey = \"$public\"; } );" \
        "listeners = ( { name = \"tcp\"; listen = \"tcp://127.0.0.1:0\"; } );"
start_daemon
check 'sockctl logs in with a password' 0 "$(login --user a --password-file "$directory/plain")"
check '... but not with another one' 4 "$(login --user a --password-file "$directory/token")"
check 'and with a token' 0 "$(login --token-file "$directory/token")"
check '... but not with another one' 4 "$(login --token-file "$directory/plain")"
check 'and with a key' 0 "$(login --nkey "$directory/alice")"
check '... but not with another one' 4 "$(login --nkey "$directory/other")"
check 'and not with nothing' 4 "$(login)"
stop_daemon

end_tests
