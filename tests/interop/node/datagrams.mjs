/* Peers that send bytes by UDP, and the library on TCP: each is the other's publisher, subscriber,
 * service and requester. */

import assert from "node:assert/strict";
import { headers } from "@nats-io/transport-node";
import { expect, expect_no_responders, flush } from "./scene.mjs";
import { service_module } from "./services.mjs";
import { DEADLINE_MS } from "./waiting.mjs";

const CONNECT = 'CONNECT {"headers":true,"no_responders":true}\r\n';
const request_timeout = { timeout: DEADLINE_MS };

/* Operations, and what the peer gets. Texts are bytes. */

function pub(subject, payload) {
        return `PUB ${subject} ${payload.length}\r\n${payload}\r\n`;
}

function hpub(subject, lines, payload) {
        return `HPUB ${subject} ${sizes_and_bytes(lines, payload)}`;
}

function msg(subject, payload) {
        return `MSG ${subject} ${payload.length}\r\n${payload}\r\n`;
}

function hmsg(subject, lines, payload) {
        return `HMSG ${subject} ${sizes_and_bytes(lines, payload)}`;
}

function sizes_and_bytes(lines, payload) {
        const head = `${["NATS/1.0", ...lines].join("\r\n")}\r\n\r\n`;
        return `${head.length} ${head.length + payload.length}\r\n${head}${payload}\r\n`;
}

/* A request whose answer is the only one that may come. */
function one_request(subject, payload) {
        return `SUB me 1\r\nUNSUB 1 1\r\n${pub(`${subject} me`, payload)}`;
}

/* Bytes of all values, CR LF and NUL among them. */
function bytes(n) {
        const values = Array.from({ length: n }, (_, i) => (i * 7 + 13) % 256);
        return Buffer.from(values).toString("latin1");
}

const SIZES = [1, 100, 1400, 1500, 9000, 65000];

async function settle(scene, peer) {
        await peer.send_and_sync();
        await flush(scene.receiver);
}

function answer_in_upper_case(scene, subject = "svc.upper") {
        return scene.answer(subject, (message) =>
                message.respond(message.string().toUpperCase()));
}

async function upper_service(scene) {
        const service = await new (await service_module()).Svcm(scene.receiver).add({
                name: "upper", version: "1.2.3", description: "makes capital letters",
        });
        service.addEndpoint("upper", { subject: "svc.upper", handler: (error, message) => {
                if (error || message.data.length === 0)
                        message.respondError(400, "nothing there");
                else
                        message.respond(message.string().toUpperCase());
        } });
        await flush(scene.receiver);
        return service;
}

export function add_datagram_cases(test) {
        /* from UDP to the library */

        test("a UDP publisher reaches its subscribers", async (scene) => {
                const peer = await scene.peer();
                const plain = await scene.subscribe("news.today");
                const pattern = await scene.subscribe("news.>");
                const member = await scene.subscribe("news.*", { queue: "readers" });
                const other = await scene.subscribe("news.yesterday");
                peer.send(pub("news.today", "hello"));
                peer.send(pub("news.today", ""));
                for (const subscriber of [plain, pattern, member])
                        await expect(subscriber, [["news.today", "hello"], ["news.today", ""]]);
                await settle(scene, peer);
                await expect(other, []);
                assert.equal(scene.receiver.stats().inMsgs, 6);
        });

        test("payloads from UDP arrive byte for byte", async (scene) => {
                const peer = await scene.peer();
                const messages = await scene.subscribe("bytes");
                for (const [i, size] of SIZES.entries()) {
                        peer.send(pub("bytes", bytes(size)));
                        const received = await messages.until(i + 1, "message");
                        assert.equal(Buffer.from(received[i].data).toString("latin1"), bytes(size));
                }
        });

        test("operations of one datagram arrive in order", async (scene) => {
                const n = 1000, peer = await scene.peer();
                const messages = await scene.subscribe("numbers.*");
                const expected = Array.from({ length: n }, (_, i) => [`numbers.${i % 3}`, `${i}`]);
                peer.send(...expected.map(([subject, number]) => pub(subject, number)));
                await expect(messages, expected);
                await settle(scene, peer);
                assert.equal(messages.items.length, n);
        });

        test("headers from UDP arrive with the message", async (scene) => {
                const peer = await scene.peer();
                const messages = await scene.subscribe("letters");
                peer.send(CONNECT,
                        hpub("letters answer.here", ["Type: text; a=b", "Tag: one",
                                "Tag: two: with colon"], "body"),
                        hpub("letters", ["Only: header"], ""));
                await peer.expect_info();
                const [full, empty] = await messages.until(2, "message");
                assert.equal(full.reply, "answer.here");
                assert.equal(full.string(), "body");
                assert.equal(full.headers.get("Type"), "text; a=b");
                assert.deepEqual(full.headers.values("Tag"), ["one", "two: with colon"]);
                assert.deepEqual(full.headers.keys(), ["Type", "Tag"]);
                assert.equal(empty.data.length, 0);
                assert.equal(empty.headers.get("Only"), "header");
        });

        /* requests from UDP to a service behind the library */

        /* Nothing is left of each request, and so the next is the same again. */
        test("UDP requests of one datagram are answered", async (scene) => {
                const peer = await scene.peer();
                await answer_in_upper_case(scene);
                for (let i = 0; i < 100; i++) {
                        peer.send(one_request("svc.upper", "please"));
                        await peer.expect(msg("me 1", "PLEASE"));
                }
                await settle(scene, peer);
        });

        test("UDP requests of a session are answered", async (scene) => {
                const peer = await scene.peer();
                await answer_in_upper_case(scene);
                peer.send(CONNECT, "SUB _INBOX.udp.* 1\r\n",
                        pub("svc.upper _INBOX.udp.first", "first"));
                await peer.expect_info_and(msg("_INBOX.udp.first 1", "FIRST"));
                for (let i = 0; i < 100; i++) {
                        peer.send(pub(`svc.upper _INBOX.udp.${i}`, "x"));
                        await peer.expect(msg(`_INBOX.udp.${i} 1`, "X"));
                }
                await settle(scene, peer);
        });

        test("headers travel with UDP requests and their replies", async (scene) => {
                const peer = await scene.peer();
                await scene.answer("echo", (message) =>
                        message.respond(message.data, { headers: message.headers }));
                const lines = ["Question: 42?", "Tag: a", "Tag: b"];
                peer.send(CONNECT, "SUB me 1\r\nUNSUB 1 1\r\n", hpub("echo me", lines, "body"));
                await peer.expect_info_and(hmsg("me 1", lines, "body"));
        });

        test("UDP requests get their bytes back", async (scene) => {
                const peer = await scene.peer();
                await scene.answer("echo", (message) => message.respond(message.data));
                for (const size of SIZES) {
                        peer.send(one_request("echo", bytes(size)));
                        await peer.expect(msg("me 1", bytes(size)));
                }
        });

        /* Only those are told who said in CONNECT that they understand it. */
        test("UDP requests to nobody are told so", async (scene) => {
                const peer = await scene.peer(), simple = await scene.peer();
                const service = await answer_in_upper_case(scene, "svc.brief");
                peer.send(CONNECT, "SUB me 1\r\n", pub("svc.brief me", "please"));
                await peer.expect_info_and(msg("me 1", "PLEASE"));
                service.unsubscribe();
                await flush(scene.receiver);
                peer.send(pub("svc.brief me", "please"));
                await peer.expect("HMSG me 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n");
                await simple.send_and_sync(one_request("svc.brief", "please"));
        });

        test("a UDP request is answered by a micro service", async (scene) => {
                const peer = await scene.peer();
                const service = await upper_service(scene);
                peer.send(one_request("svc.upper", "please"));
                await peer.expect(msg("me 1", "PLEASE"));
                peer.send(CONNECT, one_request("svc.upper", ""));
                await peer.expect_info_and(hmsg("me 1", ["Nats-Service-Error-Code: 400",
                        "Nats-Service-Error: nothing there"], ""));
                await service.stop();
        });

        test("a UDP peer discovers micro services", async (scene) => {
                const peer = await scene.peer();
                const service = await upper_service(scene);
                for (const [subject, value] of [
                        ["$SRV.PING.upper", service.ping()],
                        [`$SRV.PING.upper.${service.ping().id}`, service.ping()],
                        ["$SRV.INFO.upper", service.info()],
                ]) {
                        peer.send(one_request(subject, ""));
                        await peer.expect(msg("me 1", JSON.stringify(value)));
                }
                await service.stop();
        });

        /* from the library to UDP */

        test("a UDP subscriber gets what is published", async (scene) => {
                const peer = await scene.peer(), sender = scene.sender;
                const tags = headers();
                tags.append("Tag", "one");
                tags.append("Tag", "two: with colon");
                await peer.send_and_sync("SUB letters.> 7\r\n");
                sender.publish("letters.a", "hello");
                sender.publish("letters.a.b");
                sender.publish("parcels.a", "no");
                sender.publish("letters.c", Uint8Array.from([0, 13, 10]));
                sender.publish("letters.d", "?", { reply: "to.me" });
                sender.publish("letters.tagged", "body", { headers: tags });
                await peer.expect(msg("letters.a 7", "hello"), msg("letters.a.b 7", ""),
                        msg("letters.c 7", "\0\r\n"), msg("letters.d 7 to.me", "?"),
                        msg("letters.tagged 7", "body"));
                peer.send(CONNECT);
                await peer.expect_info();
                sender.publish("letters.tagged", "body", { headers: tags });
                await peer.expect(hmsg("letters.tagged 7", ["Tag: one", "Tag: two: with colon"],
                        "body"));
                await peer.send_and_sync();
        });

        /* Answers so many requests with themselves: what stands behind the sid of a MSG is what
         * stands behind the subject of the answer's PUB. */
        async function answer_over_udp(peer, n) {
                for (; n > 0; n--)
                        peer.send((await peer.next()).replace(/^(H?)MSG \S+ 1 /, "$1PUB "));
        }

        test("requests are answered over UDP", async (scene) => {
                const n = 50, peer = await scene.peer();
                await peer.send_and_sync("SUB service 1\r\n");
                for (const noMux of [false, true]) {
                        const answering = answer_over_udp(peer, n);
                        const options = { ...request_timeout, noMux };
                        const requests = Array.from({ length: n }, (_, i) =>
                                scene.sender.request("service", `number ${i}`, options));
                        const answers = await Promise.all(requests);
                        answers.forEach((answer, i) =>
                                assert.equal(answer.string(), `number ${i}`));
                        await answering;
                }
                await settle(scene, peer);
        });

        test("headers travel with requests to UDP and their replies", async (scene) => {
                const peer = await scene.peer();
                const question = headers();
                question.set("Question", "42?");
                peer.send(CONNECT, "SUB service 1\r\n");
                await peer.expect_info();
                await settle(scene, peer);
                const answering = answer_over_udp(peer, 1);
                const options = { ...request_timeout, headers: question };
                const answer = await scene.sender.request("service", "body", options);
                await answering;
                assert.equal(answer.headers.get("Question"), "42?");
                assert.equal(answer.string(), "body");
        });

        test("a request to a UDP responder that left fails at once", async (scene) => {
                const peer = await scene.peer();
                await peer.send_and_sync("SUB nobody.here 1\r\n");
                const answering = answer_over_udp(peer, 1);
                await scene.sender.request("nobody.here", "x", request_timeout);
                await answering;
                await peer.send_and_sync("UNSUB 1\r\n");
                await expect_no_responders(scene.sender, false);
        });
}
