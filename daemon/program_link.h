/* A program behind a connection whose bytes it cannot have as they are, as within TLS, or is not to
 * have unseen: it has one end of a pair of sockets, and sockd copies between the other end and the
 * connection. The pair keeps boundaries if the connection does.
 *
 * Neither side is read while the other one does not take what came last, so that little waits here.
 * Each direction ends by itself. By the connection's own worker.
 */
#pragma once

#include "lib/bytes.h"

#include <stdbool.h>
#include <uv.h>

struct connection;

struct program_link {
        struct connection *connection; /* borrowed */
        int fd;                        /* owned; -1: closed */
        int end; /* owned; what the program gets, until it has it; -1: closed */
        uv_poll_t poll;
        int events;           /* that are polled */
        bool takes_no_input;  /* the program reads no more */
        bool is_full;         /* at the moment */
        bool is_output_ended; /* the program says no more */
        bool is_program_over; /* what is there is the last of it */
        bool is_closing;
        void (*freed)(struct program_link *link);

        /* A record that the program said is longer than can be passed on, and lost. */
        void (*cut)(struct program_link *link);

        /* All that the program said has left, and it is over. */
        void (*drained)(struct program_link *link);
};

/* Opens it; its functions are set. Returns 0 or a negative errno. */
int program_link_open(struct program_link *link, struct connection *connection);

/* The program has its end: begins to read what it says. */
void program_link_begin(struct program_link *link);

/* The functions of a handler whose connection has one. */
void program_link_input(struct program_link *link, struct bytes *input);
void program_link_finished(struct program_link *link);
void program_link_writable(struct program_link *link);

/* The program is over: link->drained is called when that is done, maybe now. */
void program_link_finish(struct program_link *link);

/* Closes it; link->freed is called when its memory is not used any more. */
void program_link_close(struct program_link *link);
