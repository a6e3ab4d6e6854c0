/* The instance: an id of its own, and slots that no two living connections share. */
#include "daemon/instance.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N_SLOTS   8
#define N_THREADS 4
#define N_ROUNDS  20000

/* Slots only hold connections: no more of them is needed than an address. */
static char connections[N_THREADS > N_SLOTS ? N_THREADS : N_SLOTS];

static struct connection *connection_at(size_t i) {
        return (struct connection *)(void *)&connections[i];
}

static void test_each_instance_has_an_id_of_its_own(void **state) {
        /* Of the form that clients know, and one token of a subject; it begins now, with nothing
         * counted. */
        struct instance a, b;

        assert_int_equal(instance_init(&a, "a.name", 1), 0);
        assert_int_equal(instance_init(&b, "b", 1), 0);
        assert_int_equal(strlen(a.id), 56);
        assert_int_equal(a.id[0], 'N');
        assert_int_equal(strspn(a.id, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"), 56);
        assert_string_not_equal(a.id, b.id);
        assert_string_equal(a.name, "a.name");
        assert_true(a.start.tv_sec > 0);
        assert_int_equal(atomic_load(&a.n_connections), 0);
        assert_int_equal(atomic_load(&a.n_total), 0);
        assert_int_equal(atomic_load(&a.last_id), 0);
        assert_false(atomic_load(&a.is_lame_duck));
        instance_deinit(&a);
        instance_deinit(&b);
}

static void test_the_name_is_a_copy(void **state) {
        /* It outlives the configuration that it came from. */
        struct instance instance;
        char name[] = "here";

        assert_int_equal(instance_init(&instance, name, 1), 0);
        name[0] = 'x';
        assert_string_equal(instance.name, "here");
        instance_deinit(&instance);
}

static void test_slots_are_different_and_end(void **state) {
        /* Each connection is found under its number, and one too many is told so. */
        struct instance instance;
        uint32_t slot, slots[N_SLOTS];
        bool seen[N_SLOTS] = {false};

        assert_int_equal(instance_init(&instance, "x", N_SLOTS), 0);
        for (unsigned i = 0; i < N_SLOTS; i++) {
                assert_int_equal(instance_take_slot(&instance, connection_at(i), &slots[i]), 0);
                assert_true(slots[i] < N_SLOTS);
                assert_false(seen[slots[i]]);
                seen[slots[i]] = true;
        }
        for (unsigned i = 0; i < N_SLOTS; i++)
                assert_ptr_equal(instance_find(&instance, slots[i]), connection_at(i));
        slot = 99;
        assert_int_equal(instance_take_slot(&instance, connection_at(0), &slot), -EAGAIN);
        instance_deinit(&instance);
}

static void test_a_hidden_slot_is_not_used_again_yet(void **state) {
        /* Its connection cannot be found any more; the number is free after the grace period. */
        struct instance instance;
        uint32_t first, second, third;

        assert_int_equal(instance_init(&instance, "x", 2), 0);
        assert_int_equal(instance_take_slot(&instance, connection_at(0), &first), 0);
        instance_hide_slot(&instance, first);
        assert_null(instance_find(&instance, first));
        assert_int_equal(instance_take_slot(&instance, connection_at(1), &second), 0);
        assert_int_not_equal(first, second);
        assert_int_equal(instance_take_slot(&instance, connection_at(2), &third), -EAGAIN);
        instance_give_slot(&instance, first);
        assert_int_equal(instance_take_slot(&instance, connection_at(2), &third), 0);
        assert_int_equal(third, first);
        assert_ptr_equal(instance_find(&instance, third), connection_at(2));
        assert_ptr_equal(instance_find(&instance, second), connection_at(1));
        instance_deinit(&instance);
}

static void test_small_numbers_are_used_first(void **state) {
        /* Workers keep arrays of them, which therefore stay as small as there are connections. */
        struct instance instance;
        uint32_t slot;

        assert_int_equal(instance_init(&instance, "x", 1u << 20), 0);
        for (unsigned i = 0; i < 1000; i++) {
                assert_int_equal(instance_take_slot(&instance, connection_at(0), &slot), 0);
                assert_int_equal(slot, 0);
                instance_hide_slot(&instance, slot);
                instance_give_slot(&instance, slot);
        }
        instance_deinit(&instance);
}

static struct instance shared;
static _Atomic unsigned n_wrong;

static void *take_and_give(void *argument) {
        for (unsigned i = 0; i < N_ROUNDS; i++) {
                uint32_t slot;

                if (instance_take_slot(&shared, argument, &slot) < 0) {
                        atomic_fetch_add(&n_wrong, 1);
                        continue;
                }
                if (instance_find(&shared, slot) != argument)
                        atomic_fetch_add(&n_wrong, 1);
                instance_hide_slot(&shared, slot);
                instance_give_slot(&shared, slot);
        }
        return NULL;
}

static void test_workers_take_slots_at_the_same_time(void **state) {
        /* No slot is given out twice, and none is lost. */
        pthread_t threads[N_THREADS];
        uint32_t slot;

        assert_int_equal(instance_init(&shared, "x", N_THREADS), 0);
        for (unsigned i = 0; i < N_THREADS; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, connection_at(i)),
                                 0);
        for (unsigned i = 0; i < N_THREADS; i++)
                pthread_join(threads[i], NULL);
        assert_int_equal(atomic_load(&n_wrong), 0);
        for (unsigned i = 0; i < N_THREADS; i++)
                assert_int_equal(instance_take_slot(&shared, connection_at(i), &slot), 0);
        assert_int_equal(instance_take_slot(&shared, connection_at(0), &slot), -EAGAIN);
        instance_deinit(&shared);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_each_instance_has_an_id_of_its_own),
                cmocka_unit_test(test_the_name_is_a_copy),
                cmocka_unit_test(test_slots_are_different_and_end),
                cmocka_unit_test(test_a_hidden_slot_is_not_used_again_yet),
                cmocka_unit_test(test_small_numbers_are_used_first),
                cmocka_unit_test(test_workers_take_slots_at_the_same_time),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
