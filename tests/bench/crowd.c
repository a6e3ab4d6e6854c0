/* Many connections, many subscriptions. */
#include "tests/bench/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One SUB of a crowd. Wildcards come in all shapes. Returns the end of the line. */
static char *crowd_line(char *to, long i, bool is_wildcard) {
        switch (is_wildcard ? i % 5 : 5) {
        case 0:
                return to + sprintf(to, "SUB crowd.%ld.* c%ld\r\n", i, i);
        case 1:
                return to + sprintf(to, "SUB crowd.*.%ld c%ld\r\n", i, i);
        case 2:
                return to + sprintf(to, "SUB *.crowd.%ld c%ld\r\n", i, i);
        case 3:
                return to + sprintf(to, "SUB crowd.%ld.> c%ld\r\n", i, i);
        case 4:
                return to + sprintf(to, "SUB *.%ld.> c%ld\r\n", i, i);
        default:
                return to + sprintf(to, "SUB crowd.%ld.x c%ld\r\n", i, i);
        }
}

static char *crowd_lines(long n, bool is_wildcard, size_t *lengthp) {
        char *lines = malloc((size_t)n * 64 + 1), *end = lines;

        for (long i = 0; i < n; i++)
                end = crowd_line(end, i, is_wildcard);
        *end = '\0';
        *lengthp = (size_t)(end - lines);
        return lines;
}

int open_crowd(long n, bool is_wildcard) {
        size_t length;
        char *lines = crowd_lines(n, is_wildcard, &length);
        int fd = open_client("", NULL);

        write_all(fd, lines, length);
        synchronize(fd);
        free(lines);
        return fd;
}

void run_connect(void) {
        struct measurement measurement = measure();
        long n = *parameter("messages");

        for (long i = 0; i < n; i++)
                (void)close(open_client("", NULL));
        report(&measurement, (double)n);
}

void run_idle(void) {
        long n = *parameter("connections"), before = server_memory();
        struct measurement measurement = measure();
        char line[64];

        for (long i = 0; i < n; i++) {
                (void)snprintf(line, sizeof(line), "SUB idle.%ld 1\r\n", i);
                (void)open_client(line, NULL);
        }
        report(&measurement, (double)n);
        printf(" memory=%.0f", (double)(server_memory() - before) / (double)n);
}

void run_subscribe(void) {
        long n = *parameter("wildcards") ? *parameter("wildcards") : *parameter("messages");
        long before;
        size_t length;
        char *lines = crowd_lines(n, *parameter("wildcards") > 0, &length);
        int fd = open_client("", NULL);
        struct measurement measurement;

        before = server_memory();
        measurement = measure();
        write_all(fd, lines, length);
        synchronize(fd);
        report(&measurement, (double)n);
        printf(" memory=%.0f", (double)(server_memory() - before) / (double)n);
}
