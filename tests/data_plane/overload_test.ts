/** Work beyond what the process can carry is turned away, and what is under way goes on. */
import assert from "node:assert/strict";
import { statsText } from "../../agent/supervisor/cluster_stats.ts";
import { endpoint, endpoints, freePort, listener, simpleSetup, TestProxy } from "./harness.ts";
import { answering, RawBackend, RawConnection, until } from "./raw_sockets.ts";
import { tcpChain } from "./tcp_peers.ts";

const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

function stat(proxy: TestProxy, name: string): number {
  return Number(new RegExp(`^agent\\.${name}: (.*)$`, "m").exec(statsText(proxy.threads))?.[1]);
}

Deno.test("more callers' connections than the limit are closed at once, those of all threads counted together", async () => {
  for (const workers of [1, 2]) {
    using backend = answering(ok);
    const port = freePort();
    await using proxy = await TestProxy.start(simpleSetup(port, [backend.port]), workers, { maxConnections: 3 });
    const kept: RawConnection[] = [];
    for (let i = 0; i < 3; i++) {
      kept.push(await RawConnection.connect(port));
      await kept[i].send(get);
      await kept[i].until(/ok$/);
    }
    assert.equal(stat(proxy, "downstream_cx_active"), 3);
    using refused = await RawConnection.connect(port);
    await until(() => refused.ended, "the fourth is closed");
    assert.equal(refused.received, "");
    assert.equal(stat(proxy, "downstream_cx_overflow"), 1);
    kept.pop()![Symbol.dispose]();
    await until(() => stat(proxy, "downstream_cx_active") === 2, "the one that has gone is no longer counted");
    kept.push(await RawConnection.connect(port));
    await kept[2].send(get);
    await kept[2].until(/ok$/);
    for (const connection of kept) connection[Symbol.dispose]();
  }
});

Deno.test("while buffers hold too much, requests are answered with 503 UO and TCP connections closed, then served again", async () => {
  // Each request body that waits for this backend fills buffers.
  using stuck = new RawBackend(() => {});
  using backend = answering(ok);
  const [slow, quick, tcp] = [freePort(), freePort(), freePort()];
  const setup = simpleSetup(slow, [stuck.port], { http: { routeConfigName: "routes" } });
  await using proxy = await TestProxy.start({ ...setup, proxy: "slow" }, 1, { maxBufferedBytes: 40 * 1024 });
  await proxy.configure({ ...simpleSetup(quick, [backend.port]), proxy: "quick" });
  await proxy.update({
    proxy: "quick",
    endpoints: [endpoints("backend", [endpoint(backend.port)])],
    listeners: [listener(tcp, { filterChains: [tcpChain()] })],
  });
  const answer = async () => {
    using client = await RawConnection.connect(quick);
    await client.send(get);
    await client.until(/ok$|overloaded$/);
    return client.received;
  };
  assert.match(await answer(), /^HTTP\/1\.1 200/);
  const waiting: RawConnection[] = [];
  for (let i = 0; i < 6; i++) {
    const client = await RawConnection.connect(slow);
    waiting.push(client);
    // A head that never ends is kept until it does.
    await client.send(`GET / HTTP/1.1\r\nx: ${"y".repeat(12_000)}`);
  }
  await until(async () => /^HTTP\/1\.1 503/.test(await answer()), "requests are turned away");
  assert.match(await answer(), /x-envoy-overloaded: true/);
  using relayed = await RawConnection.connect(tcp);
  await until(() => relayed.ended, "the TCP connection is closed");
  assert.ok(proxy.recorded()["503 UO"] >= 2);
  assert.ok(stat(proxy, "overload_refused") >= 3);
  for (const client of waiting) client[Symbol.dispose]();
  await until(async () => /^HTTP\/1\.1 200/.test(await answer()), "requests are served again");
});

Deno.test("a heap beyond its limit turns work away", async () => {
  using backend = answering(ok);
  const port = freePort();
  await using _proxy = await TestProxy.start(simpleSetup(port, [backend.port]), 1, { maxHeapBytes: 1024 });
  using client = await RawConnection.connect(port);
  await client.send(get);
  await client.until(/overloaded$/);
  assert.match(client.received, /^HTTP\/1\.1 503/);
});
