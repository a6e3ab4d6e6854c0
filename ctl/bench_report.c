/* Rates and percentiles of a benchmark that has ended well. */
#include "ctl/bench_report.h"

#include <inttypes.h>
#include <stdlib.h>

#include "ctl/table.h"

#define BAR_WIDTH 40

struct rate {
        uint64_t n;
        double seconds;
};

static size_t count_workers(const struct bench *bench, enum bench_role role) {
        size_t n = 0;

        for (size_t i = 0; i < bench->n_workers; i++)
                n += bench->workers[i].role == role;
        return n;
}

static bool is_request(const struct bench *bench) {
        return count_workers(bench, BENCH_REQUESTER) > 0;
}

static enum bench_role sender_role(const struct bench *bench) {
        return is_request(bench) ? BENCH_REQUESTER : BENCH_PUBLISHER;
}

/* 0 to 1: by messages, or by time where that is the limit. */
static double get_share(const struct bench *bench) {
        uint64_t now_ns = bench_now_ns();
        double share;

        if (bench->deadline_ns != UINT64_MAX)
                share = (double)(now_ns - bench->start_ns) /
                        (double)(bench->deadline_ns - bench->start_ns);
        else
                share = (double)bench_count(bench, sender_role(bench)) / (double)bench->n_messages;
        return share > 1 ? 1 : share;
}

void bench_print_progress(FILE *file, const struct bench *bench) {
        double share = get_share(bench);
        double seconds = (double)(bench_now_ns() - bench->start_ns) / 1e9;
        uint64_t n = bench_count(bench, sender_role(bench));
        char rate[TABLE_COUNT_MAX];
        int filled = (int)(share * BAR_WIDTH);

        fprintf(file, "\r[");
        for (int i = 0; i < BAR_WIDTH; i++)
                fputc(i < filled ? '#' : ' ', file);
        fprintf(file, "] %3.0f%%  %s/s ", share * 100,
                table_format_count(rate, seconds > 0 ? (uint64_t)((double)n / seconds) : 0));
        fflush(file);
}

void bench_clear_progress(FILE *file) {
        fprintf(file, "\r\033[K");
        fflush(file);
}

static struct rate get_rate(const struct bench *bench, enum bench_role role) {
        struct rate rate = {.n = bench_count(bench, role)};
        uint64_t end_ns = bench->start_ns + 1;

        for (size_t i = 0; i < bench->n_workers; i++)
                if (bench->workers[i].role == role && bench->workers[i].end_ns > end_ns)
                        end_ns = bench->workers[i].end_ns;
        rate.seconds = (double)(end_ns - bench->start_ns) / 1e9;
        return rate;
}

static struct histogram *merge_latency(const struct bench *bench) {
        struct histogram *latency = calloc(1, sizeof(*latency));

        for (size_t i = 0; latency && i < bench->n_workers; i++)
                histogram_merge(latency, bench->workers[i].latency);
        return latency;
}

static void print_rate(struct context *context, const struct bench *bench, const char *label,
                       enum bench_role role) {
        struct rate rate = get_rate(bench, role);
        double per_second = (double)rate.n / rate.seconds;

        fprintf(context->out, "%9s  %12.0f msg/s  %9.1f MB/s  %8.3f s  %" PRIu64 " messages\n",
                label, per_second, per_second * (double)bench->size / 1e6, rate.seconds, rate.n);
}

static void print_duration(FILE *file, const char *label, uint64_t ns) {
        if (ns < 10000)
                fprintf(file, "  %s %.2f us", label, (double)ns / 1e3);
        else if (ns < 1000000)
                fprintf(file, "  %s %.0f us", label, (double)ns / 1e3);
        else
                fprintf(file, "  %s %.2f ms", label, (double)ns / 1e6);
}

static const struct {
        const char *label, *name;
        double share;
} percentiles[] = {
        {"p50", "p50", 0.5},
        {"p90", "p90", 0.9},
        {"p99", "p99", 0.99},
        {"p99.9", "p99_9", 0.999},
};

#define N_PERCENTILES (sizeof(percentiles) / sizeof(percentiles[0]))

static void print_latency(struct context *context, const struct histogram *latency) {
        if (latency->n == 0)
                return;
        fprintf(context->out, "%9s", "latency");
        for (size_t i = 0; i < N_PERCENTILES; i++)
                print_duration(context->out, percentiles[i].label,
                               histogram_percentile(latency, percentiles[i].share));
        print_duration(context->out, "max", latency->maximum);
        fputc('\n', context->out);
}

static void print_workers(struct context *context, const struct bench *bench, const char *noun,
                          enum bench_role role) {
        size_t n = count_workers(bench, role);

        fprintf(context->out, "%zu %s%s, ", n, noun, n == 1 ? "" : "s");
}

static void print_text(struct context *context, const struct bench *bench,
                       const struct histogram *latency) {
        if (is_request(bench)) {
                print_workers(context, bench, "requester", BENCH_REQUESTER);
                print_workers(context, bench, "responder", BENCH_RESPONDER);
        } else {
                print_workers(context, bench, "publisher", BENCH_PUBLISHER);
                print_workers(context, bench, "subscriber", BENCH_SUBSCRIBER);
        }
        fprintf(context->out, "%zu byte%s\n", bench->size, bench->size == 1 ? "" : "s");
        if (is_request(bench)) {
                print_rate(context, bench, "answered", BENCH_REQUESTER);
        } else {
                print_rate(context, bench, "published", BENCH_PUBLISHER);
                if (count_workers(bench, BENCH_SUBSCRIBER) > 0)
                        print_rate(context, bench, "delivered", BENCH_SUBSCRIBER);
        }
        print_latency(context, latency);
}

static json_t *rate_to_json(const struct bench *bench, enum bench_role role) {
        struct rate rate = get_rate(bench, role);
        double per_second = (double)rate.n / rate.seconds;

        return json_pack("{s:I,s:f,s:f,s:f,s:i}", "messages", (json_int_t)rate.n, "seconds",
                         rate.seconds, "messages_per_second", per_second, "bytes_per_second",
                         per_second * (double)bench->size, "connections",
                         (int)count_workers(bench, role));
}

static json_t *latency_to_json(const struct histogram *latency) {
        json_t *object = json_pack("{s:I,s:I}", "samples", (json_int_t)latency->n, "max",
                                   (json_int_t)latency->maximum);

        for (size_t i = 0; object && i < N_PERCENTILES; i++) {
                uint64_t ns = histogram_percentile(latency, percentiles[i].share);

                json_object_set_new(object, percentiles[i].name, json_integer((json_int_t)ns));
        }
        return object;
}

static json_t *result_to_json(const struct bench *bench, const struct histogram *latency) {
        bool is_requests = is_request(bench);

        return json_pack("{s:s,s:I,s:o*,s:o*,s:o*,s:o}", "mode",
                         is_requests ? "request" : "publish", "size", (json_int_t)bench->size,
                         "answered", is_requests ? rate_to_json(bench, BENCH_REQUESTER) : NULL,
                         "published", is_requests ? NULL : rate_to_json(bench, BENCH_PUBLISHER),
                         "delivered", is_requests ? NULL : rate_to_json(bench, BENCH_SUBSCRIBER),
                         "latency_ns", latency_to_json(latency));
}

int bench_print_result(struct context *context, const struct bench *bench) {
        struct histogram *latency = merge_latency(bench);
        int code;

        if (!latency)
                return context_fail(context, EXIT_FAILED, "out of memory");
        if (context->options->json) {
                code = context_print_json(context, result_to_json(bench, latency));
        } else {
                print_text(context, bench, latency);
                code = context_flush(context, NULL);
        }
        free(latency);
        return code;
}
