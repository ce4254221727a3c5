/** How connections of HTTP/2 from callers come to their end: notice, then the last stream, then what is under way. */
import assert from "node:assert/strict";
import { ErrorCode, FrameType } from "../../agent/decode/http2/protocol.ts";
import { TestProxy } from "./harness.ts";
import { Http2Peer, request } from "./http2_peer.ts";
import { answering, RawBackend, until } from "./raw_sockets.ts";

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** The last streams that the proxy's GOAWAYs have named. */
function lastStreams(client: Http2Peer): number[] {
  return client.frames.filter(({ type }) => type === FrameType.goAway)
    .map(({ payload }) => new DataView(payload.buffer).getUint32(0));
}

Deno.test("a drain gives notice first, serves what is sent before that is seen, then names the last stream", async () => {
  using backend = new RawBackend(async (connection) => {
    await until(() => connection.received.includes("\r\n\r\n"), "a request");
    if (connection.received.includes("/late")) await connection.send(ok);
  });
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  using client = await Http2Peer.connect(port, { acknowledge: false });
  const early = await client.open(request("/early"));
  await until(() => backend.received.includes("/early"), "the request upstream");
  let drained = false;
  const drain = proxy.threads.drain(20_000).then(() => drained = true);
  await until(() => client.count(FrameType.goAway) > 0, "the notice");
  assert.deepEqual(lastStreams(client), [0x7fffffff]);
  // It has not answered the PING behind the notice: it may not have read it.
  const late = await client.exchange(request("/late"));
  assert.equal(late.text, "ok");
  const ping = client.frames.find(({ type }) => type === FrameType.ping)!;
  await client.send(Uint8Array.of(0, 0, 8, FrameType.ping, 1, 0, 0, 0, 0, ...ping.payload));
  await until(() => client.count(FrameType.goAway) === 2, "the last stream");
  assert.deepEqual(lastStreams(client), [0x7fffffff, 3]);
  assert.equal(drained, false);
  await backend.connections[0].send(ok);
  assert.equal((await early.end()).text, "ok");
  assert.equal(await client.end(), ErrorCode.noError);
  await drain;
});

Deno.test("a caller that does not answer the PING is told the last stream when its time is over", async () => {
  using backend = answering(ok);
  const { proxy, port } = await TestProxy.simple([backend.port]);
  await using _ = proxy;
  using client = await Http2Peer.connect(port, { acknowledge: false });
  await client.exchange(request("/"));
  const drain = proxy.threads.drain(20_000);
  assert.equal(await client.end(), ErrorCode.noError);
  assert.deepEqual(lastStreams(client), [0x7fffffff, 1]);
  await drain;
});

Deno.test("a connection of HTTP/2 drains after the requests that it may carry", async () => {
  using backend = answering(ok);
  const { proxy, port } = await TestProxy.simple([backend.port], { http: { maxRequestsPerConnection: 3 } });
  await using _ = proxy;
  using client = await Http2Peer.connect(port);
  for (let i = 0; i < 3; i++) {
    assert.equal(client.goneAway, null);
    assert.equal((await client.exchange(request("/"))).text, "ok");
  }
  assert.equal(await client.end(), ErrorCode.noError);
  assert.deepEqual(lastStreams(client), [0x7fffffff, 5]);
});

Deno.test("a connection of HTTP/2 that has lived or idled long enough drains: idle at once, busy with its response", async () => {
  for (const http of [{ maxConnectionDuration: 300 }, { idleTimeout: 300 }]) {
    const { promise, resolve } = Promise.withResolvers<void>();
    using backend = new RawBackend(async (connection) => {
      await until(() => connection.received.includes("\r\n\r\n"), "a request");
      await promise;
      await connection.send(ok);
    });
    const { proxy, port } = await TestProxy.simple([backend.port], { http });
    await using _ = proxy;
    using idle = await Http2Peer.connect(port);
    using busy = await Http2Peer.connect(port);
    const message = await busy.open(request("/"));
    assert.equal(await idle.end(), ErrorCode.noError);
    assert.equal(busy.ended, false);
    resolve();
    assert.equal((await message.end()).text, "ok");
    assert.equal(await busy.end(), ErrorCode.noError);
  }
});
