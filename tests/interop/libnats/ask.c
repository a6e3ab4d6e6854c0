/* Sends one request with libnats, and prints the answer.
 *
 * usage: libnats_ask URL SUBJECT [user NAME PASSWORD | token TOKEN | nkey SEED]
 *
 * Prints `nobody` if nobody answers, `refused` if the server does not let it in, and ends with
 * status 1 if there is no connection for another reason. */

#include <err.h>
#include <nats/nats.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEADLINE_MS = 10000 };

static natsStatus sign(char **error, unsigned char **signature, int *length, const char *nonce,
                       void *seed) {
        return nats_Sign(seed, nonce, signature, length);
}

/* The public key of a seed is what `sockctl nkey --public` prints; libnats has no function for it.
 */
static void login(natsOptions *options, char **words) {
        const char *public_key = getenv("NKEY_PUBLIC");
        natsStatus status = NATS_INVALID_ARG;

        if (!words[0])
                return;
        if (strcmp(words[0], "user") == 0)
                status = natsOptions_SetUserInfo(options, words[1], words[2]);
        else if (strcmp(words[0], "token") == 0)
                status = natsOptions_SetToken(options, words[1]);
        else if (strcmp(words[0], "nkey") == 0 && public_key)
                status = natsOptions_SetNKey(options, public_key, sign, words[1]);
        if (status != NATS_OK)
                errx(2, "%s: %s", words[0], natsStatus_GetText(status));
}

int main(int argc, char **argv) {
        natsConnection *connection = NULL;
        natsOptions *options = NULL;
        natsMsg *answer = NULL;
        natsStatus status;

        if (argc < 3 || natsOptions_Create(&options) != NATS_OK ||
            natsOptions_SetURL(options, argv[1]) != NATS_OK)
                errx(2, "usage: libnats_ask URL SUBJECT [user NAME PASSWORD | token TOKEN | nkey "
                        "SEED]");
        login(options, argv + 3);
        status = natsConnection_Connect(&connection, options);
        if (status == NATS_CONNECTION_AUTH_FAILED) {
                puts("refused");
                return 0;
        }
        if (status != NATS_OK)
                errx(1, "%s: %s", argv[1], natsStatus_GetText(status));
        status = natsConnection_RequestString(&answer, connection, argv[2], "", DEADLINE_MS);
        if (status == NATS_OK)
                printf("%.*s\n", natsMsg_GetDataLength(answer), natsMsg_GetData(answer));
        else if (status == NATS_NO_RESPONDERS)
                puts("nobody");
        else
                errx(1, "%s: %s", argv[2], natsStatus_GetText(status));
        natsMsg_Destroy(answer);
        natsConnection_Destroy(connection);
        natsOptions_Destroy(options);
        nats_CloseAndWait(DEADLINE_MS);
        return 0;
}
