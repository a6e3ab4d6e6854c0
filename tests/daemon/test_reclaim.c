/* Deferred freeing: after every reader's quiescent state, not before, and each node once. */
#include "daemon/reclaim.h"

#include "lib/list.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define N_NODES 1000

struct thing {
        struct reclaim_node node;
        _Atomic unsigned n_released;
};

static struct thing things[N_NODES];

static void release(struct reclaim_node *node) {
        atomic_fetch_add(&container_of(node, struct thing, node)->n_released, 1);
}

static int set_up(void **state) {
        for (unsigned i = 0; i < N_NODES; i++)
                atomic_store(&things[i].n_released, 0);
        return 0;
}

static unsigned n_released(void) {
        unsigned n = 0;

        for (unsigned i = 0; i < N_NODES; i++)
                n += atomic_load(&things[i].n_released);
        return n;
}

static void test_nothing_collected_is_nothing_to_do(void **state) {
        /* A batch that freed nothing starts no grace period. */
        struct reclaim reclaim = {NULL};

        reclaim_flush(&reclaim);
        reclaim_drain();
        assert_null(reclaim.first);
}

static void test_each_node_is_released_once(void **state) {
        /* Whether they were handed over one by one or together. */
        struct reclaim reclaim = {NULL};

        for (unsigned i = 0; i < N_NODES; i++) {
                reclaim_later(&reclaim, &things[i].node, release);
                if (i % 7 == 0)
                        reclaim_flush(&reclaim);
        }
        reclaim_flush(&reclaim);
        assert_null(reclaim.first);
        reclaim_drain();
        for (unsigned i = 0; i < N_NODES; i++)
                assert_int_equal(atomic_load(&things[i].n_released), 1);
}

static void test_what_is_collected_waits_for_the_flush(void **state) {
        /* Nothing is freed in the middle of a batch. */
        struct reclaim reclaim = {NULL};

        reclaim_later(&reclaim, &things[0].node, release);
        reclaim_drain();
        assert_int_equal(n_released(), 0);
        reclaim_flush(&reclaim);
        reclaim_drain();
        assert_int_equal(n_released(), 1);
}

/* Two threads that wait for each other. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int step;

static void reach(int to) {
        pthread_mutex_lock(&lock);
        step = to;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
}

static void await(int which) {
        pthread_mutex_lock(&lock);
        while (step < which)
                pthread_cond_wait(&changed, &lock);
        pthread_mutex_unlock(&lock);
}

static bool was_released_early;

static void *read_slowly(void *argument) {
        reclaim_thread_begin();
        reclaim_thread_online();
        reach(1);
        await(2);
        for (unsigned i = 0; i < 1000; i++)
                was_released_early = was_released_early || n_released() > 0;
        reclaim_thread_offline();
        reach(3);
        await(4);
        reclaim_thread_end();
        return NULL;
}

static void test_a_reader_delays_the_release(void **state) {
        /* While it is online nothing that it may have seen is freed; once offline it delays
         * nobody, though it lives on. */
        struct reclaim reclaim = {NULL};
        pthread_t reader;

        step = 0;
        assert_int_equal(pthread_create(&reader, NULL, read_slowly, NULL), 0);
        await(1);
        for (unsigned i = 0; i < N_NODES; i++)
                reclaim_later(&reclaim, &things[i].node, release);
        reclaim_flush(&reclaim);
        reach(2);
        await(3);
        reclaim_drain();
        assert_int_equal(n_released(), N_NODES);
        assert_false(was_released_early);
        reach(4);
        pthread_join(reader, NULL);
}

struct link {
        struct reclaim_node node;
        struct link *next;
};

static _Atomic unsigned n_links;

static void free_link(struct reclaim_node *node) {
        free(container_of(node, struct link, node));
        atomic_fetch_add(&n_links, 1);
}

static void test_releasing_may_free_the_node(void **state) {
        /* The next one is known before. */
        struct reclaim reclaim = {NULL};

        for (unsigned i = 0; i < N_NODES; i++) {
                struct link *link = calloc(1, sizeof(*link));

                assert_non_null(link);
                reclaim_later(&reclaim, &link->node, free_link);
        }
        reclaim_flush(&reclaim);
        reclaim_drain();
        assert_int_equal(atomic_load(&n_links), N_NODES);
}

static _Atomic(uint64_t *) published;
static _Atomic bool writer_done;
static _Atomic unsigned n_wrong;

struct number {
        struct reclaim_node node;
        uint64_t value;
};

static void free_number(struct reclaim_node *node) {
        struct number *number = container_of(node, struct number, node);

        number->value = 0;
        free(number);
}

static void *read_number(void *argument) {
        reclaim_thread_begin();
        do {
                uint64_t *value;

                reclaim_thread_online();
                value = atomic_load_explicit(&published, memory_order_acquire);
                if (*value != 42)
                        atomic_fetch_add(&n_wrong, 1);
                reclaim_thread_offline();
        } while (!atomic_load(&writer_done));
        reclaim_thread_end();
        return NULL;
}

static uint64_t *publish_number(void) {
        struct number *number = calloc(1, sizeof(*number));

        assert_non_null(number);
        number->value = 42;
        return atomic_exchange(&published, &number->value);
}

static void test_readers_never_see_what_was_freed(void **state) {
        /* With two of them at work all the time, while the number is replaced again and again. */
        struct reclaim reclaim = {NULL};
        pthread_t readers[2];

        publish_number();
        for (unsigned i = 0; i < 2; i++)
                assert_int_equal(pthread_create(&readers[i], NULL, read_number, NULL), 0);
        for (unsigned i = 0; i < 20000; i++) {
                uint64_t *old = publish_number();

                reclaim_later(&reclaim, &container_of(old, struct number, value)->node,
                              free_number);
                if (i % 10 == 0)
                        reclaim_flush(&reclaim);
        }
        atomic_store(&writer_done, true);
        for (unsigned i = 0; i < 2; i++)
                pthread_join(readers[i], NULL);
        reclaim_flush(&reclaim);
        reclaim_drain();
        assert_int_equal(atomic_load(&n_wrong), 0);
        free(container_of(atomic_load(&published), struct number, value));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_nothing_collected_is_nothing_to_do),
                cmocka_unit_test_setup(test_each_node_is_released_once, set_up),
                cmocka_unit_test_setup(test_what_is_collected_waits_for_the_flush, set_up),
                cmocka_unit_test_setup(test_a_reader_delays_the_release, set_up),
                cmocka_unit_test(test_releasing_may_free_the_node),
                cmocka_unit_test(test_readers_never_see_what_was_freed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
