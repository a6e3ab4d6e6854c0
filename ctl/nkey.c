/* nkey: makes a key pair, or tells the public key of a seed. What is printed has labels, so that
 * nobody takes the one for the other; the whole is what --nkey reads. */
#include "ctl/nkey.h"

#include <stdlib.h>
#include <string.h>

#include "ctl/prompt.h"
#include "ctl/seed.h"

static int print_pair(struct context *context, const struct nkey_seed *seed, const char *public) {
        char text[NKEY_SEED_TEXT_SIZE];
        int code;

        nkey_seed_format(text, seed);
        if (context->options->json) {
                code = context_print_json(context,
                                          json_pack("{s:s,s:s}", "seed", text, "public", public));
        } else {
                fprintf(context->out, "seed: %s\npublic: %s\n", text, public);
                code = context_flush(context, NULL);
        }
        explicit_bzero(text, sizeof(text));
        return code;
}

static int print_public(struct context *context, const char *public) {
        if (context->options->json)
                return context_print_json(context, json_pack("{s:s}", "public", public));
        return context_say(context, "%s", public);
}

/* Prints the public key of a seed, and, if it is new, the seed as well. */
static int print_key(struct context *context, const struct nkey_seed *seed, bool is_new) {
        char public[NKEY_PUBLIC_TEXT_SIZE];
        struct nkey_public key;
        int r = nkey_seed_public(seed, &key);

        if (r < 0)
                return context_fail(context, EXIT_FAILED, "OpenSSL fails: %s", strerror(-r));
        nkey_public_format(public, &key);
        return is_new ? print_pair(context, seed, public) : print_public(context, public);
}

static int load_text(struct context *context, const char *path, struct secret **textp) {
        char *reason = NULL;
        int code = EXIT_DONE;

        if (!path || strcmp(path, "-") == 0)
                return prompt_secret(context, "Seed: ", NULL, textp);
        if (secret_from_file(textp, path, &reason) < 0)
                code = context_fail(context, EXIT_FAILED, "%s: %s", path,
                                    reason ? reason : "out of memory");
        free(reason);
        return code;
}

static int load_seed(struct context *context, const char *path, struct nkey_seed *seed) {
        struct secret *text = NULL;
        int code = load_text(context, path, &text);
        const char *reason;

        if (code == EXIT_DONE && seed_find(seed, secret_text(text), &reason) < 0)
                code = context_fail(context, EXIT_FAILED, "%s: %s", path ? path : "-", reason);
        secret_free(text);
        return code;
}

int nkey_run(struct context *context) {
        const char *path = context_argument(context, 0);
        bool is_new = !context->options->public_only;
        struct nkey_seed seed;
        int code = EXIT_DONE, r;

        if (is_new && path)
                return context_fail(context, EXIT_USAGE,
                                    "\"%s\": a file is only read with --public", path);
        r = is_new ? nkey_seed_new(&seed) : 0;
        if (r < 0)
                code = context_fail(context, EXIT_FAILED, "no random numbers: %s", strerror(-r));
        else if (!is_new)
                code = load_seed(context, path, &seed);
        if (code == EXIT_DONE)
                code = print_key(context, &seed, is_new);
        explicit_bzero(&seed, sizeof(seed));
        return code;
}
