/** What a DestinationRule's connectionPool says of upstream connections, from its YAML to traffic. */
import assert from "node:assert/strict";
import { CompiledService } from "./compiled_service.ts";
import { answer, Http2Backend, Http2Peer } from "./http2_peer.ts";
import { answering, RawBackend, until } from "./raw_sockets.ts";

const http = (settings: string) => `{ connectionPool: { http: { ${settings} } } }`;

Deno.test("h2UpgradePolicy UPGRADE has a port of HTTP spoken to in HTTP/2", async () => {
  using backend = new Http2Backend(answer);
  await using service = await CompiledService.start([[backend]], { trafficPolicy: http("h2UpgradePolicy: UPGRADE") });
  assert.equal((await service.request()).status, 200);
  assert.equal(backend.requests, 1);
});

Deno.test("the mesh's h2UpgradePolicy holds where the rule does not say otherwise", async () => {
  using http2 = new Http2Backend(answer);
  const settings = { h2UpgradePolicy: "UPGRADE" as const };
  await using upgraded = await CompiledService.start([[http2]], { settings });
  assert.equal((await upgraded.request()).status, 200);
  using http1 = answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
  await using kept = await CompiledService.start([[http1]], {
    settings,
    trafficPolicy: http("h2UpgradePolicy: DO_NOT_UPGRADE"),
  });
  assert.equal((await kept.request()).status, 200);
});

Deno.test("with useClientProtocol requests go out in the protocol in which they came", async () => {
  const openings: string[] = [];
  using backend = new RawBackend(async (connection) => {
    await until(() => connection.received.length >= 3, "the first bytes");
    openings.push(connection.received.slice(0, 3));
    connection.close();
  });
  await using service = await CompiledService.start([[backend]], { trafficPolicy: http("useClientProtocol: true") });
  assert.equal((await service.request()).status, 503);
  const tried = openings.length;
  assert.deepEqual(new Set(openings), new Set(["GET"]));
  using caller = await Http2Peer.connect(service.httpProxy.port);
  const { fields } = await caller.exchange([
    [":method", "GET"],
    [":scheme", "http"],
    [":path", "/"],
    [":authority", "backend:9080"],
  ]);
  assert.deepEqual(fields[0], [":status", "503"]);
  assert.deepEqual(new Set(openings.slice(tried)), new Set(["PRI"]));
});

Deno.test("maxConcurrentStreams is how many requests share a connection of HTTP/2", async () => {
  using backend = new Http2Backend();
  await using service = await CompiledService.start([[backend]], {
    trafficPolicy: http("h2UpgradePolicy: UPGRADE, maxConcurrentStreams: 2"),
  });
  const answers = [1, 2, 3].map(() => service.request());
  await until(() => backend.requests === 3, "three requests");
  assert.equal(backend.peers.length, 2);
  for (const peer of backend.peers) {
    for (const message of peer.messages.values()) await answer(message, peer);
  }
  assert.deepEqual((await Promise.all(answers)).map(({ status }) => status), [200, 200, 200]);
});

Deno.test("http2KeepAlive gives up a connection whose host answers no PING", async () => {
  const trafficPolicy = http("h2UpgradePolicy: UPGRADE, http2KeepAlive: { interval: 100ms, timeout: 300ms }");
  using silent = new Http2Backend(() => {}, { acknowledge: false });
  await using lost = await CompiledService.start([[silent]], { trafficPolicy });
  assert.equal((await lost.request()).status, 503);

  using slow = new Http2Backend(async (message, peer) => {
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await answer(message, peer);
  });
  await using kept = await CompiledService.start([[slow]], { trafficPolicy });
  assert.equal((await kept.request()).status, 200);
});

Deno.test("a connection as old as maxConnectionDuration takes no more requests", async () => {
  const trafficPolicy = "{ connectionPool: { tcp: { maxConnectionDuration: 300ms } } }";
  const ports = new Set<number>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (_, { remoteAddr }) => {
    ports.add((remoteAddr as Deno.NetAddr).port);
    return new Response("ok");
  });
  await using _ = { [Symbol.asyncDispose]: () => server.shutdown() };
  await using service = await CompiledService.start([[server.addr]], { trafficPolicy });
  await service.request();
  await until(async () => (await service.request(), ports.size > 1), "another connection");
});
