/* The server's own services, by the library for "micro services", which is a package of its own and
 * need not be there. */

import assert from "node:assert/strict";
import { DEADLINE_MS } from "./waiting.mjs";
import { Skip } from "./scene.mjs";

export async function service_module() {
        try {
                return await import("@nats-io/services");
        } catch (error) {
                if (error.code === "ERR_MODULE_NOT_FOUND")
                        throw new Skip("@nats-io/services is not installed");
                throw error;
        }
}

/* The library's client for what services tell of themselves. */
async function monitor({ sender }) {
        if (!sender.info.sockd_version)
                throw new Skip("the server has no services");
        const { Svcm } = await service_module();
        return new Svcm(sender).client({ maxWait: DEADLINE_MS, strategy: "stall" });
}

async function gather(answers) {
        const all = [];
        for await (const answer of await answers)
                all.push(answer);
        return all;
}

const OWN = ["program-fails", "program-upper", "sockd-echo", "sockd-info", "sockd-time"];

/* What all answers have in common. */
function assert_identity(answer, type) {
        assert.equal(answer.type, type);
        assert.match(answer.name, /^[A-Za-z0-9_-]+$/);
        assert.match(answer.id, /^[A-Za-z0-9]{22}$/);
        assert.match(answer.version, /^\d+\.\d+\.\d+$/);
        assert.deepEqual(answer.metadata, {});
}

export function add_service_cases(test) {
        test("the server's services answer to $SRV.PING", async (scene) => {
                const { ServiceResponseType } = await service_module();
                const answers = await gather((await monitor(scene)).ping());
                assert.deepEqual(answers.map((answer) => answer.name).sort(), OWN);
                for (const answer of answers)
                        assert_identity(answer, ServiceResponseType.PING);
        });

        test("and to $SRV.INFO by their name", async (scene) => {
                const { ServiceResponseType } = await service_module();
                const [answer] = await gather((await monitor(scene)).info("program-upper"));
                assert_identity(answer, ServiceResponseType.INFO);
                assert.equal(answer.version, "1.2.3");
                assert.equal(answer.description, "makes capital letters");
                assert.deepEqual(answer.endpoints, [{
                        name: "program-upper", subject: "program.upper", queue_group: "q",
                        metadata: {},
                }]);
        });

        test("and to $SRV.STATS by their id", async (scene) => {
                const { ServiceResponseType } = await service_module();
                const client = await monitor(scene);
                const [{ id }] = await gather(client.ping("sockd-echo"));
                for (let i = 0; i < 3; i++)
                        await scene.sender.request("sockd.echo", "x", { timeout: DEADLINE_MS });
                const [answer] = await gather(client.stats("sockd-echo", id));
                assert_identity(answer, ServiceResponseType.STATS);
                assert.ok(!Number.isNaN(Date.parse(answer.started)));
                const [endpoint] = answer.endpoints;
                assert.equal(endpoint.name, "sockd-echo");
                assert.equal(endpoint.subject, "sockd.echo");
                assert.equal(endpoint.queue_group, "");
                assert.ok(endpoint.num_requests >= 3);
                assert.equal(endpoint.num_errors, 0);
                assert.equal(endpoint.last_error, "");
                assert.ok(endpoint.processing_time > 0);
                assert.ok(endpoint.average_processing_time > 0);
                assert.ok(endpoint.data.p50 <= endpoint.data.p99);
        });

        test("a program answers requests", async (scene) => {
                await monitor(scene);
                const answer = await scene.sender.request("program.upper", "please",
                        { timeout: DEADLINE_MS });
                assert.equal(answer.string(), "PLEASE");
                assert.equal(answer.headers.get("Sockd-Exit-Status"), "0");
        });

        test("a program that fails is an error of the service", async (scene) => {
                await monitor(scene);
                const { ServiceError } = await service_module();
                const answer = await scene.sender.request("program.fails", "",
                        { timeout: DEADLINE_MS });
                assert.ok(ServiceError.isServiceError(answer));
                const error = ServiceError.toServiceError(answer);
                assert.equal(error.code, 500);
                assert.equal(error.message, "exited with status 3");
                assert.equal(answer.headers.get("Sockd-Exit-Status"), "3");
                assert.equal(answer.headers.get("Sockd-Stderr"), "why");
        });
}
