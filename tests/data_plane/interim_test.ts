import assert from "node:assert/strict";
import { TestProxy } from "./harness.ts";
import { answering, exchangeUntilEnd, RawBackend, RawConnection, until } from "./raw_sockets.ts";
import { testEachWay } from "./mesh.ts";
import { TwoProxies } from "./two_proxies.ts";

const host = "Host: a\r\n";
const get = `GET / HTTP/1.1\r\n${host}\r\n`;
const answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** How often a status line is in what was received. */
const statuses = (received: string) => [...received.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((match) => Number(match[1]));

testEachWay("a caller that waits for 100 gets it at once, and each proxy asks for none of the next", async (way) => {
  using backend = new RawBackend(async (connection) => {
    await until(() => connection.received.endsWith("hello"), "the body");
    await connection.send(answer);
  });
  await using mesh = await TwoProxies.start(backend.port, {}, way);
  using client = await RawConnection.connect(mesh.port);
  await client.send(`POST / HTTP/1.1\r\n${host}Expect: 100-Continue\r\nContent-Length: 5\r\n\r\n`);
  await client.until(/^HTTP\/1\.1 100 Continue\r\n\r\n$/);
  await client.send("hello");
  await client.until(/\r\n\r\nok$/);
  assert.deepEqual(statuses(client.received), [100, 200]);
  assert.doesNotMatch(backend.received, /expect/i);
});

Deno.test("curl sends a large body after 100 Continue", async () => {
  using backend = new RawBackend(async (connection) => {
    await until(() => connection.received.length > 2_000_000, "the body");
    await connection.send(answer);
  });
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  const command = new Deno.Command("curl", {
    args: ["-sS", "-v", "-H", "Expect: 100-continue", "--data-binary", "@-", `http://127.0.0.1:${port}/`],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = command.stdin.getWriter();
  await writer.write(new Uint8Array(2_000_000).fill(97));
  await writer.close();
  const { stdout, stderr } = await command.output();
  assert.equal(new TextDecoder().decode(stdout), "ok");
  assert.match(new TextDecoder().decode(stderr), /< HTTP\/1\.1 100 Continue/);
});

Deno.test("nobody gets 100 who did not ask, has sent no body, or speaks HTTP/1.0", async () => {
  using backend = answering(answer);
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  const requests = [
    `GET / HTTP/1.1\r\n${host}Connection: close\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}Expect: 100-continue\r\nConnection: close\r\n\r\n`,
    `POST / HTTP/1.1\r\n${host}Expect: 100-continue\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
    `POST / HTTP/1.0\r\n${host}Expect: 100-continue\r\nContent-Length: 1\r\n\r\nx`,
  ];
  for (const request of requests) assert.deepEqual(statuses(await exchangeUntilEnd(port, request)), [200], request);
});

Deno.test("interim responses of the backend stay on their hop, whole or cut, one or several", async () => {
  const interim =
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n";
  using backend = new RawBackend(async (connection, index) => {
    await until(() => connection.received.includes("\r\n\r\n"), "a request");
    if (index === 0) return await connection.send(interim + answer);
    for (const piece of [interim.slice(0, 30), interim.slice(30, 60), interim.slice(60), answer]) {
      await connection.send(piece);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  });
  const { proxy, port } = await TestProxy.simple([backend.port], { cluster: { maxRequestsPerConnection: 1 } });
  await using _ = proxy;
  for (const round of [0, 1]) {
    using client = await RawConnection.connect(port);
    await client.send(get);
    await client.until(/\r\n\r\nok$/);
    assert.deepEqual(statuses(client.received), [200], `round ${round}`);
    assert.doesNotMatch(client.received, /link:/i);
  }
  assert.deepEqual(proxy.recorded(), { "200 -": 2 });
});

/** Responses without a body whose sender sends one nevertheless. */
const bodiless: [name: string, request: string, response: string, head: RegExp][] = [
  [
    "to HEAD",
    `HEAD / HTTP/1.1\r\n${host}\r\n`,
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
    /content-length: 5\r\n/,
  ],
  [
    "to HEAD, chunked",
    `HEAD / HTTP/1.1\r\n${host}\r\n`,
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    /200 OK/,
  ],
  ["204", get, "HTTP/1.1 204 No Content\r\n\r\n", /204 No Content/],
  ["204 with a length", get, "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", /204 No Content/],
  ["304", get, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: x\r\n\r\n", /content-length: 5\r\n/],
];

Deno.test("a response that has no body has none, and what the backend sends in its place is nobody's", async (t) => {
  for (const [name, request, response, head] of bodiless) {
    await t.step(name, async () => {
      const forged = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";
      using backend = new RawBackend(async (connection, index) => {
        await until(() => connection.received.includes("\r\n\r\n"), "a request");
        await connection.send(index === 0 ? response + forged : answer);
      });
      const { proxy, port } = await TestProxy.simple([backend.port]);
      await using _ = proxy;
      using client = await RawConnection.connect(port);
      await client.send(request);
      await client.until(/\r\n\r\n/);
      assert.match(client.received, head);
      await client.send(get);
      await client.until(/ok$/);
      assert.doesNotMatch(client.received, /forged/);
      assert.equal(statuses(client.received).length, 2);
      await backend.connections[0].end();
    });
  }
});

Deno.test("the connection after the last request it may carry says so and ends", async () => {
  using backend = answering(answer);
  const { proxy, port } = await TestProxy.simple([backend.port], { http: { maxRequestsPerConnection: 2 } });
  await using _ = proxy;
  const received = await exchangeUntilEnd(port, get + get + get);
  assert.deepEqual(statuses(received), [200, 200]);
  assert.deepEqual(received.split("\r\n\r\nok").map((one) => /connection: close/.test(one)), [false, true, false]);
});

Deno.test("a connection that has lived long enough ends: idle at once, busy with its response", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  using backend = new RawBackend(async (connection) => {
    await until(() => connection.received.includes("\r\n\r\n"), "a request");
    await promise;
    await connection.send(answer);
  });
  const { proxy, port } = await TestProxy.simple([backend.port], { http: { maxConnectionDuration: 300 } });
  await using _ = proxy;
  using idle = await RawConnection.connect(port);
  using busy = await RawConnection.connect(port);
  await busy.send(get);
  await idle.end();
  assert.equal(idle.received, "");
  assert.equal(busy.ended, false);
  resolve();
  assert.match(await busy.end(), /^HTTP\/1\.1 200 OK\r\n[^]*connection: close\r\n\r\nok$/);
});

Deno.test("HTTP/1.0 ends its connection unless it asks to keep it, and may do without Host", async () => {
  using backend = answering(answer);
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  assert.match(await exchangeUntilEnd(port, "GET / HTTP/1.0\r\n\r\n"), /\r\nconnection: close\r\n\r\nok$/);
  using client = await RawConnection.connect(port);
  for (const round of [1, 2]) {
    await client.send(`GET / HTTP/1.0\r\n${host}Connection: Keep-Alive\r\n\r\n`);
    await until(() => client.received.split("\r\nconnection: keep-alive\r\n\r\nok").length === round + 1, "an answer");
  }
  assert.equal(client.ended, false);
});

Deno.test("an upstream that floods with interim responses is given up", async () => {
  using backend = answering(
    "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(101) + "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
  );
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  const response = await fetch(`http://127.0.0.1:${port}/`);
  await response.body?.cancel();
  assert.ok(response.status >= 502, String(response.status));
});
