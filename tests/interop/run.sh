#!/bin/sh
# Proves that NATS clients which nobody here wrote work with the server under test, over TCP or TLS.
#
# usage: run.sh CLIENT
#
# Starts the server on ports that the kernel picks, runs the client program with the server's URL
# and, if the server has one, its UDP port on 127.0.0.1 as arguments, and passes on the TAP it prints.
# The lines STOP and START are not passed on: they make this script stop the server, or start it again
# on the same ports. At the end come two test points of its own: that the client ran all the cases it
# had announced, and that the server ended as it should each time it was told to. Exits 0 if all is
# well.
#
# CLIENT        a program, or a .mjs file, for which node is run, with its package.json beside it
# SERVER        sockd (default) or nats-server
# SOCKD         the sockd to run; default: the one in PATH
# TLS           server: over TLS; both: and clients have certificates too; of sockd only. What the
#               client program needs is then in INTEROP_CA, INTEROP_CERT and INTEROP_KEY
# NODE_DIR      where node_modules is, or is to be installed; default: a temporary directory
set -u

start_seconds=30        # deadlines, not delays
stop_seconds=20
client_seconds=300
npm_seconds=120

# Prints what it is given as lines of TAP commentary.
comment() {
        sed 's/^/# /'
}

skip_all() {
        echo "1..0 # SKIP $1"
        exit 0
}

bail_out() {
        echo "Bail out! $1"
        exit 99
}

# the server

# Certificates of server and client, and what the configuration says of them.
prepare_tls() {
        certificates=$directory
        . "$SOCKD_SOURCE_DIR/tests/system/certificates.sh"
        make_certificate client authority '/CN=client' 'extendedKeyUsage=clientAuth'
        tls="tls = { cert = \"$directory/server.pem\"; key = \"$directory/server.key\";"
        INTEROP_CA=$directory/authority.pem
        export INTEROP_CA
        if [ "$TLS" = both ]; then
                tls="$tls verify = true; ca = \"$INTEROP_CA\";"
                INTEROP_CERT=$directory/client.pem
                INTEROP_KEY=$directory/client.key
                export INTEROP_CERT INTEROP_KEY
        fi
        tls="$tls };"
}

write_config() {
        cat <<EOF
server = { name = "interop"; workers = 2; };
log = { target = "stderr"; level = "info"; };
default_permissions = { publish = { deny = [ "denied.>" ]; }; subscribe = { deny = [ "denied.>" ]; }; };
listeners = ( { name = "main"; listen = "tcp://127.0.0.1:$1"; $tls },
              { name = "datagrams"; listen = "udp://127.0.0.1:$2"; } );
services = ( { subject = "program.upper"; exec = ["/usr/bin/tr", "a-z", "A-Z"];
               version = "1.2.3"; description = "makes capital letters"; queue = "q"; },
             { subject = "program.fails"; exec = ["/bin/sh", "-c", "echo why >&2; exit 3"]; } );
EOF
}

# The same for nats-server, where permissions are those of users.
write_nats_config() {
        cat <<EOF
authorization {
  users = [ { user: anyone, password: none, permissions: {
    publish: { deny: [ "denied.>" ] }, subscribe: { deny: [ "denied.>" ] } } } ]
}
no_auth_user: anyone
EOF
}

# Runs the server in the background. `timeout` ends one that ignores SIGTERM, and one that is left
# behind because this script was killed in a way that it cannot catch.
launch() {
        timeout --foreground --kill-after="$stop_seconds" $((2 * client_seconds)) "$@" \
                </dev/null >"$log" 2>&1 &
        server=$!
}

# Returns when the log says that the server is ready. Both servers' line for this ends the same way.
await_ready() {
        timeout "$start_seconds" tail -n +1 -f --pid="$server" "$log" | sed -n '/ ready$/q'
        grep -q ' ready$' "$log"
}

# Prints the port that the log tells behind this text.
find_port() {
        sed -n "s|.*$1\([0-9][0-9]*\).*|\1|p" "$log"
}

# Starts the server on $port and $udp_port, or, the first time, on those that are then found in the
# log; nats-server has no UDP port.
start_server() {
        n_starts=$((n_starts + 1))
        log=$directory/server.$n_starts.log
        : >"$log"
        case $SERVER in
        sockd)
                write_config "${port:-0}" "${udp_port:-0}" >"$directory/sockd.conf"
                launch "$SOCKD" --foreground --config "$directory/sockd.conf"
                listening='listener "main" listening on tcp://127\.0\.0\.1:'
                ;;
        nats-server)
                write_nats_config >"$directory/nats.conf"
                launch nats-server -c "$directory/nats.conf" -a 127.0.0.1 -p "${port:--1}"
                listening='Listening for client connections on 127\.0\.0\.1:'
                ;;
        esac
        if ! await_ready; then
                echo "# $SERVER did not become ready"
                return 1
        fi
        port=$(find_port "$listening")
        udp_port=$(find_port 'listener "datagrams" listening on udp://127\.0\.0\.1:')
        if [ -z "$port" ] || [ "$SERVER$udp_port" = sockd ]; then
                echo "# $SERVER did not say where it listens"
                return 1
        fi
}

# Stops the server, which may be gone already, and takes note if it did not end well. nats-server
# ends with status 1 on SIGTERM.
stop_server() {
        [ -n "$server" ] || return
        kill -TERM "$server" 2>/dev/null
        wait "$server"
        status=$?
        server=
        case $SERVER:$status in
        sockd:0 | nats-server:[01]) ;;
        *)
                echo "# $SERVER ended with status $status"
                server_is_well=false
                ;;
        esac
}

show_logs() {
        for file in "$directory"/server.*.log; do
                echo "# ${file##*/}, its last lines:"
                tail -n 40 "$file" | comment
        done
}

# the client

install_modules() (
        cd "$NODE_DIR" || exit
        timeout "$npm_seconds" npm ci --no-audit --no-fund --ignore-scripts --fetch-retries=1
)

# Installs in NODE_DIR what package-lock.json says, unless it is there, and puts the program beside
# it: that is where node looks for the modules it imports.
prepare_node() {
        command -v node >/dev/null || skip_all "node is not installed"
        command -v npm >/dev/null || skip_all "npm is not installed"
        node -e 'process.exit(parseInt(process.versions.node) >= 18 ? 0 : 1)' ||
                skip_all "node $(node --version) is too old, 18 is needed"

        source=$(dirname "$client")
        mkdir -p "$NODE_DIR" || bail_out "cannot make $NODE_DIR"
        if ! cmp -s "$source/package-lock.json" "$NODE_DIR/installed.json"; then
                rm -f "$NODE_DIR/installed.json"
                cp -f "$source/package.json" "$source/package-lock.json" "$NODE_DIR" ||
                        bail_out "cannot write to $NODE_DIR"
                install_modules >"$directory/npm.log" 2>&1 || {
                        comment <"$directory/npm.log"
                        skip_all "npm ci failed; no registry in reach?"
                }
                cp -f "$source/package-lock.json" "$NODE_DIR/installed.json"
        fi
        cp -f "$source"/*.mjs "$NODE_DIR"
}

# Runs the command in the background; its standard output becomes a pipe, $directory/output.
run_client() {
        mkfifo "$directory/output" || bail_out "cannot make a pipe"
        timeout --foreground --kill-after=10 "$client_seconds" "$@" \
                </dev/null >"$directory/output" &
        runner=$!
}

# Passes TAP on and does what the client asks for.
follow() {
        while IFS= read -r line; do
                case $line in
                STOP) stop_server ;;
                START) start_server ;;
                1..*) n_planned=${line#1..} ;;
                "ok "* | "not ok "*)
                        n_points=$((n_points + 1))
                        echo "$line"
                        ;;
                *) echo "$line" ;;
                esac
        done
}

# Prints a test point of this script: its title, and whether it is true.
point() {
        n_points=$((n_points + 1))
        if [ "$2" = true ]; then
                echo "ok $n_points - $1"
        else
                echo "not ok $n_points - $1"
                all_is_well=false
        fi
}

clean_up() {
        [ -z "$runner" ] || { kill -TERM "$runner" && wait "$runner"; } 2>/dev/null
        [ -z "$server" ] || { kill -TERM "$server" && wait "$server"; } 2>/dev/null
        rm -rf "$directory"
}

[ $# -eq 1 ] || {
        echo "usage: $0 CLIENT" >&2
        exit 2
}
client=$1
server=
runner=
port=
udp_port=
tls=
n_starts=0
n_planned=none
n_points=0
server_is_well=true
all_is_well=true

directory=$(mktemp -d "${TMPDIR:-/tmp}/sockd-interop.XXXXXX") || bail_out "no temporary directory"
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

: "${SERVER:=sockd}" "${SOCKD:=sockd}" "${NODE_DIR:=$directory/node}"
case $SERVER in
sockd) command -v "$SOCKD" >/dev/null || bail_out "no sockd at $SOCKD" ;;
nats-server) command -v nats-server >/dev/null || skip_all "nats-server is not installed" ;;
*) bail_out "SERVER is $SERVER, and should be sockd or nats-server" ;;
esac

case $client in
*.mjs)
        prepare_node
        set -- node "$NODE_DIR/${client##*/}"
        ;;
esac

[ -z "${TLS:-}" ] || prepare_tls
start_server || {
        show_logs
        bail_out "no server, no test"
}
run_client "$@" "nats://127.0.0.1:$port" ${udp_port:+"$udp_port"}
follow <"$directory/output"
wait "$runner"
status=$?
runner=
[ "$status" -eq 0 ] || all_is_well=false
[ "$n_points" = "$n_planned" ] && complete=true || complete=false
[ "$complete" = true ] || echo "# $n_points of $n_planned cases, exit status $status"
point "${client##*/} ran all its cases" "$complete"

stop_server
point "$SERVER stopped without complaint each time it was told to" "$server_is_well"
echo "1..$n_points"
[ "$all_is_well" = true ] || {
        show_logs
        exit 1
}
