/* Who sockctl says it is, where the kernel does not vouch for it. */
#pragma once

#include "ctl/context.h"
#include "lib/nkey.h"

struct login {
        struct nkey_seed seed; /* if there is an nkey */
};

/* Gives the connection what the options --user, --password-file, --token-file and --nkey, or the
 * variables of the same name in the environment, say. The login has to live until after the
 * connection was made, and to be deinitialised in any case.
 * Returns EXIT_DONE, or a code after having said why. */
int login_prepare(struct login *login, struct context *context);

/* Wipes; the connection signs nothing any more. */
void login_deinit(struct login *login, struct context *context);
