/* Numbers as letters and digits: there and back, and what is none. */
#include "lib/base62.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants those four first. */
#include <cmocka.h>

static void test_numbers_come_back(void **state) {
        static const uint64_t numbers[] = {0, 1, 61, 62, 3844, 56800235583u, 839299365868340223u};
        char text[10];

        for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
                base62_write(text, sizeof(text), numbers[i]);
                assert_int_equal(base62_read((struct bytes){text, sizeof(text)}), numbers[i]);
        }
        base62_write(text, 6, 62);
        assert_memory_equal(text, "010000", 6);
        base62_write(text, 6, UINT64_MAX);
        assert_true(base62_read((struct bytes){text, 6}) < 56800235584u);
}

static void test_what_is_no_number_is_refused(void **state) {
        assert_true(base62_read(BYTES("")) == UINT64_MAX);
        assert_true(base62_read(BYTES("00.0")) == UINT64_MAX);
        assert_true(base62_read((struct bytes){"0\0", 2}) == UINT64_MAX);
        assert_true(base62_read(BYTES("\xff")) == UINT64_MAX);
        assert_true(base62_read(BYTES("00000000000")) == UINT64_MAX);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_numbers_come_back),
                cmocka_unit_test(test_what_is_no_number_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
