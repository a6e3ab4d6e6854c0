/* Replays inputs without a fuzzing engine: each argument is a file, or a folder of files. Output is
 * TAP, a test for each input. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned n_tests;

static int replay_file(const char *path) {
        FILE *file = fopen(path, "rb");
        struct stat status;
        uint8_t *data;
        size_t n;

        if (!file || fstat(fileno(file), &status) < 0) {
                perror(path);
                return 1;
        }
        data = malloc((size_t)status.st_size + 1);
        n = data ? fread(data, 1, (size_t)status.st_size, file) : 0;
        (void)fclose(file);
        (void)LLVMFuzzerTestOneInput(data, n);
        free(data);
        printf("ok %u - %s\n", ++n_tests, path);
        return 0;
}

static int replay(const char *path) {
        DIR *directory = opendir(path);
        struct dirent *entry;
        int failed = 0;

        if (!directory)
                return replay_file(path);
        while ((entry = readdir(directory)) != NULL) {
                char name[4096];

                if (entry->d_name[0] == '.')
                        continue;
                snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
                failed |= replay_file(name);
        }
        (void)closedir(directory);
        return failed;
}

int main(int argc, char **argv) {
        int failed = 0;

        for (int i = 1; i < argc; i++)
                failed |= replay(argv[i]);
        printf("1..%u\n", n_tests);
        return failed || n_tests == 0;
}
