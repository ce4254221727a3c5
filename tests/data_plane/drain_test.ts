import assert from "node:assert/strict";
import { TestProxy } from "./harness.ts";
import { answering, RawBackend, RawConnection, until } from "./raw_sockets.ts";

const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

Deno.test("draining lets requests in flight finish, says close, and ends when the last one is done", async () => {
  let answer = () => {};
  const gate = new Promise<void>((resolve) => answer = resolve);
  using backend = new RawBackend(async (connection) => {
    await connection.until(/\r\n\r\n/);
    await gate;
    await connection.send(ok);
  });
  const { proxy, port } = await TestProxy.simple([backend.port], {}, 2);
  await using _ = proxy;
  using busy = await RawConnection.connect(port);
  await busy.send(get);
  await until(() => backend.received !== "", "the request");
  using idle = await RawConnection.connect(port);
  let drained = false;
  const drain = proxy.threads.drain(30_000).then(() => drained = true);
  assert.equal(await idle.end(), "");
  await until(
    () =>
      Deno.connect({ hostname: "127.0.0.1", port }).then((connection) => connection.close(), () => "refused")
        .then((result) => result === "refused"),
    "new connections are refused",
  );
  assert.equal(drained, false);
  answer();
  assert.match(await busy.end(), /^HTTP\/1\.1 200 OK\r\n[^]*\r\nconnection: close\r\n[^]*\r\nok$/);
  await drain;
});

Deno.test("what is not done in time is cut off", async () => {
  using backend = new RawBackend();
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  using client = await RawConnection.connect(port);
  await client.send(get);
  await until(() => backend.received !== "", "the request");
  await proxy.threads.drain(100);
  assert.equal(await client.end(), "");
  await until(() => backend.connections[0].ended, "the upstream connection's end");
});

Deno.test("draining without connections is over at once", async () => {
  const { proxy } = await TestProxy.simple([]);
  await using _ = proxy;
  const started = performance.now();
  await proxy.threads.drain(60_000);
  assert.ok(performance.now() - started < 30_000);
});

Deno.test("under load nothing that has been sent before the drain goes unanswered", async () => {
  using backend = answering(ok);
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  const clients = await Promise.all(Array.from({ length: 20 }, () => RawConnection.connect(port)));
  for (const client of clients) {
    await client.send(get);
    await client.until(/ok$/);
  }
  // The second request is in the kernel's hands before the drain is.
  for (const client of clients) await client.send(get);
  await proxy.threads.drain(10_000);
  for (const client of clients) {
    const text = await client.end();
    assert.equal(text.split("\r\n\r\nok").length, 3, text);
    client.close();
  }
});
