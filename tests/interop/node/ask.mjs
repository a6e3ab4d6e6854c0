/* Sends one request with @nats-io/transport-node, and prints the answer.
 *
 * usage: node ask.mjs URL SUBJECT
 *
 * Prints `nobody` if nobody answers; without a connection it ends with a status other than 0. */

import { connect, RequestError } from "@nats-io/transport-node";
import { DEADLINE_MS } from "./waiting.mjs";

const [url, subject] = process.argv.slice(2);
const connection = await connect({ servers: url, reconnect: false });

try {
        console.log((await connection.request(subject, "", { timeout: DEADLINE_MS })).string());
} catch (error) {
        if (!(error instanceof RequestError && error.isNoResponders()))
                throw error;
        console.log("nobody");
} finally {
        await connection.close();
}
