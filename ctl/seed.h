/* Files with the seed of an nkey. */
#pragma once

#include "lib/nkey.h"
#include "lib/secret.h"

/* Finds the seed in a text: the first line that is one, be it labelled, as `sockctl nkey` prints
 * it, or not, as other programs do. Returns 0; or -EINVAL and *reasonp, which may be NULL, as
 * nkey_seed_parse(). The caller wipes the seed. */
int seed_find(struct nkey_seed *seed, struct bytes text, const char **reasonp);
