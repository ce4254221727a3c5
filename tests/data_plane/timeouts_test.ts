import assert from "node:assert/strict";
import { ClusterSlot } from "../../agent/config/shared_memory.ts";
import { Socket } from "../../agent/sys/socket.ts";
import { filterChain, freePort, listener, TestProxy } from "./harness.ts";
import { answering, exchangeUntilEnd, RawBackend, RawConnection, statusOf, until } from "./raw_sockets.ts";

const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

Deno.test("a response that does not come in time is answered with 504 in its place", async () => {
  using backend = new RawBackend();
  const { proxy, port } = await TestProxy.simple([backend.port], { action: { timeout: 300 } });
  await using _ = proxy;
  using client = await RawConnection.connect(port);
  await client.send(get);
  await client.until(/^HTTP\/1\.1 504 [^]*upstream request timeout$/);
  await until(() => backend.connections[0]?.ended, "the upstream connection's end");
  assert.deepEqual(proxy.recorded(), { "504 UT": 1 });
  assert.equal(client.ended, false, "the caller may go on");
});

Deno.test("the timeout counts from the end of the request, however slow that was", async () => {
  using backend = new RawBackend();
  const { proxy, port } = await TestProxy.simple([backend.port], { action: { timeout: 150 } });
  await using _ = proxy;
  using client = await RawConnection.connect(port);
  await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n");
  for (let i = 0; i < 3; i++) {
    await client.send("x");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.equal(client.received, "");
  const sent = performance.now();
  await client.send("x");
  await client.until(/^HTTP\/1\.1 504 /);
  assert.ok(performance.now() - sent >= 140);
  assert.ok(backend.received.endsWith("xxxx"));
});

Deno.test("a response that begins in time but does not end in time is cut off", async () => {
  using backend = answering("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
  const { proxy, port } = await TestProxy.simple([backend.port], { action: { timeout: 1000 } });
  await using _ = proxy;
  const answer = await exchangeUntilEnd(port, get);
  assert.match(answer, /^HTTP\/1\.1 200 OK[^]*hello$/);
  await until(() => backend.connections[0]?.ended, "the upstream connection's end");
  assert.deepEqual(proxy.recorded(), { "200 UT": 1 });
});

Deno.test("a request that waits for a connection is under the timeout too", async () => {
  using backend = new RawBackend();
  const circuitBreakers = { maxConnections: 1, maxPendingRequests: 10, maxRequests: 10, maxRetries: 3 };
  const { proxy, port } = await TestProxy.simple([backend.port], {
    action: { timeout: 100 },
    cluster: { circuitBreakers },
  });
  await using _ = proxy;
  using one = await RawConnection.connect(port);
  await one.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n");
  await until(() => backend.received.includes("POST"), "the request that holds the only connection");
  using two = await RawConnection.connect(port);
  await two.send(get);
  await two.until(/^HTTP\/1\.1 504 /);
  assert.equal(one.received, "");
  assert.equal(proxy.clusterCounter(ClusterSlot.pendingRequests), 0);
});

Deno.test("a host that does not answer a connection attempt is given up after the connect timeout", async () => {
  // A listener that never accepts, its queue full: the kernel drops further attempts.
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0, tcpBacklog: 1 });
  const { port: backendPort } = listener.addr as Deno.NetAddr;
  const fillers = Array.from({ length: 8 }, () => Socket.connect("127.0.0.1", backendPort));
  const { proxy, port } = await TestProxy.simple([backendPort], { cluster: { connectTimeout: 100 } });
  await using _ = proxy;
  using client = await RawConnection.connect(port);
  await client.send(get);
  await client.until(/^HTTP\/1\.1 503 [^]*connection timeout$/);
  assert.deepEqual(proxy.recorded(), { "503 UF": 1 });
  await until(() => proxy.clusterCounter(ClusterSlot.activeConnections) === 0, "no connection left");
  for (const filler of fillers) filler.close();
});

Deno.test("a head that does not arrive whole in time is answered with 408", async () => {
  const { proxy, port } = await TestProxy.simple([], { http: { requestHeadersTimeout: 100 } });
  await using _ = proxy;
  using client = await RawConnection.connect(port);
  let stop = false;
  const trickle = (async () => {
    await client.send("GET / HTTP/1.1\r\nX: ");
    while (!stop) {
      await client.trySend("y");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  })();
  assert.equal(statusOf(await client.end()), 408);
  stop = true;
  await trickle;
});

Deno.test("a head's time also runs for the second request of a connection", async () => {
  using backend = answering(ok);
  const { proxy, port } = await TestProxy.simple([backend.port], { http: { requestHeadersTimeout: 100 } });
  await using _ = proxy;
  using client = await RawConnection.connect(port);
  await client.send(get + "GET /slow HTTP/1.1\r\n");
  assert.match(await client.end(), /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nokHTTP\/1\.1 408 /);
});

Deno.test("a connection without a request is closed after the idle timeout, before and after a request", async () => {
  using backend = answering(ok);
  const { proxy, port } = await TestProxy.simple([backend.port], { http: { idleTimeout: 1000 } });
  await using _ = proxy;
  assert.equal(await exchangeUntilEnd(port, ""), "");
  assert.match(await exchangeUntilEnd(port, get), /\r\n\r\nok$/);
});

Deno.test("an idle upstream connection is closed after its idle timeout", async () => {
  using backend = answering(ok);
  const { proxy, port } = await TestProxy.simple([backend.port], { cluster: { idleTimeout: 100 } });
  await using _ = proxy;
  using client = await RawConnection.connect(port);
  await client.send(get);
  await client.until(/\r\n\r\nok$/);
  await until(() => backend.connections[0]?.ended, "the upstream connection's end");
  assert.equal(proxy.clusterCounter(ClusterSlot.activeConnections), 0);
});

Deno.test("a request on which nothing moves is given up after the stream idle timeout", async () => {
  using backend = new RawBackend();
  const { proxy, port } = await TestProxy.simple([backend.port], { http: { streamIdleTimeout: 100 } });
  await using _ = proxy;
  // Before the whole request, and before the response.
  assert.match(
    await exchangeUntilEnd(port, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nx"),
    / 408 [^]*stream timeout$/,
  );
  using client = await RawConnection.connect(port);
  await client.send(get);
  await client.until(/ 504 [^]*stream timeout$/);
  assert.deepEqual(proxy.recorded(), { "408 SI": 1, "504 SI": 1 });
  await until(() => backend.connections.every((connection) => connection.ended), "the upstream connections' end");
});

Deno.test("a route's idle timeout goes before the connection manager's", async () => {
  using backend = new RawBackend();
  const { proxy, port } = await TestProxy.simple([backend.port], { action: { idleTimeout: 100 } });
  await using _ = proxy;
  using idle = await RawConnection.connect(port);
  await idle.send(get);
  await idle.until(/ 504 [^]*stream timeout$/);
  const off = await TestProxy.simple([backend.port], {
    http: { streamIdleTimeout: 50 },
    action: { idleTimeout: 0, timeout: 300 },
  });
  await using _off = off.proxy;
  using client = await RawConnection.connect(off.port);
  await client.send(get);
  await client.until(/^HTTP\/1\.1 504 /);
});

const half = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nx";

Deno.test("a request that does not arrive whole in time is answered with 408, however busy its caller", async () => {
  using backend = new RawBackend();
  const { proxy, port } = await TestProxy.simple([backend.port], { http: { requestTimeout: 200 } });
  await using _ = proxy;
  using client = await RawConnection.connect(port);
  await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
  let stop = false;
  const trickle = (async () => {
    while (!stop) {
      await client.trySend("y");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  })();
  assert.match(await client.end(), / 408 [^]*request timeout$/);
  stop = true;
  await trickle;
  assert.deepEqual(proxy.recorded(), { "408 -": 1 });
  await until(() => backend.connections[0]?.ended, "the upstream connection's end");
  // One that is whole has all the time it likes.
  using whole = await RawConnection.connect(port);
  await whole.send(get);
  await until(() => backend.connections.length === 2, "the second request");
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal(whole.received, "");
});

Deno.test("a stream's longest duration ends it, by 408, by 504 or by cutting its response off", async () => {
  using backend = new RawBackend(async (connection) => {
    await connection.until(/\r\n\r\n/);
    if (!connection.received.startsWith("GET /begun")) return;
    await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
  });
  for (const setup of [{ http: { maxStreamDuration: 200 } }, { action: { maxStreamDuration: 200 } }]) {
    const { proxy, port } = await TestProxy.simple([backend.port], setup);
    await using _ = proxy;
    assert.match(await exchangeUntilEnd(port, half), / 408 [^]*downstream duration timeout$/);
    using client = await RawConnection.connect(port);
    await client.send(get);
    await client.until(/ 504 [^]*downstream duration timeout$/);
    assert.match(
      await exchangeUntilEnd(port, "GET /begun HTTP/1.1\r\nHost: a\r\n\r\n"),
      /^HTTP\/1\.1 200 OK[^]*hello$/,
    );
    assert.deepEqual(proxy.recorded(), { "200 -": 1, "408 -": 1, "504 -": 1 });
  }
  await until(() => backend.connections.every((connection) => connection.ended), "the upstream connections' end");
});

Deno.test("a route may lift the limit on a stream's duration, and have its own in the place of the timeout", async () => {
  using backend = new RawBackend(async (connection) => {
    await connection.until(/\r\n\r\n/);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await connection.send(ok);
  });
  const { proxy, port } = await TestProxy.simple([backend.port], {
    http: { maxStreamDuration: 100 },
    action: { maxStreamDuration: 0, newTimeouts: true, timeout: 100 },
  });
  await using _ = proxy;
  using client = await RawConnection.connect(port);
  await client.send(get);
  await client.until(/^HTTP\/1\.1 200 OK[^]*ok$/);
});

Deno.test("an attempt is given up after the cluster's longest duration, and made again where the policy says so", async () => {
  let calls = 0;
  using backend = new RawBackend(async (connection) => {
    await connection.until(/\r\n\r\n/);
    if (++calls % 2 === 0) await connection.send(ok);
  });
  const once = await TestProxy.simple([backend.port], { cluster: { maxStreamDuration: 100 } });
  await using _ = once.proxy;
  using client = await RawConnection.connect(once.port);
  await client.send(get);
  await client.until(/ 504 [^]*upstream max stream duration reached$/);
  assert.deepEqual(once.proxy.recorded(), { "504 UMSDR": 1 });
  calls = 0;
  const retry = {
    retryOn: ["reset"],
    numRetries: 1,
    perTryTimeout: 0,
    retriableStatusCodes: [],
    backOffBase: 1,
    backOffMax: 1,
    avoidPreviousHosts: false,
    hostSelectionMaxAttempts: 1,
  };
  const twice = await TestProxy.simple([backend.port], { cluster: { maxStreamDuration: 300 }, action: { retry } });
  await using _twice = twice.proxy;
  using other = await RawConnection.connect(twice.port);
  await other.send(get);
  await other.until(/^HTTP\/1\.1 200 OK[^]*ok$/);
  assert.equal(calls, 2);
});

Deno.test("a caller that reads nothing is let go after the stream idle timeout", async () => {
  const size = 50_000_000;
  using backend = new RawBackend(async (connection) => {
    await connection.until(/\r\n\r\n/);
    await connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
    await connection.send(new Uint8Array(size));
  });
  const { proxy, port } = await TestProxy.simple([backend.port], { http: { streamIdleTimeout: 100 } });
  await using _ = proxy;
  using client = await Deno.connect({ hostname: "127.0.0.1", port });
  await client.write(new TextEncoder().encode(get));
  await until(() => backend.connections[0]?.ended, "the upstream connection's end");
});

Deno.test("a ClientHello that breaks off half-way does not keep the connection, nor the thread busy", async () => {
  const port = freePort();
  await using _ = await TestProxy.start({
    listeners: [listener(port, {
      filterChains: [filterChain({ transportProtocol: "tls", serverNames: ["a"] })],
    })],
  });
  using client = await RawConnection.connect(port);
  await client.send(new Uint8Array([22, 3, 1, 1, 0, 1, 0, 0, 252, 3, 3]));
  const started = performance.now();
  await client.finishSending();
  assert.equal(await client.end(), "");
  assert.ok(performance.now() - started < 5000);
});
