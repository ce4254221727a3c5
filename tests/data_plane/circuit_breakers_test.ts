import assert from "node:assert/strict";
import { ClusterSlot, HostSlot } from "../../agent/config/shared_memory.ts";
import { TestProxy } from "./harness.ts";
import { RawBackend, RawConnection, statusOf, until } from "./raw_sockets.ts";

const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/** A backend that answers when it is told to. */
class Gate {
  readonly backend: RawBackend;
  #open = false;
  constructor() {
    this.backend = new RawBackend(async (connection) => {
      for (let answered = 0;; answered++) {
        const heads = () => connection.received.split("\r\n\r\n").length - 1;
        await until(() => heads() > answered || connection.ended, "a request");
        if (connection.ended) return connection.close();
        await until(() => this.#open, "the gate");
        await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      }
    });
  }
  open(): void {
    this.#open = true;
  }
}

/** Sends one request over each of `count` connections. */
async function requests(port: number, count: number): Promise<RawConnection[]> {
  const clients: RawConnection[] = [];
  for (let i = 0; i < count; i++) {
    const client = await RawConnection.connect(port);
    await client.send(get);
    clients.push(client);
  }
  return clients;
}

const answered = (clients: RawConnection[]) => clients.filter((client) => statusOf(client.received) > 0);

async function assertNothingLeft(proxy: TestProxy): Promise<void> {
  for (const counter of ["pendingRequests", "activeRequests", "activeRetries"] as const) {
    await until(() => proxy.clusterCounter(ClusterSlot[counter]) === 0, counter);
  }
  await until(
    () => [...proxy.hostCounters(HostSlot.activeRequests).values()].every((count) => count === 0),
    "hosts idle",
  );
}

for (const workers of [1, 2]) {
  Deno.test(`with ${workers} workers, requests beyond connections and queue are turned away`, async () => {
    const gate = new Gate();
    using backend = gate.backend;
    // Each worker may always have one connection, so that the limit lies at or above the number of workers.
    const circuitBreakers = { maxConnections: 2, maxPendingRequests: 3, maxRequests: 100, maxRetries: 3 };
    const { proxy, port } = await TestProxy.simple([backend.port], { cluster: { circuitBreakers } }, workers);
    await using _ = proxy;
    const first = await requests(port, 2);
    // A second worker without a connection of its own may open one beyond the limit.
    await until(() => proxy.clusterCounter(ClusterSlot.activeRequests) === 2, "two requests under way");
    const rest = await requests(port, 12);
    const most = 2 + (workers - 1) + 3;
    await until(() => answered(rest).length >= 14 - most, () => `${answered(rest).length} turned away`);
    for (const client of answered(rest)) {
      assert.match(client.received, /^HTTP\/1\.1 503 [^]*\r\nx-envoy-overloaded: true\r\n[^]*reset reason: overflow$/);
    }
    assert.ok(proxy.clusterCounter(ClusterSlot.activeConnections) <= 2 + workers - 1);
    assert.ok(proxy.clusterCounter(ClusterSlot.pendingRequests) <= 3);
    gate.open();
    await until(() => answered([...first, ...rest]).length === 14, "every request is answered");
    const { "200 -": ok, "503 UO": overflow } = proxy.recorded();
    assert.equal(ok + overflow, 14);
    assert.ok(ok >= 5 && ok <= most, `${ok}`);
    await assertNothingLeft(proxy);
    for (const client of [...first, ...rest]) client.close();
  });

  Deno.test(`with ${workers} workers, requests beyond maxRequests are turned away`, async () => {
    const gate = new Gate();
    using backend = gate.backend;
    const circuitBreakers = { maxConnections: 100, maxPendingRequests: 100, maxRequests: 4, maxRetries: 3 };
    const { proxy, port } = await TestProxy.simple([backend.port], { cluster: { circuitBreakers } }, workers);
    await using _ = proxy;
    const clients: RawConnection[] = [];
    for (let i = 0; i < 4; i++) {
      clients.push(...await requests(port, 1));
      await until(() => proxy.clusterCounter(ClusterSlot.activeRequests) === i + 1, "the request is under way");
    }
    clients.push(...await requests(port, 6));
    await until(() => answered(clients).length === 6, "six turned away");
    assert.deepEqual(proxy.recorded(), { "503 UO": 6 });
    gate.open();
    await until(() => answered(clients).length === 10, "every request is answered");
    assert.deepEqual(proxy.recorded(), { "503 UO": 6, "200 -": 4 });
    await assertNothingLeft(proxy);
    for (const client of clients) client.close();
  });
}

Deno.test("a caller that leaves makes room for those who wait", async () => {
  const gate = new Gate();
  using backend = gate.backend;
  const circuitBreakers = { maxConnections: 1, maxPendingRequests: 1, maxRequests: 100, maxRetries: 3 };
  const { proxy, port } = await TestProxy.simple([backend.port], { cluster: { circuitBreakers } });
  await using _ = proxy;
  const [active] = await requests(port, 1);
  await until(() => proxy.clusterCounter(ClusterSlot.activeRequests) === 1, "one under way");
  const [waiting] = await requests(port, 1);
  await until(() => proxy.clusterCounter(ClusterSlot.pendingRequests) === 1, "one waits");
  waiting.close();
  await until(() => proxy.clusterCounter(ClusterSlot.pendingRequests) === 0, "nobody waits");
  const [next] = await requests(port, 1);
  await until(() => proxy.clusterCounter(ClusterSlot.pendingRequests) === 1, "another one waits");
  active.close();
  gate.open();
  await next.until(/200 OK/);
  await assertNothingLeft(proxy);
  next.close();
});
