import assert from "node:assert/strict";
import { ClusterSlot, HostSlot } from "../../agent/config/shared_memory.ts";
import { ErrorCode, FrameFlag, FrameType, Setting } from "../../agent/decode/http2/protocol.ts";
import type { ClusterConfig } from "../../agent/config/model.ts";
import { Backend, TestProxy } from "./harness.ts";
import { answer, data, frame, headers, Http2Backend, Http2Peer, request, resetStream, settings } from "./http2_peer.ts";
import { exchangeUntilEnd, RawBackend, until } from "./raw_sockets.ts";

/** How the upstream host is spoken to. */
const upstreams: [name: string, overrides: Partial<ClusterConfig>][] = [
  ["HTTP/1.1", {}],
  ["HTTP/2", { http2: { maxConcurrentStreams: 100 } }],
];

/** A caller of each protocol: the runtime's own client, with prior knowledge for HTTP/2. */
const callers: [name: string, options: Deno.CreateHttpClientOptions][] = [
  ["HTTP/1.1", { http2: false }],
  ["HTTP/2", { http1: false, http2: true }],
];

const pattern = (size: number) => new Uint8Array(size).map((_, i) => i * 31 + (i >> 8) * 7);
const sizes = [0, 1, 100, 16_383, 16_384, 16_385, 65_535, 65_536, 200_000, 5_000_000];

/** All that counts what is under way must come back to nothing. */
async function atRest(proxy: TestProxy): Promise<void> {
  await until(
    () =>
      proxy.clusterCounter(ClusterSlot.activeRequests) === 0 && proxy.clusterCounter(ClusterSlot.pendingRequests) === 0,
    "no requests under way",
  );
  for (const [port, active] of proxy.hostCounters(HostSlot.activeRequests)) assert.equal(active, 0, `${port}`);
}

for (const [callerName, options] of callers) {
  for (const [upstreamName, overrides] of upstreams) {
    const path = `${callerName} to ${upstreamName}`;

    Deno.test(`${path}: bodies of every size pass unchanged both ways`, async () => {
      await using backend = new Backend((request) => new Response(request.body));
      const { proxy, port } = await TestProxy.simple([backend.port], { cluster: overrides });
      await using _ = proxy;
      using client = Deno.createHttpClient(options);
      for (const size of sizes) {
        const body = pattern(size);
        const sent = await fetch(`http://127.0.0.1:${port}/`, { client, method: "POST", body });
        assert.deepEqual(new Uint8Array(await sent.arrayBuffer()), body, `${size}`);
        const stream = new Blob([body]).stream();
        const streamed = await fetch(`http://127.0.0.1:${port}/`, { client, method: "POST", body: stream });
        assert.deepEqual(new Uint8Array(await streamed.arrayBuffer()), body, `${size} of unknown length`);
      }
      await atRest(proxy);
    });

    Deno.test(`${path}: responses without a body, and to HEAD, end with their head`, async () => {
      await using backend = new Backend((request) => {
        const status = Number(new URL(request.url).pathname.slice(1));
        return new Response([204, 304].includes(status) ? null : "body", {
          status,
          headers: { "x-seen": request.method },
        });
      });
      const { proxy, port } = await TestProxy.simple([backend.port], { cluster: overrides });
      await using _ = proxy;
      using client = Deno.createHttpClient(options);
      for (let round = 0; round < 3; round++) {
        for (
          const [method, status, body] of [["GET", 204, ""], ["GET", 304, ""], ["HEAD", 200, ""], ["GET", 200, "body"]]
        ) {
          const response = await fetch(`http://127.0.0.1:${port}/${status}`, { client, method: String(method) });
          assert.equal(response.status, status);
          assert.equal(response.headers.get("x-seen"), method);
          assert.equal(await response.text(), body);
        }
      }
    });

    Deno.test(`${path}: a hundred requests at once with bodies of all sizes get each its own answer`, async () => {
      await using backend = new Backend(async (request) => {
        const body = new Uint8Array(await request.arrayBuffer());
        return new Response(body, { headers: { "x-number": request.headers.get("x-number")! } });
      });
      const { proxy, port } = await TestProxy.simple([backend.port], { cluster: overrides });
      await using _ = proxy;
      using client = Deno.createHttpClient(options);
      await Promise.all(Array.from({ length: 100 }, async (_, i) => {
        const body = new Uint8Array([1, 700, 17_000, 70_000, 300_000][i % 5]).fill(i);
        const init = { client, method: "POST", body, headers: { "x-number": `${i}` } };
        const response = await fetch(`http://127.0.0.1:${port}/`, init);
        assert.equal(response.headers.get("x-number"), `${i}`);
        const received = new Uint8Array(await response.arrayBuffer());
        assert.equal(received.length, body.length);
        assert.ok(received.every((byte) => byte === i));
      }));
      assert.deepEqual(proxy.recorded(), { "200 -": 100 });
      await atRest(proxy);
    });
  }
}

for (const [upstreamName, overrides] of upstreams) {
  Deno.test(`an answer before the end of the request goes to the caller (${upstreamName} upstream)`, async () => {
    using raw = new RawBackend(async (connection) => {
      await connection.until(/\r\n\r\n/);
      await connection.send("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig");
    });
    using framed = new Http2Backend((message, peer) => answer(message, peer, 413, "big"));
    const backend = overrides.http2 === undefined ? raw : framed;
    const { proxy, port } = await TestProxy.simple([backend.port], { cluster: overrides });
    await using _ = proxy;
    using client = await Http2Peer.connect(port);
    for (let round = 0; round < 3; round++) {
      const message = await client.open(request("/", "POST", ["content-length", "1000000"]), false);
      await client.send(data(message.stream, new Uint8Array(1000), false));
      await message.end();
      assert.equal(message.status, 413);
      assert.equal(message.text, "big");
      // RFC 9113 §8.1: the rest of the request is not wanted.
      await until(() => message.reset !== null, "RST_STREAM");
      assert.equal(message.reset, ErrorCode.noError);
    }
    assert.equal(client.ended, false);
    await atRest(proxy);
  });

  Deno.test(`a caller that gives up takes nothing else with it (${upstreamName} upstream)`, async () => {
    using raw = new RawBackend();
    using framed = new Http2Backend();
    const backend = overrides.http2 === undefined ? raw : framed;
    const { proxy, port } = await TestProxy.simple([backend.port], { cluster: overrides });
    await using _ = proxy;
    using client = await Http2Peer.connect(port);
    const kept = await client.open(request("/kept"));
    const given = await client.open(request("/given-up"));
    await until(() => proxy.clusterCounter(ClusterSlot.activeRequests) === 2, "both requests upstream");
    await client.send(resetStream(given.stream, ErrorCode.cancel));
    await until(() => proxy.clusterCounter(ClusterSlot.activeRequests) === 1, "one request upstream");
    await until(() => proxy.recorded()["0 DC"] === 1, "the record of it");
    if (backend === framed) {
      const [peer] = framed.peers;
      const [first, second] = [...peer.messages.values()].sort((a) => a.field(":path") === "/kept" ? -1 : 1);
      await until(() => second.reset !== null, "RST_STREAM upstream");
      assert.equal(second.reset, ErrorCode.cancel);
      assert.equal(framed.peers.length, 1);
      await answer(first, peer);
    } else {
      const connection = raw.connections.find(({ received }) => received.includes("/kept"))!;
      await until(() => raw.connections.some(({ ended }) => ended), "the other connection's end");
      await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }
    assert.equal((await kept.end()).text, "ok");
    await atRest(proxy);
  });
}

Deno.test("trailers and their absence pass from HTTP/2 to HTTP/2", async () => {
  using backend = new Http2Backend(async (message, peer) => {
    await message.end();
    await peer.send(headers(message.stream, [[":status", "200"]], false));
    if (message.size > 0) await peer.sendBody(message.stream, message.body, false);
    const trailers = (message.trailers ?? []).map(([name, value]) => [`${name}-back`, value] as const);
    await peer.send(headers(message.stream, [["x-count", `${trailers.length}`], ...trailers], true));
  });
  const { proxy, port } = await TestProxy.simple([backend.port], { cluster: { http2: { maxConcurrentStreams: 100 } } });
  await using _ = proxy;
  using client = await Http2Peer.connect(port);
  for (const size of [0, 5, 100_000]) {
    const message = await client.open(request("/", "POST"), false);
    if (size > 0) await client.sendBody(message.stream, pattern(size), false);
    await client.send(headers(message.stream, [["x-checksum", "abc"], ["grpc-status", "0"]], true));
    await message.end();
    assert.deepEqual(message.body, pattern(size));
    assert.deepEqual(message.trailers, [["x-count", "2"], ["x-checksum-back", "abc"], ["grpc-status-back", "0"]]);
  }
});

Deno.test("trailers pass from HTTP/2 to HTTP/1.1 and back", async () => {
  using backend = new RawBackend(async (connection) => {
    await connection.until(/x-checksum: abc\r\n\r\n$/);
    await connection.send(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 5\r\nGrpc-Status: 0\r\n\r\n",
    );
  });
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  using client = await Http2Peer.connect(port);
  const message = await client.open(request("/", "POST"), false);
  await client.send(data(message.stream, "hello", false), headers(message.stream, [["x-checksum", "abc"]], true));
  await message.end();
  assert.match(backend.received, /transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-checksum: abc\r\n\r\n$/);
  assert.equal(message.text, "hello");
  assert.deepEqual(message.trailers, [["x-sum", "5"], ["grpc-status", "0"]]);
});

Deno.test("trailers that frame, route or speak for the proxy are refused or left out, as in HTTP/1.1", async () => {
  using backend = new Http2Backend(async (message, peer) => {
    await message.end();
    if (message.reset === null) await answer(message, peer, 200, JSON.stringify(message.trailers));
  });
  const { proxy, port } = await TestProxy.simple([backend.port], { cluster: { http2: { maxConcurrentStreams: 100 } } });
  await using _ = proxy;
  using client = await Http2Peer.connect(port);
  for (const name of ["content-length", "host", "transfer-encoding", "connection", "te", "expect", ":path", "UPPER"]) {
    const message = await client.open(request("/", "POST"), false);
    await client.send(headers(message.stream, [[name, "1"]], true));
    await message.end();
    assert.equal(message.reset, ErrorCode.protocolError, name);
  }
  const message = await client.open(request("/", "POST"), false);
  await client.send(headers(message.stream, [["x-forwarded-client-cert", "URI=forged"], ["x-own", "1"]], true));
  assert.equal((await message.end()).text, '[["x-own","1"]]');
});

Deno.test("a caller that expects 100 Continue is told to go on", async () => {
  await using backend = new Backend(async (request) => new Response(await request.text()));
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  using client = await Http2Peer.connect(port);
  const message = await client.open(request("/", "POST", ["expect", "100-continue"]), false);
  await until(() => message.interim.length > 0, "100 Continue");
  assert.deepEqual(message.interim, ["100"]);
  await client.send(data(message.stream, "hello", true));
  assert.equal((await message.end()).text, "hello");
  assert.equal((await client.exchange(request("/", "POST", ["expect", "miracles"]), new Uint8Array(3))).status, 417);
});

Deno.test("what the caller says goes on in HTTP/1.1 as a caller of HTTP/1.1 would say it", async () => {
  using backend = new RawBackend(async (connection) => {
    await connection.until(/\r\n\r\n/);
    await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  });
  const { proxy, port } = await TestProxy.simple([backend.port], { http: { generateRequestId: false } });
  await using _ = proxy;
  using client = await Http2Peer.connect(port);
  const fields = request("/a?b=c", "GET", ["cookie", "a=1"], ["cookie", "b=2"], ["x-empty", ""], ["x-two", "1, 2"]);
  assert.equal((await client.exchange(fields)).status, 200);
  assert.match(
    backend.received,
    /^GET \/a\?b=c HTTP\/1\.1\r\nhost: a\.example\r\nx-empty: \r\nx-two: 1, 2\r\ncookie: a=1; b=2\r\n/,
  );
});

Deno.test("a listener speaks HTTP/1.1 and HTTP/2 on one port", async () => {
  await using backend = new Backend(() => new Response("ok"));
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  using client = await Http2Peer.connect(port);
  assert.equal((await client.exchange(request("/"))).text, "ok");
  const plain = await exchangeUntilEnd(port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  assert.match(plain, /^HTTP\/1\.1 200 OK\r\n/);
});

Deno.test("streams beyond the limit are refused, and there is room again when one ends", async () => {
  using backend = new RawBackend();
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  using client = await Http2Peer.connect(port);
  await until(() => client.count(FrameType.settings) >= 2, "settings and their acknowledgement");
  for (let i = 0; i < 100; i++) await client.open(request("/"));
  const refused = await (await client.open(request("/"))).end();
  assert.equal(refused.reset, ErrorCode.refusedStream);
  // The refused one may go on sending for as long as it does not know.
  await client.send(data(refused.stream, "late", true));
  await until(() => backend.connections.length === 100, "a hundred requests upstream");
  await client.send(resetStream(1, ErrorCode.cancel));
  const next = await client.open(request("/next"));
  await until(() => backend.received.includes("GET /next "), "the next request");
  assert.equal(next.reset, null);
  assert.equal(client.ended, false);
});

Deno.test("what is under way finishes after GOAWAY, what comes after it is not served and harms nothing", async () => {
  using backend = new RawBackend();
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  using client = await Http2Peer.connect(port);
  const before = await client.open(request("/before", "POST", ["content-length", "4"]), false);
  await until(() => backend.received.includes("/before"), "the request upstream");
  void proxy.threads.apply({ kind: "drain", timeout: 20_000 });
  await until(() => client.count(FrameType.goAway) === 2, "the second GOAWAY");
  assert.equal(client.goneAway, ErrorCode.noError);
  const after = await client.open(request("/after", "POST"), false);
  await client.send(data(after.stream, "late", false), headers(after.stream, [["x-late", "1"]], true));
  await client.send(data(before.stream, "body", true));
  await backend.connections[0].until(/body$/);
  await backend.connections[0].send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  assert.equal((await before.end()).text, "ok");
  assert.equal(await client.end(), ErrorCode.noError);
  assert.equal(after.status, 0);
  assert.equal(backend.received.includes("/after"), false);
});

Deno.test("an upstream that breaks off in the midst of a response resets the stream and nothing more", async () => {
  using backend = new RawBackend(async (connection) => {
    await connection.until(/\r\n\r\n/);
    if (!connection.received.includes("/half")) {
      return await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }
    await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    connection.close();
  });
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  using client = await Http2Peer.connect(port);
  const half = await client.exchange(request("/half"));
  assert.equal(half.status, 200);
  assert.equal(half.complete, false);
  assert.equal(half.reset, ErrorCode.internalError);
  assert.equal((await client.exchange(request("/whole"))).text, "ok");
});

Deno.test("a response that stands still does not keep those beside it from passing", async () => {
  await using backend = new Backend((request) => new Response(pattern(Number(new URL(request.url).pathname.slice(1)))));
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  // Streams begin without a window: nothing flows until it is opened for one of them.
  using client = await Http2Peer.connect(port, { settings: [Setting.initialWindowSize, 0], giveBack: false });
  await until(() => client.count(FrameType.settings) >= 2, "settings and their acknowledgement");
  const still = await client.open(request("/5000000"));
  await still.head();
  const flowing = await client.open(request("/60000"));
  await client.send(frame(FrameType.windowUpdate, 0, flowing.stream, new Uint8Array([0, 1, 0, 0])));
  assert.deepEqual((await flowing.end()).body, pattern(60_000));
  assert.equal(still.size, 0);
  assert.equal(still.over, false);
});

Deno.test("a narrow connection window is shared by the streams that wait for it", async () => {
  await using backend = new Backend(() => new Response(pattern(400_000)));
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  using client = await Http2Peer.connect(port, { settings: [Setting.initialWindowSize, 1 << 20], giveBack: false });
  await until(() => client.count(FrameType.settings) >= 2, "settings and their acknowledgement");
  const first = await client.open(request("/first"));
  await until(() => first.size === 65_535, "the connection's window is used up");
  const second = await client.open(request("/second"));
  await second.head();
  for (let i = 0; i < 8; i++) {
    const before = first.size + second.size;
    await client.send(frame(FrameType.windowUpdate, 0, 0, new Uint8Array([0, 0, 64, 0])));
    await until(() => first.size + second.size === before + 16_384, "what the window lets through");
  }
  assert.ok(second.size >= 3 * 16_384, `${second.size}`);
});

Deno.test("settings that change while streams are open apply to what they still have to send", async () => {
  await using backend = new Backend(() => new Response(pattern(100_000)));
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  using client = await Http2Peer.connect(port, { settings: [Setting.initialWindowSize, 10] });
  await until(() => client.count(FrameType.settings) >= 2, "settings and their acknowledgement");
  client.options.giveBack = false;
  const message = await client.open(request("/"));
  await until(() => message.size === 10, "ten bytes");
  await client.send(settings(Setting.initialWindowSize, 0));
  await client.send(settings(Setting.initialWindowSize, 30, Setting.headerTableSize, 0));
  await until(() => message.size === 30, "thirty bytes");
  client.options.giveBack = true;
  await client.send(
    settings(Setting.initialWindowSize, 1 << 20),
    frame(FrameType.windowUpdate, 0, 0, new Uint8Array([0, 1, 0, 0])),
  );
  assert.deepEqual((await message.end()).body, pattern(100_000));
  assert.equal((await client.exchange(request("/again"))).status, 200);
  assert.ok(
    client.frames.every(({ type, flags }) => type !== FrameType.headers || (flags & FrameFlag.endHeaders) !== 0),
  );
});

Deno.test("an upload from a sender that waits for acknowledgements is not held up by delayed ones", async () => {
  await using backend = new Backend(async (request) => new Response(String((await request.bytes()).length)));
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  using client = Deno.createHttpClient({ http1: false, http2: true });
  const body = new Uint8Array(8 << 20);
  const begun = performance.now();
  const response = await fetch(`http://127.0.0.1:${port}/`, { method: "POST", body, client });
  assert.equal(await response.text(), String(body.length));
  // A delay for each of the 128 windows would be more than 5 s; without, it takes some 50 ms.
  const time = performance.now() - begun;
  assert.ok(time < 4000, `${Math.round(time)} ms`);
});
