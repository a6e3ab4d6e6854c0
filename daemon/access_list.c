/* Lists of prefixes. See access_list.h.
 *
 * Prefixes lie within each other or are apart. So they cut the addresses into ranges, in each of
 * which the same one is the longest: sealing lists where ranges begin, and an address is found by
 * one search through that, however many prefixes there are and however they nest.
 */
#include "daemon/access_list.h"

#include "lib/reason.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ADDRESS_BITS 128
#define MAPPED_BITS  96 /* in front of an address of IPv4 */

struct access_entry {
        struct access_prefix prefix;
        bool is_allowed;
};

/* Goes up to where the next one begins. */
struct access_range {
        struct in6_addr first;
        bool is_allowed;
};

struct access_ranges {
        struct access_range *all; /* owned; the first one begins at :: */
        size_t n;
};

struct access_list {
        _Atomic unsigned n_references;
        bool is_restricted;
        struct access_entry *entries; /* owned; until it is sealed */
        size_t n_entries, n_allocated;
        struct access_ranges ipv4, ipv6; /* once it is sealed */
};

/* --- prefixes --------------------------------------------------------------------------------- */

static bool is_ipv4(const struct access_prefix *prefix) {
        return prefix->length >= MAPPED_BITS && IN6_IS_ADDR_V4MAPPED(&prefix->first);
}

/* Parses an address, which makes a prefix of full length. */
static bool parse_host(struct access_prefix *prefix, const char *text) {
        struct in_addr in;

        prefix->length = ADDRESS_BITS;
        if (inet_pton(AF_INET6, text, &prefix->first) == 1)
                return true;
        if (inet_pton(AF_INET, text, &in) != 1)
                return false;
        prefix->first = (struct in6_addr){.s6_addr = {[10] = 0xff, [11] = 0xff}};
        memcpy(&prefix->first.s6_addr[12], &in, sizeof(in));
        return true;
}

/* Parses a length of at most `most` bits, in decimal. */
static bool parse_length(const char *text, unsigned most, unsigned *lengthp) {
        size_t n = strspn(text, "0123456789");

        if (n < 1 || n > 3 || text[n] != '\0' || (text[0] == '0' && n > 1))
                return false;
        *lengthp = (unsigned)strtoul(text, NULL, 10);
        return *lengthp <= most;
}

/* Sets all bits behind the first ones to 0 or 1. */
static struct in6_addr fill_behind(struct in6_addr address, unsigned length, bool bit) {
        for (unsigned i = length / 8; i < sizeof(address.s6_addr); i++) {
                uint8_t behind = i == length / 8 ? (uint8_t)(0xff >> length % 8) : 0xff;

                if (bit)
                        address.s6_addr[i] |= behind;
                else
                        address.s6_addr[i] &= (uint8_t)~behind;
        }
        return address;
}

static int compare_addresses(const struct in6_addr *a, const struct in6_addr *b) {
        return memcmp(a->s6_addr, b->s6_addr, sizeof(a->s6_addr));
}

int access_prefix_parse(struct access_prefix *prefix, const char *text, char **reasonp) {
        char host[INET6_ADDRSTRLEN], meant[ACCESS_PREFIX_TEXT_MAX];
        const char *slash = strchr(text, '/');
        size_t n = slash ? (size_t)(slash - text) : strlen(text);
        bool is_mapped;
        struct in6_addr first;

        snprintf(host, sizeof(host), "%.*s", (int)(n < sizeof(host) ? n : 0), text);
        if (!parse_host(prefix, host))
                return reason_set(reasonp, -EINVAL,
                                  "expected an address or a prefix, such as \"192.0.2.0/24\" or "
                                  "\"2001:db8::/32\"");
        if (!slash)
                return 0;
        /* In the notation of IPv4 all bits of the length are of that. */
        is_mapped = strchr(host, ':') == NULL;
        if (!parse_length(slash + 1, is_mapped ? ADDRESS_BITS - MAPPED_BITS : ADDRESS_BITS,
                          &prefix->length))
                return reason_set(reasonp, -EINVAL,
                                  "expected a number of bits from 0 to %d behind the slash",
                                  is_mapped ? ADDRESS_BITS - MAPPED_BITS : ADDRESS_BITS);
        if (is_mapped)
                prefix->length += MAPPED_BITS;
        first = fill_behind(prefix->first, prefix->length, false);
        if (compare_addresses(&first, &prefix->first) == 0)
                return 0;
        prefix->first = first;
        return reason_set(reasonp, -EINVAL,
                          "which has more bits than the prefix is long; expected \"%s\" or \"%s\"",
                          access_prefix_format(meant, prefix), host);
}

char *access_prefix_format(char text[ACCESS_PREFIX_TEXT_MAX], const struct access_prefix *prefix) {
        bool is_mapped = is_ipv4(prefix);
        char host[INET6_ADDRSTRLEN];

        if (!inet_ntop(is_mapped ? AF_INET : AF_INET6,
                       is_mapped ? &prefix->first.s6_addr[12] : prefix->first.s6_addr, host,
                       sizeof(host)))
                *host = '\0';
        if (prefix->length == ADDRESS_BITS)
                snprintf(text, ACCESS_PREFIX_TEXT_MAX, "%s", host);
        else
                snprintf(text, ACCESS_PREFIX_TEXT_MAX, "%s/%u", host,
                         prefix->length - (is_mapped ? MAPPED_BITS : 0));
        return text;
}

/* --- filling ---------------------------------------------------------------------------------- */

struct access_list *access_list_new(void) {
        struct access_list *list = calloc(1, sizeof(*list));

        if (list)
                atomic_init(&list->n_references, 1);
        return list;
}

struct access_list *access_list_ref(struct access_list *list) {
        if (list)
                atomic_fetch_add_explicit(&list->n_references, 1, memory_order_relaxed);
        return list;
}

struct access_list *access_list_unref(struct access_list *list) {
        if (!list || atomic_fetch_sub_explicit(&list->n_references, 1, memory_order_acq_rel) != 1)
                return NULL;
        free(list->entries);
        free(list->ipv4.all);
        free(list->ipv6.all);
        free(list);
        return NULL;
}

void access_list_restrict(struct access_list *list) {
        list->is_restricted = true;
}

int access_list_add(struct access_list *list, const struct access_prefix *prefix, bool is_allowed) {
        if (list->n_entries == ACCESS_PREFIXES_MAX)
                return -ENOSPC;
        if (list->n_entries == list->n_allocated) {
                size_t n = list->n_allocated ? list->n_allocated * 2 : 8;
                struct access_entry *entries = reallocarray(list->entries, n, sizeof(*entries));

                if (!entries)
                        return -ENOMEM;
                list->entries = entries;
                list->n_allocated = n;
        }
        list->entries[list->n_entries++] = (struct access_entry){*prefix, is_allowed};
        return 0;
}

/* --- sealing ---------------------------------------------------------------------------------- */

/* Prefixes in the order in which they begin, the one around others before them. */
static int compare_entries(const void *a, const void *b) {
        const struct access_entry *one = a, *other = b;
        int order = compare_addresses(&one->prefix.first, &other->prefix.first);

        return order != 0 ? order : (int)one->prefix.length - (int)other->prefix.length;
}

/* Takes out what stands there twice. Returns 0 or ACCESS_CONFLICT. */
static int unite_entries(struct access_list *list, struct access_prefix *conflict) {
        size_t n = 0;

        for (size_t i = 0; i < list->n_entries; i++) {
                const struct access_entry *entry = &list->entries[i];

                if (n == 0 || compare_entries(&list->entries[n - 1], entry) != 0) {
                        list->entries[n++] = *entry;
                } else if (list->entries[n - 1].is_allowed != entry->is_allowed) {
                        *conflict = entry->prefix;
                        return ACCESS_CONFLICT;
                }
        }
        list->n_entries = n;
        return 0;
}

/* From this address on it is so. What began there before does not begin, and what is the same as
 * before goes on. */
static void ranges_begin(struct access_ranges *ranges, const struct in6_addr *first,
                         bool is_allowed) {
        if (ranges->n > 0 && compare_addresses(&ranges->all[ranges->n - 1].first, first) == 0)
                ranges->n--;
        if (ranges->n == 0 || ranges->all[ranges->n - 1].is_allowed != is_allowed)
                ranges->all[ranges->n++] = (struct access_range){*first, is_allowed};
}

/* The prefixes around the place that has been reached, the longest last. */
struct nest {
        const struct access_entry *around[ADDRESS_BITS + 1];
        size_t n;
        bool is_allowed; /* what holds outside of all */
};

/* Makes of the last address of a prefix the one behind it. Returns false if there is none. */
static bool step(struct in6_addr *address) {
        for (size_t i = sizeof(address->s6_addr); i-- > 0;)
                if (++address->s6_addr[i] != 0)
                        return true;
        return false;
}

/* Leaves the prefixes that end before `next`; all, if that is NULL. */
static void nest_leave(struct nest *nest, struct access_ranges *ranges,
                       const struct in6_addr *next) {
        while (nest->n > 0) {
                const struct access_prefix *prefix = &nest->around[nest->n - 1]->prefix;
                struct in6_addr end = fill_behind(prefix->first, prefix->length, true);

                if (next && compare_addresses(next, &end) <= 0)
                        return;
                nest->n--;
                if (step(&end))
                        ranges_begin(ranges, &end,
                                     nest->n > 0 ? nest->around[nest->n - 1]->is_allowed
                                                 : nest->is_allowed);
        }
}

/* Cuts the addresses of one family into ranges. */
static int cut(const struct access_list *list, struct access_ranges *ranges, bool of_ipv4) {
        struct nest nest = {.is_allowed = !list->is_restricted};

        /* Each prefix begins a range, and another one begins behind it. */
        ranges->all = calloc(2 * list->n_entries + 1, sizeof(*ranges->all));
        if (!ranges->all)
                return -ENOMEM;
        ranges_begin(ranges, &in6addr_any, nest.is_allowed);
        for (size_t i = 0; i < list->n_entries; i++) {
                const struct access_entry *entry = &list->entries[i];

                if (is_ipv4(&entry->prefix) != of_ipv4)
                        continue;
                nest_leave(&nest, ranges, &entry->prefix.first);
                ranges_begin(ranges, &entry->prefix.first, entry->is_allowed);
                nest.around[nest.n++] = entry;
        }
        nest_leave(&nest, ranges, NULL);
        return 0;
}

int access_list_seal(struct access_list *list, struct access_prefix *conflict) {
        int r;

        if (list->n_entries > 0)
                qsort(list->entries, list->n_entries, sizeof(*list->entries), compare_entries);
        r = unite_entries(list, conflict);
        if (r == 0)
                r = cut(list, &list->ipv4, true);
        if (r == 0)
                r = cut(list, &list->ipv6, false);
        free(list->entries);
        list->entries = NULL;
        list->n_entries = list->n_allocated = 0;
        return r;
}

/* --- asking ----------------------------------------------------------------------------------- */

bool access_list_admits(const struct access_list *list, const struct in6_addr *host) {
        const struct access_ranges *ranges;
        size_t low = 0, high;

        if (!list)
                return true;
        ranges = IN6_IS_ADDR_V4MAPPED(host) ? &list->ipv4 : &list->ipv6;
        /* The last one that does not begin behind it. */
        for (high = ranges->n; high - low > 1;) {
                size_t middle = low + (high - low) / 2;

                if (compare_addresses(&ranges->all[middle].first, host) <= 0)
                        low = middle;
                else
                        high = middle;
        }
        return ranges->all[low].is_allowed;
}
