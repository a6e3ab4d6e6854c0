/* Connections to the server. */
#include "tests/bench/load.h"

#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

const char *server_address;
bool is_relay;

static int open_socket(void) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        struct sockaddr_un un = {.sun_family = AF_UNIX};
        bool is_tcp = strncmp(server_address, "tcp:", 4) == 0;
        int fd = socket(is_tcp ? AF_INET : AF_UNIX, SOCK_STREAM, 0), on = 1, r;

        if (is_tcp) {
                in.sin_port = htons((uint16_t)atoi(server_address + 4));
                (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
                r = connect(fd, (struct sockaddr *)&in, sizeof(in));
        } else {
                (void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", server_address + 5);
                r = connect(fd, (struct sockaddr *)&un, sizeof(un));
        }
        if (r < 0)
                err(1, "load: cannot connect to %s", server_address);
        return fd;
}

void write_all(int fd, const char *data, size_t length) {
        while (length > 0) {
                ssize_t n = send(fd, data, length, MSG_NOSIGNAL);

                if (n < 0)
                        err(1, "load: write");
                data += n;
                length -= (size_t)n;
        }
}

/* Reads up to and with a line that begins with `word`, which is copied to line (512 bytes). What is
 * behind it must not have come yet. */
static void read_to(int fd, const char *word, char *line) {
        char buffer[65536];
        size_t n = 0;

        for (;;) {
                ssize_t got = read(fd, buffer + n, sizeof(buffer) - 1 - n);
                char *found;

                if (got <= 0)
                        errx(1, "load: the server ended the connection, waiting for %s", word);
                n += (size_t)got;
                buffer[n] = '\0';
                found = strstr(buffer, word);
                if (found && strchr(found, '\n')) {
                        if (line)
                                (void)snprintf(line, 512, "%s", found);
                        return;
                }
                if (n > sizeof(buffer) / 2)
                        n = 0;
        }
}

int open_client(const char *lines, long *idp) {
        static const char connect_line[] =
                "CONNECT "
                "{\"verbose\":false,\"pedantic\":false,\"headers\":true,\"protocol\":1}\r\n";
        char info[512], *id, *text;
        int fd = open_socket(), n;

        read_to(fd, "INFO", info);
        id = strstr(info, "\"client_id\":");
        if (idp)
                *idp = id ? atol(id + strlen("\"client_id\":")) : 0;
        is_relay = strstr(info, "\"RELAY\"") != NULL;
        n = asprintf(&text, "%s%sPING\r\n", connect_line, lines);
        write_all(fd, text, (size_t)n);
        free(text);
        read_to(fd, "PONG", NULL);
        return fd;
}

size_t answer_pings(int fd, char *data, size_t length) {
        char *ping;

        while ((ping = memmem(data, length, "PING\r\n", 6)) != NULL) {
                length -= 6;
                memmove(ping, ping + 6, length - (size_t)(ping - data));
                write_all(fd, "PONG\r\n", 6);
        }
        return length;
}

void synchronize(int fd) {
        write_all(fd, "PING\r\n", 6);
        read_to(fd, "PONG", NULL);
}
