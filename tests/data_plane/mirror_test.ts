import assert from "node:assert/strict";
import type { JsonObject } from "@bufbuild/protobuf";
import { ClusterSlot } from "../../agent/config/shared_memory.ts";
import { managerSetup, meshSetup } from "./configured.ts";
import { Backend, freePort, TestProxy } from "./harness.ts";

interface Seen {
  method: string;
  path: string;
  host: string;
  body: string;
}

/** A server that notes what it is sent. */
function recorder(seen: Seen[], status = 200): Backend {
  return new Backend(async (request) => {
    const { pathname, search } = new URL(request.url);
    const body = await request.text().catch(() => "cut off");
    seen.push({ method: request.method, path: pathname + search, host: request.headers.get("host") ?? "", body });
    return new Response("from the shadow", { status });
  });
}

const mirrored = (policy: JsonObject = {}): JsonObject => ({
  match: { prefix: "/" },
  route: { cluster: "backend", requestMirrorPolicies: [{ cluster: "shadow", ...policy }] },
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

Deno.test("the shadow gets the same request under another host, and its answer goes nowhere", async () => {
  const seen: Seen[] = [];
  await using shadow = recorder(seen, 500);
  await using backend = new Backend(async (request) => new Response(await request.text()));
  const { port, setup } = managerSetup({}, [mirrored()], { backend: [backend.port], shadow: [shadow.port] });
  await using proxy = await TestProxy.start(setup);
  const body = "b".repeat(100_000);
  const response = await fetch(`http://127.0.0.1:${port}/a?b=c`, { method: "POST", body });
  assert.equal(response.status, 200);
  assert.equal(await response.text(), body);
  await until(() => seen.length === 1);
  assert.deepEqual(seen, [{ method: "POST", path: "/a?b=c", host: `127.0.0.1-shadow:${port}`, body }]);
  assert.equal(proxy.clusterCounter(ClusterSlot.shadows, "shadow"), 1);
  assert.equal(proxy.clusterCounter(ClusterSlot.shadowDrops, "shadow"), 0);
  assert.deepEqual(proxy.recorded(), { "200 -": 1 });
});

Deno.test("chunked bodies are mirrored, and the host stays where that is configured", async () => {
  const seen: Seen[] = [];
  await using shadow = recorder(seen);
  await using backend = new Backend(async (request) => new Response(await request.text()));
  const { port, setup } = managerSetup({}, [mirrored({ disableShadowHostSuffixAppend: true })], {
    backend: [backend.port],
    shadow: [shadow.port],
  });
  await using _ = await TestProxy.start(setup);
  const chunks = new ReadableStream<Uint8Array>({
    async start(controller) {
      for (let i = 0; i < 5; i++) {
        controller.enqueue(new TextEncoder().encode(`chunk ${i};`));
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      controller.close();
    },
  });
  const response = await fetch(`http://127.0.0.1:${port}/`, { method: "POST", body: chunks });
  const body = await response.text();
  await until(() => seen.length === 1);
  assert.deepEqual(seen[0], { method: "POST", path: "/", host: `127.0.0.1:${port}`, body });
});

Deno.test("a shadow that is refused, has no host or does not exist does not show", async () => {
  await using backend = new Backend(() => new Response("ok"));
  for (const shadow of [[freePort()], []]) {
    const { port, setup } = managerSetup({}, [mirrored()], { backend: [backend.port], shadow });
    await using proxy = await TestProxy.start(setup);
    for (let i = 0; i < 20; i++) assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), "ok");
    await until(() => proxy.clusterCounter(ClusterSlot.shadowDrops, "shadow") === 20);
    assert.deepEqual(proxy.recorded(), { "200 -": 20 });
  }
  const { port, setup } = managerSetup({}, [mirrored({ cluster: "missing" })], { backend: [backend.port] });
  await using _ = await TestProxy.start(setup);
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), "ok");
});

Deno.test("a shadow that takes nothing is given up, and the request goes on at its own speed", async () => {
  const held: Deno.Conn[] = [];
  const stuck = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepting = (async () => {
    for await (const connection of stuck) held.push(connection);
  })();
  await using backend = new Backend(async (request) => new Response(String((await request.bytes()).length)));
  const { port, setup } = managerSetup({}, [mirrored()], {
    backend: [backend.port],
    shadow: [(stuck.addr as Deno.NetAddr).port],
  });
  await using proxy = await TestProxy.start(setup);
  // More than all buffers between the two ends hold.
  const size = 20_000_000;
  const response = await fetch(`http://127.0.0.1:${port}/`, { method: "POST", body: new Uint8Array(size) });
  assert.equal(await response.text(), String(size));
  await until(() => proxy.clusterCounter(ClusterSlot.shadowDrops, "shadow") === 1);
  assert.equal(proxy.clusterCounter(ClusterSlot.activeRequests, "shadow"), 0);
  for (const connection of held) connection.close();
  stuck.close();
  await accepting;
});

Deno.test("a shadow that never answers is given up when the route's time is over", async () => {
  await using backend = new Backend(() => new Response("ok"));
  const gate = Promise.withResolvers<void>();
  await using slow = new Backend(async () => {
    await gate.promise;
    return new Response();
  });
  const timed: JsonObject = { ...mirrored(), route: { ...mirrored().route as JsonObject, timeout: "0.2s" } };
  const { port, setup } = managerSetup({}, [timed], { backend: [backend.port], shadow: [slow.port] });
  await using proxy = await TestProxy.start(setup);
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), "ok");
  await until(() => proxy.clusterCounter(ClusterSlot.shadowDrops, "shadow") === 1);
  assert.equal(proxy.clusterCounter(ClusterSlot.activeRequests, "shadow"), 0);
  gate.resolve();
});

Deno.test("a caller that leaves in the middle of its request takes the shadow along", async () => {
  const seen: Seen[] = [];
  await using backend = recorder([]);
  await using shadow = recorder(seen);
  const { port, setup } = managerSetup({}, [mirrored()], { backend: [backend.port], shadow: [shadow.port] });
  await using proxy = await TestProxy.start(setup);
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await connection.write(new TextEncoder().encode("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf"));
  await until(() => proxy.clusterCounter(ClusterSlot.activeRequests, "shadow") === 1);
  connection.close();
  await until(() => proxy.clusterCounter(ClusterSlot.shadowDrops, "shadow") === 1);
  assert.equal(proxy.clusterCounter(ClusterSlot.activeRequests, "shadow"), 0);
});

Deno.test("a VirtualService's mirrors are in force, each with its percentage", async () => {
  const seen: Record<string, Seen[]> = { all: [], none: [] };
  await using all = recorder(seen.all);
  await using none = recorder(seen.none);
  await using backend = new Backend(() => new Response("ok"));
  const rules = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews }
spec:
  hosts: [reviews]
  http:
    - route: [{ destination: { host: reviews } }]
      mirrors:
        - { destination: { host: all } }
        - { destination: { host: none }, percentage: { value: 0 } }
`;
  const { port, setup } = meshSetup(rules, { reviews: backend.port, all: all.port, none: none.port });
  await using _ = await TestProxy.start(setup);
  const client = Deno.createHttpClient({ proxy: { url: `http://127.0.0.1:${port}` } });
  for (let i = 0; i < 5; i++) await (await fetch("http://reviews:9080/x", { client })).text();
  client.close();
  await until(() => seen.all.length === 5);
  assert.deepEqual(seen.none, []);
  assert.equal(seen.all[0].host, "reviews-shadow:9080");
});
