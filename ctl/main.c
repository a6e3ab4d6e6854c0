/* sockctl: the process around the verbs. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "ctl/commands.h"

/* The connection would take the place of a standard descriptor that is closed, and what is printed
 * would go to the daemon. What takes it here cannot be used either, so that this is an error. */
static void occupy_standard_descriptors(void) {
        for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; descriptor++)
                if (fcntl(descriptor, F_GETFD) < 0 && errno == EBADF)
                        (void)open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

int main(int argc, char **argv) {
        /* A reader that has gone is noticed by the write, and is no failure (context_flush()). */
        signal(SIGPIPE, SIG_IGN);
        occupy_standard_descriptors();
        return commands_main(argc, argv, stdout, stderr);
}
