/* Stages: one for each connection that a batch touches, other workers' first, used again. */
#include "daemon/stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define N_CONNECTIONS 300

/* Stages only compare connections: no more of them is needed than an address. */
static char connections[N_CONNECTIONS];

static struct connection *connection_at(size_t i) {
        return (struct connection *)(void *)&connections[i];
}

static struct stage *add(struct stages *stages, uint32_t slot, bool is_own) {
        struct stage *stage = stages_add(stages, connection_at(slot % N_CONNECTIONS), slot, is_own);

        assert_non_null(stage);
        return stage;
}

static unsigned count_next(struct stages *stages) {
        struct stage *next[N_CONNECTIONS];

        return stages_next(stages, next, N_CONNECTIONS);
}

static void test_a_stage_is_found_by_slot(void **state) {
        /* Only those that were touched, however large the number. */
        static const uint32_t slots[] = {0, 1, 63, 64, 299, 100000};
        struct stages stages;

        stages_init(&stages);
        for (size_t i = 0; i < 6; i++) {
                struct stage *stage;

                assert_null(stages_find(&stages, slots[i]));
                stage = add(&stages, slots[i], true);
                assert_ptr_equal(stages_find(&stages, slots[i]), stage);
        }
        assert_null(stages_find(&stages, 2));
        assert_null(stages_find(&stages, 99999));
        assert_null(stages_find(&stages, UINT32_MAX));
        for (size_t i = 0; i < 6; i++) {
                struct stage *stage = stages_find(&stages, slots[i]);

                assert_non_null(stage);
                assert_ptr_equal(stage->connection, connection_at(slots[i] % N_CONNECTIONS));
                stages_remove(&stages, stage, slots[i]);
                assert_null(stages_find(&stages, slots[i]));
        }
        assert_int_equal(count_next(&stages), 0);
        stages_deinit(&stages);
}

static void test_connections_of_other_workers_come_first(void **state) {
        /* So that what a PONG confirms is on its way when the PONG is; each kind in the order in
         * which it was touched. */
        static const uint32_t expected[] = {2, 3, 1, 4};
        struct stages stages;

        stages_init(&stages);
        add(&stages, 1, true);
        add(&stages, 2, false);
        add(&stages, 3, false);
        add(&stages, 4, true);
        for (size_t i = 0; i < 4;) {
                struct stage *next[3];
                unsigned n = stages_next(&stages, next, 3);

                assert_int_equal(n, i == 0 ? 3 : 1);
                for (unsigned j = 0; j < n; j++, i++) {
                        assert_ptr_equal(next[j], stages_find(&stages, expected[i]));
                        stages_remove(&stages, next[j], expected[i]);
                }
        }
        assert_int_equal(count_next(&stages), 0);
        stages_deinit(&stages);
}

static void test_a_stage_begins_empty(void **state) {
        /* Whatever its last connection left in it. */
        struct stages stages;
        struct stage *stage;

        stages_init(&stages);
        stage = add(&stages, 1, true);
        assert_int_equal(outbox_append(&stage->outbox, BYTES("left over")), 0);
        stage->n_messages = 1;
        stage->n_payload_bytes = 9;
        stages_remove(&stages, stage, 1);
        stage = add(&stages, 2, false);
        assert_true(outbox_is_empty(&stage->outbox));
        assert_int_equal(stage->n_messages, 0);
        assert_int_equal(stage->n_payload_bytes, 0);
        assert_ptr_equal(stage->connection, connection_at(2));
        stages_remove(&stages, stage, 2);
        stages_deinit(&stages);
}

static void test_some_stages_are_kept_for_the_next_batch(void **state) {
        /* One at a time costs one stage, and a batch that touched many keeps only a few of them. */
        struct stages stages;
        struct stage *first;

        stages_init(&stages);
        first = add(&stages, 7, true);
        stages_remove(&stages, first, 7);
        for (uint32_t slot = 0; slot < 100; slot++) {
                assert_ptr_equal(add(&stages, slot, slot % 2), first);
                stages_remove(&stages, first, slot);
        }
        for (uint32_t slot = 0; slot < N_CONNECTIONS; slot++)
                add(&stages, slot, slot % 2);
        assert_int_equal(stages.n_pool, 0);
        for (uint32_t slot = 0; slot < N_CONNECTIONS; slot++)
                stages_remove(&stages, stages_find(&stages, slot), slot);
        assert_in_range(stages.n_pool, 1, 64);
        stages_deinit(&stages);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_stage_is_found_by_slot),
                cmocka_unit_test(test_connections_of_other_workers_come_first),
                cmocka_unit_test(test_a_stage_begins_empty),
                cmocka_unit_test(test_some_stages_are_kept_for_the_next_batch),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
