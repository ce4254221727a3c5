import assert from "node:assert/strict";
import type { ClusterConfig, EndpointConfig } from "../../agent/config/model.ts";
import { ClusterSlot } from "../../agent/config/shared_memory.ts";
import { Backend, endpoint, endpoints, simpleSetup, TestProxy } from "./harness.ts";
import { freePort } from "./harness.ts";
import { RawBackend, RawConnection, until } from "./raw_sockets.ts";

class Backends implements AsyncDisposable {
  readonly list: Backend[];
  constructor(count: number) {
    this.list = Array.from({ length: count }, () => new Backend(() => new Response("ok")));
  }
  get requests(): number[] {
    return this.list.map((backend) => backend.requests);
  }
  async [Symbol.asyncDispose](): Promise<void> {
    for (const backend of this.list) await backend[Symbol.asyncDispose]();
  }
}

async function proxyTo(list: EndpointConfig[], lbPolicy: ClusterConfig["lbPolicy"], workers = 1) {
  const port = freePort();
  const setup = simpleSetup(port, [], { cluster: { lbPolicy } });
  const proxy = await TestProxy.start({ ...setup, endpoints: [endpoints("backend", list)] }, workers);
  return { proxy, port };
}

async function send(port: number, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await (await fetch(`http://127.0.0.1:${port}/`)).text();
}

Deno.test("round robin is exact", async () => {
  await using backends = new Backends(3);
  const { proxy, port } = await proxyTo(backends.list.map(({ port }) => endpoint(port)), "ROUND_ROBIN");
  await using _ = proxy;
  await send(port, 30);
  assert.deepEqual(backends.requests, [10, 10, 10]);
});

Deno.test("round robin follows weights", async () => {
  await using backends = new Backends(3);
  const weights = [6, 3, 1];
  const { proxy, port } = await proxyTo(
    backends.list.map(({ port }, i) => endpoint(port, { weight: weights[i] })),
    "ROUND_ROBIN",
  );
  await using _ = proxy;
  await send(port, 100);
  assert.deepEqual(backends.requests, [60, 30, 10]);
});

Deno.test("random is even within six standard deviations, and follows weights", async () => {
  await using backends = new Backends(2);
  for (const [weights, share] of [[[1, 1], 0.5], [[1, 3], 0.25]] as const) {
    const before = backends.requests[0];
    const { proxy, port } = await proxyTo(
      backends.list.map(({ port }, i) => endpoint(port, { weight: weights[i] })),
      "RANDOM",
    );
    await using _ = proxy;
    await send(port, 600);
    const taken = backends.requests[0] - before;
    const deviation = Math.sqrt(600 * share * (1 - share));
    assert.ok(Math.abs(taken - 600 * share) < 6 * deviation, `${taken}`);
  }
});

Deno.test("least request keeps away from a host that is busy, across workers", async () => {
  using busy = new RawBackend();
  await using idle = new Backend(() => new Response("ok"));
  const { proxy, port } = await proxyTo([endpoint(busy.port), endpoint(idle.port)], "LEAST_REQUEST", 2);
  await using _ = proxy;
  const clients: RawConnection[] = [];
  // Each request either ends at once or hangs in the busy host.
  while (busy.connections.length < 1) {
    const client = await RawConnection.connect(port);
    await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await until(() => client.received !== "" || busy.received !== "", "an answer, or a request that hangs");
    clients.push(client);
  }
  assert.equal(proxy.clusterCounter(ClusterSlot.activeRequests), 1);
  // Two draws: a request goes to the busy host only when both draws give it.
  let hung = 0;
  for (let i = 0; i < 200; i++) {
    using client = await RawConnection.connect(port);
    const before = busy.received.length;
    await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await until(() => client.received !== "" || busy.received.length > before, "an answer, or a request that hangs");
    if (client.received === "") hung++;
  }
  // A quarter is 50; six standard deviations are 37. At random it would be a half.
  assert.ok(hung < 90, `${hung} of 200`);
  for (const client of clients) client.close();
});

Deno.test("endpoints of a lower priority serve only when no other can", async () => {
  await using backends = new Backends(2);
  const [first, second] = backends.list;
  const { proxy, port } = await proxyTo([endpoint(first.port)], "ROUND_ROBIN");
  await using _ = proxy;
  const levels = (healthy: boolean) => ({
    cluster: "backend",
    panicThreshold: 0,
    localities: [
      { priority: 0, locality: "", weight: 1, endpoints: [endpoint(first.port, { healthy })] },
      { priority: 1, locality: "", weight: 1, endpoints: [endpoint(second.port)] },
    ],
  });
  await proxy.update({ endpoints: [levels(true)] });
  await send(port, 5);
  await proxy.update({ endpoints: [levels(false)] });
  await send(port, 5);
  assert.deepEqual(backends.requests, [5, 5]);
});

Deno.test("in panic unhealthy hosts are used as well", async () => {
  await using backends = new Backends(2);
  const list = backends.list.map(({ port }, i) => endpoint(port, { healthy: i === 0 }));
  const { proxy, port } = await proxyTo(list, "ROUND_ROBIN");
  await using _ = proxy;
  await send(port, 4);
  assert.deepEqual(backends.requests, [4, 0]);
  await proxy.update({ endpoints: [endpoints("backend", list, 60)] });
  await send(port, 4);
  assert.deepEqual(backends.requests, [6, 2]);
});
