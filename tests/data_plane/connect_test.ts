import assert from "node:assert/strict";
import http from "node:http";
import { ClusterSlot } from "../../agent/config/shared_memory.ts";
import type { RouteActionConfig } from "../../agent/config/model.ts";
import {
  Backend,
  cluster,
  endpoint,
  endpoints,
  forwardTo,
  freePort,
  route,
  routes,
  simpleSetup,
  TestProxy,
} from "./harness.ts";
import { testEachWay } from "./mesh.ts";
import { TwoProxies } from "./two_proxies.ts";
import { exchangeUntilEnd, RawBackend, RawConnection, statusOf, until } from "./raw_sockets.ts";

const asking = "CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\n\r\n";
const path = { kind: "prefix" as const, value: "", ignoreCase: false };

/** A route that relays CONNECT to `backend`. */
function connectRoute(overrides: Partial<RouteActionConfig> = {}) {
  return route({
    match: { connect: true, path, headers: [], queryParameters: [], fraction: null },
    action: forwardTo("backend", { upgrades: { connect: true }, ...overrides }),
  });
}

/** A proxy that relays CONNECT for `db:5432` to a port, and everything else as a request. */
async function connectingProxy(backendPort: number, overrides: Partial<RouteActionConfig> = {}) {
  const port = freePort();
  const setup = simpleSetup(port, [backendPort]);
  const proxy = await TestProxy.start({
    ...setup,
    routes: [routes([route(), connectRoute(overrides)], ["db:5432", "a"])],
  });
  return { proxy, port };
}

/** A backend that sends back what it gets, and ends when its peer does. */
function echoBackend(): RawBackend {
  return new RawBackend(async (connection) => {
    for (let echoed = 0;;) {
      await until(() => connection.received.length > echoed || connection.ended, "bytes");
      if (connection.received.length > echoed) {
        const bytes = Uint8Array.from(connection.received.slice(echoed), (character) => character.charCodeAt(0));
        echoed += bytes.length;
        await connection.send(bytes);
      } else return await connection.finishSending();
    }
  });
}

Deno.test("CONNECT relays bytes both ways until both sides have ended", async () => {
  using backend = echoBackend();
  const { proxy, port } = await connectingProxy(backend.port);
  await using _ = proxy;
  using client = await RawConnection.connect(port);
  await client.send(asking);
  await client.until(/\r\n\r\n/);
  assert.match(client.received, /^HTTP\/1\.1 200 OK\r\n/);
  assert.doesNotMatch(client.received, /content-length|transfer-encoding|connection:/i);
  const bytes = new Uint8Array(500_000).map((_, i) => (i * 7 + (i >> 9)) & 127);
  const before = client.received.length;
  await client.send(bytes);
  await until(() => client.received.length === before + bytes.length, () => `${client.received.length}`);
  assert.ok(client.received.slice(before) === new TextDecoder().decode(bytes));
  await client.finishSending();
  await client.end();
  await until(() => proxy.recorded()["200 -"] === 1, () => JSON.stringify(proxy.recorded()));
  await until(() => proxy.clusterCounter(ClusterSlot.activeConnections) === 0, "the connection's end");
  assert.equal(proxy.clusterCounter(ClusterSlot.activeRequests), 0);
});

Deno.test("the host gets no byte of the CONNECT itself, and what was sent ahead comes first", async () => {
  using backend = new RawBackend();
  const { proxy, port } = await connectingProxy(backend.port);
  await using _ = proxy;
  using client = await RawConnection.connect(port);
  await client.send(`${asking}first`);
  await client.until(/\r\n\r\n/);
  await client.send(" then");
  await until(() => backend.received === "first then", () => JSON.stringify(backend.received));
});

Deno.test("a host that speaks first is heard, and one that ends first still hears the rest", async () => {
  using backend = new RawBackend(async (connection) => {
    await connection.send("220 ready\r\n");
    await connection.finishSending();
  });
  const { proxy, port } = await connectingProxy(backend.port);
  await using _ = proxy;
  using client = await RawConnection.connect(port);
  await client.send(asking);
  await client.until(/\r\n\r\n220 ready\r\n$/);
  await client.end();
  await client.send("QUIT");
  await until(() => backend.received === "QUIT", () => backend.received);
  await client.finishSending();
  await backend.connections[0].end();
});

Deno.test("HTTP through a tunnel is between the two ends", async () => {
  await using backend = new Backend((request) => new Response(request.headers.get("host")));
  const { proxy, port } = await connectingProxy(backend.port);
  await using _ = proxy;
  const text = await new Promise<string>((resolve, reject) => {
    const connect = http.request({ host: "127.0.0.1", port, method: "CONNECT", path: "db:5432" });
    connect.on("error", reject).on("connect", (response, socket) => {
      assert.equal(response.statusCode, 200);
      let received = "";
      socket.on("data", (data) => received += data).on("end", () => resolve(received));
      socket.write("GET / HTTP/1.1\r\nHost: inside\r\nConnection: close\r\n\r\n");
    }).end();
  });
  assert.match(text, /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\ninside$/);
});

testEachWay("a tunnel to a workload of the mesh goes by both identities, in the caller's protocol", async (way) => {
  await using backend = new Backend((request) =>
    new Response(request.headers.get("x-forwarded-client-cert") ?? "none")
  );
  const http = { forwardClientCertDetails: "APPEND_FORWARD" } as const;
  await using mesh = await TwoProxies.start(backend.port, http, way);
  await mesh.proxy.update({ proxy: "productpage", routes: [routes([connectRoute()])] });
  const { stdout, stderr } = await new Deno.Command("curl", {
    args: ["-sS", "-p", "-x", `http://127.0.0.1:${mesh.port}`, "http://reviews:9080/"],
  }).output();
  const told = new TextDecoder().decode(stdout);
  assert.match(told, /spiffe:\/\/cluster\.local\/ns\/default\/sa\/reviews;Hash=/, new TextDecoder().decode(stderr));
});

Deno.test("curl reaches a host through a tunnel", async () => {
  await using backend = new Backend(() => new Response("reached"));
  const { proxy, port } = await connectingProxy(backend.port);
  await using _ = proxy;
  const { stdout, stderr } = await new Deno.Command("curl", {
    args: ["-sS", "-p", "-x", `http://127.0.0.1:${port}`, "http://db:5432/"],
  }).output();
  assert.equal(new TextDecoder().decode(stdout), "reached", new TextDecoder().decode(stderr));
});

Deno.test("without a route for CONNECT there is none: 404, and the connection ends", async () => {
  using backend = new RawBackend();
  const { proxy, port } = await connectingProxy(backend.port);
  await using _ = proxy;
  const smuggled = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  for (const authority of ["other:5432", "db:5433"]) {
    const answer = await exchangeUntilEnd(
      port,
      `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n${smuggled}`,
    );
    assert.match(answer, /^HTTP\/1\.1 404 Not Found\r\n[^]*connection: close\r\n/);
    assert.equal(answer.split("HTTP/1.1 ").length, 2);
  }
  assert.equal(backend.connections.length, 0);
  assert.deepEqual(proxy.recorded(), { "404 NR": 2 });
});

Deno.test("no other route takes CONNECT, and its route takes nothing else", async () => {
  using backend = new RawBackend();
  const plain = await TestProxy.simple([backend.port]);
  await using _ = plain.proxy;
  assert.equal(statusOf(await exchangeUntilEnd(plain.port, asking)), 404);
  const port = freePort();
  await using _proxy = await TestProxy.start({
    ...simpleSetup(port, [backend.port]),
    routes: [routes([connectRoute()])],
  });
  const request = "GET / HTTP/1.1\r\nHost: db:5432\r\nConnection: close\r\n\r\n";
  assert.equal(statusOf(await exchangeUntilEnd(port, request)), 404);
  assert.equal(backend.connections.length, 0);
});

Deno.test("a route that forbids CONNECT answers 403", async () => {
  using backend = new RawBackend();
  const { proxy, port } = await connectingProxy(backend.port, { upgrades: { connect: false } });
  await using _ = proxy;
  assert.equal(statusOf(await exchangeUntilEnd(port, asking)), 403);
});

Deno.test("a CONNECT without a port, or with a body, is refused", async () => {
  using backend = new RawBackend();
  const { proxy, port } = await connectingProxy(backend.port);
  await using _ = proxy;
  const bad = [
    "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n",
    "CONNECT a: HTTP/1.1\r\nHost: a\r\n\r\n",
    "CONNECT :5432 HTTP/1.1\r\nHost: a\r\n\r\n",
    "CONNECT / HTTP/1.1\r\nHost: db:5432\r\n\r\n",
    "CONNECT http://db:5432/ HTTP/1.1\r\nHost: db:5432\r\n\r\n",
    "CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\nContent-Length: 5\r\n\r\nhello",
    "CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
  ];
  for (const request of bad) {
    assert.equal(statusOf(await exchangeUntilEnd(port, request)), 400, request);
  }
  assert.equal(backend.connections.length, 0);
});

Deno.test("a host that cannot be reached, none at all, and too many connections are told as for requests", async () => {
  const { proxy, port } = await connectingProxy(freePort());
  await using _ = proxy;
  assert.equal(statusOf(await exchangeUntilEnd(port, asking)), 503);
  await proxy.update({ endpoints: [endpoints("backend", [])] });
  assert.equal(statusOf(await exchangeUntilEnd(port, asking)), 503);
  using backend = new RawBackend();
  await proxy.update({
    clusters: [
      cluster({
        circuitBreakers: { maxConnections: 1, maxPendingRequests: 1024, maxRequests: 1024, maxRetries: 3 },
      }),
    ],
    endpoints: [endpoints("backend", [endpoint(backend.port)])],
  });
  using first = await RawConnection.connect(port);
  await first.send(asking);
  await first.until(/^HTTP\/1\.1 200 /);
  assert.equal(statusOf(await exchangeUntilEnd(port, asking)), 503);
  assert.deepEqual(proxy.recorded(), { "503 UF": 1, "503 UH": 1, "503 UO": 1 });
});

Deno.test("a caller that leaves while the host is being reached costs nothing", async () => {
  // Nobody answers here: the backlog of a listener that accepts nothing fills up at once.
  const { proxy, port } = await connectingProxy(1);
  await using _ = proxy;
  await proxy.update({ endpoints: [endpoints("backend", [endpoint(1, { address: "127.255.255.254" })])] });
  using client = await RawConnection.connect(port);
  await client.send(asking);
  client.close();
  await until(() => proxy.clusterCounter(ClusterSlot.activeConnections) === 0, "nothing is left");
});

Deno.test("when one end of a tunnel breaks off, so does the other", async () => {
  using backend = new RawBackend();
  const { proxy, port } = await connectingProxy(backend.port);
  await using _ = proxy;
  for (const breaks of ["client", "server"]) {
    const client = await RawConnection.connect(port);
    await client.send(asking);
    await client.until(/\r\n\r\n/);
    await until(() => backend.connections.length > 0 && !backend.connections.at(-1)!.ended, "the connection");
    const server = backend.connections.at(-1)!;
    const [one, other] = breaks === "client" ? [client, server] : [server, client];
    one.close();
    await until(async () => {
      await other.trySend("anybody?");
      return other.ended;
    }, "the end of the other side");
    other.close();
  }
  await until(() => proxy.clusterCounter(ClusterSlot.activeConnections) === 0, "the connections' end");
});
