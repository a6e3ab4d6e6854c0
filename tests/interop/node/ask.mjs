/* Sends one request with @nats-io/transport-node, and prints the answer.
 *
 * usage: node ask.mjs URL SUBJECT [user NAME PASSWORD | token TOKEN | nkey SEED]
 *
 * Prints `nobody` if nobody answers, `refused` if the server does not let it in; without a
 * connection it ends with a status other than 0. */

import { AuthorizationError, connect, nkeyAuthenticator, RequestError } from "@nats-io/transport-node";
import { DEADLINE_MS } from "./waiting.mjs";

const [url, subject, method, ...words] = process.argv.slice(2);
const login = {
        user: (user, pass) => ({ user, pass }),
        token: (token) => ({ token }),
        nkey: (seed) => ({ authenticator: nkeyAuthenticator(new TextEncoder().encode(seed)) }),
};

async function ask() {
        const connection = await connect({
                servers: url,
                reconnect: false,
                ...(method ? login[method](...words) : {}),
        });

        try {
                return (await connection.request(subject, "", { timeout: DEADLINE_MS })).string();
        } finally {
                await connection.close();
        }
}

try {
        console.log(await ask());
} catch (error) {
        if (error instanceof RequestError && error.isNoResponders())
                console.log("nobody");
        else if (error instanceof AuthorizationError)
                console.log("refused");
        else
                throw error;
}
