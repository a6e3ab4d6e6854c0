/* Sends each line of its input to a server as a datagram, and prints the datagram that is the
 * answer before it sends the next one:
 *
 *      datagram_ask [-b PORT] HOST PORT
 *      datagram_ask [-b PATH] PATH
 *
 * With -b it is bound, that is, has the address that it says itself; without, one that the kernel
 * chooses. That it is connected to the server sends nothing: it only sees to it that nobody else is
 * heard.
 */
#include "dial.h"

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* A datagram may get lost, so nobody should wait for ever for its answer. */
#define PATIENCE_S 60

static void ask(int fd) {
        char *line = NULL, answer[65536]; /* no datagram is longer */
        size_t room = 0;

        while (getline(&line, &room, stdin) >= 0) {
                size_t length = strcspn(line, "\n");
                ssize_t n = send(fd, line, length, 0); /* all of it or nothing */

                if (n < 0)
                        err(1, "send");
                n = recv(fd, answer, sizeof(answer), 0);
                if (n < 0 && errno == EAGAIN)
                        errx(1, "no answer in %d seconds", PATIENCE_S);
                if (n < 0)
                        err(1, "recv");
                if (fwrite(answer, 1, (size_t)n, stdout) != (size_t)n || putchar('\n') == EOF ||
                    fflush(stdout) != 0)
                        err(1, "standard output");
        }
        if (ferror(stdin))
                err(1, "standard input");
        free(line);
}

int main(int argc, char **argv) {
        struct timeval patience = {.tv_sec = PATIENCE_S};
        const char *own = NULL;
        int fd, option;

        while ((option = getopt(argc, argv, "b:")) != -1)
                if (option == 'b')
                        own = optarg;
                else
                        return 2;
        if (!dial_is_address(argc - optind, argv + optind))
                errx(2, "usage: datagram_ask [-b PORT] HOST PORT | [-b PATH] PATH");
        fd = dial(SOCK_DGRAM, argv[optind], argv[optind + 1], own);
        if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
                err(1, "setsockopt");
        ask(fd);
        if (own && argc - optind == 1 && unlink(own) < 0)
                err(1, "%s", own);
        return 0;
}
