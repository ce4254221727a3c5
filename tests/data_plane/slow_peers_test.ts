/** Peers that trickle: a byte now and then does not keep a request alive, in either version of HTTP. */
import assert from "node:assert/strict";
import { ClusterSlot } from "../../agent/config/shared_memory.ts";
import { TestProxy } from "./harness.ts";
import { data, Http2Peer, request } from "./http2_peer.ts";
import { RawBackend, RawConnection, until } from "./raw_sockets.ts";

const http = { streamIdleTimeout: 1000 };
const sentence = "who sends a body byte by byte is given up, who makes headway is not";
const pause = (time: number) => new Promise((resolve) => setTimeout(resolve, time));

interface Upload {
  send(size: number): Promise<void>;
  /** Status of the answer, 0: none yet. */
  status(): number;
  close(): void;
}

const versions: [string, (port: number, type: string, declared: boolean) => Promise<Upload>][] = [
  ["HTTP/1.1", async (port, type, declared) => {
    const client = await RawConnection.connect(port);
    const framing = declared ? "Content-Length: 10000000" : "Transfer-Encoding: chunked";
    await client.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Type: ${type}\r\n${framing}\r\n\r\n`);
    return {
      send: (size) => client.trySend(declared ? "x".repeat(size) : `${size.toString(16)}\r\n${"x".repeat(size)}\r\n`),
      status: () => Number(/^HTTP\/1\.1 (\d{3})/.exec(client.received)?.[1] ?? (client.ended ? 1 : 0)),
      close: () => client.close(),
    };
  }],
  ["HTTP/2", async (port, type, declared) => {
    const client = await Http2Peer.connect(port);
    const length: [string, string][] = declared ? [["content-length", "10000000"]] : [];
    const message = await client.open(request("/", "POST", ["content-type", type], ...length), false);
    return {
      send: (size) => client.send(data(message.stream, "x".repeat(size), false)),
      status: () => message.status || (message.over ? 1 : 0),
      close: () => client.close(),
    };
  }],
];

for (const [version, start] of versions) {
  for (const declared of [true, false]) {
    Deno.test(`${version}, ${declared ? "declared" : "unknown"} length: ${sentence}`, async () => {
      using backend = new RawBackend();
      const { proxy, port } = await TestProxy.simple([backend.port], { http });
      await using _ = proxy;
      const trickling = await start(port, "text/plain", declared);
      const steady = await start(port, "text/plain", declared);
      const called = await start(port, "application/grpc", declared);
      const begun = performance.now();
      await until(async () => {
        await Promise.all([trickling.send(1), steady.send(1024), called.send(1)]);
        await pause(50);
        return trickling.status() !== 0 && performance.now() - begun > 2 * http.streamIdleTimeout;
      }, "the end of the one that trickles");
      assert.equal(trickling.status(), 408);
      assert.equal(steady.status(), 0);
      // Messages of gRPC are as small and as rare as their sender likes.
      assert.equal(called.status(), 0);
      for (const upload of [trickling, steady, called]) upload.close();
      await until(() => proxy.clusterCounter(ClusterSlot.activeRequests) === 0, "nothing under way");
    });
  }
}
