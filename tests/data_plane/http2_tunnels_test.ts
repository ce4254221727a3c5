/** WebSocket and other tunnels on HTTP/2 streams: extended CONNECT (RFC 8441) and CONNECT (RFC 9113 §8.5), both sides. */
import assert from "node:assert/strict";
import { ClusterSlot } from "../../agent/config/shared_memory.ts";
import { ErrorCode, FrameType, Setting } from "../../agent/decode/http2/protocol.ts";
import type { Field } from "../conformance/hpack/header_lists.ts";
import { forwardTo, freePort, route, routes, simpleSetup, TestProxy } from "./harness.ts";
import { answer, data, headers, Http2Backend, Http2Peer, type Message, request, resetStream } from "./http2_peer.ts";
import { exchangeUntilEnd, RawBackend, RawConnection, until } from "./raw_sockets.ts";

const granted = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
// The example of RFC 6455 §1.3.
const sampleKey = "dGhlIHNhbXBsZSBub25jZQ==";
const sampleAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const asking = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
  `Sec-WebSocket-Key: ${sampleKey}\r\n\r\n`;
const takesTunnels = { settings: [Setting.enableConnectProtocol, 1] };
const http2 = { maxConcurrentStreams: 100 };

/** An extended CONNECT. */
function extended(...further: Field[]): Field[] {
  return [...request("/chat", "CONNECT"), [":protocol", "websocket"], ...further];
}

/** A backend of HTTP/1.1 that grants each upgrade, when `grant` resolves. */
function grantingBackend(grant: Promise<void> = Promise.resolve(), answer = granted): RawBackend {
  return new RawBackend(async (connection) => {
    await until(() => connection.received.includes("\r\n\r\n"), "a request");
    await grant;
    await connection.send(answer);
  });
}

/** What a backend has got behind the head. */
const tunnelled = (backend: RawBackend) => backend.received.split("\r\n\r\n").slice(1).join("\r\n\r\n");

/** Grants each extended CONNECT and sends back what comes, until its end. */
async function echo(message: Message, peer: Http2Peer): Promise<void> {
  await peer.send(headers(message.stream, [[":status", "200"]], false));
  for (let echoed = 0; !peer.ended;) {
    await until(() => message.size > echoed || message.over, "bytes");
    const bytes = message.body.subarray(echoed);
    echoed += bytes.length;
    if (bytes.length > 0) await peer.sendBody(message.stream, bytes, false);
    else return void await peer.send(data(message.stream, "", true));
  }
}

Deno.test("an extended CONNECT goes on as an upgrade of HTTP/1.1, its stream carries the other protocol both ways", async () => {
  using backend = grantingBackend(Promise.resolve(), `${granted}first`);
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  using client = await Http2Peer.connect(port);
  const message = await client.open(extended(["sec-websocket-version", "13"]), false);
  await message.head();
  assert.equal(message.status, 200);
  assert.equal(message.field("upgrade") ?? message.field("connection"), undefined);
  assert.match(backend.received, /^GET \/chat HTTP\/1\.1\r\nhost: a\.example\r\n/);
  assert.match(backend.received, /\r\nsec-websocket-version: 13\r\n/);
  assert.match(backend.received, /\r\nsec-websocket-key: [\w+/]{22}==\r\n/, "HTTP/1.1 wants a key");
  assert.match(backend.received, /\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n$/);
  await client.send(data(message.stream, "ping", false));
  await until(() => tunnelled(backend) === "ping", () => backend.received);
  await backend.connections[0].send(" second");
  await until(() => message.text === "first second", () => message.text);
  await client.send(data(message.stream, "", true));
  await backend.connections[0].end();
  await backend.connections[0].send(" last words");
  await backend.connections[0].finishSending();
  await message.end();
  assert.equal(message.text, "first second last words");
  assert.equal(message.reset, null);
  await until(() => proxy.recorded()["101 -"] === 1, () => JSON.stringify(proxy.recorded()));
  assert.equal(proxy.clusterCounter(ClusterSlot.activeRequests), 0);
});

Deno.test("bytes that a caller of HTTP/2 sends ahead wait for the answer, and its end with them", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  using backend = grantingBackend(promise);
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  using client = await Http2Peer.connect(port);
  const message = await client.open(extended(), false);
  const early = "x".repeat(60_000);
  await client.sendBody(message.stream, new TextEncoder().encode(early));
  await until(() => backend.received.endsWith("\r\n\r\n"), "the request");
  await new Promise((wait) => setTimeout(wait, 100));
  assert.equal(tunnelled(backend), "");
  resolve();
  await until(() => tunnelled(backend) === early, () => `${backend.received.length} bytes`);
  await backend.connections[0].end();
});

Deno.test("a refusal reaches a caller of HTTP/2 as the response that it is, and what was sent ahead reaches nobody", async () => {
  using backend = grantingBackend(
    Promise.resolve(),
    "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\nX-Why: so\r\n\r\nno",
  );
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  using client = await Http2Peer.connect(port);
  const message = await client.open(extended(), false);
  await client.send(data(message.stream, "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", false));
  await message.end();
  assert.deepEqual([message.status, message.text, message.field("x-why")], [426, "no", "so"]);
  assert.doesNotMatch(backend.received, /smuggled/);
  assert.deepEqual(proxy.recorded(), { "426 -": 1 });
});

Deno.test("only upgrades that route or listener allow are granted to callers of HTTP/2", async () => {
  using backend = grantingBackend();
  const { proxy, port } = await TestProxy.simple([backend.port], { action: { upgrades: { websocket: false } } });
  await using _ = proxy;
  using client = await Http2Peer.connect(port);
  const settings = await client.exchange(request("/plain", "CONNECT"));
  assert.equal(settings.reset, ErrorCode.protocolError, "a CONNECT has no path but with a protocol");
  for (const protocol of ["websocket", "connect-udp", "connect"]) {
    const message = await client.open([...request("/chat", "CONNECT"), [":protocol", protocol]], false);
    await message.end();
    assert.equal(message.status, 403, protocol);
  }
  assert.equal(backend.connections.length, 0);
});

Deno.test("a malformed request for a tunnel is a stream error", async () => {
  using backend = grantingBackend();
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  using client = await Http2Peer.connect(port);
  const without = (name: string) => extended().filter(([one]) => one !== name);
  const malformed: Field[][] = [
    [...request("/chat"), [":protocol", "websocket"]],
    without(":path"),
    without(":scheme"),
    without(":authority"),
    [...request("/chat", "CONNECT"), [":protocol", ""]],
    [...request("/chat", "CONNECT"), [":protocol", "web socket"]],
    [...request("/chat", "CONNECT"), [":protocol", "websocket"], [":protocol", "websocket"]],
    extended(["content-length", "5"]),
    extended(["connection", "upgrade"]),
    [[":method", "CONNECT"], [":authority", "db"]],
    [[":method", "CONNECT"]],
    [[":method", "CONNECT"], [":authority", "db:5432"], [":scheme", "http"]],
  ];
  for (const fields of malformed) {
    const message = await client.open(fields, false);
    await message.end();
    assert.equal(message.reset, ErrorCode.protocolError, JSON.stringify(fields));
  }
  assert.equal(backend.connections.length, 0);
  const settled = await client.open(extended(), false);
  assert.equal((await settled.head()).status, 200, "the connection goes on");
  await client.send(headers(settled.stream, [["trailer", "x"]], true));
  assert.equal((await settled.end()).reset, ErrorCode.protocolError, "a tunnel has no trailers");
});

Deno.test("CONNECT on a stream relays bytes both ways until both sides have ended", async () => {
  using backend = new RawBackend(async (connection) => {
    await connection.send("220 ready\r\n");
    await until(() => connection.ended, "the caller's end");
    await connection.send(connection.received.toUpperCase());
    await connection.finishSending();
  });
  const port = freePort();
  const path = { kind: "prefix" as const, value: "", ignoreCase: false };
  const connects = route({
    match: { connect: true, path, headers: [], queryParameters: [], fraction: null },
    action: forwardTo("backend", { upgrades: { connect: true } }),
  });
  await using proxy = await TestProxy.start({
    ...simpleSetup(port, [backend.port]),
    routes: [routes([route(), connects], ["db:5432"])],
  });
  using client = await Http2Peer.connect(port);
  const asking: Field[] = [[":method", "CONNECT"], [":authority", "db:5432"]];
  const message = await client.open(asking, false);
  await client.send(data(message.stream, "early ", false));
  await message.head();
  assert.equal(message.status, 200);
  assert.equal(message.field("content-length"), undefined);
  await client.send(data(message.stream, "quit", true));
  assert.equal((await message.end()).text, "220 ready\r\nEARLY QUIT");
  await until(() => proxy.recorded()["200 -"] === 1, () => JSON.stringify(proxy.recorded()));
  const broken = await client.open(asking, false);
  await broken.head();
  await until(() => backend.connections.length === 2, "the connection");
  backend.connections[1].close();
  await client.send(data(broken.stream, "anybody?", false));
  await until(async () => {
    await client.send(data(broken.stream, "anybody?", false));
    return broken.reset !== null;
  }, "the end of the stream");
  assert.equal(broken.reset, ErrorCode.connectError);
  const other = await client.open([[":method", "CONNECT"], [":authority", "db:5433"]], false);
  assert.equal((await other.end()).status, 404);
});

Deno.test("an upgrade of HTTP/1.1 goes to an upstream that takes it as an extended CONNECT, beside other requests", async () => {
  using backend = new Http2Backend((message, peer) => {
    return message.field(":method") === "CONNECT" ? echo(message, peer) : answer(message, peer);
  }, takesTunnels);
  const { proxy, port } = await TestProxy.simple([backend.port], { cluster: { http2 } });
  await using _ = proxy;
  using client = await RawConnection.connect(port);
  await client.send(`${asking}ahead`);
  await client.until(
    /^HTTP\/1\.1 101 Switching Protocols\r\n[^]*\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nahead$/,
  );
  assert.ok(client.received.includes(`\r\nsec-websocket-accept: ${sampleAccept}\r\n`), client.received);
  const told = backend.peers[0].message(1);
  assert.deepEqual(
    [":method", ":protocol", ":scheme", ":path", ":authority"].map((name) => told.field(name)),
    ["CONNECT", "websocket", "http", "/chat", "a"],
  );
  assert.equal(told.field("upgrade") ?? told.field("connection") ?? told.field("content-length"), undefined);
  assert.match(
    await exchangeUntilEnd(port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
    /\r\nok\r\n0\r\n\r\n$/,
  );
  const large = new Uint8Array(1_000_000).map((_, i) => (i * 7 + (i >> 9)) & 127);
  const before = client.received.length;
  await client.send(large);
  await until(() => client.received.length === before + large.length, () => `${client.received.length}`);
  assert.ok(client.received.slice(before) === new TextDecoder().decode(large));
  await client.finishSending();
  await client.end();
  assert.equal(backend.peers.length, 1, "all on one connection");
  await until(() => proxy.recorded()["101 -"] === 1, () => JSON.stringify(proxy.recorded()));
  assert.equal(proxy.clusterCounter(ClusterSlot.activeRequests), 0);
});

Deno.test("an extended CONNECT passes from HTTP/2 to HTTP/2, and each side may end first", async () => {
  using backend = new Http2Backend(async (message, peer) => {
    await peer.send(headers(message.stream, [[":status", "200"]], false), data(message.stream, "hello", false));
    if (message.field("x-first") === "server") {
      await peer.send(data(message.stream, "", true));
      await until(() => message.complete, "the caller's end");
    } else {
      await until(() => message.complete, "the caller's end");
      await peer.send(data(message.stream, " bye", true));
    }
  }, takesTunnels);
  const { proxy, port } = await TestProxy.simple([backend.port], { cluster: { http2 } });
  await using _ = proxy;
  using client = await Http2Peer.connect(port);
  for (const first of ["client", "server"]) {
    const message = await client.open(extended(["x-first", first]), false);
    await until(() => message.text.startsWith("hello"), "a greeting");
    if (first === "server") await until(() => message.complete, "the server's end");
    await client.send(data(message.stream, "last words", true));
    assert.equal((await message.end()).text, first === "client" ? "hello bye" : "hello");
    assert.equal(message.reset, null);
  }
  await until(() => proxy.recorded()["101 -"] === 2, () => JSON.stringify(proxy.recorded()));
  const got = [...backend.peers[0].messages.values()];
  await until(() => got.every((message) => message.complete), "the last words");
  assert.deepEqual(got.map((message) => message.text), ["last words", "last words"]);
  assert.ok(got.every((message) => message.reset === null && message.complete));
});

Deno.test("an upstream that says no to an extended CONNECT is heard", async () => {
  using backend = new Http2Backend((message, peer) => answer(message, peer, 403, "no"), takesTunnels);
  const { proxy, port } = await TestProxy.simple([backend.port], { cluster: { http2 } });
  await using _ = proxy;
  assert.match(await exchangeUntilEnd(port, `${asking}ahead`), /^HTTP\/1\.1 403 Forbidden\r\n[^]*\r\nno\r\n0\r\n\r\n$/);
  const [message] = backend.peers[0].messages.values();
  await until(() => message.reset !== null, "the rest is not wanted");
  assert.equal(message.size, 0);
});

Deno.test("a host whose HTTP/2 takes no tunnels gets the upgrade on a connection of HTTP/1.1, beside other requests", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const upgraded: RawConnection[] = [];
  const peers: Http2Peer[] = [];
  const accepting = (async () => {
    // The first connection is the one on which the proxy learns it.
    const peer = new Http2Peer(await listener.accept(), false);
    peer.onStream = (message) => void answer(message, peer);
    peers.push(peer);
    for (;;) {
      const connection = new RawConnection(await listener.accept());
      upgraded.push(connection);
      void until(() => connection.received.includes("\r\n\r\n"), "a request").then(() => connection.send(granted));
    }
  })().catch(() => {});
  const { proxy, port } = await TestProxy.simple([listener.addr.port], { cluster: { http2 } });
  await using _ = proxy;
  for (let i = 0; i < 2; i++) {
    using client = await RawConnection.connect(port);
    await client.send(asking);
    await client.until(/^HTTP\/1\.1 101 /);
  }
  assert.match(
    await exchangeUntilEnd(port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
    /\r\nok\r\n0\r\n\r\n$/,
  );
  assert.equal(upgraded.length, 2);
  assert.deepEqual([...peers[0].messages.values()].map((message) => message.field(":method")), ["GET"]);
  listener.close();
  await accepting;
  for (const one of [...upgraded, ...peers]) one.close();
});

Deno.test("when one side of a tunnel on a stream breaks off, so does the other, and nothing else", async () => {
  using backend = new Http2Backend(async (message, peer) => {
    if (message.field(":method") !== "CONNECT") return answer(message, peer);
    await peer.send(headers(message.stream, [[":status", "200"]], false));
  }, takesTunnels);
  const { proxy, port } = await TestProxy.simple([backend.port], { cluster: { http2 } });
  await using _ = proxy;
  using client = await Http2Peer.connect(port);
  const first = await client.open(extended(), false);
  await first.head();
  await client.send(resetStream(first.stream, ErrorCode.cancel));
  await until(() => backend.peers[0].message(1).reset !== null, "the reset upstream");
  const second = await client.open(extended(), false);
  await second.head();
  await backend.peers[0].send(resetStream(3, ErrorCode.cancel));
  await second.end();
  assert.notEqual(second.reset, null);
  using raw = await RawConnection.connect(port);
  await raw.send(asking);
  await raw.until(/^HTTP\/1\.1 101 /);
  raw.close();
  // Its end may be one of its side only; who goes on sending learns that nobody reads.
  await until(async () => {
    await backend.peers[0].send(data(5, "anybody?", false));
    return backend.peers[0].message(5).reset !== null;
  }, "the reset upstream");
  assert.equal((await client.exchange(request("/"))).text, "ok");
  assert.equal(backend.peers.length, 1);
  await until(() => proxy.clusterCounter(ClusterSlot.activeRequests) === 0, "nothing under way");
});

Deno.test("who does not read a tunnel on a stream holds up who sends, and nobody beside", async () => {
  const piece = new Uint8Array(1 << 18);
  let sent = 0;
  using backend = new RawBackend(async (connection) => {
    await until(() => connection.received.includes("\r\n\r\n"), "a request");
    await connection.send(granted);
    while (sent < 256 << 20) sent += await connection.connection.write(piece);
  });
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  using client = await Http2Peer.connect(port, { giveBack: false });
  const stalled = await client.open(extended(), false);
  await stalled.head();
  for (let before = -1; before !== sent; await new Promise((resolve) => setTimeout(resolve, 300))) before = sent;
  assert.ok(sent > 0 && sent < 64 << 20, `${sent} bytes were taken`);
  assert.equal(stalled.size, 65535, "what the window lets through");
  // The other way: an upstream that does not read.
  const window = () => client.frames.filter((one) => one.type === FrameType.windowUpdate && one.stream !== 0).length;
  await client.sendBody(stalled.stream, piece.subarray(0, 60_000), false);
  await until(() => window() > 0, "a window for what has gone on");
  await client.send(resetStream(stalled.stream, ErrorCode.cancel));
  await until(() => proxy.clusterCounter(ClusterSlot.activeRequests) === 0, "nothing under way");
});

Deno.test("a silent tunnel on a stream ends after the idle timeout", async () => {
  using backend = grantingBackend();
  const { proxy, port } = await TestProxy.simple([backend.port], { http: { streamIdleTimeout: 300 } });
  await using _ = proxy;
  using client = await Http2Peer.connect(port);
  const message = await client.open(extended(), false);
  await message.end();
  assert.equal(message.status, 200);
  assert.notEqual(message.reset, null);
  await backend.connections[0].end();
  assert.deepEqual(proxy.recorded(), { "101 SI": 1 });
});
