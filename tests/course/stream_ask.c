/* Sends each line of its input to a server, and prints the line that is the answer before it sends
 * the next one:
 *
 *      stream_ask HOST PORT | PATH
 *
 * A stream has no messages, only bytes: that a question and an answer are a line each is what the
 * two sides have agreed upon. The standard library reads on until a line is whole, and writes until
 * all of it is taken; it needs a FILE for each direction.
 */
#include "dial.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static FILE *open_direction(int fd, const char *mode) {
        FILE *file = fd < 0 ? NULL : fdopen(fd, mode);

        if (!file)
                err(1, "the socket");
        return file;
}

static void ask(FILE *questions, FILE *answers) {
        char *line = NULL;
        size_t room = 0;

        while (getline(&line, &room, stdin) >= 0) {
                line[strcspn(line, "\n")] = '\0'; /* the last line may have no end */
                if (fprintf(questions, "%s\n", line) < 0 || fflush(questions) != 0)
                        err(1, "the question");
                if (getline(&line, &room, answers) < 0)
                        errx(1, "the server has ended without an answer");
                if (fputs(line, stdout) == EOF || fflush(stdout) != 0)
                        err(1, "standard output");
        }
        if (ferror(stdin))
                err(1, "standard input");
        free(line);
}

int main(int argc, char **argv) {
        int fd;

        if (!dial_is_address(argc - 1, argv + 1))
                errx(2, "usage: stream_ask HOST PORT | PATH");
        fd = dial(SOCK_STREAM, argv[1], argv[2], NULL);
        ask(open_direction(fd, "w"), open_direction(dup(fd), "r"));
        return 0;
}
