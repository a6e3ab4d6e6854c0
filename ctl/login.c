/* Logging in. Secrets come from files only: what is on a command line anyone can see. See login.h.
 */
#include "ctl/login.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/seed.h"

/* What the option says, else the variable of the environment; NULL: neither. */
static const char *setting(const char *option, const char *variable) {
        const char *value = option ? option : getenv(variable);

        return value && *value ? value : NULL;
}

static int load(struct context *context, const char *path, struct secret **secretp) {
        char *reason = NULL;
        int code = EXIT_DONE;

        if (secret_from_file(secretp, path, &reason) < 0)
                code = context_fail(context, EXIT_FAILED, "%s: %s", path,
                                    reason ? reason : "out of memory");
        free(reason);
        return code;
}

static int fail_memory(struct context *context) {
        return context_fail(context, EXIT_FAILED, "out of memory");
}

static int set_user(struct context *context) {
        const char *user = setting(context->options->user, "SOCKD_USER");
        const char *path = setting(context->options->password_file, "SOCKD_PASSWORD_FILE");
        struct secret *password = NULL;
        int code = EXIT_DONE;

        if (path && !user)
                return context_fail(context, EXIT_USAGE,
                                    "there is a file with a password, \"%s\", but no user; --user "
                                    "or $SOCKD_USER was expected",
                                    path);
        if (path)
                code = load(context, path, &password);
        if (code == EXIT_DONE && user &&
            sockd_set_login(context->connection, user,
                            password ? secret_text(password).data : NULL) < 0)
                code = fail_memory(context);
        secret_free(password);
        return code;
}

static int set_token(struct context *context) {
        const char *path = setting(context->options->token_file, "SOCKD_TOKEN_FILE");
        struct secret *token = NULL;
        int code = path ? load(context, path, &token) : EXIT_DONE;

        if (token && sockd_set_token(context->connection, secret_text(token).data) < 0)
                code = fail_memory(context);
        secret_free(token);
        return code;
}

static int sign(void *data, const char *nonce, size_t n_nonce, char *signature, size_t size) {
        const struct login *login = data;

        if (size < NKEY_SIGNATURE_TEXT_SIZE)
                return -ENOBUFS;
        return nkey_sign(&login->seed, (struct bytes){nonce, n_nonce}, signature);
}

static int load_seed(struct context *context, const char *path, struct nkey_seed *seed) {
        struct secret *text = NULL;
        int code = load(context, path, &text);
        const char *reason;

        if (text && seed_find(seed, secret_text(text), &reason) < 0)
                code = context_fail(context, EXIT_FAILED, "%s: %s", path, reason);
        secret_free(text);
        return code;
}

static int set_nkey(struct login *login, struct context *context) {
        const char *path = setting(context->options->nkey, "SOCKD_NKEY");
        char text[NKEY_PUBLIC_TEXT_SIZE];
        struct nkey_public key;
        int code;

        if (!path)
                return EXIT_DONE;
        code = load_seed(context, path, &login->seed);
        if (code)
                return code;
        if (nkey_seed_public(&login->seed, &key) < 0)
                return context_fail(context, EXIT_FAILED, "%s: OpenSSL fails", path);
        nkey_public_format(text, &key);
        if (sockd_set_nkey(context->connection, text, sign, login) < 0)
                return fail_memory(context);
        return EXIT_DONE;
}

int login_prepare(struct login *login, struct context *context) {
        int code = set_user(context);

        *login = (struct login){0};
        if (code == EXIT_DONE)
                code = set_token(context);
        return code == EXIT_DONE ? set_nkey(login, context) : code;
}

void login_deinit(struct login *login, struct context *context) {
        (void)sockd_set_nkey(context->connection, NULL, NULL, NULL);
        explicit_bzero(login, sizeof(*login));
}
