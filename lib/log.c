/* The log; see log.h.
 *
 * A line is built on the stack and leaves in one system call, so threads need no lock and lines
 * never mix. It has at most PIPE_BUF bytes, which the kernel writes to a pipe whole or not at all.
 *
 * There is one descriptor, the sink, whose number never changes after the first log_open(): another
 * target replaces it in place by dup3(2). A thread that is just writing thus reaches the old target
 * or the new one, never a socket that took over a closed number.
 *
 * What a full pipe, a stopped terminal or a stuck journal would make wait is dropped:
 * - A terminal or pipe on stderr is opened a second time, since O_NONBLOCK belongs to the open
 *   file, which others share with us. Where that fails, poll(2) before write(2) leaves a small
 *   window.
 * - Sockets take MSG_DONTWAIT.
 * - sd_journal_sendv(3) has no such flag, so a socket of our own is asked first whether the
 *   journal's queue has room.
 */
#include "lib/log.h"

#include "lib/text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#ifdef HAVE_LIBSYSTEMD
#define SD_JOURNAL_SUPPRESS_LOCATION /* it would always be this file */
#include <systemd/sd-journal.h>
#endif

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define LINE_MAX_BYTES    PIPE_BUF
#define JOURNAL_SOCKET    "/run/systemd/journal/socket"

enum log_form {
        FORM_TIME,     /* for people: "2026-11-20T21:45:02.123Z info: " */
        FORM_PRIORITY, /* for a journal behind stderr: "<6>" */
        FORM_JOURNAL,  /* the journal's own protocol: fields */
};

static const struct {
        const char *name;
        int priority; /* of syslog(3) */
} levels[] = {
        [LOG_LEVEL_ERROR] = {"error", 3}, [LOG_LEVEL_WARNING] = {"warning", 4},
        [LOG_LEVEL_INFO] = {"info", 6},   [LOG_LEVEL_DEBUG] = {"debug", 7},
        [LOG_LEVEL_TRACE] = {"trace", 7},
};

_Atomic int log_threshold = LOG_LEVEL_INFO;

static _Atomic int log_sink = STDERR_FILENO;
static _Atomic int log_form = FORM_TIME;
static _Atomic uint64_t log_n_dropped;

#ifdef HAVE_LIBSYSTEMD
static const struct sockaddr_un journal = {.sun_family = AF_UNIX, .sun_path = JOURNAL_SOCKET};
#endif

/* Whether stderr is what the service manager connected to the journal (systemd.exec(5)). */
static bool stderr_is_journal(void) {
        const char *stream = getenv("JOURNAL_STREAM");
        char expected[64];
        struct stat status;

        if (!stream || fstat(STDERR_FILENO, &status) < 0)
                return false;
        snprintf(expected, sizeof(expected), "%ju:%ju", (uintmax_t)status.st_dev,
                 (uintmax_t)status.st_ino);
        return strcmp(stream, expected) == 0;
}

/* Returns a descriptor of our own for stderr, or -errno. */
static int sink_open_stderr(void) {
        struct stat status;
        int fd = -1;

        if (fstat(STDERR_FILENO, &status) < 0)
                return -errno;
        if (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode))
                fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd < 0)
                fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        return fd < 0 ? -errno : fd;
}

/* Returns a socket that journal_has_room() can ask, or -errno. */
static int sink_open_journal(void) {
#ifdef HAVE_LIBSYSTEMD
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        if (fd < 0)
                return -errno;
        if (connect(fd, (const struct sockaddr *)&journal, sizeof(journal)) < 0) {
                int error = errno;

                close(fd);
                return -error;
        }
        return fd;
#else
        return -EOPNOTSUPP;
#endif
}

/* O_NONBLOCK is for a path that turns out to be a pipe. */
static int sink_open_file(const char *path) {
        int flags = O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
        int fd = open(path, flags, 0640);

        return fd < 0 ? -errno : fd;
}

/* Makes fd, which it takes over, the sink. */
static int sink_replace(int fd, enum log_form form) {
        int sink = atomic_load(&log_sink);
        int error = 0;

        if (sink == STDERR_FILENO) {
                atomic_store(&log_sink, fd);
        } else {
                if (dup3(fd, sink, O_CLOEXEC) < 0)
                        error = -errno;
                close(fd);
        }
        if (!error)
                atomic_store(&log_form, form);
        return error;
}

bool log_target_is_valid(const char *target) {
        return strcmp(target, "auto") == 0 || strcmp(target, "journal") == 0 ||
               strcmp(target, "stderr") == 0 || strncmp(target, "file:/", 6) == 0;
}

int log_open(const char *target) {
        bool is_auto = strcmp(target, "auto") == 0;
        enum log_form form = FORM_TIME;
        int fd;

        if (!log_target_is_valid(target))
                return -EINVAL;
        if (strncmp(target, "file:", 5) == 0) {
                fd = sink_open_file(target + 5);
                return fd < 0 ? fd : sink_replace(fd, form);
        }
        if (strcmp(target, "journal") == 0 || (is_auto && stderr_is_journal())) {
                fd = sink_open_journal();
                if (fd >= 0 || !is_auto)
                        return fd < 0 ? fd : sink_replace(fd, FORM_JOURNAL);
        }
        if (stderr_is_journal())
                form = FORM_PRIORITY;
        fd = sink_open_stderr();
        return fd < 0 ? fd : sink_replace(fd, form);
}

void log_set_level(enum log_level level) {
        atomic_store_explicit(&log_threshold, (int)level, memory_order_relaxed);
}

enum log_level log_get_level(void) {
        return (enum log_level)atomic_load_explicit(&log_threshold, memory_order_relaxed);
}

int log_level_parse(const char *name) {
        for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
                if (strcmp(levels[i].name, name) == 0)
                        return (int)i;
        return -EINVAL;
}

const char *log_level_name(enum log_level level) {
        return (size_t)level < ARRAY_SIZE(levels) ? levels[level].name : "unknown";
}

uint64_t log_dropped(void) {
        return atomic_load_explicit(&log_n_dropped, memory_order_relaxed);
}

/* Writes what stands before the text. Returns its length. */
static size_t format_prefix(char *line, size_t size, enum log_form form, enum log_level level) {
        struct timespec now;
        struct tm tm;
        int n;

        if (form == FORM_JOURNAL) {
                n = snprintf(line, size, "MESSAGE=");
        } else if (form == FORM_PRIORITY) {
                n = snprintf(line, size, "<%d>", levels[level].priority);
        } else {
                clock_gettime(CLOCK_REALTIME, &now);
                gmtime_r(&now.tv_sec, &tm);
                n = snprintf(line, size,
                             "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ %s: ", tm.tm_year + 1900,
                             tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                             now.tv_nsec / 1000000, levels[level].name);
        }
        return (size_t)n;
}

/* Writes the text behind the prefix, made printable and cut to fit with room for a newline.
 * Returns the length of both. */
__attribute__((format(printf, 4, 0))) static size_t
format_text(char *line, size_t size, size_t n_prefix, const char *format, va_list arguments) {
        int n = vsnprintf(line + n_prefix, size - n_prefix, format, arguments);
        size_t length = n_prefix + (n > 0 ? (size_t)n : 0);
        bool is_cut = length > size - 1;

        if (is_cut)
                length = size - 1;
        text_make_printable(line + n_prefix, length - n_prefix);
        if (is_cut) {
                length = text_cut(line, length, size - 1 - 3);
                memcpy(line + length, "...", 3);
                length += 3;
        }
        return length;
}

/* Returns whether the whole line was taken. */
static bool write_line(int fd, const char *line, size_t length) {
        struct pollfd poller = {.fd = fd, .events = POLLOUT};
        ssize_t n = send(fd, line, length, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n < 0 && errno == ENOTSOCK) {
                /* A pipe that nobody reads says POLLERR too, and a write would raise SIGPIPE. */
                if (poll(&poller, 1, 0) != 1 || poller.revents != POLLOUT)
                        return false;
                n = write(fd, line, length);
        }
        return n == (ssize_t)length;
}

#ifdef HAVE_LIBSYSTEMD
/* Whether a datagram to the journal would be queued at once. Connecting each time finds a journal
 * whose socket was made anew; it is a path look-up and nothing more. */
static bool journal_has_room(int fd) {
        struct pollfd poller = {.fd = fd, .events = POLLOUT};

        return connect(fd, (const struct sockaddr *)&journal, sizeof(journal)) == 0 &&
               poll(&poller, 1, 0) == 1 && poller.revents == POLLOUT;
}

static bool write_journal(int fd, enum log_level level, char *line, size_t length) {
        char priority[32], name[32];
        struct iovec fields[] = {
                {.iov_base = line, .iov_len = length},
                {.iov_base = priority},
                {.iov_base = name},
        };

        fields[1].iov_len =
                (size_t)snprintf(priority, sizeof(priority), "PRIORITY=%d", levels[level].priority);
        fields[2].iov_len =
                (size_t)snprintf(name, sizeof(name), "SOCKD_LEVEL=%s", levels[level].name);
        return journal_has_room(fd) && sd_journal_sendv(fields, ARRAY_SIZE(fields)) >= 0;
}
#else
static bool write_journal(int fd, enum log_level level, char *line, size_t length) {
        return false;
}
#endif

void log_write(enum log_level level, const char *format, ...) {
        enum log_form form = (enum log_form)atomic_load(&log_form);
        int error = errno, fd = atomic_load(&log_sink);
        char line[LINE_MAX_BYTES];
        va_list arguments;
        bool is_written;
        size_t length;

        length = format_prefix(line, sizeof(line), form, level);
        va_start(arguments, format);
        errno = error;
        length = format_text(line, sizeof(line), length, format, arguments);
        va_end(arguments);
        if (form == FORM_JOURNAL) {
                is_written = write_journal(fd, level, line, length);
        } else {
                line[length++] = '\n';
                is_written = write_line(fd, line, length);
        }
        if (!is_written)
                atomic_fetch_add_explicit(&log_n_dropped, 1, memory_order_relaxed);
        errno = error;
}

static void tell_suppressed(const char *what, unsigned n) {
        const char *plural = n == 1 ? "" : "s", *were = n == 1 ? "was" : "were";

        if (what)
                log_warning("%u %s%s %s not logged", n, what, plural, were);
        else
                log_warning("%u line%s like the next one %s suppressed", n, plural, were);
}

static bool limit_pass(struct log_limit *limit, const char *what, unsigned burst,
                       unsigned interval_ms) {
        uint64_t start = atomic_load(&limit->window_start_ms), now_ms;
        struct timespec now;
        unsigned n_suppressed;

        clock_gettime(CLOCK_MONOTONIC, &now);
        now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
        if ((start == 0 || now_ms - start >= interval_ms) &&
            atomic_compare_exchange_strong(&limit->window_start_ms, &start, now_ms)) {
                atomic_store(&limit->n_in_window, 0);
                n_suppressed = atomic_exchange(&limit->n_suppressed, 0);
                if (n_suppressed > 0)
                        tell_suppressed(what, n_suppressed);
        }
        if (atomic_fetch_add(&limit->n_in_window, 1) < burst)
                return true;
        atomic_fetch_sub(&limit->n_in_window, 1);
        atomic_fetch_add(&limit->n_suppressed, 1);
        return false;
}

bool log_limit_pass(struct log_limit *limit) {
        return limit_pass(limit, limit->what, limit->burst, limit->interval_ms);
}

bool log_limits_pass(struct log_limits *limits, uint64_t whose) {
        return limit_pass(&limits->shares[whose % LOG_LIMIT_SHARES], limits->what, limits->burst,
                          limits->interval_ms);
}
