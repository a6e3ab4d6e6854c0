#!/bin/sh
# What the README shows of datagrams: programs that know nothing of sockd publish, request and
# subscribe over UDP and a Unix datagram socket. Each command is looked up in the README and run as
# it stands there, but for the port, the paths and the subject of a subscription.
#
# shellcheck disable=SC2119,SC2317 # functions without arguments; called by others
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

dgram=$directory/sockd.dgram
start_daemon --listen "$unix" --listen udp://127.0.0.1:0 --listen "unix+dgram://$dgram"
port=$(ctl_json listeners.1.address listeners)
port=${port##*:}

start_helper upper "$SOCKCTL" -v -s "$unix" reply svc.upper -- tr a-z A-Z
exec 7>"$directory/upper.in"
await_helper upper ': subscribed to ' >/dev/null || bail_out "sockctl reply does not begin"
start_helper told "$SOCKCTL" -v -s "$unix" sub 'greet.>'
exec 8>"$directory/told.in"
await_helper told 'subscribed' >/dev/null || bail_out "sockctl sub does not begin"

# shown COMMAND: prints it as it is to be run here; nothing if the README does not show it.
shown() {
        grep -qxF -e "    $1" "$SOCKD_SOURCE_DIR/README.md" || {
                echo "# README.md does not show: $1" >&2
                return 1
        }
        printf '%s\n' "$1" | sed -e "s|/tmp/sockd\.dgram|$dgram|" -e "s|127\.0\.0\.1\([:/ ]\)4222|127.0.0.1\1$port|"
}

# --- publishing ------------------------------------------------------------------------------------

# publishes PROGRAM NAME TEXT COMMAND: the text arrives.
publishes() {
        with bash "$2" && with "$1" "$2" || return
        bash -c "$(shown "$4")"
        check_does "$2" await_helper told "^$3\$"
}

publishes nc 'nc -u publishes' 'by nc' \
        "env printf 'PUB greet.udp 5\\r\\nby nc\\r\\n' | nc -u -q0 127.0.0.1 4222"
publishes bash 'bash publishes by /dev/udp' 'by bash' \
        "env printf 'PUB greet.udp 7\\r\\nby bash\\r\\n' >/dev/udp/127.0.0.1/4222"
publishes socat 'socat publishes on a Unix datagram socket' 'by socat' \
        "env printf 'PUB greet.unix 8\\r\\nby socat\\r\\n' | socat - UNIX-SENDTO:/tmp/sockd.dgram"

# --- requests --------------------------------------------------------------------------------------

answer=$(printf 'MSG me 1 6\r\nPLEASE\r\n')
ask=$(shown "ask() { env printf 'SUB me 1\\r\\nUNSUB 1 1\\r\\nPUB svc.upper me 6\\r\\nplease\\r\\n'; }")

# requests PROGRAM NAME COMMAND: it prints the answer.
requests() {
        with bash "$2" && with "$1" "$2" || return
        check "$2" "$answer" "$(timeout 20 bash -c "$ask
$3")"
}

requests nc 'nc -u requests' "$(shown 'ask | nc -u -w1 127.0.0.1 4222')"
requests bash 'bash requests by /dev/udp' \
        "$(shown 'exec 3<>/dev/udp/127.0.0.1/4222; ask >&3; head -n 2 <&3')"
requests socat 'socat requests over UDP' "$(shown 'ask | socat -t1 - UDP:127.0.0.1:4222')"
requests socat 'socat requests on a Unix datagram socket' \
        "ask | socat -t1 - 'UNIX-SENDTO:$dgram,bind=$directory/me'"

# --- subscribing -----------------------------------------------------------------------------------

stay=$(shown "stay() { while env printf 'SUB greet.> 1\\r\\n'; do sleep 10; done; }")

# is_subscribed SUBJECT: by somebody else than the one who is told everything.
is_subscribed() {
        [ "$(ctl --no-legend subs "$1" | wc -l)" -eq 2 ]
}

# subscribes PROGRAM NAME COMMAND: it prints what is published.
subscribes() {
        with bash "$2" && with "$1" "$2" || return
        start_helper "$1" setsid bash -c "$(echo "$stay" | sed "s/greet/greet.$1/")
$3"
        exec 9>"$directory/$1.in"
        await_that is_subscribed "greet.$1.x"
        ctl pub "greet.$1.x" "to $1"
        check_does "$2" await_helper "$1" "^to $1"
        exec 9>&-
        kill -- "-$helper"
}

subscribes nc 'nc -u subscribes' "$(shown 'stay | nc -u 127.0.0.1 4222')"
subscribes bash 'bash subscribes by /dev/udp' \
        "$(shown 'exec 3<>/dev/udp/127.0.0.1/4222; stay >&3 & cat <&3')"
subscribes socat 'socat subscribes' "$(shown 'stay | socat - UDP:127.0.0.1:4222')"

# --- C ---------------------------------------------------------------------------------------------

# c_program: around the lines of the README. Reads the text, and goes on reading if told so.
c_program() {
        cat <<'CODE'
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
        struct sockaddr_in sockd = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])),
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        char text[512] = "", reply[1500];
        ssize_t n;

        fread(text, 1, sizeof(text) - 1, stdin);
CODE
        sed -n '/^    int fd = socket/,/^    n = read/p' "$SOCKD_SOURCE_DIR/README.md"
        cat <<'CODE'
        do
                fwrite(reply, 1, n, stdout), fflush(stdout);
        while (argc > 2 && (n = read(fd, reply, sizeof(reply))) > 0);
        return 0;
}
CODE
}

if with "${CC:-cc}" 'a few lines of C publish, request and subscribe'; then
        c_program >"$directory/datagrams.c"
        check_does 'the lines of C in the README are a program' \
                "${CC:-cc}" -w -o "$directory/datagrams" "$directory/datagrams.c"
        printf 'PUB greet.c 4\r\nby C\r\nPING\r\n' | timeout 20 "$directory/datagrams" "$port" >"$directory/pong"
        check_does 'a few lines of C publish' await_helper told '^by C$'
        check 'a few lines of C request' "$answer" \
                "$(printf 'SUB me 1\r\nUNSUB 1 1\r\nPUB svc.upper me 6\r\nplease\r\n' |
                        timeout 20 "$directory/datagrams" "$port")"
        start_helper C "$directory/datagrams" "$port" on
        printf 'SUB greet.c.> 1\r\nPING\r\n' >"$directory/C.in"
        await_helper C PONG >/dev/null
        ctl pub greet.c.x 'to C'
        check_does 'a few lines of C subscribe' await_helper C '^to C'
fi

stop_daemon
check 'the daemon ends in order' 0 "$status"
end_tests
