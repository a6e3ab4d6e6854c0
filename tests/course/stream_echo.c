/* Sends its input to a server, says that this was all, and prints what comes up to the end:
 *
 *      stream_echo [-r BYTES] [-w BYTES] HOST PORT | PATH
 *
 * It reads and writes as many BYTES at a time, at most 65536, which is also what it does by
 * default. However few these are, and however few the kernel takes or has, nothing gets lost.
 */
#include "dial.h"

#include <err.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIECE 65536

/* The kernel takes as much of what it is given as it has room for, so this goes on until it has
 * all, offering `most` bytes at a time. */
static void write_all(int fd, const char *bytes, size_t n, size_t most) {
        while (n > 0) {
                ssize_t taken = write(fd, bytes, n < most ? n : most);

                if (taken < 0)
                        err(1, "write");
                bytes += taken;
                n -= (size_t)taken;
        }
}

/* What a read returns has nothing to do with the pieces in which it was written: it is what there
 * is, at most `n_read` bytes of it. Only 0 is the end. */
static void copy(int from, int to, size_t n_read, size_t n_written) {
        char bytes[PIECE];
        ssize_t n;

        while ((n = read(from, bytes, n_read)) > 0)
                write_all(to, bytes, (size_t)n, n_written);
        if (n < 0)
                err(1, "read");
}

static size_t piece_of(const char *text) {
        char *end;
        long n = strtol(text, &end, 10);

        if (end == text || *end != '\0' || n < 1 || n > PIECE)
                errx(2, "%s: from 1 to %d bytes", text, PIECE);
        return (size_t)n;
}

/* Who writes all of it before he reads waits for ever for a server that does not read on either
 * until somebody takes its answer. So one process writes, and the other one reads. That the server
 * has ended first is found out when there is no more input, or more than it takes. */
static void converse(int fd, size_t n_read, size_t n_written) {
        pid_t sender = fork();
        int status;

        if (sender < 0)
                err(1, "fork");
        if (sender == 0) {
                copy(STDIN_FILENO, fd, PIECE, n_written);
                if (shutdown(fd, SHUT_WR) < 0)
                        err(1, "shutdown");
                exit(0);
        }
        copy(fd, STDOUT_FILENO, n_read, PIECE);
        if (waitpid(sender, &status, 0) < 0)
                err(1, "waitpid");
        if (status != 0)
                errx(1, "not all could be sent");
}

int main(int argc, char **argv) {
        size_t n_read = PIECE, n_written = PIECE;
        int option;

        while ((option = getopt(argc, argv, "r:w:")) != -1)
                if (option == 'r')
                        n_read = piece_of(optarg);
                else if (option == 'w')
                        n_written = piece_of(optarg);
                else
                        return 2;
        if (!dial_is_address(argc - optind, argv + optind))
                errx(2, "usage: stream_echo [-r BYTES] [-w BYTES] HOST PORT | PATH");
        converse(dial(SOCK_STREAM, argv[optind], argv[optind + 1], NULL), n_read, n_written);
        return 0;
}
