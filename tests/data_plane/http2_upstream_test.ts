import assert from "node:assert/strict";
import type { RetryConfig, RouteActionConfig } from "../../agent/config/model.ts";
import { ClusterSlot } from "../../agent/config/shared_memory.ts";
import { ErrorCode, FrameType, Setting } from "../../agent/decode/http2/protocol.ts";
import { endpoint, endpoints, freePort, TestProxy } from "./harness.ts";
import {
  answer,
  data,
  goAway,
  headers,
  Http2Backend,
  Http2Peer,
  request,
  resetStream,
  settings,
} from "./http2_peer.ts";
import { identity, Mesh, setSecrets, testEachWay } from "./mesh.ts";
import { RawBackend, until } from "./raw_sockets.ts";

const http2 = { maxConcurrentStreams: 100 };

function retrying(...retryOn: string[]): Partial<RouteActionConfig> {
  const retry: RetryConfig = {
    retryOn,
    numRetries: 2,
    perTryTimeout: 0,
    retriableStatusCodes: [],
    backOffBase: 1,
    backOffMax: 10,
    avoidPreviousHosts: false,
    hostSelectionMaxAttempts: 1,
  };
  return { retry };
}

async function get(port: number): Promise<{ status: number; text: string }> {
  const response = await fetch(`http://127.0.0.1:${port}/`);
  return { status: response.status, text: await response.text() };
}

Deno.test("a stream that the upstream refuses is tried again, where the policy says so", async () => {
  for (const [action, status] of [[retrying("refused-stream"), 200], [retrying("connect-failure"), 503]] as const) {
    using backend = new Http2Backend(async (message, peer) => {
      if (message.stream === 1) await peer.send(resetStream(message.stream, ErrorCode.refusedStream));
      else await answer(message, peer);
    });
    const { proxy, port } = await TestProxy.simple([backend.port], { cluster: { http2 }, action });
    await using _ = proxy;
    assert.equal((await get(port)).status, status);
    assert.equal(backend.peers.length, 1);
  }
});

Deno.test("a stream that the upstream resets for another reason is not taken for refused", async () => {
  using backend = new Http2Backend((message, peer) => peer.send(resetStream(message.stream, ErrorCode.internalError)));
  const { proxy, port } = await TestProxy.simple([backend.port], {
    cluster: { http2 },
    action: retrying("refused-stream"),
  });
  await using _ = proxy;
  assert.equal((await get(port)).status, 503);
  assert.equal(backend.requests, 1);
});

Deno.test("streams above the last one of a GOAWAY go elsewhere, those below finish", async () => {
  using backend = new Http2Backend(async (message, peer) => {
    if (backend.peers.length > 1) return await answer(message, peer, 200, "second");
    if (backend.requests < 5) return;
    // The first two have been looked at, the others not.
    await peer.send(goAway(3));
    for (const stream of [1, 3]) await answer(peer.message(stream), peer, 200, "first");
  });
  const { proxy, port } = await TestProxy.simple([backend.port], {
    cluster: { http2 },
    action: retrying("refused-stream"),
  });
  await using _ = proxy;
  using client = await Http2Peer.connect(port);
  const messages = [];
  for (let i = 0; i < 5; i++) messages.push(await client.open(request(`/${i}`)));
  const texts = await Promise.all(messages.map(async (message) => (await message.end()).text));
  assert.deepEqual(texts.sort(), ["first", "first", "second", "second", "second"]);
  assert.deepEqual(proxy.recorded(), { "200 -": 5 });
  assert.equal(await backend.peers[0].end(), ErrorCode.noError);
});

Deno.test("a GOAWAY on an idle connection costs no request", async () => {
  using backend = new Http2Backend((message, peer) => answer(message, peer));
  const { proxy, port } = await TestProxy.simple([backend.port], { cluster: { http2 } });
  await using _ = proxy;
  for (let round = 0; round < 5; round++) {
    assert.equal((await get(port)).status, 200);
    const peer = backend.peers.at(-1)!;
    await peer.send(goAway(1));
    await peer.end();
  }
  assert.equal(backend.peers.length, 5);
  await until(() => proxy.clusterCounter(ClusterSlot.activeConnections) === 0, "no connections");
});

Deno.test("an upstream that breaks off in the midst of a response is seen by the caller", async () => {
  using backend = new Http2Backend(async (message, peer) => {
    await peer.send(headers(message.stream, [[":status", "200"]], false), data(message.stream, "half", false));
    peer.close();
  });
  const { proxy, port } = await TestProxy.simple([backend.port], { cluster: { http2 } });
  await using _ = proxy;
  await assert.rejects(fetch(`http://127.0.0.1:${port}/`).then((response) => response.text()));
  using client = await Http2Peer.connect(port);
  const message = await client.exchange(request("/"));
  assert.deepEqual([message.status, message.text, message.complete], [200, "half", false]);
  assert.notEqual(message.reset, null);
  assert.equal(client.ended, false);
});

Deno.test("as many streams as the upstream allows, and another connection for what is more", async () => {
  using backend = new Http2Backend(() => {}, { settings: [Setting.maxConcurrentStreams, 2] });
  const { proxy, port } = await TestProxy.simple([backend.port], { cluster: { http2 } });
  await using _ = proxy;
  using client = await Http2Peer.connect(port);
  const first = await client.open(request("/first"));
  await until(() => backend.requests === 1, "the first request");
  await until(() => backend.peers[0].count(FrameType.settings) >= 2, "the acknowledgement");
  const rest = [];
  for (let i = 0; i < 3; i++) rest.push(await client.open(request("/more")));
  await until(() => backend.requests === 4, "all requests");
  assert.equal(backend.peers.length, 2);
  for (const peer of backend.peers) {
    assert.ok(peer.messages.size >= 2);
    for (const message of peer.messages.values()) await answer(message, peer);
  }
  for (const message of [first, ...rest]) assert.equal((await message.end()).text, "ok");
});

Deno.test("what finds no room waits for it where no more connections are allowed", async () => {
  using backend = new Http2Backend(() => {}, { settings: [Setting.maxConcurrentStreams, 1] });
  const circuitBreakers = { maxConnections: 1, maxPendingRequests: 100, maxRequests: 100, maxRetries: 3 };
  const { proxy, port } = await TestProxy.simple([backend.port], { cluster: { http2, circuitBreakers } });
  await using _ = proxy;
  using client = await Http2Peer.connect(port);
  const messages = [await client.open(request("/0"))];
  await until(() => backend.requests === 1, "the first request");
  await until(() => backend.peers[0].count(FrameType.settings) >= 2, "the acknowledgement");
  for (let i = 1; i < 4; i++) messages.push(await client.open(request(`/${i}`)));
  await until(() => proxy.clusterCounter(ClusterSlot.pendingRequests) === 3, "three that wait");
  for (let i = 0; i < 4; i++) {
    await until(() => backend.requests === i + 1, `request ${i}`);
    await answer(backend.peers[0].message(2 * i + 1), backend.peers[0], 200, `${i}`);
    assert.equal((await messages[i].end()).text, `${i}`);
  }
  assert.equal(backend.peers.length, 1);
  assert.equal(proxy.clusterCounter(ClusterSlot.pendingRequests), 0);
});

Deno.test("an upstream that allows more streams later gets what has been waiting", async () => {
  using backend = new Http2Backend((message, peer) => answer(message, peer), {
    settings: [Setting.maxConcurrentStreams, 1],
  });
  const circuitBreakers = { maxConnections: 1, maxPendingRequests: 100, maxRequests: 100, maxRetries: 3 };
  const { proxy, port } = await TestProxy.simple([backend.port], { cluster: { http2, circuitBreakers } });
  await using _ = proxy;
  assert.equal((await get(port)).status, 200);
  await backend.peers[0].send(settings(Setting.maxConcurrentStreams, 0));
  await until(() => backend.peers[0].count(FrameType.settings) >= 3, "the acknowledgement");
  const waiting = get(port);
  await until(() => proxy.clusterCounter(ClusterSlot.pendingRequests) === 1, "one that waits");
  await backend.peers[0].send(settings(Setting.maxConcurrentStreams, 10));
  assert.equal((await waiting).status, 200);
});

const malformed: [name: string, answer: (stream: number) => Uint8Array][] = [
  ["no status", (stream) => headers(stream, [["x-a", "1"]], true)],
  ["a status of two digits", (stream) => headers(stream, [[":status", "20"]], true)],
  ["101", (stream) => headers(stream, [[":status", "101"]], false)],
  ["an interim response that ends the stream", (stream) => headers(stream, [[":status", "103"]], true)],
  ["a request's pseudo-header field", (stream) => headers(stream, [[":status", "200"], [":path", "/"]], true)],
  ["another of them", (stream) => headers(stream, [[":status", "200"], [":authority", "a"]], true)],
  ["CR LF in a value", (stream) => headers(stream, [[":status", "200"], ["x-a", "1\r\nset-cookie: b=1"]], true)],
  ["Transfer-Encoding", (stream) => headers(stream, [[":status", "200"], ["transfer-encoding", "chunked"]], true)],
  ["a body before the head", (stream) => data(stream, "body", false)],
  ["a length without a body", (stream) => headers(stream, [[":status", "200"], ["content-length", "5"]], true)],
];

Deno.test("a malformed response is answered with 502, and the connection goes on", async () => {
  let bad: ((stream: number) => Uint8Array) | null = null;
  using backend = new Http2Backend((message, peer) =>
    bad === null ? answer(message, peer) : peer.send(bad(message.stream))
  );
  const { proxy, port } = await TestProxy.simple([backend.port], { cluster: { http2 } });
  await using _ = proxy;
  for (const [name, make] of malformed) {
    bad = make;
    assert.equal((await get(port)).status, 502, name);
    bad = null;
    assert.equal((await get(port)).text, "ok", name);
  }
  assert.equal(backend.peers.length, 1);
  assert.equal(proxy.recorded()["502 UPE"], malformed.length);
});

Deno.test("an upstream's interim responses stay on its hop, forbidden trailers cut the response off", async () => {
  using backend = new Http2Backend(async (message, peer) => {
    await peer.send(headers(message.stream, [[":status", "103"], ["link", "</a>"]], false));
    await peer.send(headers(message.stream, [[":status", "200"]], false), data(message.stream, "ok", false));
    const name = message.field(":path") === "/bad" ? "content-length" : "x-fine";
    await peer.send(headers(message.stream, [[name, "2"]], true));
  });
  const { proxy, port } = await TestProxy.simple([backend.port], { cluster: { http2 } });
  await using _ = proxy;
  using client = await Http2Peer.connect(port);
  const good = await client.exchange(request("/"));
  assert.deepEqual([good.text, good.interim, good.trailers], ["ok", [], [["x-fine", "2"]]]);
  const cut = await client.exchange(request("/bad"));
  assert.deepEqual([cut.complete, cut.trailers], [false, null]);
});

/** Resident memory of this process, which holds both ends as well as the proxy, in bytes. */
const resident = () => Deno.memoryUsage().rss;

Deno.test("a stream whose reader stands still holds back its sender and costs little", async () => {
  const size = 100 * 1024 * 1024;
  const part = new Uint8Array(16384);
  const sent = new Map<number, number>();
  using backend = new Http2Backend(async (message, peer) => {
    await peer.send(headers(message.stream, [[":status", "200"]], false));
    for (let all = 0; all < size && message.reset === null && !peer.ended; all += part.length) {
      await peer.sendBody(message.stream, part, false).catch(() => {});
      sent.set(message.stream, all);
    }
  });
  const { proxy, port } = await TestProxy.simple([backend.port], { cluster: { http2 } });
  await using _ = proxy;
  const before = resident();
  using client = await Http2Peer.connect(port, { giveBack: false });
  const stuck = [];
  for (let i = 0; i < 20; i++) stuck.push(await client.open(request("/")));
  for (const message of stuck) await message.head();
  let last = -1;
  const total = () => [...sent.values()].reduce((sum, one) => sum + one, 0);
  await until(async () => {
    const stands = last === total();
    last = total();
    await new Promise((resolve) => setTimeout(resolve, 200));
    return stands && last === total();
  }, "the senders stand still");
  // The stream's window, what waits for the caller's, and what a turn of the loop brings: for each stream.
  assert.ok(last < 20 * 400_000, `${last}`);
  assert.ok(resident() - before < 50 * 1024 * 1024, `${resident() - before}`);
  // Another connection, and another stream beside them, are not held back.
  using other = await Http2Peer.connect(port);
  const flowing = await other.open(request("/"));
  await until(
    () => flowing.size > 2_000_000,
    () => `two megabytes beside them, not ${flowing.size} ${backend.peers.length} ${[...sent]}`,
  );
});

testEachWay("between proxies that offer it HTTP/2 is spoken: one connection, bodies unchanged", async (way) => {
  await using mesh = await Mesh.start((request) => new Response(request.body), { way });
  const url = `http://127.0.0.1:${mesh.outboundPort}/`;
  await Promise.all(Array.from({ length: 60 }, async (_, i) => {
    const body = new Uint8Array([0, 10, 70_000, 1_000_000][i % 4]).fill(i);
    const response = await fetch(url, { method: "POST", body });
    const received = new Uint8Array(await response.arrayBuffer());
    assert.ok(received.length === body.length && received.every((byte) => byte === i));
  }));
  assert.equal(mesh.proxy.clusterCounter(ClusterSlot.connections), 1);
  assert.equal(mesh.proxy.clusterCounter(ClusterSlot.activeRequests), 0);
});

/** Requests without pause; counts those that did not succeed. */
class Load {
  failed: string[] = [];
  done = 0;
  #stop = false;
  readonly #callers: Promise<void>[];

  constructor(port: number, callers = 8) {
    this.#callers = Array.from({ length: callers }, async (_, i) => {
      const body = new Uint8Array(i * 10_000).fill(i);
      while (!this.#stop) {
        try {
          const response = await fetch(`http://127.0.0.1:${port}/`, { method: "POST", body });
          const received = new Uint8Array(await response.arrayBuffer());
          if (response.status !== 200 || received.length !== body.length) this.failed.push(`${response.status}`);
        } catch (error) {
          this.failed.push(String(error));
        }
        this.done++;
      }
    });
  }

  async until(more: number): Promise<void> {
    const target = this.done + more;
    await until(() => this.done >= target, `${more} more requests`);
  }

  async end(): Promise<void> {
    this.#stop = true;
    await Promise.all(this.#callers);
    assert.deepEqual(this.failed, []);
  }
}

testEachWay("certificates are replaced under load between proxies that speak HTTP/2, no request fails", async (way) => {
  await using mesh = await Mesh.start((request) => new Response(request.body), { way });
  const load = new Load(mesh.outboundPort);
  for (let round = 0; round < 5; round++) {
    await load.until(50);
    const bundle = mesh.authority.trustBundle();
    await setSecrets(mesh.proxy, "productpage", await identity(mesh.authority, "productpage"), bundle);
    await setSecrets(mesh.receiver, "reviews", await identity(mesh.authority, "reviews"), bundle);
  }
  await load.until(50);
  await load.end();
  assert.ok(mesh.proxy.clusterCounter(ClusterSlot.connections) > 1);
});

Deno.test("endpoints come and go under load without a failed request", async () => {
  const echo = async (message: Parameters<typeof answer>[0], peer: Http2Peer) => {
    await message.end();
    await answer(message, peer, 200, message.body as Uint8Array<ArrayBuffer>);
  };
  using first = new Http2Backend(echo);
  using second = new Http2Backend(echo);
  const { proxy, port } = await TestProxy.simple([first.port, second.port], { cluster: { http2 } });
  await using _ = proxy;
  const load = new Load(port);
  for (let round = 0; round < 6; round++) {
    await load.until(30);
    const list = [[first, second], [first], [second]][round % 3].map((backend) => endpoint(backend.port));
    await proxy.update({ endpoints: [endpoints("backend", list)] });
  }
  await load.end();
  await until(() => proxy.clusterCounter(ClusterSlot.activeRequests) === 0, "no requests under way");
  assert.ok(first.requests > 0 && second.requests > 0);
});

Deno.test("a host that is offered HTTP/2 and does not speak it is no host", async () => {
  using backend = new RawBackend(async (connection) => {
    await connection.until(/PRI \* HTTP\/2\.0/);
    await connection.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  });
  const { proxy, port } = await TestProxy.simple([backend.port], { cluster: { http2 } });
  await using _ = proxy;
  assert.ok([502, 503].includes((await get(port)).status));
  await proxy.update({ endpoints: [endpoints("backend", [endpoint(freePort())])] });
  assert.equal((await get(port)).status, 503);
});
