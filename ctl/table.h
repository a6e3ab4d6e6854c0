/* Tables for people: aligned columns that fit the terminal, without surprises in the text.
 *
 * Cells are copied and made printable: names come from clients, and must not speak to the
 * terminal. An allocation that failed is remembered and told by table_print().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct table_column {
        const char *title;
        bool is_right;   /* numbers */
        bool can_shrink; /* may be cut to fit the width */
};

struct table {
        const struct table_column *columns; /* borrowed */
        size_t n_columns;
        char **cells; /* own, row by row */
        size_t n_cells, n_allocated;
        bool has_failed;
};

#define TABLE_INIT(columns)                                                                        \
        { (columns), sizeof(columns) / sizeof((columns)[0]), NULL, 0, 0, false }

struct table_style {
        bool has_titles;
        bool has_color; /* bold titles */
        size_t width;   /* of the terminal; 0: any */
};

void table_deinit(struct table *table);

/* Adds the next cell; NULL is shown as "-". */
void table_add(struct table *table, const char *text);
__attribute__((format(printf, 2, 3))) void table_add_format(struct table *table, const char *format,
                                                            ...);

/* Adds a number in short form (table_format_count()), a number of bytes. */
void table_add_count(struct table *table, uint64_t n);
void table_add_size(struct table *table, uint64_t bytes);

/* Prints all rows. Returns 0 or -ENOMEM. */
int table_print(const struct table *table, FILE *file, const struct table_style *style);

/* A number in at most five digits: "99999", "100k", "12.3M". Room for 16 bytes. Returns text. */
#define TABLE_COUNT_MAX 16
char *table_format_count(char text[TABLE_COUNT_MAX], uint64_t n);

/* Width of the terminal behind a descriptor; 0 if it is none. */
size_t table_terminal_width(int descriptor);
