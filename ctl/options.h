/* The command line of sockctl: which options there are, and what they were set to. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* One bit for each option that belongs to verbs; a verb states the set that it takes. */
enum {
        OPTION_GLOBAL = 1u << 0,
        OPTION_REPLY = 1u << 1,
        OPTION_HEADER = 1u << 2,
        OPTION_COUNT = 1u << 3,
        OPTION_SHOW_HEADERS = 1u << 4,
        OPTION_QUEUE = 1u << 5,
        OPTION_ECHO = 1u << 6,
        OPTION_SORT = 1u << 7,
        OPTION_STATE = 1u << 8,
        OPTION_BENCH = 1u << 9,
        OPTION_PASSWD = 1u << 10,
        OPTION_NKEY = 1u << 11,
};

enum color { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };
enum json { JSON_OFF, JSON_AUTO, JSON_SHORT, JSON_PRETTY };

#define OPTIONS_HEADERS_SIZE 16384

/* A number that was not given; options_number() puts the verb's own in its place. */
#define OPTIONS_UNSET UINT64_MAX

struct options {
        /* For every verb. */
        const char *ca, *cert, *key; /* files of TLS; NULL: none */
        bool tls_first;
        const char *server; /* borrowed from argv, as all texts here; NULL: default */
        enum json json;
        const char *user, *password_file, *token_file, *nkey; /* three paths */
        int timeout_ms;                                       /* -1: the verb's own */
        bool no_legend;
        bool is_verbose;
        enum color color;
        bool help, version;

        /* For some; the bits above say for which. */
        const char *reply;
        char headers[OPTIONS_HEADERS_SIZE]; /* a header block, complete */
        size_t n_headers;
        uint64_t count; /* OPTIONS_UNSET, as all numbers here */
        bool show_headers;
        const char *queue;
        bool echo;
        const char *sort, *state;
        uint64_t n_messages, size, n_publishers, n_subscribers, n_clients;
        bool request;
        int duration_ms; /* -1: not given */
        const char *subject;
        bool bcrypt, yescrypt;
        uint64_t cost;
        bool public_only;

        char **arguments; /* what is left of argv */
        size_t n_arguments;

        char error[256]; /* why options_parse() failed */
};

static inline uint64_t options_number(uint64_t number, uint64_t own) {
        return number == OPTIONS_UNSET ? own : number;
}

void options_init(struct options *options);

/* Reads options of the `allowed` set from argv, whose first element is skipped as a program's name
 * is. stop: end at the first word that is no option, instead of looking for options behind it.
 * Afterwards `arguments` holds the other words. Returns 0, or -EINVAL with `error` set. Reorders
 * argv; uses getopt_long(3), hence one thread. */
int options_parse(struct options *options, uint32_t allowed, bool stop, int argc, char **argv);

/* Prints one line for each option of a set. */
void options_print_help(FILE *file, uint32_t set);
