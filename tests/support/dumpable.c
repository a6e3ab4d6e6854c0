/* Whether a core dump of a process would have a text in it.
 *
 *      dumpable PID TEXT
 *
 * Prints how often the text stands in the memory of the process, but for the mappings that the
 * kernel would leave out (MADV_DONTDUMP). Needs the right to trace the process.
 */
#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static size_t count(const char *bytes, size_t n, const char *text) {
        size_t n_found = 0, n_text = strlen(text);
        const char *at = bytes, *end = bytes + n;

        while ((at = memmem(at, (size_t)(end - at), text, n_text))) {
                n_found++;
                at++;
        }
        return n_found;
}

/* What cannot be read, such as the kernel's own page, is not dumped either. */
static size_t count_mapping(FILE *memory, uintptr_t from, uintptr_t to, const char *text) {
        size_t n_found = 0, n = to - from;
        char *bytes = malloc(n);

        if (!bytes)
                err(1, "malloc");
        if (fseeko(memory, (off_t)from, SEEK_SET) == 0)
                n_found = count(bytes, fread(bytes, 1, n, memory), text);
        free(bytes);
        return n_found;
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
        uintptr_t from = 0, to = 0;
        FILE *smaps, *memory;
        size_t n_found = 0;
        char line[4096];

        if (argc != 3)
                errx(2, "usage: dumpable PID TEXT");
        smaps = open_file(argv[1], "smaps");
        memory = open_file(argv[1], "mem");
        while (fgets(line, sizeof(line), smaps)) {
                uintptr_t first, last;
                char readable;

                if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %c", &first, &last, &readable) == 3) {
                        from = first;
                        to = readable == 'r' ? last : first;
                } else if (strncmp(line, "VmFlags:", 8) == 0 && !strstr(line, " dd")) {
                        n_found += count_mapping(memory, from, to, argv[2]);
                }
        }
        printf("%zu\n", n_found);
        fclose(memory);
        fclose(smaps);
        return 0;
}
