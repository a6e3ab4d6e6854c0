/* Time, and what the server uses of the machine. */
#include "tests/bench/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t clock_ns(clockid_t clock) {
        struct timespec now;

        if (clock_gettime(clock, &now) < 0)
                return 0;
        return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t now_ns(void) {
        return clock_ns(CLOCK_MONOTONIC);
}

/* Processor time of the server, in nanoseconds. */
static uint64_t server_cpu_ns(void) {
        clockid_t clock;
        long pid = *parameter("pid");

        return pid > 0 && clock_getcpuclockid((pid_t)pid, &clock) == 0 ? clock_ns(clock) : 0;
}

long server_memory(void) {
        char path[64], line[256];
        long kilobytes = 0;
        FILE *file;

        (void)snprintf(path, sizeof(path), "/proc/%ld/status", *parameter("pid"));
        file = fopen(path, "re");
        if (!file)
                return 0;
        while (fgets(line, sizeof(line), file))
                if (sscanf(line, "VmRSS: %ld", &kilobytes) == 1)
                        break;
        (void)fclose(file);
        return kilobytes * 1024;
}

struct measurement measure(void) {
        return (struct measurement){.begin_cpu_ns = server_cpu_ns(), .begin_ns = now_ns()};
}

void report(const struct measurement *measurement, double count) {
        double seconds = (double)(now_ns() - measurement->begin_ns) / 1e9;
        double cpu = (double)(server_cpu_ns() - measurement->begin_cpu_ns) / 1e9;

        printf("rate=%.0f cpu=%.4f", count / seconds, cpu / count * 1e6);
}

static int compare(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return (x > y) - (x < y);
}

void report_latencies(uint64_t *latencies, long n) {
        qsort(latencies, (size_t)n, sizeof(*latencies), compare);
        printf(" p50=%.1f p99=%.1f", (double)latencies[n / 2] / 1e3,
               (double)latencies[n * 99 / 100] / 1e3);
}
