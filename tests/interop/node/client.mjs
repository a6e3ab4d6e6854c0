/* Proves that JavaScript programs written for nats-server work with the server under test as they
 * are.
 *
 * Each case does with @nats-io/transport-node, which is not ours, what its title says, over
 * connections of its own. Nothing here knows the protocol, but for the peers of datagrams.mjs: what
 * the library makes of the server's answers is what is judged.
 *
 * usage: node client.mjs URL [PORT]
 *
 * PORT is the server's UDP port on 127.0.0.1; cases that need one are skipped if it has none.
 *
 * Prints TAP, and the lines STOP and START when the server has to go away and to come back; see
 * ../run.sh, which does that. Every wait is for an event, until a deadline. */

import assert from "node:assert/strict";
import { headers, TimeoutError } from "@nats-io/transport-node";
import { add_datagram_cases } from "./datagrams.mjs";
import { add_service_cases } from "./services.mjs";
import { collect, expect, expect_no_responders, flush, Scene, Skip } from "./scene.mjs";
import { Collector, DEADLINE_MS, within_deadline } from "./waiting.mjs";

const LARGE_BYTES = 1024 * 1024; // the default max_payload

/* messages */

function publish_numbers(connection, subject, n) {
        for (let number = 0; number < n; number++)
                connection.publish(subject, String(number));
}

function assert_in_order(messages, n) {
        assert.equal(messages.items.length, n);
        messages.items.forEach((message, i) => assert.equal(message.string(), String(i)));
}

/* Reproducible bytes, among them NUL, CR and LF. */
function large_payload(seed) {
        const bytes = new Uint8Array(LARGE_BYTES);
        for (let i = 0; i < bytes.length; i++) {
                seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
                bytes[i] = seed >>> 24;
        }
        return bytes;
}

/* Where no restart is expected, a lost connection stays lost, and the case fails. */
const cases = [];
const test = (title, run) => cases.push({ title, run, options: { reconnect: false } });
const restart_test = (title, run) => cases.push({ title, run, options: {
        maxReconnectAttempts: -1, reconnectTimeWait: 20, reconnectJitter: 0,
} });

/* the cases */

test("the server introduces itself", async ({ sender, receiver }) => {
        assert.match(sender.info.version, /^\d+\.\d+\.\d+/);
        assert.equal(sender.info.proto, 1);
        assert.equal(sender.info.headers, true);
        assert.equal(sender.info.max_payload, LARGE_BYTES);
        assert.equal(sender.info.client_ip, "127.0.0.1");
        assert.equal(sender.info.server_id, receiver.info.server_id);
        assert.ok(sender.info.client_id < receiver.info.client_id);
});

test("a message reaches its subscribers", async (scene) => {
        const one = await scene.subscribe("news.today");
        const two = await scene.subscribe("news.today");
        const other = await scene.subscribe("news.yesterday");
        scene.sender.publish("news.today", "hello");
        scene.sender.publish("news.today");
        await expect(one, [["news.today", "hello"], ["news.today", ""]]);
        await expect(two, [["news.today", "hello"], ["news.today", ""]]);
        await scene.settle();
        await expect(other, []);
});

test("an iterator gets the messages until it is unsubscribed", async ({ sender, receiver }) => {
        const subscription = receiver.subscribe("news");
        const received = [];
        await flush(receiver);
        publish_numbers(sender, "news", 10);
        await within_deadline((async () => {
                for await (const message of subscription) {
                        received.push(message.string());
                        if (received.length === 10)
                                subscription.unsubscribe();
                }
        })(), "end of the iteration");
        assert.deepEqual(received, [..."0123456789"]);
});

test("unsubscribe ends delivery", async (scene) => {
        const messages = await scene.subscribe("news");
        scene.sender.publish("news", "one");
        await expect(messages, [["news", "one"]]);
        messages.subscription.unsubscribe();
        await flush(scene.receiver);
        scene.sender.publish("news", "two");
        await scene.settle();
        assert.equal(scene.receiver.stats().inMsgs, 1);
});

test("* matches one token", async (scene) => {
        const last = await scene.subscribe("a.*");
        const middle = await scene.subscribe("a.*.c");
        for (const subject of ["a", "a.b", "a.b.c", "a.b.c.d", "b.b"])
                scene.sender.publish(subject, "x");
        await scene.settle();
        await expect(last, [["a.b", "x"]]);
        await expect(middle, [["a.b.c", "x"]]);
});

test("> matches one or more tokens", async (scene) => {
        const below = await scene.subscribe("a.>");
        const mixed = await scene.subscribe("*.b.>");
        for (const subject of ["a", "a.b", "a.b.c.d", "z.b.c"])
                scene.sender.publish(subject, "x");
        await scene.settle();
        await expect(below, [["a.b", "x"], ["a.b.c.d", "x"]]);
        await expect(mixed, [["a.b.c.d", "x"], ["z.b.c", "x"]]);
});

/* The server chooses at random: a share that is a quarter off its mean is some nine standard
 * deviations away. */
test("a queue group shares evenly, each message once", async (scene) => {
        const n = 4000, all = new Collector(), second = await scene.connect();
        const shares = [0, 0, 0, 0];
        shares.forEach((_, i) => (i % 2 ? second : scene.receiver).subscribe("work", {
                queue: "workers",
                callback: (_, message) => {
                        shares[i]++;
                        all.add(Number(message.string()));
                },
        }));
        await flush(second);
        await flush(scene.receiver);
        publish_numbers(scene.sender, "work", n);
        await all.until(n, "message");
        await scene.settle();
        await flush(second);
        assert.equal(all.items.length, n);
        assert.equal(new Set(all.items).size, n);
        for (const share of shares)
                assert.ok(share > 750 && share < 1250, `shares are ${shares}`);
});

test("each queue group and each plain subscriber gets its own", async (scene) => {
        const subscribers = [
                await scene.subscribe("work.*"),
                await scene.subscribe("work.*", { queue: "a" }),
                await scene.subscribe("work.*", { queue: "b" }),
        ];
        scene.sender.publish("work.x", "1");
        scene.sender.publish("work.y", "2");
        for (const subscriber of subscribers)
                await expect(subscriber, [["work.x", "1"], ["work.y", "2"]]);
        await scene.settle();
        assert.equal(scene.receiver.stats().inMsgs, 6);
});

/* A hundred requests at a time; the responder answers with the reply subject it was given. */
async function make_requests(scene, n_dots, options) {
        await scene.answer("service", (message) => message.respond(message.reply));
        const requests = Array.from({ length: 100 }, () =>
                scene.sender.request("service", "x", { timeout: DEADLINE_MS, ...options }));
        const inboxes = new Set();
        for (const answer of await Promise.all(requests)) {
                assert.equal(answer.subject, answer.string());
                assert.equal(answer.subject.split(".").length - 1, n_dots);
                inboxes.add(answer.subject);
        }
        assert.equal(inboxes.size, requests.length);
}

/* All replies come through one subscription, _INBOX.<connection>.*, so there are two dots. */
test("requests through the response mux", (scene) => make_requests(scene, 2, {}));

/* Each request subscribes to an inbox of its own, _INBOX.<request>, for one message. */
test("requests without mux", (scene) => make_requests(scene, 1, { noMux: true }));

test("a request may name its reply subject", async (scene) => {
        await scene.answer("service", (message) => message.respond("answer"));
        const options = { timeout: DEADLINE_MS, noMux: true, reply: "my.own.inbox" };
        const answer = await scene.sender.request("service", "x", options);
        assert.equal(answer.subject, "my.own.inbox");
        assert.equal(answer.string(), "answer");
});

test("a request gathers many answers", async (scene) => {
        for (const name of ["a", "b", "c"])
                await scene.answer("service", (message) => message.respond(name));
        const options = { strategy: "count", maxMessages: 3, maxWait: DEADLINE_MS };
        const names = [];
        for await (const answer of await scene.sender.requestMany("service", "x", options))
                names.push(answer.string());
        assert.deepEqual(names.sort(), ["a", "b", "c"]);
});

test("a request that nobody answers times out", async (scene) => {
        const silent = await scene.subscribe("service");
        for (const noMux of [false, true])
                await assert.rejects(scene.sender.request("service", "x", { timeout: 50, noMux }),
                        TimeoutError);
        await silent.until(2, "request");
});

test("a request to nobody fails at once with no responders", async ({ sender }) => {
        await expect_no_responders(sender, false);
        await expect_no_responders(sender, true);
});

test("headers arrive with the message", async (scene) => {
        const messages = await scene.subscribe("letters");
        const sent = headers();
        sent.set("Content-Type", "text/plain; charset=utf-8");
        sent.append("Tag", "one");
        sent.append("Tag", "two: with colon");
        sent.set("tag", "lower case is another key");
        scene.sender.publish("letters", "body", { headers: sent });
        const [received] = await messages.until(1, "message");
        assert.equal(received.string(), "body");
        assert.equal(received.headers.get("Content-Type"), "text/plain; charset=utf-8");
        assert.deepEqual(received.headers.values("Tag"), ["one", "two: with colon"]);
        assert.equal(received.headers.get("tag"), "lower case is another key");
        assert.equal(received.headers.keys().length, 3);
});

test("headers may come without a payload", async (scene) => {
        const messages = await scene.subscribe("letters");
        const sent = headers();
        sent.set("Only", "header");
        scene.sender.publish("letters", undefined, { headers: sent, reply: "answer.here" });
        const [received] = await messages.until(1, "message");
        assert.equal(received.data.length, 0);
        assert.equal(received.reply, "answer.here");
        assert.equal(received.headers.get("Only"), "header");
});

test("headers travel with requests and replies", async (scene) => {
        await scene.answer("service", (message) => {
                const answer = headers();
                answer.set("Answer", message.headers.get("Question"));
                message.respond("", { headers: answer });
        });
        const question = headers();
        question.set("Question", "42?");
        const options = { timeout: DEADLINE_MS, headers: question };
        const answer = await scene.sender.request("service", "", options);
        assert.equal(answer.headers.get("Answer"), "42?");
});

test("a drained subscription loses nothing", async (scene) => {
        const n = 5000, messages = await scene.subscribe("numbers");
        publish_numbers(scene.sender, "numbers", n);
        await flush(scene.sender);
        await within_deadline(messages.subscription.drain(), "end of the drain");
        assert_in_order(messages, n);
        scene.sender.publish("numbers", "late");
        await scene.settle();
        assert.equal(scene.receiver.stats().inMsgs, n);
});

/* The receiver is drained with requests under way: it answers all of them, then it is closed. */
test("a drained connection loses neither requests nor answers", async (scene) => {
        const n = 5000, answers = collect(scene.sender, "answers");
        await scene.answer("service", (message) => message.respond(message.data));
        for (let number = 0; number < n; number++)
                scene.sender.publish("service", String(number), { reply: "answers" });
        await flush(scene.sender);
        await within_deadline(scene.receiver.drain(), "end of the drain");
        assert.ok(scene.receiver.isClosed());
        await answers.until(n, "answer");
        assert_in_order(answers, n);
});

test("1 MiB payloads arrive byte for byte", async (scene) => {
        const seeds = Array.from({ length: 20 }, (_, i) => i);
        const messages = await scene.subscribe("large");
        for (const seed of seeds)
                scene.sender.publish("large", large_payload(seed));
        await messages.until(seeds.length, "message");
        for (const seed of seeds)
                assert.equal(Buffer.compare(messages.items[seed].data, large_payload(seed)), 0);
});

test("1 MiB requests get 1 MiB answers", async (scene) => {
        const sent = large_payload(1);
        await scene.answer("echo", (message) => message.respond(message.data));
        const answer = await scene.sender.request("echo", sent, { timeout: DEADLINE_MS });
        assert.equal(Buffer.compare(answer.data, sent), 0);
});

/* The library refuses by the max_payload that the server has announced. */
test("a payload over the announced limit is refused", async (scene) => {
        const messages = await scene.subscribe("large");
        assert.throws(() => scene.sender.publish("large", new Uint8Array(LARGE_BYTES + 1)));
        scene.sender.publish("large", "still connected");
        await expect(messages, [["large", "still connected"]]);
});

test("100,000 messages arrive in order", async (scene) => {
        const n = 100000, messages = await scene.subscribe("numbers");
        publish_numbers(scene.sender, "numbers", n);
        await messages.until(n, "message");
        assert_in_order(messages, n);
});

/* The statistics tell that the server stopped sending, and not only the library delivering. */
test("a subscription ends after its maximum of messages", async (scene) => {
        const messages = await scene.subscribe("news", { max: 3 });
        publish_numbers(scene.sender, "news", 10);
        await messages.until(3, "message");
        await scene.settle();
        assert_in_order(messages, 3);
        assert.equal(scene.receiver.stats().inMsgs, 3);
        assert.ok(messages.subscription.isClosed());
});

test("unsubscribe(max) counts what came before", async (scene) => {
        const messages = await scene.subscribe("numbers");
        publish_numbers(scene.sender, "numbers", 2);
        await messages.until(2, "message");
        messages.subscription.unsubscribe(3);
        await flush(scene.receiver);
        scene.sender.publish("numbers", "2");
        scene.sender.publish("numbers", "3");
        await scene.settle();
        assert_in_order(messages, 3);
        assert.equal(scene.receiver.stats().inMsgs, 3);
});

test("flush returns when all is processed", async ({ sender }) => {
        const messages = collect(sender, "numbers");
        publish_numbers(sender, "numbers", 1000);
        await flush(sender);
        assert_in_order(messages, 1000);
});

test("the round trip can be measured", async ({ sender }) => {
        assert.ok(await within_deadline(sender.rtt(), "pong") >= 0);
});

/* The first event of that type. */
async function next_status(connection, type) {
        for await (const status of connection.status())
                if (status.type === type)
                        return status;
        throw new Error("the connection is closed");
}

test("a denied publish is told, and the connection stays", async ({ sender, receiver }) => {
        const messages = collect(receiver, "news");
        const told = next_status(sender, "error");
        await flush(receiver);
        sender.publish("denied.x", "dropped");
        const { error } = await within_deadline(told, "error");
        assert.equal(error.operation, "publish");
        assert.equal(error.subject, "denied.x");
        sender.publish("news", "allowed");
        await expect(messages, [["news", "allowed"]]);
});

test("a denied subscription is told, with its queue", async ({ receiver, sender }) => {
        for (const queue of [undefined, "workers"]) {
                const error = await within_deadline(new Promise((resolve) =>
                        receiver.subscribe("denied.y", { queue, callback: resolve })), "error");
                assert.equal(error.operation, "subscription");
                assert.equal(error.subject, "denied.y");
                assert.equal(error.queue, queue);
        }
        const messages = collect(receiver, "news");
        await flush(receiver);
        sender.publish("news", "allowed");
        await expect(messages, [["news", "allowed"]]);
});

test("without echo a connection does not hear itself", async (scene) => {
        const mute = await scene.connect({ noEcho: true });
        const own = collect(mute, "news");
        const others = await scene.subscribe("news");
        mute.publish("news", "from me");
        await flush(mute);
        assert.equal(mute.stats().inMsgs, 0);
        await expect(others, [["news", "from me"]]);
        scene.sender.publish("news", "from you");
        await expect(own, [["news", "from you"]]);
});

for (const options of [{ verbose: true }, { pedantic: true }, { verbose: true, pedantic: true }])
        test(`a ${Object.keys(options).join(" and ")} connection works`, async (scene) => {
                const connection = await scene.connect(options);
                const messages = collect(connection, "news.*");
                await scene.answer("echo", (message) => message.respond(message.data));
                connection.publish("news.x", "mine");
                await expect(messages, [["news.x", "mine"]]);
                const answer = await connection.request("echo", "x", { timeout: DEADLINE_MS });
                assert.equal(answer.string(), "x");
                await expect_no_responders(connection, false);
                messages.subscription.unsubscribe();
                await flush(connection);
        });

add_datagram_cases(test);
add_service_cases(test);

/* restarts */

/* Counts a connection's events of one kind, from now on. */
function events(connection, type) {
        const collector = new Collector();
        (async () => {
                for await (const status of connection.status())
                        if (status.type === type)
                                collector.add(status);
        })();
        return collector;
}

/* Has the server stopped and, once both connections know it, started again. This library does not
 * keep what is published in between, as libnats does. */
async function restart({ sender, receiver }) {
        const lost = [sender, receiver].map((connection) => events(connection, "disconnect"));
        const back = [sender, receiver].map((connection) => events(connection, "reconnect"));
        console.log("STOP");
        for (const collector of lost)
                await collector.until(1, "disconnect");
        console.log("START");
        for (const collector of back)
                await collector.until(1, "reconnect");
        await flush(sender);
        await flush(receiver);
}

restart_test("subscriptions are restored after a restart", async (scene) => {
        const plain = await scene.subscribe("news.*");
        const queue = await scene.subscribe("news.>", { queue: "group" });
        await restart(scene);
        scene.sender.publish("news.x", "back");
        await scene.settle();
        await expect(plain, [["news.x", "back"]]);
        await expect(queue, [["news.x", "back"]]);
});

restart_test("requests work after a restart", async (scene) => {
        const request = async (noMux) => {
                const options = { timeout: DEADLINE_MS, noMux };
                assert.equal((await scene.sender.request("echo", "x", options)).string(), "x");
                await expect_no_responders(scene.sender, noMux);
        };
        await scene.answer("echo", (message) => message.respond(message.data));
        await request(false);
        await restart(scene);
        await request(false);
        await request(true);
});

restart_test("an iteration goes on across restarts", async (scene) => {
        const subscription = scene.receiver.subscribe("numbers", { max: 3 });
        const received = new Collector();
        const iteration = (async () => {
                for await (const message of subscription)
                        received.add(message.string());
        })();
        for (let number = 0; number < 3; number++) {
                await scene.settle();
                scene.sender.publish("numbers", String(number));
                await received.until(number + 1, "message");
                if (number < 2)
                        await restart(scene);
        }
        await within_deadline(iteration, "end of the iteration");
        assert.deepEqual(received.items, ["0", "1", "2"]);
});

/* running them */

async function run(number, { title, run, options }) {
        const scene = new Scene(options);
        try {
                await run(await scene.open());
                console.log(`ok ${number} - nats.js: ${title}`);
        } catch (error) {
                if (error instanceof Skip) {
                        console.log(`ok ${number} - nats.js: ${title} # SKIP ${error.message}`);
                        return;
                }
                process.exitCode = 1;
                console.log(`not ok ${number} - nats.js: ${title}`);
                console.log(String(error.stack).replace(/^/gm, "# "));
        } finally {
                await scene.close();
        }
}

console.log(`1..${cases.length}`);
for (const [i, one] of cases.entries())
        await run(i + 1, one);
