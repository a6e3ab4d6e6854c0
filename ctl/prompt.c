/* Reading secrets. What is read goes straight from read(2) into a buffer that is wiped: stdio would
 * keep a copy.
 *
 * Signals are blocked while a terminal does not echo. One that comes ends the reading, and takes
 * effect when the terminal is as it was.
 */
#include "ctl/prompt.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#define LINE_LENGTH_MAX 512 /* more than that no hash of crypt(3) takes */
#define N_TRIES         3

struct line {
        char text[LINE_LENGTH_MAX];
        size_t n;
};

/* Waits until there is input, or a signal: -EINTR. */
static int await_input(int signals) {
        struct pollfd descriptors[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                                       {.fd = signals, .events = POLLIN}};

        if (poll(descriptors, 2, -1) < 0)
                return -errno;
        return descriptors[1].revents ? -EINTR : 0;
}

/* Reads to the end of a line, byte by byte, so that what follows stays where it is. signals: a
 * signalfd(2), or -1. Returns 0 or -errno: -ENODATA if there is nothing, -EMSGSIZE if it is too
 * long. */
static int read_line(struct line *line, int signals) {
        char c = '\0';

        line->n = 0;
        for (;;) {
                int r = signals >= 0 ? await_input(signals) : 0;
                ssize_t n;

                if (r < 0)
                        return r;
                n = read(STDIN_FILENO, &c, 1);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        return line->n == 0 ? -ENODATA : 0;
                if (c == '\n')
                        return 0;
                if (line->n == sizeof(line->text))
                        return -EMSGSIZE;
                line->text[line->n++] = c;
        }
}

/* The same from a terminal that does not show what is typed; signals: blocked ones. */
static int read_unseen(struct context *context, const char *label, struct line *line,
                       const sigset_t *blocked) {
        int r, signals = signalfd(-1, blocked, SFD_CLOEXEC | SFD_NONBLOCK);
        struct termios before, unseen;

        if (signals < 0 || tcgetattr(STDIN_FILENO, &before) < 0) {
                r = -errno;
        } else {
                unseen = before;
                unseen.c_lflag &= ~(tcflag_t)ECHO;
                r = tcsetattr(STDIN_FILENO, TCSAFLUSH, &unseen) < 0 ? -errno : 0;
        }
        if (r == 0) {
                fputs(label, context->err);
                fflush(context->err);
                r = read_line(line, signals);
                /* What was typed too much is no command for the shell. */
                (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
                fputc('\n', context->err);
        }
        if (signals >= 0)
                close(signals);
        return r;
}

/* Asks until there is an answer: after a stop, as by ^Z, once more. */
static int ask(struct context *context, const char *label, struct line *line) {
        sigset_t blocked, before;
        int r;

        sigemptyset(&blocked);
        sigaddset(&blocked, SIGINT);
        sigaddset(&blocked, SIGTERM);
        sigaddset(&blocked, SIGHUP);
        sigaddset(&blocked, SIGQUIT);
        sigaddset(&blocked, SIGTSTP);
        do {
                sigprocmask(SIG_BLOCK, &blocked, &before);
                r = read_unseen(context, label, line, &blocked);
                sigprocmask(SIG_SETMASK, &before, NULL);
        } while (r == -EINTR);
        return r;
}

static bool is_same(const struct line *a, const struct line *b) {
        return a->n == b->n && memcmp(a->text, b->text, a->n) == 0;
}

static int ask_twice(struct context *context, const char *label, const char *again,
                     struct line *line) {
        struct line second;
        int r = 0;

        for (unsigned i = 0; i < N_TRIES; i++) {
                r = ask(context, label, line);
                if (r == 0 && again)
                        r = ask(context, again, &second);
                if (r < 0 || !again || is_same(line, &second))
                        break;
                context_warn(context, "the two differ");
                r = -EAGAIN;
        }
        explicit_bzero(&second, sizeof(second));
        return r;
}

static int fail(struct context *context, int error) {
        if (error == -EAGAIN)
                return context_fail(context, EXIT_FAILED, "the same was not given twice");
        if (error == -ENODATA)
                return context_fail(context, EXIT_FAILED, "there is nothing on standard input");
        if (error == -EMSGSIZE)
                return context_fail(context, EXIT_FAILED, "that is longer than %d bytes",
                                    LINE_LENGTH_MAX);
        return context_fail(context, EXIT_FAILED, "standard input: %s", strerror(-error));
}

static int take(struct context *context, const struct line *line, struct secret **secretp) {
        if (line->n == 0 || memchr(line->text, '\0', line->n))
                return context_fail(context, EXIT_FAILED,
                                    "what was given is empty, or has a NUL byte in it");
        if (secret_from_text(secretp, (struct bytes){line->text, line->n}) < 0)
                return context_fail(context, EXIT_FAILED, "out of memory");
        return EXIT_DONE;
}

int prompt_secret(struct context *context, const char *label, const char *again,
                  struct secret **secretp) {
        struct line line;
        int r = isatty(STDIN_FILENO) ? ask_twice(context, label, again, &line)
                                     : read_line(&line, -1);
        int code = r < 0 ? fail(context, r) : take(context, &line, secretp);

        explicit_bzero(&line, sizeof(line));
        return code;
}
