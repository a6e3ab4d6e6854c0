/* The log of closed connections: a ring that keeps the newest, and owns its texts. */
#include "daemon/closed_log.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct closed_log closed_log;

static int set_up(void **state) {
        return closed_log_init(&closed_log);
}

static int tear_down(void **state) {
        closed_log_deinit(&closed_log);
        return 0;
}

static void add(uint64_t id) {
        struct closed_connection closed = {.id = id, .reason = REASON_CLIENT_CLOSED};
        char text[32];

        snprintf(text, sizeof(text), "name-%llu", (unsigned long long)id);
        closed.name = strdup(text);
        closed.user = strdup("nob");
        closed.listener = strdup("local");
        closed_log_add(&closed_log, &closed);
}

struct seen {
        uint64_t first, last, count;
        bool is_wrong;
};

static void see(const struct closed_connection *closed, void *context) {
        struct seen *seen = context;
        char text[32];

        snprintf(text, sizeof(text), "name-%llu", (unsigned long long)closed->id);
        seen->is_wrong = seen->is_wrong || (seen->count > 0 && closed->id != seen->last + 1) ||
                         strcmp(closed->name, text) != 0 || closed->lang || closed->version ||
                         strcmp(closed->user, "nob") != 0 ||
                         strcmp(closed->listener, "local") != 0 ||
                         strcmp(closed->reason, REASON_CLIENT_CLOSED) != 0;
        if (seen->count++ == 0)
                seen->first = closed->id;
        seen->last = closed->id;
}

static void check(uint64_t first, uint64_t count) {
        struct seen seen = {.first = 0};

        closed_log_visit(&closed_log, see, &seen);
        assert_int_equal(seen.count, count);
        assert_false(seen.is_wrong);
        if (count == 0)
                return;
        assert_int_equal(seen.first, first);
        assert_int_equal(seen.last, first + count - 1);
}

static void test_an_empty_log_visits_nobody(void **state) {
        /* Those places of the ring that were never used are no connections. */
        check(0, 0);
}

static void test_connections_are_visited_oldest_first(void **state) {
        /* With all that was known of them. */
        for (uint64_t id = 1; id <= 3; id++)
                add(id);
        check(1, 3);
}

static void test_the_oldest_goes_when_the_ring_is_full(void **state) {
        /* The newest 10,000 stay, in order, wherever the ring begins; a sanitizer sees texts that
         * are not freed, or freed twice. */
        for (uint64_t id = 1; id <= CLOSED_LOG_MAX; id++)
                add(id);
        check(1, CLOSED_LOG_MAX);
        add(CLOSED_LOG_MAX + 1);
        check(2, CLOSED_LOG_MAX);
        for (uint64_t id = CLOSED_LOG_MAX + 2; id <= 2 * CLOSED_LOG_MAX + 500; id++)
                add(id);
        check(CLOSED_LOG_MAX + 501, CLOSED_LOG_MAX);
}

static void *add_many(void *argument) {
        for (unsigned i = 0; i < 2000; i++) {
                struct closed_connection closed = {.reason = REASON_KICKED, .name = strdup("x")};

                closed_log_add(&closed_log, &closed);
        }
        return NULL;
}

static void count_one(const struct closed_connection *closed, void *context) {
        ++*(uint64_t *)context;
}

static void test_workers_add_at_the_same_time(void **state) {
        /* None is lost, also while somebody asks. */
        pthread_t threads[4];
        uint64_t n;

        for (unsigned i = 0; i < 4; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, add_many, NULL), 0);
        n = 0;
        closed_log_visit(&closed_log, count_one, &n);
        assert_in_range(n, 0, 8000);
        for (unsigned i = 0; i < 4; i++)
                pthread_join(threads[i], NULL);
        n = 0;
        closed_log_visit(&closed_log, count_one, &n);
        assert_int_equal(n, 8000);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_an_empty_log_visits_nobody),
                TEST(test_connections_are_visited_oldest_first),
                TEST(test_the_oldest_goes_when_the_ring_is_full),
                TEST(test_workers_add_at_the_same_time),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
