import assert from "node:assert/strict";
import http from "node:http";
import { ClusterSlot } from "../../agent/config/shared_memory.ts";
import { Backend, TestProxy } from "./harness.ts";
import { exchangeUntilEnd, RawBackend, RawConnection, until } from "./raw_sockets.ts";
import { testEachWay } from "./mesh.ts";
import { TwoProxies } from "./two_proxies.ts";

const asking = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
const granted = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/** A WebSocket server that sends back what it gets, and `hello` first; other requests are answered with 200. */
function echoBackend(): Backend {
  return new Backend((request) => {
    if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") return new Response("no upgrade");
    const { socket, response } = Deno.upgradeWebSocket(request, { protocol: "echo" });
    socket.binaryType = "arraybuffer";
    socket.onopen = () => socket.send("hello");
    socket.onmessage = ({ data }) => socket.send(data);
    return response;
  });
}

/** Sends each message when the one before has come back; what has come back, after `hello`. */
async function echoed(port: number, messages: (string | Uint8Array<ArrayBuffer>)[]): Promise<unknown[]> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/chat`, "echo");
  socket.binaryType = "arraybuffer";
  const received: unknown[] = [];
  await new Promise<void>((resolve, reject) => {
    socket.onerror = (event) => reject(new Error((event as ErrorEvent).message));
    socket.onmessage = ({ data }) => {
      received.push(data instanceof ArrayBuffer ? new Uint8Array(data) : data);
      if (received.length <= messages.length) socket.send(messages[received.length - 1]);
      else resolve();
    };
  });
  assert.equal(socket.protocol, "echo");
  const closed = new Promise<CloseEvent>((resolve) => socket.onclose = resolve);
  socket.close(1000, "done");
  assert.equal((await closed).code, 1000);
  return received;
}

/** A backend that grants every upgrade at once, or as soon as `grant` resolves. */
function grantingBackend(grant: Promise<void> = Promise.resolve(), answer = granted): RawBackend {
  return new RawBackend(async (connection) => {
    await until(() => connection.received.includes("\r\n\r\n"), "a request");
    await grant;
    await connection.send(answer);
  });
}

const large = new Uint8Array(3_000_000).map((_, i) => i * 7 + (i >> 9));

Deno.test("a WebSocket client talks to a WebSocket server through the proxy, in small and large messages", async () => {
  await using backend = echoBackend();
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  assert.deepEqual(await echoed(port, ["a", large, "b"]), ["hello", "a", large, "b"]);
  await until(() => proxy.recorded()["101 -"] === 1, () => JSON.stringify(proxy.recorded()));
  assert.equal(proxy.clusterCounter(ClusterSlot.activeRequests), 0);
  await until(() => proxy.clusterCounter(ClusterSlot.activeConnections) === 0, "the connection's end");
});

testEachWay("WebSocket works through two proxies, for many clients at once", async (way) => {
  await using backend = echoBackend();
  await using mesh = await TwoProxies.start(backend.port, {}, way);
  const all = await Promise.all(Array.from({ length: 8 }, (_, i) => echoed(mesh.port, [large, `client ${i}`])));
  all.forEach((received, i) => assert.deepEqual(received, ["hello", large, `client ${i}`]));
  await until(() => mesh.recorded()["101 -"] === 16, () => JSON.stringify(mesh.recorded()));
  assert.equal(mesh.proxy.clusterCounter(ClusterSlot.connections), 1, "all of them share one connection of HTTP/2");
});

Deno.test("node:http switches protocols through the proxy and relays raw bytes", async () => {
  const server = http.createServer().on("upgrade", (request, socket, head) => {
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${request.headers.upgrade}\r\n\r\n`,
    );
    socket.write(head);
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { proxy, port } = await TestProxy.simple([(server.address() as { port: number }).port], {
    http: { upgradeTypes: ["foo/2"] },
  });
  await using _ = proxy;
  try {
    const text = await new Promise<string>((resolve, reject) => {
      const request = http.request({ host: "127.0.0.1", port, headers: { Connection: "Upgrade", Upgrade: "Foo/2" } });
      request.on("error", reject).on("upgrade", (response, socket) => {
        assert.equal(response.headers.upgrade, "foo/2");
        let received = "";
        socket.on("data", (data) => received += data).on("end", () => resolve(received));
        socket.end("ping");
      }).end();
    });
    assert.equal(text, "ping");
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
});

Deno.test("the request for an upgrade goes on as one, and so does the answer", async () => {
  using backend = grantingBackend();
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  using client = await RawConnection.connect(port);
  await client.send(`${asking}Sec-WebSocket-Key: k\r\nKeep-Alive: 5\r\n\r\n`);
  await client.until(/\r\n\r\n/);
  assert.match(backend.received, /^GET \/chat HTTP\/1\.1\r\n/);
  assert.match(backend.received, /\r\nsec-websocket-key: k\r\n/);
  assert.match(backend.received, /\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n$/);
  assert.doesNotMatch(backend.received, /keep-alive|content-length|transfer-encoding/i);
  assert.match(client.received, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
  assert.match(client.received, /\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n$/);
  assert.doesNotMatch(client.received, /content-length|transfer-encoding/i);
});

Deno.test("bytes that the caller sends ahead wait for the answer, and come first", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  using backend = grantingBackend(promise);
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  using client = await RawConnection.connect(port);
  await client.send(`${asking}\r\nearly`);
  await until(() => backend.received.includes("\r\n\r\n"), "the request");
  await client.send(" and later");
  assert.doesNotMatch(backend.received, /early/);
  resolve();
  await until(() => backend.received.endsWith("\r\n\r\nearly and later"), () => backend.received);
});

Deno.test("bytes that the server sends with its answer reach the caller", async () => {
  using backend = grantingBackend(Promise.resolve(), `${granted}first`);
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  using client = await RawConnection.connect(port);
  await client.send(`${asking}\r\n`);
  await client.until(/\r\n\r\nfirst$/);
});

testEachWay("each side may end before the other, and the last words arrive", async (way) => {
  using backend = grantingBackend();
  await using mesh = await TwoProxies.start(backend.port, {}, way);
  for (const first of ["client", "server"]) {
    using client = await RawConnection.connect(mesh.port);
    await client.send(`${asking}\r\n`);
    await client.until(/\r\n\r\n/);
    const server = backend.connections.at(-1)!;
    const [one, other] = first === "client" ? [client, server] : [server, client];
    await one.finishSending();
    await other.end();
    await other.send("last words");
    await one.until(/last words$/);
    assert.equal(one.ended, false);
    await other.finishSending();
    await one.end();
  }
  await until(() => mesh.recorded()["101 -"] === 4, () => JSON.stringify(mesh.recorded()));
  assert.equal(mesh.proxy.clusterCounter(ClusterSlot.activeRequests), 0);
});

Deno.test("who does not read holds up who sends, and nobody else", async () => {
  using backend = grantingBackend();
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  const stalled = await Deno.connect({ hostname: "127.0.0.1", port });
  await stalled.write(new TextEncoder().encode(`${asking}\r\n`));
  await until(() => backend.connections.length === 1 && backend.received.includes("\r\n\r\n"), "the request");
  const server = backend.connections[0].connection;
  const piece = new Uint8Array(1 << 20);
  let sent = 0;
  let blocked = false;
  const sending = (async () => {
    while (sent < 256 << 20) sent += await server.write(piece);
  })().catch(() => {});
  for (let before = -1; before !== sent; await new Promise((resolve) => setTimeout(resolve, 300))) before = sent;
  blocked = true;
  assert.ok(blocked && sent > 0 && sent < 64 << 20, `${sent} bytes were taken`);
  using other = await RawConnection.connect(port);
  await other.send(`${asking}\r\n`);
  await other.until(/^HTTP\/1\.1 101 /);
  stalled.close();
  await sending;
});

Deno.test("a refusal passes through as the response that it is, and the connection ends", async () => {
  using backend = grantingBackend(
    Promise.resolve(),
    "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\nX-Why: so\r\n\r\nno",
  );
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  const answer = await exchangeUntilEnd(port, `${asking}\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`);
  assert.match(answer, /^HTTP\/1\.1 426 Upgrade Required\r\n[^]*x-why: so\r\n[^]*connection: close\r\n\r\nno$/);
  assert.equal(backend.connections.length, 1);
  assert.doesNotMatch(backend.received, /smuggled/);
  assert.deepEqual(proxy.recorded(), { "426 -": 1 });
});

Deno.test("an upgrade that is not allowed is answered with 403 and the connection ends, as in Envoy", async () => {
  using backend = grantingBackend();
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  const upgrade = (value: string) => `GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: ${value}\r\n\r\n`;
  for (const value of ["spdy/3.1", "websocket, foo", "websocket\r\nUpgrade: foo", "TLS/1.0"]) {
    const answer = await exchangeUntilEnd(port, upgrade(value));
    assert.match(answer, /^HTTP\/1\.1 403 Forbidden\r\n[^]*connection: close\r\n/, value);
  }
  assert.equal(backend.connections.length, 0);
});

Deno.test("an upgrade to h2c, one of HTTP/1.0 and one without Connection are plain requests", async () => {
  using backend = new RawBackend(async (connection) => {
    await until(() => connection.received.includes("\r\n\r\n"), "a request");
    await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nplain");
  });
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  const plain = [
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n",
    "GET / HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nUpgrade: websocket\r\n\r\n",
  ];
  for (const request of plain) assert.match(await exchangeUntilEnd(port, request), /^HTTP\/1\.1 200 OK\r\n[^]*plain$/);
  assert.doesNotMatch(backend.received, /upgrade|http2-settings/i);
});

Deno.test("an upgrade with a body is refused: where the body ends and the other protocol begins may be disputed", async () => {
  using backend = grantingBackend();
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  for (const framing of ["Content-Length: 5", "Transfer-Encoding: chunked"]) {
    assert.match(await exchangeUntilEnd(port, `${asking}${framing}\r\n\r\nhello`), /^HTTP\/1\.1 400 Bad Request\r\n/);
  }
  assert.equal(backend.connections.length, 0);
});

Deno.test("a server that switches unasked, or to something else, is a failure", async () => {
  const cases = [
    ["GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", granted],
    [`${asking}\r\n`, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n"],
    [`${asking}\r\n`, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"],
  ];
  for (const [request, answer] of cases) {
    using backend = grantingBackend(Promise.resolve(), answer);
    const { proxy, port } = await TestProxy.simple([backend.port]);
    await using _ = proxy;
    assert.match(await exchangeUntilEnd(port, request), /^HTTP\/1\.1 502 /);
    assert.deepEqual(proxy.recorded(), { "502 UPE": 1 });
  }
});

Deno.test("a silent tunnel ends after the idle timeout", async () => {
  using backend = grantingBackend();
  const { proxy, port } = await TestProxy.simple([backend.port], { http: { streamIdleTimeout: 300 } });
  await using _ = proxy;
  using client = await RawConnection.connect(port);
  await client.send(`${asking}\r\n`);
  await client.until(/\r\n\r\n/);
  await client.end();
  await backend.connections[0].end();
  assert.deepEqual(proxy.recorded(), { "101 SI": 1 });
});

Deno.test("the route's timeout is for the answer, not for what comes after", async () => {
  const { promise } = Promise.withResolvers<void>();
  using granting = grantingBackend();
  using silent = grantingBackend(promise);
  const { proxy, port } = await TestProxy.simple([granting.port], { action: { timeout: 300 } });
  await using _ = proxy;
  using client = await RawConnection.connect(port);
  await client.send(`${asking}\r\n`);
  await client.until(/\r\n\r\n/);
  await new Promise((resolve) => setTimeout(resolve, 600));
  await client.send("still here");
  await until(() => granting.received.endsWith("still here"), () => granting.received);
  const other = await TestProxy.simple([silent.port], { action: { timeout: 300 } });
  await using __ = other.proxy;
  assert.match(await exchangeUntilEnd(other.port, `${asking}\r\n`), /^HTTP\/1\.1 504 /);
});

Deno.test("when one side breaks off, so does the other", async () => {
  using backend = grantingBackend();
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  for (const breaks of ["client", "server"]) {
    const client = await RawConnection.connect(port);
    await client.send(`${asking}\r\n`);
    await client.until(/\r\n\r\n/);
    const server = backend.connections.at(-1)!;
    const [one, other] = breaks === "client" ? [client, server] : [server, client];
    one.close();
    // Nobody reads any more: what goes on being sent is answered with a reset.
    await until(async () => {
      await other.trySend("anybody?");
      return other.ended;
    }, "the end of the other side");
    other.close();
  }
  await until(() => proxy.clusterCounter(ClusterSlot.activeConnections) === 0, "the connections' end");
  assert.equal(proxy.clusterCounter(ClusterSlot.activeRequests), 0);
});

Deno.test("the access log has one line for a tunnel, at its end, with what went through", async () => {
  using backend = grantingBackend();
  const path = await Deno.makeTempFile();
  const format = "%REQ(:METHOD)% %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT%\n";
  const { proxy, port } = await TestProxy.simple([backend.port], {
    listener: { accessLog: [{ path, format, json: null }] },
  });
  await using _ = proxy;
  using client = await RawConnection.connect(port);
  await client.send(`${asking}\r\nping`);
  await until(() => backend.received.endsWith("ping"), "the first words");
  await backend.connections[0].send("pong!");
  await client.until(/pong!$/);
  await client.finishSending();
  await backend.connections[0].finishSending();
  await client.end();
  await until(async () => await Deno.readTextFile(path) !== "", "a line");
  assert.equal(await Deno.readTextFile(path), "GET 101 - 4 5\n");
  await Deno.remove(path);
});
