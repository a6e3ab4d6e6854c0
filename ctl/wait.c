/* Signals come through a signalfd(2), so that none falls between a check of a flag and the wait. A
 * pipe whose reader has gone is noticed at once, not with the next message that may never come. */
#include "ctl/wait.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "ctl/deadline.h"
#include "ctl/session.h"

#define FLUSH_MS    10000
#define CHECK_EVERY 64 /* a system call in so many messages costs nothing */

/* As nohup(1) wants it. */
static bool is_ignored(int number) {
        struct sigaction action;

        return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

/* Takes the signals that end the wait out of the way of system calls, and starts the clock;
 * timeout_ms < 0: none. Returns 0 or -errno. */
static int init(struct wait *wait, int timeout_ms) {
        sigset_t signals;

        sigemptyset(&signals);
        sigaddset(&signals, SIGINT);
        sigaddset(&signals, SIGTERM);
        if (!is_ignored(SIGHUP))
                sigaddset(&signals, SIGHUP);
        sigprocmask(SIG_BLOCK, &signals, NULL);
        wait->n_taken = 0;
        wait->deadline_ms = deadline_in(timeout_ms);
        wait->signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
        return wait->signals < 0 ? -errno : 0;
}

int wait_subscribe(struct wait *wait, struct context *context) {
        const struct options *options = context->options;
        const char *subject = context_argument(context, 0);
        int result;

        wait->count = options_number(options->count, 0);
        result = sockd_subscribe(context->connection, subject, options->queue, wait->count, NULL);
        if (result == 0)
                result = sockd_flush(context->connection, FLUSH_MS);
        if (result)
                return session_fail(context, result, subject);
        result = init(wait, options->timeout_ms);
        if (result < 0)
                return context_fail(context, EXIT_FAILED, "%s", strerror(-result));
        context_tell(context, "subscribed to %s", subject);
        return EXIT_DONE;
}

void wait_deinit(struct wait *wait) {
        if (wait->signals >= 0)
                close(wait->signals);
        wait->signals = -1;
}

int wait_check(const struct wait *wait) {
        struct pollfd signals = {.fd = wait->signals, .events = POLLIN};

        if (poll(&signals, 1, 0) > 0)
                return WAIT_INTERRUPTED;
        return deadline_left(wait->deadline_ms) == 0 ? SOCKD_TIMEOUT : 0;
}

int wait_next(struct wait *wait, struct context *context, struct sockd_message *message) {
        /* Messages that come faster than they are taken leave nothing to wait for. */
        if (++wait->n_taken % CHECK_EVERY == 0 && wait_check(wait) != 0)
                return wait_check(wait);
        for (;;) {
                struct pollfd descriptors[] = {
                        {.fd = wait->signals, .events = POLLIN},
                        {.fd = fileno(context->out), .events = 0},
                        {.fd = sockd_descriptor(context->connection), .events = POLLIN},
                };
                int n, result = sockd_next(context->connection, message, 0);

                if (result != SOCKD_TIMEOUT)
                        return result;
                n = poll(descriptors, 3, deadline_left(wait->deadline_ms));
                if (n == 0)
                        return SOCKD_TIMEOUT;
                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n > 0 && descriptors[0].revents)
                        return WAIT_INTERRUPTED;
                if (n > 0 && (descriptors[1].revents & POLLERR))
                        return WAIT_READER_GONE;
        }
}
