/* A peer without a library: a UDP socket, and the bytes of the protocol. They are written as texts
 * in which each character is a byte. */

import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { Collector, within_deadline } from "./waiting.mjs";

const INFO = /^INFO \{.*\}\s*$/;

export class Peer {
        #socket = createSocket("udp4");
        #received = new Collector();
        #n_taken = 0;

        async open(port) {
                this.#socket.on("message", (bytes) => this.#received.add(bytes.toString("latin1")));
                this.#socket.on("error", (error) => this.#received.add(String(error)));
                await within_deadline(new Promise((resolve) =>
                        this.#socket.connect(port, "127.0.0.1", resolve)), "UDP socket");
                return this;
        }

        close() {
                this.#socket.close();
        }

        /* Sends this in one datagram. */
        send(...operations) {
                this.#socket.send(Buffer.from(operations.join(""), "latin1"));
        }

        /* The next datagram that comes. */
        async next() {
                const received = await this.#received.until(this.#n_taken + 1, "datagram");
                return received[this.#n_taken++];
        }

        /* These datagrams come next. */
        async expect(...datagrams) {
                for (const datagram of datagrams)
                        assert.equal(await this.next(), datagram);
        }

        async expect_info() {
                assert.match(await this.next(), INFO);
        }

        /* The next two datagrams are INFO, the answer to a CONNECT, and this, the answer of a
         * service to a request that stood behind it. Either may come first: different workers of
         * the server send them. */
        async expect_info_and(datagram) {
                const both = [await this.next(), await this.next()];
                const [info, answer] = both[0] === datagram ? both.reverse() : both;
                assert.match(info, INFO);
                assert.equal(answer, datagram);
        }

        /* Sends this and a PING; what comes next is the PONG. */
        async send_and_sync(...operations) {
                this.send(...operations, "PING\r\n");
                await this.expect("PONG\r\n");
        }
}
