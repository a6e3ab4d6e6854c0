#!/bin/sh
# Logins: passwords that take long to check stall nobody, wrong ones are delayed, counted and logged,
# none is left in memory, and a reload ends the connections of those whose login is not good any more.
#
# shellcheck disable=SC2016,SC2119,SC2317 # functions without arguments; called by others; dollars of hashes, and awk
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

# Of "castle", with 2^12 rounds.
hash='$2b$12$2wijFhRHiQR2ax3Daaouu.JnstJFONhAB6EiTbHzEgE0rq7Ip5kSG'

tcp() {
        echo "tcp://127.0.0.1:$(port_of tcp)"
}

# serve USERS [LISTENER]: with users and a TCP listener.
serve() {
        configure 'log = { level = "debug"; };' "users = ( $1 );" 'listeners = (' \
                "{ name = \"local\"; listen = \"$unix\"; }," \
                "{ name = \"tcp\"; listen = \"tcp://127.0.0.1:0\"; ${2:-} } );"
}

# connect USER PASSWORD [TEXT]: the text of a CONNECT.
connect() {
        printf '%s' "CONNECT {\"verbose\":false,\"user\":\"$1\",\"pass\":\"$2\"}\\r\\n${3:-}PING\\r\\n"
}

# refused NAME USER PASSWORD
refused() {
        check_matches "$1" "ERR 'Authorization Violation'" "$(talk "$(tcp)" "$(connect "$2" "$3")")"
}

serve "{ name = \"alice\"; password = \"wonderland\"; }, { name = \"kafka\"; password = \"$hash\"; }"
start_daemon
check_matches 'a password is taken' '^PONG' "$(talk "$(tcp)" "$(connect alice wonderland)")"
check_matches 'so is one that is kept as a hash' '^PONG' "$(talk "$(tcp)" "$(connect kafka castle)")"
refused 'a wrong one is not' alice Wonderland
refused 'nor for the hash' kafka trial
refused 'nor the hash itself' kafka "$hash"
refused 'nor one of somebody else' kafka wonderland
expect_log 'the log says who was refused, and where' \
        'warning: client [0-9]+ from 127.0.0.1: login refused to "alice" on listener "tcp"'
check 'and no password' 0 "$(count_log '[Ww]onderland|castle|trial|2b.12')"
refused 'a token in the place of a name' token-SECRET x
expect_log 'the log tells of him' 'login refused to an unknown user on listener "tcp"'
check 'but not what he said' 0 "$(count_log 'token-SECRET')"
check 'refusals are counted' 5 "$(ctl_json refused_logins status)"
check_lacks 'status has no password' 'onderland|castle|2b.12' "$(ctl --json status; ctl --json clients)"

# --- memory ------------------------------------------------------------------------------------------

# finds TEXT: whether it is in memory that a core dump would have.
finds() {
        awk '/^[0-9a-f]+-[0-9a-f]+ / { range = $1; mode = $2 }
                /^VmFlags:/ && mode ~ /^rw/ && !/ dd/ { print range }' "/proc/$daemon/smaps" |
                while IFS=- read -r from to; do
                        dd if="/proc/$daemon/mem" bs=4096 skip=$((0x$from / 4096)) \
                                count=$(((0x$to - 0x$from) / 4096)) 2>/dev/null | grep -qa "$1" && echo found
                done | grep -q found
}
if $is_sanitized; then
        skip 'no password is left in memory' 'a sanitizer keeps what is freed'
elif ! finds 'Authorization Violation' && ! finds 127.0.0.1; then
        skip 'no password is left in memory' 'the memory of a process cannot be read here'
else
        talk "$(tcp)" "$(connect kafka castle)" >/dev/null
        # Two that are cut off: by the client, and because it was too late.
        # What comes after the first does not reach so far into what it was read to.
        printf 'CONNECT {"name":"%03000d","user":"alice","pass":"looking-glass"' 0 |
                "$support/peer" leave "$(tcp)"
        talk "$(tcp)" 'CONNECT {"user":"alice","pass":"jabberwocky"' >/dev/null
        for secret in wonderland castle Wonderland looking-glass jabberwocky; do
                if finds "$secret"; then
                        check "$secret is not left in memory" gone there
                else
                        check "$secret is not left in memory" gone gone
                fi
        done
fi

# --- many at once ------------------------------------------------------------------------------------

# Sixteen of them take seconds, on all processors.
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do
        start_helper "slow$i" "$support/peer" talk "$(tcp)"
        exec 9>"$directory/slow$i.in"
        printf '%b' "$(connect kafka castle 'PUB came 1\r\nx\r\n')" >&9
        exec 9>&-
done
check_matches 'others are served while passwords are checked' '^PONG' \
        "$(talk "$(tcp)" "$(connect alice wonderland)")"
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do
        await_helper "slow$i" '^PONG' >/dev/null || break
done
check_matches 'and each of those is let in' '^PONG' "$(cat "$directory/slow$i.out")"

# Two hundred of one source, most of which do not wait for it. A Unix peer is another source.
i=0
while [ $((i += 1)) -le 200 ]; do
        printf '%b' "$(connect kafka wrong)" | timeout 0.01 "$support/peer" talk "$(tcp)" >/dev/null 2>&1 &
        [ $((i % 20)) -ne 0 ] || wait $!
done
n_before=$(ctl_json refused_logins status)
check_matches 'somebody else is let in among them' '^PONG' \
        "$(talk "$unix" "$(connect kafka castle)")"
check_at_most 'a source with many of them is in nobody else'"'"'s way' $((n_before + 10)) \
        "$(ctl_json refused_logins status)"
is_alone() {
        [ "$(ctl_json connections status)" -le 1 ]
}
check_does 'who has gone is soon forgotten' await_that is_alone

since_ms=$(now_ms)
for i in 1 2 3; do
        talk "$(tcp)" "$(connect alice x)" >/dev/null
done
took_ms=$(($(now_ms) - since_ms))
check 'who is refused waits a while' true "$([ "$took_ms" -ge 300 ] && echo true)"

# Four hundred that are right, after some that were wrong: each gives its turn back to the next one.
# One after the other, ten a second, some would be too late.
n_before=$(ctl_json refused_logins status)
have_failed() {
        [ "$(ctl_json refused_logins status)" -gt "$n_before" ]
}
hold wrong "$(tcp)" 0
order wrong 'more 50' '^connected' >/dev/null
order wrong 'say CONNECT {"verbose":false,"user":"alice","pass":"x"}' '^said 50$' >/dev/null
check_does 'some that guess are refused' await_that have_failed
hold right "$(tcp)" 0
order right 'more 400' '^connected' >/dev/null
order right 'admitted CONNECT {"verbose":false,"user":"alice","pass":"wonderland"}' '^admitted 400$' >/dev/null
check 'many that are right do not wait for those who were wrong' 'alive 400' "$(order right ping '^alive')"
release wrong
release right
check_does 'and they go' await_that is_alone

# --- guessing ----------------------------------------------------------------------------------------

# A hundred at once: some are refused at once, the others take their turns, ten a second.
n_before=$(ctl_json refused_logins status)
hold guessers "$(tcp)" 0
order guessers 'more 100' '^connected' >/dev/null
order guessers 'say CONNECT {"verbose":false,"user":"alice","pass":"x"}' '^said 100$' >/dev/null
check_does 'many that guess are refused' await_that have_failed
since_ms=$(now_ms)
check_matches 'a right password is let in among them' '^PONG' \
        "$(talk "$(tcp)" "$(connect alice wonderland)")"
took_ms=$(($(now_ms) - since_ms))
check 'but waits as they do' true "$([ "$took_ms" -ge 500 ] && echo true)"
check_matches 'one that comes from elsewhere is let in' '^PONG' \
        "$(talk "$unix" "$(connect alice wonderland)")"
release guessers
check_does 'they are gone' await_that is_alone
ticks=$(cpu_ticks "$daemon")
talk "$(tcp)" "$(connect nobody castle)" >/dev/null
check 'a name that is no user costs a hash as well' true \
        "$([ "$(cpu_ticks "$daemon")" -ge $((ticks + 5)) ] && echo true)"

# --- reload ------------------------------------------------------------------------------------------

# enter USER PASSWORD; then leave: a client that is there while the configuration changes, and what it
# was told. It may have gone before.
trap '' PIPE
enter() {
        start_helper client "$support/peer" talk "$(tcp)"
        exec 8>"$directory/client.in"
        printf '%b' "CONNECT {\"verbose\":false,\"user\":\"$1\",\"pass\":\"$2\"}\\r\\nSUB there.$1 1\\r\\n" >&8
        await_that sees "there.$1"
}
sees() {
        ctl --no-legend subs "$1" | grep -q .
}
leave() {
        printf 'PING\r\n' 2>/dev/null >&8
        exec 8>&-
        "$support/await" exit "$helper"
        cat "$directory/client.out"
}
# reload USERS [LISTENER]
reload() {
        serve "$@"
        ctl reload >/dev/null || bail_out 'the configuration cannot be reloaded'
}

enter kafka castle
reload "{ name = \"kafka\"; password = \"$hash\"; }, { name = \"alice\"; password = \"looking-glass\"; }"
check_matches 'a client whose login is still good stays' '^PONG' "$(leave)"
enter alice looking-glass
reload "{ name = \"alice\"; password = \"rabbit\"; }"
check_matches 'one whose password has changed is told to go' "ERR 'User Authentication Revoked'" "$(leave)"
enter alice rabbit
reload "{ name = \"dodo\"; password = \"rabbit\"; }"
check_matches 'so is one who is no user any more' "ERR 'User Authentication Revoked'" "$(leave)"
expect_log 'the log says so' 'client [0-9]+ \(alice\): its login is not good any more'
start_helper client "$support/peer" talk "$(tcp)"
exec 8>"$directory/client.in"
reload "{ name = \"dodo\"; password = \"rabbit\"; }, { name = \"robot\"; token = \"tin-man\"; }"
printf 'CONNECT {"verbose":false,"auth_token":"tin-man"}\r\nSUB there.robot 1\r\n' >&8
await_that sees there.robot
ctl reload >/dev/null
ctl pub there.robot hello
check_matches 'so does one with a token' '^hello' "$(leave)"
enter dodo rabbit
reload ''
check_matches 'where nobody has a password, whoever is there stays' '^PONG' "$(leave)"
enter anybody anything
reload "{ name = \"alice\"; password = \"rabbit\"; }"
check_matches 'who never proved anything goes when somebody has a password' \
        "ERR 'User Authentication Revoked'" "$(leave)"
reload "{ name = \"alice\"; password = \"rabbit\"; }" 'anonymous = true;'
check_matches 'but for a listener that admits such' '^PONG' "$(talk "$(tcp)" 'CONNECT {}\r\nPING\r\n')"
refused 'where a wrong password is none the less' alice x
stop_daemon
check 'the daemon ended in order' 0 "$status"

end_tests
