/* Whether a core dump of a process would have a text in it, or a number.
 *
 *      dumpable PID TEXT
 *      dumpable -x PID DIGITS
 *
 * Prints how often the text stands in the memory of the process, but for the mappings that the
 * kernel would leave out (MADV_DONTDUMP). With -x it is bytes, two hexadecimal digits each, and it
 * is counted in the reverse order as well. Needs the right to trace the process.
 */
#include <err.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What is looked for. */
struct needle {
        const char *bytes;
        size_t length;
};

static size_t count(const char *bytes, size_t n, struct needle needle) {
        const char *at = bytes, *end = bytes + n;
        size_t n_found = 0;

        while ((at = memmem(at, (size_t)(end - at), needle.bytes, needle.length))) {
                n_found++;
                at++;
        }
        return n_found;
}

/* What cannot be read, such as the kernel's own page, is not dumped either. */
static size_t count_mapping(FILE *memory, uintptr_t from, uintptr_t to,
                            const struct needle needles[2]) {
        size_t n_found = 0, n_read, n = to - from;
        char *bytes = malloc(n);

        if (!bytes)
                err(1, "malloc");
        if (fseeko(memory, (off_t)from, SEEK_SET) == 0) {
                n_read = fread(bytes, 1, n, memory);
                for (size_t i = 0; i < 2 && needles[i].bytes; i++)
                        n_found += count(bytes, n_read, needles[i]);
        }
        free(bytes);
        return n_found;
}

/* The bytes that the digits stand for, and the same from behind. */
static void read_digits(const char *digits, struct needle needles[2]) {
        size_t n = strlen(digits) / 2;
        char *bytes = malloc(2 * n);

        if (!bytes || n == 0 || strlen(digits) != 2 * n)
                errx(2, "dumpable: pairs of hexadecimal digits are needed");
        for (size_t i = 0; i < n; i++) {
                const char pair[] = {digits[2 * i], digits[2 * i + 1], '\0'};
                char *end;

                bytes[i] = (char)strtoul(pair, &end, 16);
                if (*end)
                        errx(2, "dumpable: %s: no hexadecimal digits", pair);
                bytes[2 * n - 1 - i] = bytes[i];
        }
        needles[0] = (struct needle){bytes, n};
        needles[1] = (struct needle){bytes + n, n};
}

static FILE *open_file(const char *pid, const char *name) {
        char path[64];
        FILE *file;

        snprintf(path, sizeof(path), "/proc/%.20s/%s", pid, name);
        file = fopen(path, "re");
        if (!file)
                err(1, "%s", path);
        return file;
}

int main(int argc, char **argv) {
        bool has_digits = argc > 1 && strcmp(argv[1], "-x") == 0;
        struct needle needles[2] = {{NULL, 0}, {NULL, 0}};
        uintptr_t from = 0, to = 0;
        FILE *smaps, *memory;
        size_t n_found = 0;
        char line[4096];

        argv += has_digits;
        if (argc != 3 + has_digits)
                errx(2, "usage: dumpable PID TEXT | dumpable -x PID DIGITS");
        if (has_digits)
                read_digits(argv[2], needles);
        else
                needles[0] = (struct needle){argv[2], strlen(argv[2])};
        smaps = open_file(argv[1], "smaps");
        memory = open_file(argv[1], "mem");
        while (fgets(line, sizeof(line), smaps)) {
                uintptr_t first, last;
                char readable;

                if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %c", &first, &last, &readable) == 3) {
                        from = first;
                        to = readable == 'r' ? last : first;
                } else if (strncmp(line, "VmFlags:", 8) == 0 && !strstr(line, " dd")) {
                        n_found += count_mapping(memory, from, to, needles);
                }
        }
        printf("%zu\n", n_found);
        if (has_digits)
                free((char *)(uintptr_t)needles[0].bytes);
        fclose(memory);
        fclose(smaps);
        return 0;
}
