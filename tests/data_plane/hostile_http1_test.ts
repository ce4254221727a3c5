import assert from "node:assert/strict";
import { Backend, TestProxy } from "./harness.ts";
import { answering, exchangeUntilEnd, RawBackend, RawConnection, statusOf, until } from "./raw_sockets.ts";

const host = "Host: a\r\n";
const smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

/** Requests that must be answered with this status and a closed connection before a byte reaches the backend. */
const refused: [name: string, status: number, request: string][] = [
  [
    "CL.TE",
    400,
    `POST / HTTP/1.1\r\n${host}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
  ],
  [
    "TE.CL",
    400,
    `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\n${smuggled}0\r\n\r\n`,
  ],
  ["TE.TE: xchunked", 501, `POST / HTTP/1.1\r\n${host}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`],
  [
    "TE.TE: repeated",
    501,
    `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n`,
  ],
  ["TE.TE: list", 501, `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`],
  ["TE.TE: gzip, chunked", 501, `POST / HTTP/1.1\r\n${host}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
  ["TE.TE: space before the colon", 400, `POST / HTTP/1.1\r\n${host}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`],
  ["TE.TE: fold", 400, `POST / HTTP/1.1\r\n${host}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n`],
  ["TE.TE: vertical tab", 400, `POST / HTTP/1.1\r\n${host}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n`],
  [
    "TE.TE: hidden behind a bare LF",
    400,
    `POST / HTTP/1.1\r\n${host}X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  [
    "TE.TE: hidden behind a bare CR",
    400,
    `POST / HTTP/1.1\r\n${host}X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  ["TE.TE: underscore", 400, `POST / HTTP/1.1\r\n${host}Transfer_Encoding: chunked\r\n\r\n0\r\n\r\n`],
  ["CL underscore", 400, `POST / HTTP/1.1\r\n${host}Content_Length: 5\r\n\r\nhello`],
  ["Transfer-Encoding on HTTP/1.0", 400, `POST / HTTP/1.0\r\n${host}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
  ["two equal Content-Lengths", 400, `POST / HTTP/1.1\r\n${host}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello`],
  ["two Content-Lengths", 400, `POST / HTTP/1.1\r\n${host}Content-Length: 5\r\nContent-Length: 0\r\n\r\nhello`],
  ["a list of Content-Lengths", 400, `POST / HTTP/1.1\r\n${host}Content-Length: 5, 5\r\n\r\nhello`],
  ["a signed Content-Length", 400, `POST / HTTP/1.1\r\n${host}Content-Length: +5\r\n\r\nhello`],
  ["a hexadecimal Content-Length", 400, `POST / HTTP/1.1\r\n${host}Content-Length: 0x5\r\n\r\nhello`],
  ["an empty Content-Length (0.CL)", 400, `POST / HTTP/1.1\r\n${host}Content-Length:\r\n\r\n${smuggled}`],
  ["a Content-Length above 2^53 - 1", 400, `POST / HTTP/1.1\r\n${host}Content-Length: 9007199254740992\r\n\r\nhello`],
  ["a Content-Length that wraps", 400, `POST / HTTP/1.1\r\n${host}Content-Length: 18446744073709551621\r\n\r\nhello`],
  ["a fold", 400, `GET / HTTP/1.1\r\n${host}X: a\r\n b\r\n\r\n`],
  ["a space before the colon", 400, `GET / HTTP/1.1\r\nHost : a\r\n\r\n`],
  ["an empty name", 400, `GET / HTTP/1.1\r\n${host}: a\r\n\r\n`],
  ["a name that is no token", 400, `GET / HTTP/1.1\r\n${host}X(: a\r\n\r\n`],
  ["NUL in a value", 400, `GET / HTTP/1.1\r\n${host}X: a\0b\r\n\r\n`],
  ["a control byte in a value", 400, `GET / HTTP/1.1\r\n${host}X: \x01\r\n\r\n`],
  ["a bare LF for line ends", 400, `GET / HTTP/1.1\nHost: a\n\n`],
  ["no Host", 400, `GET / HTTP/1.1\r\nX: a\r\n\r\n`],
  ["two Hosts", 400, `GET / HTTP/1.1\r\n${host}Host: b\r\n\r\n`],
  ["an authority other than Host's", 400, `GET http://b/ HTTP/1.1\r\n${host}\r\n`],
  ["a fragment", 400, `GET /a#b HTTP/1.1\r\n${host}\r\n`],
  ["HTTP/0.9", 400, `GET /\r\n`],
  ["HTTP/1.2", 505, `GET / HTTP/1.2\r\n${host}\r\n`],
  ["HTTP/2.0", 505, `GET / HTTP/2.0\r\n${host}\r\n`],
  ["a head that is too large", 431, `GET / HTTP/1.1\r\nX: ${"a".repeat(70_000)}`],
  ["too many headers", 431, `GET / HTTP/1.1\r\n${host}${"X: y\r\n".repeat(101)}\r\n`],
  [
    "an expectation that is not 100-continue",
    417,
    `POST / HTTP/1.1\r\n${host}Expect: 200-ok\r\nContent-Length: 5\r\n\r\nhello`,
  ],
  ["something else than HTTP", 400, `\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03`],
];

Deno.test("hostile requests are answered, the connection is closed, and the backend sees nothing", async (t) => {
  using backend = new RawBackend();
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  for (const [name, status, request] of refused) {
    await t.step(`${name}: ${status}`, async () => {
      const answer = await exchangeUntilEnd(port, request + smuggled);
      assert.equal(statusOf(answer), status, answer);
      assert.match(answer, /\r\nconnection: close\r\n/);
      assert.equal(answer.split("HTTP/1.1 ").length, 2, `one answer: ${answer}`);
    });
  }
  assert.equal(backend.connections.length, 0, backend.received);
});

/** Bodies that turn out malformed when the head has been forwarded. */
const brokenBodies: [name: string, body: string][] = [
  ["a chunk size with a sign", "+5\r\nhello\r\n0\r\n\r\n"],
  ["a chunk size with a prefix", "0x5\r\nhello\r\n0\r\n\r\n"],
  ["a chunk size above 2^53 - 1", "fffffffffffffff\r\nhello"],
  ["a bare LF behind the size", "5\nhello\r\n0\r\n\r\n"],
  ["a bare LF in an extension", "5;\nhello\r\n0\r\n\r\n"],
  ["data longer than its chunk", "4\r\nhello\r\n0\r\n\r\n"],
  ["a smuggled request behind a bad last chunk", `0\r\nX\r\n${smuggled}`],
];

Deno.test("a malformed chunked body is answered with 400 and never completed towards the backend", async (t) => {
  using backend = new RawBackend();
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  for (const [name, body] of brokenBodies) {
    await t.step(name, async () => {
      using client = await RawConnection.connect(port);
      const before = backend.connections.length;
      await client.send(`POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`);
      await until(() => backend.connections.length > before, "the upstream connection");
      await backend.connections[before].until(/abc\r\n$/);
      await client.trySend(body + smuggled);
      assert.equal(statusOf(await client.end()), 400);
      await until(() => backend.connections[before].ended, "the upstream connection's end");
    });
  }
  assert.ok(!backend.received.includes("\r\n0\r\n\r\n"), backend.received);
  assert.ok(!backend.received.includes("smuggled"), backend.received);
});

Deno.test("framing towards the backend is written afresh, and hop-by-hop headers stay behind", async () => {
  using backend = answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  const answer = await exchangeUntilEnd(
    port,
    `POST / HTTP/1.1\r\n${host}Connection: close, X-Mine, Content-Length, Host, X-Request-Id, X-Forwarded-Proto\r\n` +
      `X-Mine: 1\r\nX-Request-Id: mine\r\nX-Forwarded-Proto: gopher\r\nTE: deflate\r\nUpgrade: h2c\r\nKeep-Alive: 5\r\n` +
      `Transfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n`,
  );
  assert.equal(statusOf(answer), 200);
  const lines = backend.received.split("\r\n\r\n")[0].split("\r\n");
  const names = lines.slice(1).map((line) => line.split(":")[0]).sort();
  assert.deepEqual(names, ["host", "transfer-encoding", "x-forwarded-proto", "x-request-id"]);
  assert.ok(lines.includes("transfer-encoding: chunked"), backend.received);
  assert.ok(lines.includes("host: a"));
  assert.ok(backend.received.endsWith("\r\n\r\n0\r\n\r\n"));
});

Deno.test("CL.0: a body that nobody reads is not taken for the next request", async () => {
  const { proxy, port } = await TestProxy.simple([], {});
  await using _ = proxy;
  const answer = await exchangeUntilEnd(port, `POST / HTTP/1.1\r\n${host}Content-Length: 100\r\n\r\n${smuggled}`);
  assert.equal(statusOf(answer), 503);
  assert.equal(answer.split("HTTP/1.1 ").length, 2, answer);
});

Deno.test("bytes behind a GET without a length are the next request", async () => {
  await using backend = new Backend((request) => new Response(new URL(request.url).pathname));
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  const answer = await exchangeUntilEnd(
    port,
    `GET /one HTTP/1.1\r\n${host}\r\nGET /two HTTP/1.1\r\n${host}Connection: close\r\n\r\n`,
  );
  assert.equal(answer.split("HTTP/1.1 200 OK").length, 3, answer);
});

Deno.test("Expect: 100-continue is answered by the proxy, stays behind, and the body follows", async () => {
  using backend = new RawBackend(async (connection) => {
    await connection.until(/hello$/);
    await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  });
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  using client = await RawConnection.connect(port);
  await client.send(`POST / HTTP/1.1\r\n${host}Expect: 100-Continue\r\nContent-Length: 5\r\nConnection: close\r\n\r\n`);
  await client.until(/^HTTP\/1\.1 100 Continue\r\n\r\n/);
  await client.send("hello");
  assert.match(await client.end(), /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/);
  assert.ok(!/expect/i.test(backend.received), backend.received);
});

Deno.test("an early response with an unread request body closes both connections", async () => {
  using backend = new RawBackend(async (connection) => {
    await connection.until(/\r\n\r\n/);
    await connection.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
  });
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  const answer = await exchangeUntilEnd(port, `POST / HTTP/1.1\r\n${host}Content-Length: 100\r\n\r\nhalf`);
  assert.equal(statusOf(answer), 403);
  await until(() => backend.connections[0].ended, "the upstream connection's end");
  assert.equal(await exchangeUntilEnd(port, `GET / HTTP/1.1\r\n${host}Connection: close\r\n\r\n`).then(statusOf), 403);
  assert.equal(backend.connections.length, 2, "the connection with half a request is not used again");
});

Deno.test("CONNECT is not for the backend", async () => {
  using backend = new RawBackend();
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  using client = await RawConnection.connect(port);
  await client.send("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n");
  await client.until(/^HTTP\/1\.1 404 /);
  assert.equal(backend.connections.length, 0);
});

Deno.test("an upgrade that the listener does not allow is not for the backend", async () => {
  using backend = new RawBackend();
  const { proxy, port } = await TestProxy.simple([backend.port], { http: { upgradeTypes: [] } });
  await using _ = proxy;
  using client = await RawConnection.connect(port);
  await client.send(`GET / HTTP/1.1\r\n${host}Connection: upgrade\r\nUpgrade: websocket\r\n\r\n`);
  await client.until(/^HTTP\/1\.1 403 /);
  assert.equal(backend.connections.length, 0);
});

Deno.test("a 101 that nobody asked for is an error", async () => {
  using backend = answering("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n");
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  using client = await RawConnection.connect(port);
  await client.send(`GET / HTTP/1.1\r\n${host}\r\n`);
  await client.until(/^HTTP\/1\.1 502 /);
  await until(() => backend.connections[0].ended, "the upstream connection's end");
});

// ------------------------------------------------------------------------------------- upstreams that misbehave

/** Response heads that are answered with 502 in the upstream's place. */
const badHeads: [name: string, head: string][] = [
  ["no HTTP", "SSH-2.0-OpenSSH\r\n\r\n"],
  [
    "Content-Length with Transfer-Encoding",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
  ],
  ["two Content-Lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"],
  ["an unknown Transfer-Encoding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"],
  ["a control byte", "HTTP/1.1 200 OK\r\nX: \x01\r\nContent-Length: 0\r\n\r\n"],
  ["a bare LF", "HTTP/1.1 200 OK\nContent-Length: 0\n\n"],
  ["too large a head", `HTTP/1.1 200 OK\r\nX: ${"a".repeat(100_000)}`],
  ["too many headers", `HTTP/1.1 200 OK\r\n${"X: y\r\n".repeat(101)}\r\n`],
];

Deno.test("a malformed response head is answered with 502", async (t) => {
  for (const [name, head] of badHeads) {
    await t.step(name, async () => {
      using backend = answering(head);
      const { proxy, port } = await TestProxy.simple([backend.port]);
      await using _ = proxy;
      using client = await RawConnection.connect(port);
      await client.send(`GET / HTTP/1.1\r\n${host}\r\n`);
      await client.until(/^HTTP\/1\.1 502 /);
      await until(() => backend.connections[0].ended, "the upstream connection's end");
      assert.deepEqual(proxy.recorded(), { "502 UPE": 1 });
    });
  }
});

/** Bodies that break off or break the rules when the head has gone out. */
const badBodies: [name: string, response: string, close: boolean][] = [
  ["a bad chunk size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxyz", false],
  ["a chunked body that ends early", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", true],
  ["a body shorter than its length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", true],
];

Deno.test("a response body that breaks off is never made whole", async (t) => {
  for (const [name, response, close] of badBodies) {
    await t.step(name, async () => {
      using backend = new RawBackend(async (connection) => {
        await connection.until(/\r\n\r\n/);
        await connection.send(response);
        if (close) connection.close();
      });
      const { proxy, port } = await TestProxy.simple([backend.port]);
      await using _ = proxy;
      const answer = await exchangeUntilEnd(port, `GET / HTTP/1.1\r\n${host}\r\n`);
      assert.ok(!answer.includes("\r\n0\r\n\r\n"), answer);
      assert.ok(statusOf(answer) === 0 || !/content-length: 5\r\n/.test(answer), answer);
      await assert.rejects(fetch(`http://127.0.0.1:${port}/`).then((response) => response.text()));
    });
  }
});

Deno.test("bytes behind a response's body cost the connection and reach nobody", async () => {
  using backend = answering(
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
  );
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  using client = await RawConnection.connect(port);
  for (let i = 1; i <= 3; i++) {
    await client.send(`GET /${i} HTTP/1.1\r\n${host}\r\n`);
    await until(() => client.received.split("\r\n\r\nok").length === i + 1, () => client.received);
    await until(() => backend.connections.length === i && backend.connections[i - 1].ended, "a connection for each");
  }
  assert.ok(!client.received.includes("evil"), client.received);
});

Deno.test("a body in the response to HEAD costs the connection and reaches nobody", async () => {
  using backend = answering("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  using client = await RawConnection.connect(port);
  for (let i = 1; i <= 2; i++) {
    await client.send(`HEAD / HTTP/1.1\r\n${host}\r\n`);
    await until(() => client.received.split("\r\n\r\n").length === i + 1, () => client.received);
    await until(() => backend.connections.length === i && backend.connections[i - 1].ended, "a connection for each");
  }
  assert.match(client.received, /content-length: 4\r\n/);
  assert.ok(!client.received.includes("evil"), client.received);
});

Deno.test("interim responses stay behind", async () => {
  const interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
  using backend = new RawBackend(async (connection) => {
    await connection.until(/\r\n\r\n/);
    await connection.send(interim.repeat(100));
    await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  });
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  const answer = await exchangeUntilEnd(port, `GET / HTTP/1.1\r\n${host}Connection: close\r\n\r\n`);
  assert.match(answer, /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nok$/);
  assert.ok(!answer.includes("103"), answer);
});

Deno.test("a response that nobody asked for costs the idle connection, not the next request", async () => {
  using backend = new RawBackend(async (connection, index) => {
    await connection.until(/\r\n\r\n/);
    await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    if (index > 0) return;
    await until(() => idle, "the first answer");
    await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
  });
  let idle = false;
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  const request = `GET / HTTP/1.1\r\n${host}Connection: close\r\n\r\n`;
  assert.match(await exchangeUntilEnd(port, request), /ok$/);
  idle = true;
  await until(() => backend.connections[0].ended, "the upstream connection's end");
  assert.match(await exchangeUntilEnd(port, request), /ok$/);
  assert.equal(backend.connections.length, 2);
});
