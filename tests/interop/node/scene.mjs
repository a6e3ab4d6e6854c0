/* The stage for a case: connections, subscriptions and what they have received, in few words. */

import assert from "node:assert/strict";
import { connect, RequestError } from "@nats-io/transport-node";
import { Peer } from "./peer.mjs";
import { Collector, DEADLINE_MS, within_deadline } from "./waiting.mjs";

const [url, udp_port] = process.argv.slice(2);

/* With what ../run.sh has made, if it has. */
const { INTEROP_CA, INTEROP_CERT, INTEROP_KEY } = process.env;
const tls = INTEROP_CA
        ? { tls: { caFile: INTEROP_CA, certFile: INTEROP_CERT, keyFile: INTEROP_KEY } }
        : {};

/* Thrown by a case that cannot run here. */
export class Skip extends Error {
}

/* connections and subscriptions */

export function flush(connection) {
        return within_deadline(connection.flush(), "pong");
}

export class Scene {
        #connections = [];
        #peers = [];

        constructor(options) {
                this.options = options;
        }

        async open() {
                this.sender = await this.connect();
                this.receiver = await this.connect();
                return this;
        }

        async connect(options = {}) {
                const connection = await connect({
                        servers: url, timeout: DEADLINE_MS, ...tls, ...this.options, ...options,
                });
                this.#connections.push(connection);
                return connection;
        }

        /* A peer that speaks to the server by UDP. */
        async peer() {
                if (!udp_port)
                        throw new Skip("the server has no datagrams");
                const peer = new Peer();
                this.#peers.push(peer);
                await peer.open(udp_port);
                return peer;
        }

        async close() {
                for (const connection of this.#connections)
                        await connection.close();
                for (const peer of this.#peers)
                        peer.close();
        }

        /* Afterwards all that the sender has published is with the receiver's library. */
        async settle() {
                await flush(this.sender);
                await flush(this.receiver);
        }

        /* The receiver subscribes, and the server knows it when this returns. */
        async subscribe(subject, options = {}) {
                const messages = collect(this.receiver, subject, options);
                await flush(this.receiver);
                return messages;
        }

        async answer(subject, how) {
                const callback = (_, message) => how(message);
                const subscription = this.receiver.subscribe(subject, { callback });
                await flush(this.receiver);
                return subscription;
        }
}

export function collect(connection, subject, options = {}) {
        const messages = new Collector();
        const callback = (error, message) => messages.add(error ?? message);
        messages.subscription = connection.subscribe(subject, { ...options, callback });
        return messages;
}

/* expectations */

export async function expect(messages, expected) {
        const received = await messages.until(expected.length, "message");
        assert.deepEqual(received.map((message) => [message.subject, message.string()]), expected);
}

export async function expect_no_responders(connection, noMux) {
        const request = connection.request("nobody.here", "x", { timeout: DEADLINE_MS, noMux });
        const start = Date.now();
        await assert.rejects(request, (error) =>
                error instanceof RequestError && error.isNoResponders());
        assert.ok(Date.now() - start < DEADLINE_MS / 2);
}
