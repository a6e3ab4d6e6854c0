/* The log: one line for an event, to the journal, to stderr or to a file.
 *
 * Never fails and never blocks: a line that cannot be written is dropped and counted. Any thread
 * may log; the target and the level may change while others log. The only global of lib/.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum log_level {
        LOG_LEVEL_ERROR,
        LOG_LEVEL_WARNING,
        LOG_LEVEL_INFO,
        LOG_LEVEL_DEBUG,
        LOG_LEVEL_TRACE,
};

/* At most `burst` lines in `interval_ms`; the first line of the next interval says how many were
 * suppressed: "3 denials were not logged", if `what` names one, "denial". Zero-initialised but
 * for those three; one for each kind of line, shared by all threads. */
struct log_limit {
        const char *what; /* a constant; NULL: no word for them */
        unsigned burst;
        unsigned interval_ms;
        _Atomic uint64_t window_start_ms;
        _Atomic unsigned n_in_window;
        _Atomic unsigned n_suppressed;
};

/* The same for lines that strangers cause: each of them has a limit, so that one does not hide what
 * another one does. They share so many, by a number of theirs. */
#define LOG_LIMIT_SHARES 32
struct log_limits {
        const char *what;
        unsigned burst; /* of each */
        unsigned interval_ms;
        struct log_limit shares[LOG_LIMIT_SHARES];
};

/* Opens the target: "auto" (the journal if stderr is connected to it, else stderr), "journal",
 * "stderr", or "file:/path" (appended to). Doing so again reopens it, after a rotation for
 * instance. Until the first call lines go to stderr; what happens to descriptor 2 after a call
 * does not matter any more. On failure the former target stays. Not to be called by two threads
 * at once.
 * Returns 0, -EINVAL for an unknown target, -EOPNOTSUPP for "journal" in a build without
 * libsystemd, or -errno of opening it. */
int log_open(const char *target);

/* Whether log_open() knows a target of this name; it may still fail to open. */
bool log_target_is_valid(const char *target);

void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/* The level of that name, or -EINVAL; the name of a level. */
int log_level_parse(const char *name);
const char *log_level_name(enum log_level level);

extern _Atomic int log_threshold; /* read by the macros below only */

static inline bool log_is_enabled(enum log_level level) {
        return (int)level <= atomic_load_explicit(&log_threshold, memory_order_relaxed);
}

/* How many lines could not be written since the start. */
uint64_t log_dropped(void);

/* Writes one line of at most 4096 bytes, a longer one cut with "..." at the end; what is not
 * printable is replaced (text.h). Keeps errno, and knows %m. Through the macros. */
__attribute__((format(printf, 2, 3))) void log_write(enum log_level level, const char *format, ...);

/* Whether one more line of this kind may be written now. */
bool log_limit_pass(struct log_limit *limit);

/* Whether one more, which `whose` has caused, may be. */
bool log_limits_pass(struct log_limits *limits, uint64_t whose);

#define log_at(level, ...) (log_is_enabled(level) ? log_write(level, __VA_ARGS__) : (void)0)
#define log_error(...)     log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...)   log_at(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)      log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)     log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_trace(...)     log_at(LOG_LEVEL_TRACE, __VA_ARGS__)
#define log_limited(limit, level, ...)                                                             \
        (log_is_enabled(level) && log_limit_pass(limit) ? log_write(level, __VA_ARGS__) : (void)0)
