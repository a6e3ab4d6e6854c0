/* The stage for a case: connections, subscriptions and what they have received, in few words. */

import { connect } from "@nats-io/transport-node";

const url = process.argv[2];

export const DEADLINE_MS = 20000;

/* waiting */

export async function within_deadline(promise, what) {
        let timer;
        const late = new Promise((_, reject) => {
                timer = setTimeout(() => reject(new Error(`no ${what} in time`)), DEADLINE_MS);
        });
        try {
                return await Promise.race([promise, late]);
        } finally {
                clearTimeout(timer);
        }
}

/* A list that grows by events, and tells whoever waits for its length. */
export class Collector {
        items = [];
        #expected = Infinity;
        #reached = () => {};

        add(item) {
                this.items.push(item);
                if (this.items.length >= this.#expected)
                        this.#reached();
        }

        async until(n, what = `${n} items`) {
                if (this.items.length < n)
                        await within_deadline(new Promise((resolve) => {
                                this.#expected = n;
                                this.#reached = resolve;
                        }), what);
                this.#expected = Infinity;
                return this.items;
        }
}

/* connections and subscriptions */

export function flush(connection) {
        return within_deadline(connection.flush(), "pong");
}

export class Scene {
        #connections = [];

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
                        servers: url, timeout: DEADLINE_MS, ...this.options, ...options,
                });
                this.#connections.push(connection);
                return connection;
        }

        async close() {
                for (const connection of this.#connections)
                        await connection.close();
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
                this.receiver.subscribe(subject, { callback: (_, message) => how(message) });
                await flush(this.receiver);
        }
}

export function collect(connection, subject, options = {}) {
        const messages = new Collector();
        const callback = (error, message) => messages.add(error ?? message);
        messages.subscription = connection.subscribe(subject, { ...options, callback });
        return messages;
}
