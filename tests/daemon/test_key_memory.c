/* Memory for keys: what of OpenSSL's is in it, that it is not in core dumps, is wiped and used
 * again, and has an end. */
#include "daemon/key_memory.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants those four first. */
#include <cmocka.h>

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define TEXT "hunter2 hunter2 hunter2 hunter2"

/* Whether a core dump would leave the address out, by its mapping in smaps. */
static bool is_left_out(const void *pointer) {
        FILE *smaps = fopen("/proc/self/smaps", "re");
        bool is_inside = false, is_left_out = false;
        char line[512];

        assert_non_null(smaps);
        while (fgets(line, sizeof(line), smaps)) {
                uintptr_t from, to;

                if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2)
                        is_inside = from <= (uintptr_t)pointer && (uintptr_t)pointer < to;
                else if (is_inside && strncmp(line, "VmFlags:", 8) == 0)
                        is_left_out = strstr(line, " dd") != NULL;
        }
        fclose(smaps);
        return is_left_out;
}

static void *key_malloc(size_t n_bytes) {
        void *pointer;

        key_memory_begin();
        pointer = OPENSSL_malloc(n_bytes);
        key_memory_end();
        return pointer;
}

static void test_only_what_is_begun_is_left_out(void **state) {
        void *before = OPENSSL_malloc(64), *between, *nested, *still, *after;

        key_memory_begin();
        between = OPENSSL_zalloc(64);
        key_memory_begin();
        nested = OPENSSL_malloc(64);
        key_memory_end();
        still = OPENSSL_malloc(64);
        key_memory_end();
        after = OPENSSL_malloc(64);
        assert_false(is_left_out(before));
        assert_true(is_left_out(between));
        assert_true(is_left_out(nested));
        assert_true(is_left_out(still));
        assert_false(is_left_out(after));
        OPENSSL_free(before);
        OPENSSL_free(between);
        OPENSSL_free(nested);
        OPENSSL_free(still);
        OPENSSL_free(after);
}

static void *allocate_elsewhere(void *context) {
        return OPENSSL_malloc(64);
}

static void test_other_threads_are_not_concerned(void **state) {
        void *pointer = NULL;
        pthread_t thread;

        key_memory_begin();
        assert_int_equal(pthread_create(&thread, NULL, allocate_elsewhere, NULL), 0);
        assert_int_equal(pthread_join(thread, &pointer), 0);
        key_memory_end();
        assert_false(is_left_out(pointer));
        OPENSSL_free(pointer);
}

static void test_freed_memory_is_wiped_and_used_again(void **state) {
        char *first = key_malloc(100), *second;
        static const char zeroes[100];

        memset(first, 'x', 100);
        OPENSSL_free(first);
        assert_memory_equal(first, zeroes, 100);
        second = key_malloc(90);
        assert_ptr_equal(second, first);
        OPENSSL_free(second);
}

static void test_what_grows_stays(void **state) {
        char *small = key_malloc(sizeof(TEXT)), *large;

        strcpy(small, TEXT);
        large = OPENSSL_realloc(small, 100000);
        assert_true(is_left_out(large));
        assert_string_equal(large, TEXT);
        assert_int_equal(small[0], 0);
        small = OPENSSL_realloc(large, sizeof(TEXT));
        assert_true(is_left_out(small));
        assert_string_equal(small, TEXT);
        OPENSSL_free(small);
        assert_null(OPENSSL_realloc(key_malloc(1), 0));
}

static void test_what_grows_meanwhile_moves_in(void **state) {
        char *text = OPENSSL_strdup(TEXT);

        key_memory_begin();
        text = OPENSSL_realloc(text, 1000);
        key_memory_end();
        assert_true(is_left_out(text));
        assert_string_equal(text, TEXT);
        OPENSSL_free(text);
}

static void test_ordinary_memory_is_as_ever(void **state) {
        char *text = OPENSSL_realloc(NULL, sizeof(TEXT));

        strcpy(text, TEXT);
        text = OPENSSL_realloc(text, 1000);
        assert_string_equal(text, TEXT);
        assert_null(OPENSSL_realloc(text, 0));
        assert_null(OPENSSL_malloc(0));
        OPENSSL_free(NULL);
}

static void test_blocks_are_apart_whatever_their_size(void **state) {
        char *blocks[200];

        for (size_t i = 0; i < 200; i++) {
                blocks[i] = key_malloc(1 + i * 7);
                assert_int_equal((uintptr_t)blocks[i] % 16, 0);
                memset(blocks[i], (int)i, 1 + i * 7);
        }
        for (size_t i = 0; i < 200; i++) {
                for (size_t k = 0; k < 1 + i * 7; k++)
                        assert_int_equal((unsigned char)blocks[i][k], i);
                OPENSSL_free(blocks[i]);
        }
}

static void test_it_has_an_end(void **state) {
        static void *blocks[KEY_MEMORY_SIZE / (KEY_MEMORY_BLOCK_MAX / 2)];
        size_t n = 0, n_max = sizeof(blocks) / sizeof(blocks[0]);

        assert_null(key_malloc(KEY_MEMORY_BLOCK_MAX));
        assert_null(key_malloc(SIZE_MAX));
        while (n < n_max && (blocks[n] = key_malloc(KEY_MEMORY_BLOCK_MAX / 2 - 16)) != NULL)
                n++;
        assert_in_range(n, n_max / 2, n_max - 1);
        while (n-- > 0)
                OPENSSL_free(blocks[n]);
        blocks[0] = key_malloc(KEY_MEMORY_BLOCK_MAX / 2 - 16);
        assert_non_null(blocks[0]);
        OPENSSL_free(blocks[0]);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_only_what_is_begun_is_left_out),
                cmocka_unit_test(test_other_threads_are_not_concerned),
                cmocka_unit_test(test_freed_memory_is_wiped_and_used_again),
                cmocka_unit_test(test_what_grows_stays),
                cmocka_unit_test(test_what_grows_meanwhile_moves_in),
                cmocka_unit_test(test_ordinary_memory_is_as_ever),
                cmocka_unit_test(test_blocks_are_apart_whatever_their_size),
                cmocka_unit_test(test_it_has_an_end),
        };

        if (!key_memory_install())
                return 1;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
