/* Addresses for the helpers of tests. See target.h. */
#include "tests/support/target.h"

#include <err.h>
#include <stdlib.h>

enum address_scheme target_resolve(const char *text, bool is_passive, struct address_socket *to) {
        struct address_socket *sockets;
        struct address address;
        const char *reason = NULL;
        size_t n;

        if (address_parse(&address, text, &reason) < 0 ||
            address_resolve(&address, is_passive, &sockets, &n, &reason) < 0)
                errx(2, "%s: %s", text, reason);
        *to = sockets[0];
        free(sockets);
        return address.scheme;
}
