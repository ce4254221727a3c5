import assert from "node:assert/strict";
import { ClusterSlot } from "../../agent/config/shared_memory.ts";
import { TestProxy } from "./harness.ts";
import { answering, exchangeUntilEnd, RawBackend, RawConnection, until } from "./raw_sockets.ts";

const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

async function ask(client: RawConnection, times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    const before = client.received.length;
    await client.send(get);
    await until(() => client.received.length > before && client.received.endsWith("ok"), () => client.received);
  }
}

Deno.test("requests one after another, from one caller or several, share one upstream connection", async () => {
  using backend = answering(ok);
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  for (let i = 0; i < 3; i++) {
    using client = await RawConnection.connect(port);
    await ask(client, 5);
  }
  assert.equal(backend.connections.length, 1);
  assert.equal(proxy.clusterCounter(ClusterSlot.connections), 1);
  assert.equal(proxy.clusterCounter(ClusterSlot.requests), 15);
});

Deno.test("requests at the same time each have a connection", async () => {
  let answer = () => {};
  const gate = new Promise<void>((resolve) => answer = resolve);
  using backend = new RawBackend(async (connection) => {
    await connection.until(/\r\n\r\n/);
    await gate;
    await connection.send(ok);
  });
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  const clients = await Promise.all(Array.from({ length: 5 }, () => RawConnection.connect(port)));
  for (const client of clients) await client.send(get);
  await until(() => backend.connections.length === 5, "five connections");
  answer();
  for (const client of clients) {
    await client.until(/ok$/);
    client.close();
  }
});

Deno.test("an upstream connection carries as many requests as it may", async () => {
  using backend = answering(ok);
  const { proxy, port } = await TestProxy.simple([backend.port], { cluster: { maxRequestsPerConnection: 3 } });
  await using _ = proxy;
  using client = await RawConnection.connect(port);
  await ask(client, 10);
  assert.equal(backend.connections.length, 4);
  await until(() => proxy.clusterCounter(ClusterSlot.activeConnections) === 1, "spent connections are closed");
});

Deno.test("an upstream that says close, or speaks HTTP/1.0, gets a connection for each request", async () => {
  const answers = [
    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
  ];
  for (const answer of answers) {
    using backend = answering(answer);
    const { proxy, port } = await TestProxy.simple([backend.port]);
    await using _ = proxy;
    using client = await RawConnection.connect(port);
    await ask(client, 3);
    assert.equal(backend.connections.length, 3);
    assert.ok(!/connection: close/.test(client.received), "what concerns one hop stays on it");
  }
});

Deno.test("a response that ends with its connection is passed on in chunks, to HTTP/1.0 until the end", async () => {
  using backend = new RawBackend(async (connection) => {
    await connection.until(/\r\n\r\n/);
    await connection.send("HTTP/1.0 200 OK\r\n\r\nhello");
    connection.close();
  });
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  const chunked = await exchangeUntilEnd(port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  assert.match(chunked, /transfer-encoding: chunked\r\n[^]*\r\n\r\n5\r\nhello\r\n0\r\n\r\n$/);
  const plain = await exchangeUntilEnd(port, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  assert.match(plain, /\r\nconnection: close\r\n[^]*\r\nhello$/);
  assert.ok(!plain.includes("transfer-encoding"), plain);
});

Deno.test("an HTTP/1.0 caller can tell a response that was cut off from one that is whole", async () => {
  using backend = new RawBackend(async (connection) => {
    await connection.until(/\r\n\r\n/);
    await connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    await connection.until(/never/).catch(() => {});
  });
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  using caller = await Deno.connect({ hostname: "127.0.0.1", port });
  await caller.write(new TextEncoder().encode("GET / HTTP/1.0\r\n\r\n"));
  let received = "";
  const readAll = async () => {
    const buffer = new Uint8Array(4096);
    for (let count = await caller.read(buffer); count !== null; count = await caller.read(buffer)) {
      received += new TextDecoder().decode(buffer.subarray(0, count));
      if (received.endsWith("hello")) { for (const connection of backend.connections) connection.close(); }
    }
  };
  await assert.rejects(readAll(), Deno.errors.ConnectionReset);
  assert.match(received, /hello$/);
});

Deno.test("HTTP/1.0 and Connection: close end the connection, keep-alive on HTTP/1.0 does not", async () => {
  using backend = answering(ok);
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  for (const request of ["GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"]) {
    assert.match(await exchangeUntilEnd(port, request), /\r\nconnection: close\r\n[^]*ok$/);
  }
  using client = await RawConnection.connect(port);
  for (let i = 1; i <= 2; i++) {
    await client.send("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
    await until(() => client.received.split("\r\n\r\nok").length === i + 1, () => client.received);
  }
  assert.equal(client.ended, false);
  assert.equal(client.received.split("connection: keep-alive").length, 3);
});

/** Stages at which a caller leaves: what it has sent, and what the backend answers. */
const departures: [stage: string, request: string, answer: string, recorded: string][] = [
  ["while the response is awaited", get, "", "0 DC"],
  ["in the midst of its body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf", "", "0 DC"],
  ["in the midst of the response", get, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "200 DC"],
];

for (const [stage, request, answer, recorded] of departures) {
  for (const how of ["closes", "half-closes"]) {
    Deno.test(`a caller that ${how} ${stage} ends the upstream request and is recorded`, async () => {
      using backend = new RawBackend(async (connection) => {
        await connection.until(/\r\n\r\n/);
        if (answer !== "") await connection.send(answer);
      });
      const { proxy, port } = await TestProxy.simple([backend.port]);
      await using _ = proxy;
      using client = await RawConnection.connect(port);
      await client.send(request);
      await until(() => backend.received.endsWith(request.slice(-4)), "the request");
      if (answer !== "") await client.until(/half$/);
      if (how === "closes") client.close();
      else {
        await client.finishSending();
        await client.end();
      }
      await until(() => backend.connections[0].ended, "the upstream connection's end");
      await until(() => proxy.recorded()[recorded] === 1, () => JSON.stringify(proxy.recorded()));
      assert.equal(proxy.clusterCounter(ClusterSlot.activeRequests), 0);
      assert.equal(proxy.clusterCounter(ClusterSlot.activeConnections), 0);
    });
  }
}

Deno.test("an upstream that breaks off before its answer is told as such", async () => {
  using backend = new RawBackend(async (connection) => {
    await connection.until(/\r\n\r\n/);
    connection.close();
  });
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  using client = await RawConnection.connect(port);
  await client.send(get);
  await client.until(/^HTTP\/1\.1 503 [^]*reset reason: connection termination$/);
  assert.deepEqual(proxy.recorded(), { "503 UC": 1 });
});

Deno.test("a pooled connection that the upstream has closed is not used again", async () => {
  using backend = new RawBackend(async (connection) => {
    await connection.until(/\r\n\r\n/);
    await connection.send(ok);
    connection.close();
  });
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  using client = await RawConnection.connect(port);
  for (let i = 1; i <= 5; i++) {
    await ask(client, 1);
    await until(() => proxy.clusterCounter(ClusterSlot.activeConnections) === 0, "the connection is forgotten");
  }
  assert.deepEqual(proxy.recorded(), { "200 -": 5 });
});
