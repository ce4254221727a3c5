import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectTls, type TLSSocket } from "node:tls";
import type { DownstreamTlsConfig, FilterChainConfig } from "../../agent/config/model.ts";
import { ClusterSlot } from "../../agent/config/shared_memory.ts";
import {
  Backend,
  cluster,
  connectionManager,
  endpoint,
  endpoints,
  filterChain,
  forwardTo,
  freePort,
  listener,
  route,
  routes,
  TestProxy,
} from "./harness.ts";
import { tcpChain } from "./tcp_peers.ts";
import { TestRoot } from "./tls_certificates.ts";
import { answering, RawBackend, RawConnection, until } from "./raw_sockets.ts";

const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** Requests without pause over several kept connections, and what came of them. */
class Load {
  done = 0;
  readonly failures: string[] = [];
  #stop = false;
  readonly #callers: Promise<void>[];

  constructor(port: number, callers = 8) {
    this.#callers = Array.from({ length: callers }, async () => {
      while (!this.#stop) {
        try {
          const response = await fetch(`http://127.0.0.1:${port}/`, { method: "POST", body: "x".repeat(100) });
          const text = await response.text();
          if (response.status !== 200) this.failures.push(`${response.status} ${text}`);
        } catch (error) {
          this.failures.push(String(error));
        }
        this.done++;
      }
    });
  }

  /** Waits until this many more requests have been answered. */
  async more(count: number): Promise<void> {
    const goal = this.done + count;
    await until(() => this.done >= goal, () => `${this.done} of ${goal} requests`);
  }

  async end(): Promise<void> {
    this.#stop = true;
    await Promise.all(this.#callers);
    assert.deepEqual(this.failures, []);
  }
}

Deno.test("endpoints come and go, clusters and routes change under load, and no request fails", async () => {
  const backends = Array.from({ length: 3 }, () => new Backend(async (request) => new Response(await request.text())));
  const ports = backends.map((backend) => backend.port);
  const { proxy, port } = await TestProxy.simple(ports, {}, 2);
  await using _ = proxy;
  const load = new Load(port);
  for (let round = 0; round < 4; round++) {
    await load.more(40);
    await proxy.update({
      endpoints: [endpoints("backend", ports.slice(round % 3, round % 3 + 1).map((one) => endpoint(one)))],
    });
    await load.more(40);
    await proxy.update({ clusters: [cluster({ connectTimeout: 3000 + round, lbPolicy: "RANDOM" })] });
    await load.more(40);
    await proxy.update({
      clusters: [cluster({ name: `other-${round}` })],
      endpoints: [endpoints(`other-${round}`, [endpoint(ports[0])])],
      routes: [routes([route({ action: forwardTo(`other-${round}`) })])],
    });
    await load.more(40);
    await proxy.update({
      routes: [routes([route()])],
      endpoints: [endpoints("backend", ports.map((one) => endpoint(one)))],
    });
    await proxy.update({ removedClusters: [`other-${round}`] });
  }
  await load.more(40);
  await load.end();
  for (const backend of backends) await backend[Symbol.asyncDispose]();
});

Deno.test("a removed endpoint gets no further request, its idle connections close, the one in flight finishes", async () => {
  let answer = () => {};
  const gate = new Promise<void>((resolve) => answer = resolve);
  using slow = new RawBackend(async (connection, index) => {
    await connection.until(/\r\n\r\n/);
    if (index === 1) await gate;
    await connection.send(ok);
  });
  using other = answering(ok);
  const { proxy, port } = await TestProxy.simple([slow.port]);
  await using _ = proxy;
  using client = await RawConnection.connect(port);
  using second = await RawConnection.connect(port);
  await client.send(get);
  await client.until(/ok$/);
  await until(() => proxy.clusterCounter(ClusterSlot.activeRequests) === 0, "the first request is done");
  // The idle connection is taken again, so that a third caller needs a second one.
  await second.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n");
  await until(() => slow.received.includes("POST"), "the second request");
  using third = await RawConnection.connect(port);
  await third.send(get);
  await until(() => slow.connections.length === 2, "a second connection");
  await slow.connections[1].until(/GET/);
  await proxy.update({ endpoints: [endpoints("backend", [endpoint(other.port)])] });
  const before = client.received.length;
  await client.send(get);
  await until(() => client.received.length > before, "an answer from the new endpoint");
  assert.equal(other.connections.length, 1);
  answer();
  await third.until(/200 OK[^]*ok$/);
  await until(() => slow.connections[1].ended, "the end of its connection");
  assert.equal(slow.connections.length, 2);
});

Deno.test("a changed route holds for the next request on the same connection", async () => {
  using backend = answering(ok);
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  using client = await RawConnection.connect(port);
  await client.send(get);
  await client.until(/ok$/);
  await proxy.update({ routes: [routes([route({ action: { kind: "direct", status: 410, body: "gone" } })])] });
  await client.send(get);
  await client.until(/HTTP\/1\.1 410 Gone[^]*gone$/);
});

Deno.test("listeners come and go; those that stay keep their connections", async () => {
  using backend = answering(ok);
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  using kept = await RawConnection.connect(port);
  await kept.send(get);
  await kept.until(/ok$/);
  const other = freePort();
  await proxy.update({ listeners: [listener(port), listener(other)] });
  {
    using client = await RawConnection.connect(other);
    await client.send(get);
    await client.until(/ok$/);
  }
  await proxy.update({ removedListeners: [`127.0.0.1_${other}`] });
  await assert.rejects(Deno.connect({ hostname: "127.0.0.1", port: other }));
  const before = kept.received.length;
  await kept.send(get);
  await until(() => kept.received.length > before, "an answer on the kept connection");
  assert.equal(kept.ended, false);
});

Deno.test("an address that is taken is told, and the rest of the change is applied", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port: takenPort } = taken.addr as Deno.NetAddr;
  using backend = answering(ok);
  const { proxy } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  const free = freePort();
  await assert.rejects(
    proxy.update({ listeners: [listener(takenPort), listener(free)] }),
    new RegExp(`cannot listen on 127\\.0\\.0\\.1:${takenPort}: address in use`),
  );
  using client = await RawConnection.connect(free);
  await client.send(get);
  await client.until(/ok$/);
});

Deno.test("a message larger than any buffer is applied whole", async () => {
  using backend = answering(ok);
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  const many = Array.from({ length: 5000 }, (_, i) => cluster({ name: `cluster-${i}` }));
  await proxy.update({
    clusters: many,
    routes: [routes([route({ action: { kind: "direct", status: 200, body: "last" } })])],
  });
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), "last");
});

Deno.test("a listener that changes keeps the connections of the filter chains that did not", async () => {
  using backend = answering(ok);
  const port = freePort();
  const { proxy } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  const root = await TestRoot.make();
  await using _root = root;
  const { certificate, privateKey } = await root.issue("a", "DNS:a");
  const secret = { name: "a", certificateChain: certificate, privateKey, trustBundle: "" };
  await proxy.threads.apply({ kind: "secret", proxy: "client", secret });
  const tls: DownstreamTlsConfig = {
    certificate: "a",
    trustBundle: "",
    requireClientCertificate: false,
    alpn: [],
    minimumVersion: "1.2",
  };
  const chain = (name: string, serverName = "x") =>
    filterChain({ name, serverNames: [name], tls, http: connectionManager({ serverName }) });
  const listen = (...chains: FilterChainConfig[]) =>
    proxy.update({ listeners: [listener(port, { filterChains: chains })] });
  await listen(chain("kept"), chain("changed"), chain("removed"));
  const clients = new Map<string, { socket: TLSSocket; ended: boolean }>();
  for (const name of ["kept", "changed", "removed"]) {
    const socket = connectTls({ host: "127.0.0.1", port, servername: name, rejectUnauthorized: false });
    await once(socket, "secureConnect");
    const client = { socket, ended: false };
    socket.on("end", () => client.ended = true).on("error", () => client.ended = true);
    clients.set(name, client);
    socket.write(get);
    await once(socket, "data");
  }
  await listen(chain("new"), chain("kept"), chain("changed", "y"));
  await until(() => clients.get("changed")!.ended && clients.get("removed")!.ended, "the others' connections end");
  const { socket, ended } = clients.get("kept")!;
  assert.equal(ended, false);
  socket.write(get);
  assert.match(String((await once(socket, "data"))[0]), /^HTTP\/1\.1 200/);
  for (const { socket } of clients.values()) socket.destroy();
});

Deno.test("connections of a listener that is gone finish what is in flight, and those of TCP last for the drain time", async () => {
  using backend = answering(ok);
  using slow = new RawBackend(() => {});
  const [http, tcp] = [freePort(), freePort()];
  const drainTime = 700;
  await using proxy = await TestProxy.start(
    {
      clusters: [cluster(), cluster({ name: "slow" })],
      endpoints: [endpoints("backend", [endpoint(backend.port)]), endpoints("slow", [endpoint(slow.port)])],
      routes: [routes([route({ action: forwardTo("slow") })])],
      listeners: [listener(http), listener(tcp, { filterChains: [tcpChain()] })],
    },
    1,
    { drainTime },
  );
  using requesting = await RawConnection.connect(http);
  await requesting.send(get);
  await until(() => slow.connections.length === 1, "the request is with the backend");
  using relayed = await RawConnection.connect(tcp);
  await relayed.send(get);
  await relayed.until(/ok$/);
  const since = performance.now();
  await proxy.update({ removedListeners: [`127.0.0.1_${http}`, `127.0.0.1_${tcp}`] });
  await slow.connections[0].send(ok);
  await requesting.until(/ok$/);
  await until(() => requesting.ended, "the connection ends with its request");
  assert.ok(!relayed.ended);
  await until(() => relayed.ended, "the relayed connection is closed");
  assert.ok(performance.now() - since >= drainTime - 20);
});
