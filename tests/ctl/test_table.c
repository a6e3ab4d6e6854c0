/* Tables: alignment, width, and what becomes of text from outside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "ctl/table.h"

static const struct table_column columns[] = {
        {.title = "ID", .is_right = true},
        {.title = "NAME", .can_shrink = true},
        {.title = "IDLE"},
};

static void assert_prints(struct table *table, struct table_style style, const char *expected) {
        char *text = NULL;
        size_t n;
        FILE *file = open_memstream(&text, &n);

        assert_int_equal(table_print(table, file, &style), 0);
        fclose(file);
        assert_string_equal(text, expected);
        free(text);
        table_deinit(table);
}

static void add_row(struct table *table, const char *id, const char *name, const char *idle) {
        table_add(table, id);
        table_add(table, name);
        table_add(table, idle);
}

static void test_columns_are_aligned(void **state) {
        struct table table = TABLE_INIT(columns);

        add_row(&table, "7", "ü", "5s");
        add_row(&table, "12345", "someone", NULL);
        assert_prints(&table, (struct table_style){.has_titles = true},
                      "   ID  NAME     IDLE\n"
                      "    7  ü        5s\n"
                      "12345  someone  -\n");
}

static void test_titles_can_be_left_out_or_bold(void **state) {
        struct table table = TABLE_INIT(columns);

        add_row(&table, "7", "a", "5s");
        assert_prints(&table, (struct table_style){.has_titles = false}, "7  a  5s\n");
        add_row(&table, "7", "a", "5s");
        assert_prints(&table, (struct table_style){.has_titles = true, .has_color = true},
                      "\033[1mID  NAME  IDLE\033[0m\n 7  a     5s\n");
}

static void test_long_text_is_cut_to_the_width(void **state) {
        struct table table = TABLE_INIT(columns);

        add_row(&table, "7", "äbcdefghijklmnopqrstuvwxyz", "5s");
        assert_prints(&table, (struct table_style){.has_titles = false, .width = 20},
                      "7  äbcdefghijkl…  5s\n");
}

static void test_nothing_from_outside_reaches_the_terminal(void **state) {
        struct table table = TABLE_INIT(columns);

        add_row(&table, "7", "\033[2Jx\ny\xff", "");
        assert_prints(&table, (struct table_style){.has_titles = false}, "7  ?[2Jx y?  -\n");
}

static void test_an_empty_table_prints_nothing(void **state) {
        struct table table = TABLE_INIT(columns);

        assert_prints(&table, (struct table_style){.has_titles = false}, "");
}

static void test_counts_have_at_most_five_digits(void **state) {
        static const struct {
                uint64_t n;
                const char *text;
        } cases[] = {
                {0, "0"},           {99999, "99999"},      {100000, "100k"},   {123456, "123k"},
                {999499, "999k"},   {999500, "1.00M"},     {1234567, "1.23M"}, {12345678, "12.3M"},
                {99960000, "100M"}, {UINT64_MAX, "18.4E"},
        };
        char text[TABLE_COUNT_MAX];

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                assert_string_equal(table_format_count(text, cases[i].n), cases[i].text);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_columns_are_aligned),
                cmocka_unit_test(test_titles_can_be_left_out_or_bold),
                cmocka_unit_test(test_long_text_is_cut_to_the_width),
                cmocka_unit_test(test_nothing_from_outside_reaches_the_terminal),
                cmocka_unit_test(test_an_empty_table_prints_nothing),
                cmocka_unit_test(test_counts_have_at_most_five_digits),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
