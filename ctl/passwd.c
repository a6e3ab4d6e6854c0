/* passwd: a password in, its hash out; libcrypt does the work.
 *
 * yescrypt unless told otherwise, which takes memory as well as time of who guesses; bcrypt is for
 * configurations that nats-server reads as well.
 */
#include "ctl/passwd.h"

#include <crypt.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/prompt.h"

struct method {
        const char *name, *prefix;
        uint64_t least, most, own; /* costs */
        size_t length_max;         /* of a password, what is beyond would not count */
};

static const struct method yescrypt = {"yescrypt", "$y$", 1, 11, 5, CRYPT_MAX_PASSPHRASE_SIZE};
static const struct method bcrypt = {"bcrypt", "$2b$", 4, 31, 11, 72};

/* The hash, to be freed; NULL with errno set. */
static char *make_hash(const struct method *method, uint64_t cost, const struct secret *password) {
        char *setting = crypt_gensalt_ra(method->prefix, (unsigned long)cost, NULL, 0);
        char *hash = NULL;
        void *data = NULL;
        int size = 0;

        if (setting)
                hash = crypt_ra(secret_text(password).data, setting, &data, &size);
        hash = hash ? strdup(hash) : NULL;
        free(setting);
        if (data)
                explicit_bzero(data, (size_t)size);
        free(data);
        return hash;
}

static int print_hash(struct context *context, const struct method *method, uint64_t cost,
                      const struct secret *password) {
        char *hash = make_hash(method, cost, password);
        int code;

        if (!hash)
                return context_fail(context, EXIT_FAILED, "%s of cost %" PRIu64 ": %s",
                                    method->name, cost, strerror(errno));
        if (context->options->json)
                code = context_print_json(context, json_pack("{s:s}", "hash", hash));
        else
                code = context_say(context, "%s", hash);
        free(hash);
        return code;
}

int passwd_run(struct context *context) {
        const struct options *options = context->options;
        const struct method *method = options->bcrypt ? &bcrypt : &yescrypt;
        uint64_t cost = options_number(options->cost, method->own);
        struct secret *password = NULL;
        int code;

        if (options->bcrypt && options->yescrypt)
                return context_fail(context, EXIT_USAGE,
                                    "--bcrypt and --yescrypt: one of them was expected");
        if (cost < method->least || cost > method->most)
                return context_fail(context, EXIT_USAGE,
                                    "--cost \"%" PRIu64 "\": %" PRIu64 " to %" PRIu64
                                    " was expected, for %s",
                                    cost, method->least, method->most, method->name);
        code = prompt_secret(context, "Password: ", "The same again: ", &password);
        if (code)
                return code;
        if (secret_text(password).length > method->length_max)
                code = context_fail(context, EXIT_FAILED,
                                    "the password is longer than %zu bytes, of which %s sees no "
                                    "more",
                                    method->length_max, method->name);
        else
                code = print_hash(context, method, cost, password);
        secret_free(password);
        return code;
}
