import assert from "node:assert/strict";
import { TestProxy } from "./harness.ts";
import { RawBackend, until } from "./raw_sockets.ts";

const size = 200 * 1024 * 1024;
const bound = 30 * 1024 * 1024;
const block = new Uint8Array(1024 * 1024).map((_, i) => i * 31 + (i >> 7));

/** Resident memory of this process, which holds both ends as well as the proxy, in bytes. */
const resident = () => Deno.memoryUsage().rss;

/** Writes `size` bytes of the pattern. */
async function produce(connection: Deno.TcpConn): Promise<void> {
  for (let sent = 0; sent < size; sent += block.length) {
    for (let part = 0; part < block.length;) part += await connection.write(block.subarray(part));
  }
}

/** Reads `size` bytes of the pattern, with pauses at first; returns how much memory grew meanwhile at the most. */
async function consume(connection: Deno.TcpConn, start: Uint8Array): Promise<number> {
  const before = resident();
  const buffer = new Uint8Array(256 * 1024);
  let growth = 0;
  let read = 0;
  const check = (bytes: Uint8Array) => {
    for (let i = 0; i < bytes.length; i += 509) assert.equal(bytes[i], block[(read + i) & (block.length - 1)]);
    read += bytes.length;
  };
  check(start);
  for (let round = 0; read < size; round++) {
    // Long enough for every buffer on the way to fill, and for more if any had no bound.
    if (round % 100 === 0 && round < 1000) await new Promise((resolve) => setTimeout(resolve, 50));
    const count = await connection.read(buffer);
    assert.notEqual(count, null);
    check(buffer.subarray(0, count!));
    if (round % 20 === 0) growth = Math.max(growth, resident() - before);
  }
  assert.equal(read, size);
  return growth;
}

/** Reads up to the end of a head; returns what came behind it. */
async function skipHead(connection: Deno.TcpConn): Promise<Uint8Array> {
  let bytes = new Uint8Array(0);
  const buffer = new Uint8Array(4096);
  for (;;) {
    const count = await connection.read(buffer);
    assert.notEqual(count, null);
    const joined = new Uint8Array(bytes.length + count!);
    joined.set(bytes);
    joined.set(buffer.subarray(0, count!), bytes.length);
    bytes = joined;
    const end = new TextDecoder("latin1").decode(bytes).indexOf("\r\n\r\n");
    if (end >= 0) return bytes.slice(end + 4);
  }
}

const encode = (text: string) => new TextEncoder().encode(text);

Deno.test("a slow reader of a large response costs no memory, and gets every byte", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serve = (async () => {
    using connection = await listener.accept();
    await skipHead(connection);
    await connection.write(encode(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`));
    await produce(connection);
  })();
  const { proxy, port } = await TestProxy.simple([(listener.addr as Deno.NetAddr).port]);
  await using _ = proxy;
  using client = await Deno.connect({ hostname: "127.0.0.1", port });
  await client.write(encode("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  const growth = await consume(client, await skipHead(client));
  await serve;
  assert.ok(growth < bound, `${growth} bytes`);
});

Deno.test("a slow reader of a large request costs no memory, and gets every byte", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let growth = 0;
  const serve = (async () => {
    using connection = await listener.accept();
    growth = await consume(connection, await skipHead(connection));
    await connection.write(encode("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    await until(() => done, "the answer has been read");
  })();
  let done = false;
  const { proxy, port } = await TestProxy.simple([(listener.addr as Deno.NetAddr).port]);
  await using _ = proxy;
  using client = await Deno.connect({ hostname: "127.0.0.1", port });
  await client.write(encode(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`));
  await produce(client);
  await skipHead(client);
  done = true;
  await serve;
  assert.ok(growth < bound, `${growth} bytes`);
});

Deno.test("a request ahead of its turn waits outside while the one before it is answered", async () => {
  using backend = new RawBackend();
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  using client = await Deno.connect({ hostname: "127.0.0.1", port });
  const request = encode("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  const many = new Uint8Array(request.length * 10_000);
  for (let i = 0; i < 10_000; i++) many.set(request, i * request.length);
  let sent = 0;
  void (async () => {
    for (let i = 0; i < 500; i++) {
      for (let part = 0; part < many.length;) {
        const count = await client.write(many.subarray(part));
        part += count;
        sent += count;
      }
    }
  })().catch(() => {});
  await until(() => backend.received.length > 0, "the first request");
  let last = -1;
  await until(async () => {
    const stands = sent === last;
    last = sent;
    await new Promise((resolve) => setTimeout(resolve, 100));
    return stands && sent === last;
  }, "the sender stands still");
  assert.ok(sent < 500 * many.length, `${sent}`);
  assert.equal(backend.received.split("GET ").length, 2);
});
