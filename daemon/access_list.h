/* Which addresses may come: prefixes of IPv4 and IPv6, allowed or denied.
 *
 * The longest prefix that an address is in decides. One that is in none may come, unless there is a
 * list of those that are allowed. Addresses of IPv4 are mapped to IPv6 here (RFC 4291, 2.5.5.2),
 * but prefixes of IPv6 do not hold for them, not even ::/0.
 *
 * A list is filled by one thread and then sealed. After that it never changes, and any thread may
 * ask it; it is freed with its last reference.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>

/* How many prefixes a list can have. */
#define ACCESS_PREFIXES_MAX 65536

/* "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/128" with the NUL. */
#define ACCESS_PREFIX_TEXT_MAX (INET6_ADDRSTRLEN + 4)

/* The addresses whose first bits are the same. */
struct access_prefix {
        struct in6_addr first; /* the lowest one; of IPv4 mapped */
        unsigned length;       /* bits; of IPv4 96 and more */
};

/* Parses "192.0.2.0/24", "2001:db8::/32", or an address, which is a prefix of full length. Returns
 * 0, or -EINVAL with *reasonp, a text for people that the caller frees; NULL: there is no memory.
 */
int access_prefix_parse(struct access_prefix *prefix, const char *text, char **reasonp);

/* Writes a prefix as it is parsed, an address without its length. Returns text. */
char *access_prefix_format(char text[ACCESS_PREFIX_TEXT_MAX], const struct access_prefix *prefix);

struct access_list;

/* An empty list, or NULL if there is no memory. */
struct access_list *access_list_new(void);

/* Nobody may come but who is allowed, from now on. */
void access_list_restrict(struct access_list *list);

/* Adds a prefix. Returns 0, -ENOSPC if there are ACCESS_PREFIXES_MAX, or -ENOMEM. */
int access_list_add(struct access_list *list, const struct access_prefix *prefix, bool is_allowed);

/* An outcome of access_list_seal(): a prefix is allowed and denied. */
enum {
        ACCESS_CONFLICT = 1,
};

/* Ends the filling. Returns 0, ACCESS_CONFLICT with the prefix, or -ENOMEM; unless it is 0, the
 * list can only be freed. */
int access_list_seal(struct access_list *list, struct access_prefix *conflict);

struct access_list *access_list_ref(struct access_list *list);
/* NULL is allowed in both. Returns NULL. */
struct access_list *access_list_unref(struct access_list *list);

/* Whether an address may come; one of IPv4 is mapped. NULL, for a list, admits all. Any thread. */
bool access_list_admits(const struct access_list *list, const struct in6_addr *host);
