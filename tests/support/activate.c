/* Starts a program as the service manager does at socket activation (sd_listen_fds(3)).
 *
 *      activate [NAME=ADDRESS]... -- PROGRAM [ARG...]
 *
 * Opens a listening socket for each ADDRESS (lib/address.h), as descriptors 3, 4 and so on, in this
 * order, closes all descriptors behind them, and becomes the program, with LISTEN_FDS,
 * LISTEN_FDNAMES and LISTEN_PID. `NAME=!ADDRESS` binds and does not listen. With ACTIVATE_PID in
 * the environment, that is LISTEN_PID.
 */
#include "tests/support/target.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Opens one, close-on-exec unset, and leaves it at fd. */
static void open_socket(const char *text, int fd) {
        bool listens = *text != '!';
        struct address_socket target;
        int made;

        (void)target_resolve(text + !listens, true, &target);
        made = socket(target.family, target.type, 0);
        if (made < 0 || bind(made, &target.socket.any, target.length) < 0)
                err(2, "activate: %s", text);
        if (listens && listen(made, 128) < 0)
                err(2, "activate: %s", text);
        if (made != fd && (dup2(made, fd) < 0 || close(made) < 0))
                err(2, "activate: descriptor %d", fd);
}

int main(int argc, char **argv) {
        char names[4096] = "", number[32];
        const char *pid = getenv("ACTIVATE_PID");
        int n = 0;

        for (; n + 1 < argc && strcmp(argv[n + 1], "--") != 0; n++) {
                char *address = strchr(argv[n + 1], '=');

                if (!address || strlen(names) + strlen(argv[n + 1]) >= sizeof(names))
                        errx(2, "activate: expected NAME=ADDRESS: %s", argv[n + 1]);
                *address++ = '\0';
                if (n > 0)
                        strcat(names, ":");
                strcat(names, argv[n + 1]);
                open_socket(address, 3 + n);
        }
        if (n + 2 >= argc)
                errx(2, "usage: activate [NAME=ADDRESS]... -- PROGRAM [ARG...]");
        if (close_range(3 + (unsigned)n, ~0u, 0) < 0)
                err(2, "activate");
        if (n > 0) {
                snprintf(number, sizeof(number), "%d", n);
                setenv("LISTEN_FDS", number, 1);
                setenv("LISTEN_FDNAMES", names, 1);
                snprintf(number, sizeof(number), "%ld", (long)getpid());
                setenv("LISTEN_PID", pid ? pid : number, 1);
        }
        execvp(argv[n + 2], argv + n + 2);
        err(127, "activate: %s", argv[n + 2]);
}
