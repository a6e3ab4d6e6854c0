#!/bin/sh
# Proves that the commands which README.md and the manual pages show do what is said there. Each is
# looked up in the document and then run as it stands, with a socket of this test's own. TAP.
set -u

directory=$(mktemp -d "${TMPDIR:-/tmp}/documents.XXXXXX") || exit 99
PATH=$(dirname "$SOCKD"):$(dirname "$SOCKCTL"):$PATH
n=0
daemon=
reader=
service=

clean_up() {
        for process in $daemon $reader $service; do
                kill "$process" 2>/dev/null
        done
        wait
        rm -rf "$directory"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

result() { # STATUS NAME
        n=$((n + 1))
        if [ "$1" -eq 0 ]; then
                echo "ok $n - $2"
        else
                echo "not ok $n - $2"
        fi
}

# Prints a command of a document as it is to be run here; fails if the document does not show it.
shown() { # DOCUMENT COMMAND
        grep -qF -e "$2" "$SOCKD_SOURCE_DIR/$1" || {
                echo "# $1 does not show: $2" >&2
                return 1
        }
        printf '%s\n' "$2" | sed -e "s|/tmp/s[a-z]*\.sock|$directory/s.sock|g" -e 's|:4222|:0|g'
}

# Runs a command of a document; its output must have a line like the pattern, if any.
try() { # DOCUMENT COMMAND PATTERN
        command=$(shown "$1" "$2") && eval "$command" >"$directory/output" 2>&1 &&
                { [ -z "$3" ] || grep -q -e "$3" "$directory/output"; }
        status=$?
        result $status "$1: $2"
        [ $status -eq 0 ] || sed 's/^/# /' "$directory/output"
}

start_daemon() {
        command=$(shown README.md \
                'sockd --listen unix:///tmp/sockd.sock --listen tcp://127.0.0.1:4222')
        mkfifo "$directory/log"
        eval "exec $command" 2>"$directory/log" &
        daemon=$!
        exec 9<"$directory/log"
        while read -r line <&9; do
                case $line in *' ready') break ;; esac
        done
        cat <&9 >/dev/null &
}

# Waits until a program in the background has its subscription.
await_subscription() { # FIFO
        read -r _ <"$1"
}

start_daemon
result $? "README.md: sockd starts without a file"
command=$(shown README.md 'export SOCKD_URL=unix:///tmp/sockd.sock')
eval "$command"

mkfifo "$directory/ready"
command=$(shown README.md "sockctl sub 'greet.>'")
eval "exec $command --verbose --count 3" >"$directory/messages" 2>"$directory/ready" &
reader=$!
await_subscription "$directory/ready"
try README.md "sockctl pub greet.world 'hello'" ''
command=$(shown README.md \
        "printf 'CONNECT {\"verbose\":false}\\r\\nPUB greet.nc 2\\r\\nhi\\r\\n' | nc -N -U /tmp/sockd.sock")
if command -v nc >/dev/null; then
        eval "$command" >/dev/null
else
        sockctl pub greet.nc hi
fi
sockctl pub greet.last end
wait "$reader"
[ "$(sort "$directory/messages" | tr '\n' ' ')" = 'end hello hi ' ]
result $? "README.md: what was published was received, from nc, too"

command=$(shown README.md 'sockctl reply svc.upper -- tr a-z A-Z')
rm "$directory/ready"
mkfifo "$directory/ready"
eval "exec ${command%% --*} --verbose -- ${command#* -- }" 2>"$directory/ready" &
service=$!
await_subscription "$directory/ready"
try README.md "sockctl request svc.upper 'please'" '^PLEASE'
try README.md "sockctl request sockd.time ''" '^20.*Z$'
try README.md 'sockctl services' '^sockd-time '
try README.md 'sockctl status' 'is running'
try README.md 'sockctl listeners' 'unix://'
try README.md 'sockctl clients' 'sockctl'
try README.md 'sockctl bench --msgs 1M --size 16' 'msg/s'
# shellcheck disable=SC2016 # a pattern
try README.md 'sockctl passwd' '^\$y\$' <<'EOT'
hunter2
EOT
command="$(shown README.md '(umask 077; sockctl nkey >alice.nkey)') &&
        $(shown README.md 'sockctl nkey --public alice.nkey')"
case $(cd "$directory" && eval "$command") in U*) true ;; *) false ;; esac
result $? "README.md: sockctl nkey"
try daemon/sockd.8 'sockctl -s unix:///tmp/s.sock listeners' 'unix://'
echo 'listeners = ({ name = "x"; listen = "unix:@documents"; });' >"$directory/sockd.conf"
sockd --check --config "$directory/sockd.conf" >/dev/null
result $? "README.md: sockd --check"
sockd --check --config "$SOCKD_SOURCE_DIR/etc/sockd.conf" >/dev/null
result $? "etc/sockd.conf is valid"

# Whether the table of layers names each source file of the daemon, and nothing that is not there.
files_have_a_layer() {
        (
                cd "$SOCKD_SOURCE_DIR/daemon" || exit 1
                set -f # the table's patterns stay as they are
                # shellcheck disable=SC2046 # words
                set -- $(sed -n 's/^| [2-5] [^|]*| \([^|]*\) |.*/\1/p' ../HACKING.md | tr -d ,)
                sources=$(find . -name '*.[ch]' | sed 's|^\./||')
                for pattern; do
                        echo "$sources" | grep -qx "$(as_regex "$pattern")" || {
                                echo "# there is no daemon/$pattern"
                                exit 1
                        }
                done
                for source in $(echo "$sources" | grep '\.c$'); do
                        for pattern; do
                                # shellcheck disable=SC2254 # a pattern
                                case ${source%.c} in $pattern) continue 2 ;; esac
                        done
                        echo "# no layer has daemon/$source"
                        exit 1
                done
        )
}
# A pattern of the table as a regular expression: of a file, or of those of a module.
as_regex() {
        case $1 in
        *.h) echo "$1" ;;
        *) echo "$1\.[ch]" ;;
        esac | sed 's/\*/.*/'
}
files_have_a_layer
result $? "HACKING.md: each file has its layer"

# The first example of a document that has a text in it.
example() { # DOCUMENT TEXT
        awk -v wanted="$2" '
                /^[.]Bd/ { is_example = 1; text = ""; next }
                /^[.]Ed/ && is_example { is_example = 0; if (index(text, wanted)) { printf "%s", text; exit } }
                is_example { text = text $0 "\n" }' "$SOCKD_SOURCE_DIR/$1"
}
for name in me agent clock; do
        example etc/sockd.conf.5 "{ name = \"$name\";" >"$directory/sockd.conf"
        [ -s "$directory/sockd.conf" ] && sockd --check --config "$directory/sockd.conf" >"$directory/output" 2>&1
        status=$?
        result $status "etc/sockd.conf.5: the example with the user $name is valid"
        [ $status -eq 0 ] || sed 's/^/# /' "$directory/output"
done

# Whether each promise of the table has the test that it names.
promises_are_tested() {
        tab=$(printf '\t')
        awk -F ' *[|] *' '$3 ~ /^tests/ { print $3 "\t" $4 }' "$SOCKD_SOURCE_DIR/docs/identity.md" >"$directory/rows"
        while IFS=$tab read -r file point; do
                grep -qF -e "$point" "$SOCKD_SOURCE_DIR/$file" || {
                        echo "# there is no \"$point\" in $file"
                        return 1
                }
        done <"$directory/rows"
        [ "$(wc -l <"$directory/rows")" -ge 50 ]
}
promises_are_tested
result $? "docs/identity.md: each promise has its test"
echo "1..$n"
