/* Aligned columns. Width is counted in code points, as names in other scripts are rare enough. */
#include "ctl/table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib/text.h"
#include "lib/units.h"

#define LEAST_WIDTH 8
#define GAP         2

void table_deinit(struct table *table) {
        for (size_t i = 0; i < table->n_cells; i++)
                free(table->cells[i]);
        free(table->cells);
        table->cells = NULL;
        table->n_cells = table->n_allocated = 0;
}

/* Takes text over; NULL stands for an allocation that failed. */
static void add(struct table *table, char *text) {
        if (!text) {
                table->has_failed = true;
                return;
        }
        if (table->n_cells == table->n_allocated) {
                size_t n = table->n_allocated ? table->n_allocated * 2 : 64;
                char **cells = reallocarray(table->cells, n, sizeof(*cells));

                if (!cells) {
                        free(text);
                        table->has_failed = true;
                        return;
                }
                table->cells = cells;
                table->n_allocated = n;
        }
        text_make_printable(text, strlen(text));
        table->cells[table->n_cells++] = text;
}

void table_add(struct table *table, const char *text) {
        add(table, strdup(text && *text ? text : "-"));
}

void table_add_format(struct table *table, const char *format, ...) {
        char *text = NULL;
        va_list arguments;

        va_start(arguments, format);
        if (vasprintf(&text, format, arguments) < 0)
                text = NULL;
        va_end(arguments);
        add(table, text);
}

void table_add_count(struct table *table, uint64_t n) {
        char text[TABLE_COUNT_MAX];

        table_add(table, table_format_count(text, n));
}

void table_add_size(struct table *table, uint64_t bytes) {
        char text[UNITS_TEXT_MAX];

        table_add(table, units_format_size_approximate(text, bytes));
}

char *table_format_count(char text[TABLE_COUNT_MAX], uint64_t n) {
        static const char units[] = "kMGTPE";
        double value = (double)n;
        int i = -1;

        if (n < 100000) {
                snprintf(text, TABLE_COUNT_MAX, "%u", (unsigned)n);
                return text;
        }
        /* 999.5 would be rounded to 1000. */
        while (value >= 999.5) {
                value /= 1000;
                i++;
        }
        snprintf(text, TABLE_COUNT_MAX, "%.*f%c",
                 value < 9.995   ? 2
                 : value < 99.95 ? 1
                                 : 0,
                 value, units[i]);
        return text;
}

size_t table_terminal_width(int descriptor) {
        struct winsize size;

        if (ioctl(descriptor, TIOCGWINSZ, &size) < 0)
                return 0;
        return size.ws_col;
}

static bool begins_character(char byte) {
        return ((unsigned char)byte & 0xc0) != 0x80;
}

static size_t text_width(const char *text) {
        size_t n = 0;

        for (; *text; text++)
                n += begins_character(*text);
        return n;
}

static size_t total_width(const struct table *table, const size_t *widths) {
        size_t total = (table->n_columns - 1) * GAP;

        for (size_t i = 0; i < table->n_columns; i++)
                total += widths[i];
        return total;
}

/* Takes from the widest column that may be cut, until the line fits or nothing is left to cut. */
static void shrink(const struct table *table, size_t *widths, size_t width) {
        while (width > 0 && total_width(table, widths) > width) {
                size_t *widest = NULL;

                for (size_t i = 0; i < table->n_columns; i++)
                        if (table->columns[i].can_shrink && widths[i] > LEAST_WIDTH &&
                            (!widest || widths[i] > *widest))
                                widest = &widths[i];
                if (!widest)
                        return;
                (*widest)--;
        }
}

static size_t *measure(const struct table *table, const struct table_style *style) {
        size_t *widths = calloc(table->n_columns, sizeof(*widths));

        if (!widths)
                return NULL;
        for (size_t i = 0; style->has_titles && i < table->n_columns; i++)
                widths[i] = text_width(table->columns[i].title);
        for (size_t i = 0; i < table->n_cells; i++) {
                size_t n = text_width(table->cells[i]);

                if (n > widths[i % table->n_columns])
                        widths[i % table->n_columns] = n;
        }
        shrink(table, widths, style->width);
        return widths;
}

static void print_spaces(FILE *file, size_t n) {
        while (n-- > 0)
                fputc(' ', file);
}

/* Prints at most `width` characters, the last one an ellipsis if text was cut. */
static void print_cut(FILE *file, const char *text, size_t width) {
        size_t n = 0;

        if (text_width(text) <= width) {
                fputs(text, file);
                return;
        }
        for (; *text; text++) {
                n += begins_character(*text);
                if (n == width)
                        break;
                fputc(*text, file);
        }
        fputs("…", file);
}

static void print_cell(const struct table *table, FILE *file, const char *text, size_t column,
                       const size_t *widths) {
        size_t n = text_width(text);
        size_t padding = n < widths[column] ? widths[column] - n : 0;
        bool is_last = column + 1 == table->n_columns;

        if (table->columns[column].is_right)
                print_spaces(file, padding);
        print_cut(file, text, widths[column]);
        if (!table->columns[column].is_right && !is_last)
                print_spaces(file, padding);
        if (!is_last)
                print_spaces(file, GAP);
}

static void print_titles(const struct table *table, FILE *file, const struct table_style *style,
                         const size_t *widths) {
        if (style->has_color)
                fputs("\033[1m", file);
        for (size_t i = 0; i < table->n_columns; i++)
                print_cell(table, file, table->columns[i].title, i, widths);
        fputs(style->has_color ? "\033[0m\n" : "\n", file);
}

int table_print(const struct table *table, FILE *file, const struct table_style *style) {
        size_t *widths;

        if (table->has_failed)
                return -ENOMEM;
        widths = measure(table, style);
        if (!widths)
                return -ENOMEM;
        if (style->has_titles)
                print_titles(table, file, style, widths);
        for (size_t i = 0; i < table->n_cells; i++) {
                print_cell(table, file, table->cells[i], i % table->n_columns, widths);
                if ((i + 1) % table->n_columns == 0)
                        fputc('\n', file);
        }
        free(widths);
        return 0;
}
