/* Fuzzes addresses: whatever is read has a canonical text, which is read back as the same. */
#include "lib/address.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const uint8_t *data, size_t size) {
        char formatted[ADDRESS_TEXT_MAX], again[ADDRESS_TEXT_MAX];
        struct address address, other;
        const char *reason = NULL;
        char *text = malloc(size + 1);

        if (!text)
                return;
        memcpy(text, data, size);
        text[size] = '\0';
        if (address_parse(&address, text, &reason) < 0) {
                if (!reason)
                        abort();
        } else {
                address_format(&address, formatted);
                if (address_parse(&other, formatted, NULL) < 0 ||
                    !address_is_equal(&address, &other) ||
                    strcmp(address_format(&other, again), formatted) != 0)
                        abort();
        }
        free(text);
}

/* The same bytes as a name that the kernel gave us. */
static void check_socket(const uint8_t *data, size_t size) {
        struct sockaddr_storage storage = {0};
        char text[ADDRESS_TEXT_MAX];

        if (size < sizeof(sa_family_t) || size > sizeof(storage))
                return;
        memcpy(&storage, data, size);
        storage.ss_family = data[0] % 3 == 0 ? AF_UNIX : data[0] % 3 == 1 ? AF_INET : AF_INET6;
        if (strlen(address_format_socket(ADDRESS_TCP, (struct sockaddr *)&storage, (socklen_t)size,
                                         text)) >= ADDRESS_TEXT_MAX)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        check_text(data, size);
        check_socket(data, size);
        return 0;
}
