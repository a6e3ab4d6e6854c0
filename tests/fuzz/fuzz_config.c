/* Fuzzes the configuration: any file is either read whole or refused with lines that say why. */
#include "daemon/config.h"
#include "lib/text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libconfig 1.5 leaks the string in front of some syntax errors. */
const char *__lsan_default_suppressions(void) {
        return "leak:libconfig.so\n";
}

/* The file lives in memory; its descriptor is kept for all inputs. */
static const char *write_input(const uint8_t *data, size_t size) {
        static char path[64];
        static int fd = -1;

        if (fd < 0) {
                fd = memfd_create("sockd.conf", MFD_CLOEXEC);
                snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        }
        if (fd < 0 || ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
                return NULL;
        return path;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const char *path = write_input(data, size);
        struct config_errors errors = {0};
        struct config *config = NULL;
        int r;

        if (!path)
                return 0;
        r = config_load(&config, path, NULL, 0, &errors);
        if ((r == 0) != (config != NULL) || (r == 0) != (errors.n_lines == 0))
                abort();
        for (size_t i = 0; i < errors.n_lines; i++)
                if (!text_is_printable(errors.lines[i], strlen(errors.lines[i])))
                        abort();
        if (config && (config->n_listeners == 0 || config->server.workers == 0 ||
                       config->server.max_payload > config->server.max_pending))
                abort();
        config_unref(config);
        config_errors_deinit(&errors);
        return 0;
}
