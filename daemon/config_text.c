/* The text of a configuration; see config_text.h.
 *
 * libconfig 1.5 includes files itself, but calls exit(3) when one is a directory, cannot take
 * absolute paths, does not name the file that is missing, and takes the directory of the first file
 * for all. It also cuts integers to 32 bits without a word. So a scanner that knows just enough of
 * the syntax (comments, strings, names, numbers) goes over the text first: it replaces each
 * @include by the file, appends to large integers the L that makes libconfig read 64 bits, and
 * refuses what is left. It copies all else as it is; what that means is libconfig's business.
 */
#include "daemon/config_text.h"

#include "daemon/config_errors.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* How long a pipe may take to give all of a configuration, and how often it is looked at. */
#define PIPE_MS      5000
#define PIPE_STEP_MS 100

/* More than flex(1) reads at a time, 8 or 16 KiB. */
#define N_COMMENTS 8192

#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_*"

/* One file on its way into the text. */
struct scanner {
        struct config_text *text;
        struct config_errors *errors;
        const char *file;
        unsigned depth;
        const char *at, *end; /* what is left; a NUL stands at end */
        const char *copied;   /* up to here it is in the text */
        const char *counted;  /* up to here line is counted */
        unsigned line;
};

static int scan_file(struct config_text *text, struct config_errors *errors, const char *path,
                     unsigned depth, const struct scanner *from);

static void free_string(char **stringp) {
        free(*stringp);
}

static void wipe_string(char **stringp) {
        if (*stringp)
                explicit_bzero(*stringp, strlen(*stringp));
        free(*stringp);
}

/* A buffer of that size instead of another one, of which nothing is left behind. Returns it, or
 * NULL. */
static char *grow(char *bytes, size_t length, size_t size) {
        char *grown = malloc(size);

        if (!grown)
                return NULL;
        if (bytes) {
                memcpy(grown, bytes, length);
                explicit_bzero(bytes, length);
        }
        free(bytes);
        return grown;
}

static unsigned count_lines(const char *from, const char *end) {
        unsigned n = 0;

        while ((from = memchr(from, '\n', (size_t)(end - from)))) {
                from++;
                n++;
        }
        return n;
}

static unsigned scanner_line(struct scanner *scanner, const char *at) {
        scanner->line += count_lines(scanner->counted, at);
        scanner->counted = at;
        return scanner->line;
}

/* Adds a complaint about what stands at `at`. Returns -EINVAL or -ENOMEM. */
static int scanner_refuse(struct scanner *scanner, const char *at, const char *what) {
        int r = config_errors_add(scanner->errors, "%s:%u: %s", scanner->file,
                                  scanner_line(scanner, at), what);

        return r < 0 ? r : -EINVAL;
}

static int text_append(struct config_text *text, const char *bytes, size_t length,
                       struct config_errors *errors) {
        if (length > CONFIG_TEXT_MAX - text->length) {
                int r = config_errors_add(errors, "%s: the configuration is larger than %uM",
                                          text->files[0], CONFIG_TEXT_MAX >> 20);

                return r < 0 ? r : -EINVAL;
        }
        if (text->length + length >= text->size) {
                size_t size = 2 * (text->length + length) + 1;
                char *grown = grow(text->bytes, text->length, size);

                if (!grown)
                        return -ENOMEM;
                text->bytes = grown;
                text->size = size;
        }
        memcpy(text->bytes + text->length, bytes, length);
        text->length += length;
        text->bytes[text->length] = '\0';
        text->n_lines += count_lines(bytes, bytes + length);
        return 0;
}

/* From here on, lines are those of the file from line on. */
static int text_begin_segment(struct config_text *text, const char *file, unsigned line) {
        struct config_segment *grown =
                realloc(text->segments, (text->n_segments + 1) * sizeof(*grown));

        if (!grown)
                return -ENOMEM;
        text->segments = grown;
        grown[text->n_segments++] = (struct config_segment){
                .first_line = text->n_lines + 1, .file_line = line, .file = file};
        return 0;
}

/* Keeps a copy of the name. Returns it, or NULL. */
static const char *text_add_file(struct config_text *text, const char *path) {
        char **grown = realloc(text->files, (text->n_files + 1) * sizeof(*grown));

        if (!grown)
                return NULL;
        text->files = grown;
        grown[text->n_files] = strdup(path);
        return grown[text->n_files] ? grown[text->n_files++] : NULL;
}

static int scanner_copy(struct scanner *scanner) {
        const char *from = scanner->copied;

        scanner->copied = scanner->at;
        return text_append(scanner->text, from, (size_t)(scanner->at - from), scanner->errors);
}

/* Passes over a string, in which a backslash protects what follows. */
static int scan_string(struct scanner *scanner) {
        const char *begin = scanner->at++;

        for (; scanner->at < scanner->end; scanner->at++) {
                if (*scanner->at == '"') {
                        scanner->at++;
                        return 0;
                }
                if (*scanner->at == '\\' && scanner->at + 1 < scanner->end)
                        scanner->at++;
        }
        return scanner_refuse(scanner, begin, "the string that begins here has no closing quote");
}

/* Passes over a comment if there is one, else over one character. */
static int scan_comment(struct scanner *scanner) {
        const char *begin = scanner->at, *close;

        if (begin[0] == '/' && begin[1] == '*') {
                close = strstr(begin + 2, "*/");
                if (!close)
                        return scanner_refuse(scanner, begin,
                                              "the comment that begins here has no \"*/\"");
                scanner->at = close + 2;
        } else if (begin[0] == '#' || begin[1] == '/') {
                scanner->at = strchrnul(begin, '\n');
        } else {
                scanner->at++;
        }
        return 0;
}

/* The length of the number, with all that sticks to it. */
static size_t number_length(const char *begin) {
        bool is_hexadecimal = begin[0] == '0' && (begin[1] == 'x' || begin[1] == 'X');
        const char *at = begin;

        if (*at == '+' || *at == '-')
                at++;
        for (; isalnum((unsigned char)*at) || *at == '.'; at++)
                if (!is_hexadecimal && (*at == 'e' || *at == 'E') && (at[1] == '+' || at[1] == '-'))
                        at++;
        return (size_t)(at - begin);
}

/* Passes over a number; an integer that needs more than 32 bits becomes one of 64. */
static int scan_number(struct scanner *scanner) {
        const char *begin = scanner->at;
        bool is_signed = *begin == '-' || *begin == '+';
        int base = !is_signed && begin[0] == '0' && (begin[1] == 'x' || begin[1] == 'X') ? 16 : 10;
        bool is_long;
        char *end;
        long long value;
        int r;

        scanner->at += number_length(begin);
        errno = 0;
        value = strtoll(begin, &end, base);
        is_long = end < scanner->at && *end == 'L';
        while (end < scanner->at && *end == 'L')
                end++;
        if (end != scanner->at || end == begin) /* a fraction, or an error of syntax */
                return 0;
        if (errno == ERANGE)
                return scanner_refuse(scanner, begin, "the number does not fit 64 bits");
        if (is_long || (value >= INT32_MIN && value <= INT32_MAX))
                return 0;
        r = scanner_copy(scanner);
        return r < 0 ? r : text_append(scanner->text, "L", 1, scanner->errors);
}

/* Reads the quoted name behind "@include". Returns 0 and a copy of it, -EINVAL or -ENOMEM. */
static int scan_include_name(struct scanner *scanner, char **namep) {
        static const char expected[] = "expected @include \"FILE\"";
        const char *begin = scanner->at, *quote = begin + strspn(begin, " \t");
        char *name;
        size_t n = 0;
        int r;

        if (quote == begin || *quote != '"')
                return scanner_refuse(scanner, begin, expected);
        scanner->at = quote;
        r = scan_string(scanner);
        if (r < 0)
                return r;
        if (scanner->at - quote <= 2 || memchr(quote, '\n', (size_t)(scanner->at - quote)))
                return scanner_refuse(scanner, begin, expected);
        name = malloc((size_t)(scanner->at - quote));
        if (!name)
                return -ENOMEM;
        for (const char *at = quote + 1; at < scanner->at - 1; at++) {
                if (*at == '\\')
                        at++;
                name[n++] = *at;
        }
        name[n] = '\0';
        *namep = name;
        return 0;
}

/* Reads "@include", and puts the file in its place. */
static int scan_include(struct scanner *scanner) {
        __attribute__((cleanup(free_string))) char *name = NULL, *path = NULL;
        const char *begin = scanner->at, *slash = strrchr(scanner->file, '/');
        int n_directory = slash ? (int)(slash - scanner->file) + 1 : 0;
        int r = scanner_copy(scanner);

        if (r < 0)
                return r;
        scanner->at += strlen("@include");
        r = scan_include_name(scanner, &name);
        scanner->copied = scanner->at;
        if (r < 0)
                return r;
        if (asprintf(&path, "%.*s%s", *name == '/' ? 0 : n_directory, scanner->file, name) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        scanner_line(scanner, begin);
        r = scan_file(scanner->text, scanner->errors, path, scanner->depth + 1, scanner);
        return r < 0 ? r : text_begin_segment(scanner->text, scanner->file, scanner->line);
}

/* Whether nothing but blanks stands before it on its line. */
static bool is_at_line_start(const char *begin, const char *at) {
        while (at > begin && (at[-1] == ' ' || at[-1] == '\t'))
                at--;
        return at == begin || at[-1] == '\n';
}

static int scan_token(struct scanner *scanner, const char *begin) {
        const char *at = scanner->at;
        bool is_sign = *at == '+' || *at == '-' || *at == '.';

        if (*at == '"')
                return scan_string(scanner);
        if (*at == '#' || *at == '/')
                return scan_comment(scanner);
        if (isdigit((unsigned char)at[is_sign ? 1 : 0]))
                return scan_number(scanner);
        if (*at == '@') {
                if (strncmp(at, "@include", 8) == 0 && is_at_line_start(begin, at))
                        return scan_include(scanner);
                return scanner_refuse(scanner, at,
                                      "unexpected \"@\"; only @include \"FILE\" begins with it, "
                                      "at the beginning of a line");
        }
        scanner->at += isalpha((unsigned char)*at) || *at == '*' ? strspn(at, NAME_CHARACTERS) : 1;
        return 0;
}

/* bytes[length] is NUL. */
static int scan_bytes(struct config_text *text, struct config_errors *errors, const char *path,
                      unsigned depth, const char *bytes, size_t length) {
        struct scanner scanner = {
                .text = text,
                .errors = errors,
                .depth = depth,
                .at = bytes,
                .end = bytes + length,
                .copied = bytes,
                .counted = bytes,
                .line = 1,
        };
        int r;

        scanner.file = text_add_file(text, path);
        if (!scanner.file)
                return -ENOMEM;
        if (memchr(bytes, '\0', length))
                return scanner_refuse(&scanner, memchr(bytes, '\0', length),
                                      "there is a NUL byte; this is not a text file");
        r = text_begin_segment(text, scanner.file, 1);
        while (r == 0 && scanner.at < scanner.end)
                r = scan_token(&scanner, bytes);
        if (r == 0)
                r = scanner_copy(&scanner);
        /* A newline at the end keeps what follows from being on the same line. */
        return r < 0 ? r : text_append(text, "\n", 1, errors);
}

/* Waits for more from a pipe; *left_ms becomes less. Nobody may keep the daemon from its work. */
static void await_bytes(int fd, int *left_ms) {
        struct pollfd poller = {.fd = fd, .events = POLLIN};

        (void)poll(&poller, 1, PIPE_STEP_MS);
        *left_ms -= PIPE_STEP_MS;
        errno = EAGAIN;
}

/* Reads at most CONFIG_TEXT_MAX + 1 bytes. Returns 0 and the bytes with a NUL behind them, or
 * -errno. */
static int read_bytes(int fd, char **bytesp, size_t *lengthp) {
        __attribute__((cleanup(free_string))) char *bytes = NULL;
        size_t length = 0, size = 0;
        int left_ms = PIPE_MS;
        ssize_t n;

        do {
                if (size - length < 4096) {
                        char *grown = grow(bytes, length, size = 2 * size + 16384);

                        if (!grown)
                                return -ENOMEM;
                        bytes = grown;
                }
                n = read(fd, bytes + length, size - length - 1);
                if (n < 0 && errno == EAGAIN)
                        await_bytes(fd, &left_ms);
                if (n < 0 && errno != EINTR && (errno != EAGAIN || left_ms <= 0))
                        return errno == EAGAIN ? -ETIMEDOUT : -errno;
                length += n > 0 ? (size_t)n : 0;
        } while (n != 0 && length <= CONFIG_TEXT_MAX);
        bytes[length] = '\0';
        *bytesp = bytes;
        *lengthp = length;
        bytes = NULL;
        return 0;
}

/* Opens and reads a file. The first may be a pipe, for process substitution; the others are
 * regular files. Returns 0, or -errno with *reasonp set. */
static int read_path(const char *path, unsigned depth, char **bytesp, size_t *lengthp,
                     const char **reasonp) {
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        struct stat status;
        int r = fd < 0 || fstat(fd, &status) < 0 ? -errno : 0;

        if (r == 0 && S_ISDIR(status.st_mode))
                r = -EISDIR;
        if (r == 0)
                r = depth > 0 && !S_ISREG(status.st_mode) ? -EINVAL
                                                          : read_bytes(fd, bytesp, lengthp);
        /* A pipe without a writer is no configuration without keys. */
        if (r == 0 && *lengthp == 0 && S_ISFIFO(status.st_mode))
                r = -ENODATA;
        if (r < 0)
                *reasonp = r == -EINVAL    ? "not a regular file"
                           : r == -ENODATA ? "nothing comes out of the pipe"
                                           : strerror(-r);
        if (fd >= 0)
                close(fd);
        return r;
}

/* Reads the file into the text; from: the scanner of the file that includes it, if any. */
static int scan_file(struct config_text *text, struct config_errors *errors, const char *path,
                     unsigned depth, const struct scanner *from) {
        __attribute__((cleanup(wipe_string))) char *bytes = NULL;
        const char *reason = NULL;
        size_t length = 0;
        int r = 0;

        if (depth > CONFIG_TEXT_DEPTH_MAX)
                reason = "too many files that include each other";
        else if (text->n_files >= CONFIG_TEXT_FILES_MAX)
                reason = "too many included files";
        else
                r = read_path(path, depth, &bytes, &length, &reason);
        if (r == 0 && !reason)
                return scan_bytes(text, errors, path, depth, bytes, length);
        if (r == -ENOMEM || (r == -ENOENT && !from))
                return r;
        if (from)
                r = config_errors_add(errors, "%s:%u: @include \"%s\": %s", from->file, from->line,
                                      path, reason);
        else
                r = config_errors_add(errors, "%s: cannot be read: %s", path, reason);
        return r < 0 ? r : -EINVAL;
}

int config_text_read(struct config_text *text, const char *path, struct config_errors *errors) {
        return scan_file(text, errors, path, 0, NULL);
}

int config_text_read_string(struct config_text *text, const char *path, const char *string,
                            size_t length, struct config_errors *errors) {
        __attribute__((cleanup(wipe_string))) char *copy = malloc(length + 1);

        if (!copy)
                return -ENOMEM;
        memcpy(copy, string, length);
        copy[length] = '\0';
        return scan_bytes(text, errors, path, 0, copy, length);
}

void config_text_deinit(struct config_text *text) {
        for (size_t i = 0; i < text->n_files; i++)
                free(text->files[i]);
        free(text->files);
        free(text->segments);
        if (text->bytes)
                explicit_bzero(text->bytes, text->length);
        free(text->bytes);
        *text = (struct config_text){0};
}

bool config_text_is_public(const struct config_text *text, unsigned line) {
        struct stat status;
        unsigned of_file;

        return stat(config_text_locate(text, line, &of_file), &status) == 0 &&
               S_ISREG(status.st_mode) && (status.st_mode & S_IROTH);
}

FILE *config_text_open(struct config_text *text) {
        static const char comment[] = {'/', '*', '*', '/'};
        size_t size = text->length + N_COMMENTS * sizeof(comment) + 1;
        char *grown = grow(text->bytes, text->length, size);
        FILE *stream;

        if (!grown)
                return NULL;
        text->bytes = grown;
        text->size = size;
        for (size_t i = 0; i < N_COMMENTS; i++)
                memcpy(grown + text->length + i * sizeof(comment), comment, sizeof(comment));
        grown[size - 1] = '\0';
        stream = fmemopen(grown, size - 1, "r");
        if (stream)
                setvbuf(stream, NULL, _IONBF, 0);
        return stream;
}

const char *config_text_locate(const struct config_text *text, unsigned line, unsigned *linep) {
        const struct config_segment *segment = text->segments;

        for (size_t i = 1; i < text->n_segments && text->segments[i].first_line <= line; i++)
                segment = &text->segments[i];
        *linep = segment->file_line + (line > segment->first_line ? line - segment->first_line : 0);
        return segment->file;
}
