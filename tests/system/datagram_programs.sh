#!/bin/sh
# What the README shows of datagrams: programs that know nothing of sockd publish, request and
# subscribe over UDP and a Unix datagram socket. The commands are those that stand there, but for the
# port and the paths.
#
# shellcheck disable=SC2119 # functions without arguments
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

# told NAME TEXT: what was published arrives.
told() {
        check_does "$1" await_helper told "^$2\$"
}

# with PROGRAM NAME: whether it is there; otherwise a test of that name is skipped.
with() {
        command -v "$1" >/dev/null && return
        skip "$2" "$1 is not installed"
        return 1
}

answer=$(printf 'MSG me 1 6\r\nPLEASE\r\n')
ask() {
        printf 'SUB me 1\r\nUNSUB 1 1\r\nPUB svc.upper me 6\r\nplease\r\n'
}

name='nc -u publishes'
if with nc "$name"; then
        printf 'PUB greet.udp 5\r\nby nc\r\n' | nc -u -q0 127.0.0.1 "$port"
        told "$name" 'by nc'
fi
name='bash publishes by /dev/udp'
if with bash "$name"; then
        bash -c "printf 'PUB greet.udp 7\r\nby bash\r\n' | cat >/dev/udp/127.0.0.1/$port"
        told "$name" 'by bash'
fi
name='socat publishes on a Unix datagram socket'
if with socat "$name"; then
        printf 'PUB greet.unix 8\r\nby socat\r\n' | socat - "UNIX-SENDTO:$dgram"
        told "$name" 'by socat'
fi
name='socat requests over UDP'
if with socat "$name"; then
        check "$name" "$answer" "$(ask | socat -t1 - "UDP:127.0.0.1:$port")"
fi
name='socat requests on a Unix datagram socket'
if with socat "$name"; then
        check "$name" "$answer" "$(ask | socat -t1 - "UNIX-SENDTO:$dgram,bind=$directory/me")"
fi
name='nc -u requests'
if with nc "$name"; then
        check "$name" "$answer" "$(ask | nc -u -w1 127.0.0.1 "$port")"
fi

# A subscriber is alive as long as it sends something.
name='socat subscribes'
if with socat "$name"; then
        start_helper subscriber socat - "UDP:127.0.0.1:$port"
        exec 9>"$directory/subscriber.in"
        printf 'SUB greet.> 1\r\n' >&9
        printf 'PING\r\n' >&9
        await_helper subscriber PONG >/dev/null
        ctl pub greet.all 'to all'
        check_does "$name" await_helper subscriber 'to all'
        exec 9>&-
fi

name='a few lines of C request'
if with "${CC:-cc}" "$name"; then
        cat >"$directory/ask.c" <<'CODE'
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv) {
        static const char request[] = "SUB me 1\r\nUNSUB 1 1\r\nPUB svc.upper me 6\r\nplease\r\n";
        struct sockaddr_in sockd = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])),
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        char reply[1500];
        int fd = socket(AF_INET, SOCK_DGRAM, 0);
        ssize_t n;

        connect(fd, (struct sockaddr *)&sockd, sizeof(sockd));
        write(fd, request, sizeof(request) - 1);
        n = read(fd, reply, sizeof(reply));
        return fwrite(reply, 1, n > 0 ? n : 0, stdout) == 0;
}
CODE
        "${CC:-cc}" -w -o "$directory/ask" "$directory/ask.c"
        check "$name" "$answer" "$(timeout 10 "$directory/ask" "$port")"
fi

stop_daemon
check 'the daemon ends in order' 0 "$status"
end_tests
