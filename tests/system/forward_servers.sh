#!/bin/sh
# Servers that everybody knows, behind sockd, with their own clients: Redis and PostgreSQL, from Unix to TCP,
# from TCP to Unix, and from TLS to Unix.
#
# shellcheck disable=SC2119 # functions without arguments
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"
. "$SOCKD_SOURCE_DIR/tests/system/streams.sh"
. "$SOCKD_SOURCE_DIR/tests/system/certificates.sh"
ca=$certificates/authority.pem

# A directory that another user owns as well: PostgreSQL does not run as root.
home=$directory/home
mkdir "$home"
run_as=
if $is_root; then
        chown nobody "$home"
        run_as='setpriv --reuid nobody --regid nogroup --clear-groups --'
fi
chmod 700 "$home"

# free_port: a port that is free now, since these servers do not tell which one the kernel chose.
free_port() {
        "$support/stream" serve tcp://127.0.0.1:0 deaf >"$directory/port" &
        port_pid=$!
        "$support/await" line "$directory/port" '^serving' >/dev/null
        kill "$port_pid"
        wait "$port_pid" 2>/dev/null
        rm -f "$directory/port.at"
        sed 's/.*://' "$directory/port"
}

# ways NAME PORT PATH FRONT: starts the daemon with a listener for each way to a server; the Unix path is
# FRONT.
ways() {
        listeners=
        listener "$1-unix" "unix://$directory/$4" "forward = \"tcp://127.0.0.1:$2\";"
        listener "$1-tcp" tcp://127.0.0.1:0 "forward = \"unix://$3\";"
        listener "$1-tls" tls://127.0.0.1:0 "forward = \"unix://$3\"; tls = { cert = \"$certificates/server.pem\"; key = \"$certificates/server.key\"; timeout = \"10s\"; };"
        configure_listeners
        empty_log
        start_daemon
}

# --- Redis -------------------------------------------------------------------------------------------

redis_points='Unix to TCP|TCP to Unix|TLS to Unix|TLS with much'
skip_redis() {
        echo "$redis_points" | tr '|' '\n' >"$directory/points"
        while read -r name; do
                skip "Redis: $name" "$1"
        done <"$directory/points"
}

test_redis() {
        port=$(free_port)
        redis-server --port "$port" --bind 127.0.0.1 --unixsocket "$directory/redis" --save '' \
                --appendonly no --dir "$directory" --daemonize no >"$directory/redis.log" 2>&1 &
        helpers="$helpers $!"
        await_that redis-cli -s "$directory/redis" ping || bail_out 'Redis does not start'
        ways redis "$port" "$directory/redis" redis-front
        check 'Redis: Unix to TCP' PONG "$(timeout 20 redis-cli -s "$directory/redis-front" ping)"
        timeout 20 redis-cli -h 127.0.0.1 -p "$(port_of redis-tcp)" set key value >/dev/null
        check 'Redis: TCP to Unix' value "$(timeout 20 redis-cli -h 127.0.0.1 -p "$(port_of redis-tcp)" get key)"
        if redis-cli --help 2>&1 | grep -q -e --tls; then
                check 'Redis: TLS to Unix' value \
                        "$(timeout 20 redis-cli -h localhost -p "$(port_of redis-tls)" --tls --cacert "$ca" get key)"
                check 'Redis: TLS with much' 5000000 "$(
                        timeout 60 redis-cli -h localhost -p "$(port_of redis-tls)" --tls --cacert "$ca" \
                                eval 'return string.rep("x", 5000000)' 0 | tr -d '\n' | wc -c
                )"
        else
                skip 'Redis: TLS to Unix' 'this redis-cli speaks no TLS'
                skip 'Redis: TLS with much' 'this redis-cli speaks no TLS'
        fi
        stop_daemon
}

if command -v redis-server >/dev/null && command -v redis-cli >/dev/null; then
        test_redis
else
        skip_redis 'Redis is not installed'
fi

# --- PostgreSQL --------------------------------------------------------------------------------------

postgres_points='Unix to TCP|TCP to Unix|a large result|TLS to Unix'
skip_postgres() {
        echo "$postgres_points" | tr '|' '\n' >"$directory/points"
        while read -r name; do
                skip "PostgreSQL: $name" "$1"
        done <"$directory/points"
}

# ask HOST PORT QUERY
ask() {
        PGCONNECT_TIMEOUT=20 timeout 60 psql -h "$1" -p "$2" -U nobody -d postgres -X -A -t -q -c "$3" 2>&1
}

test_postgres() {
        # shellcheck disable=SC2086 # a list of words
        $run_as "$postgres/initdb" -D "$home/data" -U nobody -A trust -N >"$directory/initdb.log" 2>&1 || {
                skip_postgres "initdb does not work here: $(tail -n 1 "$directory/initdb.log")"
                return
        }
        port=$(free_port)
        # shellcheck disable=SC2086 # a list of words
        $run_as "$postgres/postgres" -D "$home/data" -p "$port" -k "$home" -F \
                -c listen_addresses=127.0.0.1 -c shared_buffers=16MB >"$directory/postgres.log" 2>&1 &
        helpers="$helpers $!"
        await_that ask "$home" "$port" 'select 1' || bail_out 'PostgreSQL does not start'
        ways postgres "$port" "$home/.s.PGSQL.$port" ".s.PGSQL.5432"
        check 'PostgreSQL: Unix to TCP' 42 "$(ask "$directory" 5432 'select 6 * 7')"
        check 'PostgreSQL: TCP to Unix' 42 "$(ask 127.0.0.1 "$(port_of postgres-tcp)" 'select 6 * 7')"
        check 'PostgreSQL: a large result' 10000000 \
                "$(ask 127.0.0.1 "$(port_of postgres-tcp)" "select repeat('x', 100) from generate_series(1, 100000)" |
                        tr -d '\n' | wc -c)"
        # Its own client begins in plain, so another sockd begins TLS for it.
        configure_outer "$(port_of postgres-tls)"
        check 'PostgreSQL: TLS to Unix' 42 "$(ask "$directory/outer" 5432 'select 6 * 7')"
        kill "$outer"
        stop_daemon
}

# configure_outer PORT: a daemon that forwards a Unix socket to TLS.
configure_outer() {
        mkdir "$directory/outer"
        cat >"$directory/outer.conf" <<EOT
listeners = ( { name = "outer"; listen = "unix://$directory/outer/.s.PGSQL.5432";
                forward = "tls://localhost:$1"; forward_tls = { ca = "$ca"; }; } );
EOT
        "$SOCKD" --config "$directory/outer.conf" >"$directory/outer.log" 2>&1 &
        outer=$!
        helpers="$helpers $outer"
        "$support/await" line "$directory/outer.log" 'is ready$' >/dev/null
}

postgres=$(find /usr/lib/postgresql -name initdb 2>/dev/null | sort | tail -n 1)
[ -z "$postgres" ] || postgres=${postgres%/initdb}
if [ -z "$postgres" ] || ! command -v psql >/dev/null; then
        skip_postgres 'PostgreSQL is not installed'
elif $is_root && ! command -v setpriv >/dev/null; then
        skip_postgres 'root cannot run it, and there is no setpriv'
else
        test_postgres
fi
end_tests
