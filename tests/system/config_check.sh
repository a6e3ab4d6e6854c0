#!/bin/sh
# sockctl config check: what it says of a configuration, and which sockd it asks.
#
# shellcheck disable=SC2016 # names of variables
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"
unset SOCKD_PROGRAM

# check_config COMMAND...: $output and $status.
check_config() {
        output=$(timeout 20 "$@" 2>&1 </dev/null)
        status=$?
}

# program NAME: a sockd that prints its name and what it is called with.
program() {
        mkdir -p "$directory/${1%/*}"
        printf '#!/bin/sh\necho "%s $*"\n' "$1" >"$directory/$1"
        chmod 755 "$directory/$1"
}

# --- what is said ----------------------------------------------------------------------------------

configure "listeners = ( { name = \"a\"; listen = \"$unix\"; } );"
check_config "$SOCKCTL" config check "$config"
check 'a valid file exits with 0' 0 "$status"
check 'a valid file is said to be' "$config: the configuration is valid: 1 listener" "$output"
check_config "$SOCKCTL" --json config check "$config"
check 'a valid file is valid in JSON' true "$(echo "$output" | "$support/json" valid)"

configure 'server = { nam = "x"; workers = "many"; };'
check_config "$SOCKCTL" config check "$config"
check 'a file with errors exits with 78' 78 "$status"
check_matches 'an error is told with its line' "^$config:1: server\.nam: unknown key" "$output"
check_matches 'and so is the next one' "^$config:1: server\.workers: found \"many\"" "$output"
check_config "$SOCKCTL" --json config check "$config"
check 'a file with errors exits with 78 in JSON' 78 "$status"
check 'it is not valid in JSON' false "$(echo "$output" | "$support/json" valid)"
check 'each error is a line in JSON' 2 "$(echo "$output" | "$support/json" output.length)"
check_config "$SOCKCTL" config check "$directory/missing.conf"
check 'a missing file exits with 78' 78 "$status"
check_config "$SOCKCTL" config show
check 'another word than check exits with 2' 2 "$status"
check_config "$SOCKCTL" config
check 'no word exits with 2' 2 "$status"

# --- which program -------------------------------------------------------------------------------

mkdir -p "$directory/tree/bin" "$directory/lone"
cp "$SOCKCTL" "$directory/tree/bin/sockctl"
cp "$SOCKCTL" "$directory/lone/sockctl"
program path/sockd
program named/checker
program tree/sbin/sockd
PATH=$directory/path:$PATH

check_config "$directory/tree/bin/sockctl" config check /x
check_matches 'the sockd that was installed together with sockctl is asked' \
        '^tree/sbin/sockd --check --config /x$' "$output"
check_config env SOCKD_PROGRAM="$directory/named/checker" "$directory/tree/bin/sockctl" config check
check 'the one that $SOCKD_PROGRAM names comes first' 'named/checker --check' "$output"
check_config env SOCKD_PROGRAM="$directory/named/none" "$directory/tree/bin/sockctl" config check
check 'a $SOCKD_PROGRAM that is not there exits with 1' 1 "$status"
check 'and is named' \
        "sockctl: \$SOCKD_PROGRAM is \"$directory/named/none\", and there is no such program" "$output"
check_config "$directory/tree/bin/sockctl" --verbose config check
check_matches 'it is told on request which one is asked' '^sockctl: running .*sbin/sockd --check$' "$output"

# A sockd that is installed here, for good, comes before $PATH.
check_config env PATH=/nonexistent "$directory/lone/sockctl" config check
case $output in
*'which does the check'*)
        check 'without any the exit status is 1' 1 "$status"
        check_matches 'without any it is said what to do' \
                '^sockctl: the program sockd, .* is neither in /.* nor in \$PATH; install it, or set SOCKD_PROGRAM to its path$' \
                "$output"
        check_config env PATH=/nonexistent "$directory/lone/sockctl" --json config check
        check 'and so it is in JSON' 1 "$(echo "$output" | "$support/json" error.code)"
        check_config "$directory/lone/sockctl" config check
        check 'the first one in $PATH is asked last' 'path/sockd --check' "$output"
        ;;
*)
        skip 'the first one in $PATH is asked last' 'a sockd is installed here'
        ;;
esac

end_tests
