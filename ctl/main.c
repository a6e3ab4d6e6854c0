/* sockctl: the process around the verbs. */
#include <signal.h>
#include <stdio.h>

#include "ctl/commands.h"

int main(int argc, char **argv) {
        /* A reader that has gone is noticed by the write, and is no failure (context_flush()). */
        signal(SIGPIPE, SIG_IGN);
        return commands_main(argc, argv, stdout, stderr);
}
