import assert from "node:assert/strict";
import { statsText } from "../../agent/supervisor/cluster_stats.ts";
import { ClusterSlot } from "../../agent/config/shared_memory.ts";
import { ErrorCode, FrameFlag, FrameType, Limit, Setting } from "../../agent/decode/http2/protocol.ts";
import type { Field } from "../conformance/hpack/header_lists.ts";
import { TestProxy } from "./harness.ts";
import {
  block,
  data,
  frame,
  headers,
  Http2Backend,
  Http2Peer,
  type PeerOptions,
  request,
  resetStream,
  settings,
  windowUpdate,
  words,
} from "./http2_peer.ts";
import { answering, RawBackend, until } from "./raw_sockets.ts";

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const { endHeaders, endStream, padded } = FrameFlag;

/** An attacker and a bystander on one proxy, whose requests are answered but for those to `/stall`. */
class Scene implements AsyncDisposable {
  private constructor(
    readonly proxy: TestProxy,
    readonly port: number,
    readonly backend: RawBackend,
    readonly attacker: Http2Peer,
    readonly bystander: Http2Peer,
  ) {}

  static async start(options: PeerOptions = {}, setup: Parameters<typeof TestProxy.simple>[1] = {}): Promise<Scene> {
    const backend = new RawBackend(async (connection) => {
      for (let answered = 0;; answered++) {
        await until(() => connection.received.split("\r\n\r\n").length > answered + 1 || connection.ended, "a request");
        if (connection.ended) return connection.close();
        if (!connection.received.includes(" /stall ")) await connection.send(ok);
      }
    });
    const { proxy, port } = await TestProxy.simple([backend.port], setup);
    const bystander = await Http2Peer.connect(port);
    const attacker = await Http2Peer.connect(port, options);
    return new Scene(proxy, port, backend, attacker, bystander);
  }

  /** The other client is served, on the connection it has had all the time. */
  async stillServes(): Promise<void> {
    const message = await this.bystander.exchange(request("/"));
    assert.equal(message.text, "ok");
    assert.equal(this.bystander.ended, false);
  }

  /** The attacker's connection ends with this code, and nothing is left of it. */
  async ends(code: number): Promise<void> {
    assert.equal(await this.attacker.end(), code);
    await this.stillServes();
    await until(() => this.proxy.clusterCounter(ClusterSlot.activeRequests) === 0, "no requests under way");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.attacker.close();
    this.bystander.close();
    this.backend[Symbol.dispose]();
    await this.proxy[Symbol.asyncDispose]();
  }
}

/** Many frames in one write. */
function joined(parts: Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

const repeated = (count: number, make: (index: number) => Uint8Array) =>
  joined(Array.from({ length: count }, (_, index) => make(index)));

Deno.test("a client that resets its requests as fast as it makes them is cut off, within its stream limit", async () => {
  await using scene = await Scene.start();
  const pairs = (i: number) =>
    joined([headers(2 * i + 1, request("/stall"), true), resetStream(2 * i + 1, ErrorCode.cancel)]);
  await scene.attacker.send(repeated(1000, pairs));
  await scene.ends(ErrorCode.enhanceYourCalm);
  assert.ok(scene.proxy.clusterCounter(ClusterSlot.requests) <= 102);
  assert.ok(scene.backend.connections.length <= 102, `${scene.backend.connections.length} upstream connections`);
});

const provoked: [name: string, (stream: number) => Uint8Array][] = [
  ["a window update of nothing", (stream) => windowUpdate(stream, 0)],
  ["a window that overflows", (stream) => windowUpdate(stream, 0x7fffffff)],
  ["more of a body than was declared", (stream) => data(stream, "xx", false)],
  ["forbidden trailers", (stream) => headers(stream, [["connection", "close"]], true)],
];

for (const [name, frames] of provoked) {
  Deno.test(`resets that a client provokes count as its own: ${name}`, async () => {
    await using scene = await Scene.start();
    const open = (stream: number) => headers(stream, request("/stall", "POST", ["content-length", "1"]), false);
    await scene.attacker.send(repeated(1000, (i) => joined([open(2 * i + 1), frames(2 * i + 1)])));
    await scene.ends(ErrorCode.enhanceYourCalm);
    assert.ok(scene.proxy.clusterCounter(ClusterSlot.requests) <= 102);
  });
}

Deno.test("requests that were malformed all along count as resets, too", async () => {
  await using scene = await Scene.start();
  await scene.attacker.send(repeated(1000, (i) => headers(2 * i + 1, [[":method", "GET"]], true)));
  await scene.ends(ErrorCode.enhanceYourCalm);
  assert.equal(scene.backend.received.split("GET ").length, 2, "only the bystander's request");
});

Deno.test("callers that give up one by one after waiting are not taken for an attack", async () => {
  await using scene = await Scene.start();
  const messages = [];
  for (let i = 0; i < 50; i++) messages.push(await scene.attacker.open(request("/stall")));
  await new Promise((resolve) => setTimeout(resolve, 1100));
  for (const { stream } of messages) await scene.attacker.send(resetStream(stream, ErrorCode.cancel));
  for (let i = 0; i < 99; i++) {
    const message = await scene.attacker.open(request("/stall"));
    await scene.attacker.send(resetStream(message.stream, ErrorCode.cancel));
  }
  assert.equal((await scene.attacker.exchange(request("/"))).status, 200);
});

Deno.test("streams that others opened behind the same peer finish when it is told to calm down", async () => {
  using backend = new RawBackend();
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  using client = await Http2Peer.connect(port);
  const kept = await client.open(request("/kept"));
  await until(() => backend.received.includes("/kept"), "the request upstream");
  for (let i = 0; i < 150; i++) {
    const stream = client.newStream();
    await client.send(headers(stream, request("/given-up"), true), resetStream(stream, ErrorCode.cancel));
  }
  await until(() => client.goneAway !== null, "GOAWAY");
  await backend.connections.find(({ received }) => received.includes("/kept"))!.send(ok);
  assert.equal((await kept.end()).text, "ok");
  assert.equal(await client.end(), ErrorCode.enhanceYourCalm);
});

Deno.test("a header block without end is cut off at the limit", async () => {
  for (const size of [0, 1, 5000, 16384]) {
    await using scene = await Scene.start();
    const part = block([["x", "y".repeat(Math.max(size - 10, 0))]]).subarray(0, size);
    await scene.attacker.send(frame(FrameType.headers, 0, 1, block(request("/"))));
    await scene.attacker.send(repeated(1000, () => frame(FrameType.continuation, 0, 1, part)));
    await scene.ends(ErrorCode.enhanceYourCalm);
  }
});

Deno.test("a header block that stops half-way has a deadline that further parts do not move", async () => {
  await using scene = await Scene.start({}, { http: { requestHeadersTimeout: 300 } });
  await scene.stillServes();
  await scene.attacker.send(frame(FrameType.headers, 0, 1, block(request("/"))));
  await new Promise((resolve) => setTimeout(resolve, 200));
  await scene.attacker.send(frame(FrameType.continuation, 0, 1, block([["x-further", "1"]])));
  await scene.ends(ErrorCode.enhanceYourCalm);
});

Deno.test("few bytes that stand for many do not become many", async () => {
  await using scene = await Scene.start();
  // One entry of almost 4,000 bytes in the table, then an index of one byte for it, over and over.
  const entry = [0x40, 1, 120, 127, 0xa1, 0x1e, ...new Array(4000).fill(121)];
  const bomb = Uint8Array.from([...block(request("/")), ...entry, ...new Array(10_000).fill(0xbe)]);
  await scene.attacker.send(frame(FrameType.headers, endHeaders | endStream, 1, bomb));
  assert.equal((await scene.attacker.message(1).end()).status, 431);
  // The connection goes on, its table in step.
  const again = Uint8Array.from([...block(request("/")), 0xbe]);
  await scene.attacker.send(frame(FrameType.headers, endHeaders | endStream, 3, again));
  assert.equal((await scene.attacker.message(3).end()).status, 200);
  await scene.stillServes();
});

Deno.test("too many fields are refused, whatever their size", async () => {
  await using scene = await Scene.start();
  const fields = request("/", "GET", ...Array.from({ length: 200 }, (_, i): Field => [`x-${i}`, ""]));
  assert.equal((await scene.attacker.exchange(fields)).status, 431);
  assert.equal((await scene.attacker.exchange(request("/"))).status, 200);
});

Deno.test("table sizes may change twice in a block and no more", async () => {
  await using scene = await Scene.start();
  const twice = Uint8Array.from([0x20, 0x3f, 0xe1, 0x1f, ...block(request("/"))]);
  await scene.attacker.send(frame(FrameType.headers, endHeaders | endStream, 1, twice));
  assert.equal((await scene.attacker.message(1).end()).status, 200);
  const storm = Uint8Array.from([...new Array(1000).fill(0x20), ...block(request("/"))]);
  await scene.attacker.send(frame(FrameType.headers, endHeaders | endStream, 3, storm));
  await scene.ends(ErrorCode.compressionError);
});

Deno.test("PRIORITY frames are ignored, however many, and counted", async () => {
  await using scene = await Scene.start();
  const priority = frame(FrameType.priority, 0, 1, joined([words(3), Uint8Array.of(0)]));
  for (let round = 0; round < 10; round++) await scene.attacker.send(repeated(1000, () => priority));
  await scene.attacker.send(headers(1, request("/"), true));
  assert.equal((await scene.attacker.message(1).end()).status, 200);
  assert.match(statsText(scene.proxy.threads), /^agent\.http2_priority_frames: 10000$/m);
  await scene.stillServes();
});

const unread: [name: string, flood: (index: number) => Uint8Array][] = [
  ["PING", () => frame(FrameType.ping, 0, 0, new Uint8Array(8))],
  ["SETTINGS", () => settings(Setting.initialWindowSize, 1)],
  [
    "PRIORITY that depends on itself",
    (i) => frame(FrameType.priority, 0, 2 * i + 1, joined([words(2 * i + 1), Uint8Array.of(0)])),
  ],
  ["requests that are answered without a body", (i) => headers(2 * i + 1, request("/none", "HEAD"), true)],
  ["requests beyond the stream limit", (i) => headers(2 * i + 1, request("/stall"), true)],
];

for (const [name, flood] of unread) {
  Deno.test(`answers that are not read do not pile up: ${name}`, async () => {
    await using scene = await Scene.start({ read: false });
    let first = 0;
    let sent = 0;
    const sending = (async () => {
      for (let round = 0; round < 100; round++) {
        const bytes = repeated(2000, (i) => flood(first + i));
        first += 2000;
        await scene.attacker.send(bytes);
        sent += bytes.length;
      }
    })();
    let last = -1;
    await until(async () => {
      const stands = sent === last && sent > 0;
      last = sent;
      await new Promise((resolve) => setTimeout(resolve, 200));
      return (stands && sent === last) || first >= 200_000;
    }, "the flood's end");
    await scene.stillServes();
    // Either the proxy reads no more or it has hung up, and the bystander is alone: what it owes is bounded both ways.
    if (first >= 200_000) {
      await until(() => scene.proxy.downstreamConnections === 1, "the attacker's connection to end");
    }
    scene.attacker.close();
    await sending;
  });
}

const empty: [name: string, frames: () => Uint8Array[]][] = [
  ["DATA", () => new Array(3).fill(data(1, "", false))],
  [
    "DATA of padding",
    () => new Array(3).fill(frame(FrameType.data, padded, 1, new Uint8Array([10, ...new Array(10)]))),
  ],
  ["CONTINUATION", () => [
    frame(FrameType.headers, 0, 3, block(request("/"))),
    ...new Array(3).fill(frame(FrameType.continuation, 0, 3)),
  ]],
];

for (const [name, frames] of empty) {
  Deno.test(`one empty frame is borne, not several in a row: ${name}`, async () => {
    await using scene = await Scene.start();
    await scene.attacker.send(headers(1, request("/stall", "POST"), false));
    for (const one of frames()) await scene.attacker.send(one);
    await scene.ends(ErrorCode.enhanceYourCalm);
  });
}

Deno.test("priorities change nothing, however many", async () => {
  await using scene = await Scene.start();
  const priority = (i: number) => frame(FrameType.priority, 0, 2 * (i % 1000) + 1, Uint8Array.of(0, 0, 0, 0, i & 255));
  await scene.attacker.send(repeated(100_000, priority));
  assert.equal((await scene.attacker.exchange(request("/"))).text, "ok");
  assert.equal(scene.attacker.ended, false);
  await scene.stillServes();
});

Deno.test("a reader that opens its window a byte at a time is let go when its time is over", async () => {
  using backend = answering(`HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n${"x".repeat(100_000)}`);
  const { proxy, port } = await TestProxy.simple([backend.port], { http: { streamIdleTimeout: 500 } });
  await using _ = proxy;
  using client = await Http2Peer.connect(port, { settings: [Setting.initialWindowSize, 1], giveBack: false });
  await until(() => client.count(FrameType.settings) >= 2, "settings and their acknowledgement");
  const message = await client.open(request("/"));
  await message.head();
  const started = performance.now();
  while (message.reset === null && performance.now() < started + 10_000) {
    await client.send(windowUpdate(message.stream, 1));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.equal(message.reset, ErrorCode.cancel);
  assert.ok(message.size < 1000, `${message.size}`);
});

const smuggled: [name: string, fields: Field[]][] = [
  ["CR LF in the path", request("/ HTTP/1.1\r\nx: y")],
  ["a space in the path", request("/a b")],
  ["NUL in the path", request("/a\0b")],
  ["no slash at the path's start", request("a")],
  ["an empty path", request("")],
  ["absolute form as a path", request("http://other/")],
  ["CR LF in the method", request("/", "GET / HTTP/1.1\r\nx: y\r\n\r\nGET")],
  ["a space in the method", request("/", "GET /other")],
  ["CR LF in the authority", [...request("/").slice(0, 3), [":authority", "a\r\nx: y"]]],
  ["a space in the authority", [...request("/").slice(0, 3), [":authority", "a b"]]],
  ["user information in the authority", [...request("/").slice(0, 3), [":authority", "user@a"]]],
  ["a repeated path", [...request("/"), [":path", "/other"]]],
  ["a repeated method", [[":method", "POST"], ...request("/")]],
  ["a repeated authority", [...request("/"), [":authority", "other"]]],
  ["no method", request("/").slice(1)],
  ["no scheme", request("/").filter(([name]) => name !== ":scheme")],
  ["a response's pseudo-header field", [...request("/"), [":status", "200"]]],
  ["an unknown pseudo-header field", [...request("/"), [":unknown", "1"]]],
  ["a pseudo-header field behind the others", [["x-first", "1"], ...request("/")]],
  ["another Host", request("/", "GET", ["host", "other"])],
  ["two Hosts", request("/", "GET", ["host", "a.example"], ["host", "a.example"])],
  ["CR LF in a value", request("/", "GET", ["x-a", "1\r\nx-b: 2"])],
  ["LF in a value", request("/", "GET", ["x-a", "1\nx-b: 2"])],
  ["NUL in a value", request("/", "GET", ["x-a", "1\0"])],
  ["a value with space around it", request("/", "GET", ["x-a", " 1"])],
  ["CR LF in a name", request("/", "GET", ["x-a: 1\r\nx-b", "2"])],
  ["a colon in a name", request("/", "GET", ["x-a:", "1"])],
  ["a space in a name", request("/", "GET", ["x a", "1"])],
  ["an empty name", request("/", "GET", ["", "1"])],
  ["an upper-case name", request("/", "GET", ["X-A", "1"])],
  ["Transfer-Encoding", request("/", "POST", ["transfer-encoding", "chunked"])],
  ["Connection", request("/", "GET", ["connection", "x-forwarded-for"])],
  ["Keep-Alive", request("/", "GET", ["keep-alive", "1"])],
  ["Proxy-Connection", request("/", "GET", ["proxy-connection", "close"])],
  ["Upgrade", request("/", "GET", ["upgrade", "websocket"])],
  ["TE other than trailers", request("/", "GET", ["te", "gzip"])],
  ["a length without a body", request("/", "POST", ["content-length", "5"])],
  ["two lengths", request("/", "POST", ["content-length", "0"], ["content-length", "0"])],
  ["a list of lengths", request("/", "POST", ["content-length", "0, 0"])],
  ["a signed length", request("/", "POST", ["content-length", "+0"])],
  ["a length in hexadecimal", request("/", "POST", ["content-length", "0x0"])],
];

Deno.test("what would be read as another request in HTTP/1.1 is refused before it is translated", async () => {
  using backend = answering(ok);
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  for (const [name, fields] of smuggled) {
    using client = await Http2Peer.connect(port);
    const message = await client.exchange(fields);
    assert.equal(message.reset, ErrorCode.protocolError, name);
    assert.equal(message.status, 0, name);
    // The stream is over, not the connection.
    assert.equal((await client.exchange(request("/innocent"))).text, "ok", name);
  }
  const requests = backend.received.split("\r\n\r\n").filter((head) => head !== "");
  assert.equal(requests.length, smuggled.length);
  for (const head of requests) assert.match(head, /^GET \/innocent HTTP\/1\.1\r\n/);
});

Deno.test("a body of another length than was declared is refused, and no other request comes of it", async () => {
  using backend = new RawBackend(async (connection) => {
    await connection.until(/\r\n\r\n/);
  });
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  using client = await Http2Peer.connect(port);
  const hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
  for (const [length, body] of [["0", hidden], ["5", hidden], ["1000", hidden]]) {
    const message = await client.open(request("/", "POST", ["content-length", length]), false);
    await client.send(data(message.stream, body, true));
    await message.end();
    assert.equal(message.reset, ErrorCode.protocolError, length);
  }
  await until(() => backend.connections.every(({ ended }) => ended), "the end of every connection used");
  for (const { received } of backend.connections) {
    const [head, ...rest] = received.split("\r\n\r\n");
    const length = Number(/content-length: (\d+)/.exec(head)?.[1] ?? 0);
    assert.ok(rest.join("\r\n\r\n").length <= length, JSON.stringify(received));
  }
});

Deno.test("an upstream that says farewell and then takes all streams away is left for another", async () => {
  let calls = 0;
  using backend = new Http2Backend(async (message, peer) => {
    if (++calls === 1) {
      await peer.send(frame(FrameType.goAway, 0, 0, words(0, 0)), settings(Setting.maxConcurrentStreams, 0));
    } else await peer.send(headers(message.stream, [[":status", "200"]], true));
  });
  const retry = {
    retryOn: ["refused-stream"],
    numRetries: 1,
    perTryTimeout: 0,
    retriableStatusCodes: [],
    backOffBase: 1,
    backOffMax: 1,
    avoidPreviousHosts: false,
    hostSelectionMaxAttempts: 1,
  };
  const { proxy, port } = await TestProxy.simple([backend.port], {
    cluster: { http2: { maxConcurrentStreams: 100 } },
    action: { retry },
  });
  await using _ = proxy;
  using client = await Http2Peer.connect(port);
  assert.equal((await client.exchange(request("/"))).status, 200);
  assert.equal(backend.peers.length, 2);
});

Deno.test("settings that are never acknowledged have a deadline", async () => {
  using backend = answering(ok);
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  using silent = await Http2Peer.connect(port, { acknowledge: false });
  assert.equal((await silent.exchange(request("/"))).status, 200);
  await new Promise((resolve) => setTimeout(resolve, Limit.settingsTimeout));
  assert.equal(await silent.end(), ErrorCode.settingsTimeout);
});

Deno.test("while attackers reset and come again, each costs its budget and no more, and another client is served", async () => {
  await using scene = await Scene.start();
  const p99 = async (rounds: () => boolean) => {
    const times: number[] = [];
    while (rounds() || times.length < 100) {
      const begun = performance.now();
      await scene.stillServes();
      times.push(performance.now() - begun);
    }
    return times.sort((a, b) => a - b)[Math.floor(times.length * 0.99)];
  };
  const quiet = await p99(() => false);
  const before = scene.proxy.clusterCounter(ClusterSlot.requests);
  const storm = repeated(
    1000,
    (i) => joined([headers(2 * i + 1, request("/stall"), true), resetStream(2 * i + 1, ErrorCode.cancel)]),
  );
  let attacks = 0;
  let served = 0;
  const attacking = (async () => {
    for (; attacks < 20; attacks++) {
      using attacker = await Http2Peer.connect(scene.port);
      await attacker.send(storm);
      assert.equal(await attacker.end(), ErrorCode.enhanceYourCalm);
    }
  })();
  const stormy = await p99(() => {
    served++;
    return attacks < 20;
  });
  await attacking;
  const requests = scene.proxy.clusterCounter(ClusterSlot.requests) - before - (served - 1);
  const budget = attacks * (Limit.prematureResets + 1);
  const measured = `p99 of the other client: ${quiet.toFixed(1)} ms quiet, ${stormy.toFixed(1)} ms under attack`;
  // The clock of a busy machine proves nothing: what is bounded is the work.
  assert.ok(requests <= budget, `${requests} requests went upstream for ${attacks} attacks; ${measured}`);
  console.log(measured);
});
