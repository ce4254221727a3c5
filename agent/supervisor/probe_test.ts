import assert from "node:assert/strict";
import { HealthState, type Probe, Prober } from "./probe.ts";

Deno.test("a state changes after its threshold of results in a row", () => {
  const state = new HealthState(2, 3);
  const results = [true, true, false, false, true, false, false, false, true, true];
  assert.deepEqual(results.map((result) => state.take(result)), [
    null,
    true,
    null,
    null,
    null,
    null,
    null,
    false,
    null,
    true,
  ]);
});

const often = { initialDelay: 0, timeout: 5000, period: 5, successThreshold: 1, failureThreshold: 1 };

/** The first `count` changes of state that a prober tells; `afterFirst` is called between the first two. */
async function changes(
  check: Probe["check"],
  count: number,
  afterFirst: () => void,
): Promise<[boolean, string][]> {
  const told: [boolean, string][] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const prober = new Prober("w", { ...often, check }, (healthy, message) => {
    told.push([healthy, message]);
    if (told.length === 1) afterFirst();
    if (told.length === count) resolve();
  });
  await promise;
  await prober.stop();
  return told;
}

Deno.test("an HTTP probe follows the application's answers and sends its headers", async () => {
  let status = 503;
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    return new Response(null, { status: request.headers.get("x-probe") === "yes" ? status : 500 });
  });
  const url = `http://127.0.0.1:${server.addr.port}/health`;
  const told = await changes({ kind: "http", url, headers: [["x-probe", "yes"]] }, 2, () => status = 204);
  assert.deepEqual(told, [[false, `GET ${url}: 503`], [true, ""]]);
  await server.shutdown();
});

Deno.test("a TCP probe needs a listener", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const told = await changes({ kind: "tcp", hostname: "127.0.0.1", port }, 2, () => listener.close());
  assert.deepEqual(told.map(([healthy]) => healthy), [true, false]);
});

Deno.test("a command probe goes by the exit code", async () => {
  const told = await changes({ kind: "exec", command: ["false"] }, 1, () => {});
  assert.deepEqual(told, [[false, "false: exit code 1"]]);
});
