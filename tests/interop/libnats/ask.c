/* Sends one request with libnats, and prints the answer.
 *
 * usage: libnats_ask URL SUBJECT
 *
 * Prints `nobody` if nobody answers, and ends with status 1 if there is no connection. */

#include <err.h>
#include <nats/nats.h>
#include <stdio.h>

enum { DEADLINE_MS = 10000 };

int main(int argc, char **argv) {
        natsConnection *connection = NULL;
        natsMsg *answer = NULL;
        natsStatus status;

        if (argc != 3)
                errx(2, "usage: libnats_ask URL SUBJECT");
        status = natsConnection_ConnectTo(&connection, argv[1]);
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
        nats_CloseAndWait(DEADLINE_MS);
        return 0;
}
