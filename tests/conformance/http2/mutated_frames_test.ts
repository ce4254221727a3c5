import assert from "node:assert/strict";
import { ClusterSlot, HostSlot } from "../../../agent/config/shared_memory.ts";
import { ErrorCode, FrameFlag, FrameType, preface } from "../../../agent/decode/http2/protocol.ts";
import {
  connectionManager,
  filterChain,
  freePort,
  listener,
  route,
  routes,
  TestProxy,
} from "../../data_plane/harness.ts";
import {
  answer,
  block,
  data,
  frame,
  goAway,
  headers,
  Http2Backend,
  Http2Peer,
  request,
  resetStream,
  settings,
  windowUpdate,
  words,
} from "../../data_plane/http2_peer.ts";
import { until } from "../../data_plane/raw_sockets.ts";
import { fuzzSeed } from "../../../scripts/fuzz/seed.ts";

/** Numbers from 0 up to `limit`, the same for the same seed. */
function random(seed: number): (limit: number) => number {
  let state = seed >>> 0;
  return (limit) => {
    state = (Math.imul(state ^ state >>> 15, 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
    return (Math.imul(state ^ state >>> 13, 0x297a2d39) >>> 0) % limit;
  };
}

type Random = ReturnType<typeof random>;

/** One frame of a conversation that is mostly in order. */
function anyFrame(next: Random, stream: number): Uint8Array {
  const known = 2 * next(stream + 1 >> 1) + 1;
  switch (next(12)) {
    case 0:
      return data(known, new Uint8Array(next(50)), next(2) === 0);
    case 1:
      return windowUpdate(next(2) === 0 ? 0 : known, next(1000));
    case 2:
      return frame(FrameType.ping, 0, 0, new Uint8Array(8));
    case 3:
      return settings(next(8), next(100_000));
    case 4:
      return resetStream(known, ErrorCode.cancel);
    case 5:
      return frame(FrameType.priority, 0, known, new Uint8Array([...words(next(9)), 1]));
    case 6: {
      const fields = block(request("/", "POST", ["x-a", "b"]));
      const cut = next(fields.length);
      return new Uint8Array([
        ...frame(FrameType.headers, FrameFlag.endStream, stream, fields.subarray(0, cut)),
        ...frame(FrameType.continuation, FrameFlag.endHeaders, stream, fields.subarray(cut)),
      ]);
    }
    case 7:
      return frame(10 + next(200), next(256), next(9), new Uint8Array(next(30)));
    case 8:
      return next(20) === 0 ? goAway(0) : frame(FrameType.ping, 1, 0, new Uint8Array(8));
    default:
      return headers(stream, request("/", next(2) === 0 ? "GET" : "POST"), next(3) !== 0);
  }
}

/** What a client might send: frames, of which a few bytes may have been changed, added or lost. */
function conversation(seed: number): Uint8Array<ArrayBuffer> {
  const next = random(seed);
  const bytes: number[] = [...settings()];
  for (let i = 0; i < 3 + next(12); i++) bytes.push(...anyFrame(next, 2 * i + 1));
  for (let change = next(4); change > 0; change--) {
    const at = next(bytes.length);
    const kind = next(3);
    if (kind === 0) bytes[at] = next(256);
    else if (kind === 1) bytes.splice(at, next(4));
    else bytes.splice(at, 0, ...Array.from({ length: next(4) }, () => next(256)));
  }
  // Whatever state that left: the end of it is seen.
  return Uint8Array.from([...preface, ...bytes]);
}

/** Sends the bytes in pieces and tells what came back up to the end of the connection. */
async function transcript(port: number, bytes: Uint8Array, pieces: number[]): Promise<string> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  connection.setNoDelay();
  using peer = new Http2Peer(connection, true, { giveBack: false, acknowledge: false, silent: true });
  let at = 0;
  for (const end of [...pieces, bytes.length]) {
    await peer.send(bytes.subarray(at, end));
    at = end;
    if (pieces.length > 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await connection.closeWrite().catch(() => {});
  await peer.end();
  const answers = peer.frames.map(({ type, flags, stream, payload }) => {
    const detail = type === FrameType.resetStream || type === FrameType.goAway ? `${payload}` : "";
    return `${type} ${flags} ${stream} ${detail}`;
  });
  return answers.join("\n");
}

/** A proxy that answers every request itself. */
async function direct(): Promise<{ proxy: TestProxy; port: number }> {
  const port = freePort();
  const proxy = await TestProxy.start({
    routes: [routes([route({ action: { kind: "direct", status: 200, body: "ok" } })])],
    listeners: [listener(port, { filterChains: [filterChain({ http: connectionManager() })] })],
  });
  return { proxy, port };
}

const descriptors = () => [...Deno.readDirSync("/proc/self/fd")].length;

Deno.test("whatever frames come, the thread goes on, and each connection ends", async () => {
  const { proxy, port } = await direct();
  await using _ = proxy;
  using bystander = await Http2Peer.connect(port);
  await bystander.exchange(request("/"));
  const before = descriptors();
  for (let round = 0; round < 1000; round += 20) {
    await Promise.all(Array.from({ length: 20 }, (_, i) => transcript(port, conversation(fuzzSeed + round + i), [])));
  }
  for (let seed = fuzzSeed; seed < fuzzSeed + 20; seed++) {
    const next = random(seed);
    const noise = Uint8Array.from([...preface, ...settings(), ...Array.from({ length: 5000 }, () => next(256))]);
    await transcript(port, noise, []);
  }
  assert.equal((await bystander.exchange(request("/"))).text, "ok");
  await until(() => descriptors() <= before, () => `${descriptors()} descriptors, ${before} before`);
});

Deno.test("where the bytes are split makes no difference", async () => {
  const { proxy, port } = await direct();
  await using _ = proxy;
  for (let seed = fuzzSeed; seed < fuzzSeed + 40; seed++) {
    const bytes = conversation(seed);
    const whole = await transcript(port, bytes, []);
    const next = random(seed);
    const pieces = Array.from({ length: 12 }, () => next(bytes.length)).sort((a, b) => a - b);
    assert.equal(await transcript(port, bytes, pieces), whole, `seed ${seed}, split at ${pieces}`);
  }
  const bytes = conversation(7);
  const everywhere = Array.from({ length: bytes.length - 1 }, (_, i) => i + 1);
  assert.equal(await transcript(port, bytes, everywhere), await transcript(port, bytes, []));
});

Deno.test("when both sides misbehave at every stage nothing of it remains", async () => {
  let turn = 0;
  using backend = new Http2Backend(async (message, peer) => {
    const next = random(++turn);
    const head = headers(message.stream, [[":status", "200"]], false);
    switch (next(8)) {
      case 0:
        return peer.close();
      case 1:
        return await peer.send(resetStream(message.stream, next(12)));
      case 2:
        return await peer.send(goAway(next(message.stream + 2)));
      case 3:
        await peer.send(head, data(message.stream, new Uint8Array(next(16384)), false));
        return peer.close();
      case 4:
        return await peer.send(head, data(message.stream, new Uint8Array(next(16384)), false));
      case 5:
        return await peer.send(frame(next(10), next(256), next(5), new Uint8Array(next(20))));
      default:
        return await answer(message, peer);
    }
  });
  const { proxy, port } = await TestProxy.simple([backend.port], { cluster: { http2: { maxConcurrentStreams: 10 } } });
  await using _ = proxy;
  const before = descriptors();
  for (let round = 1; round <= 30; round++) {
    await Promise.all(Array.from({ length: 4 }, async (_, i) => {
      const next = random(round * 4 + i);
      using client = await Http2Peer.connect(port);
      for (let request_ = 0; request_ < 10; request_++) {
        const message = await client.open(request("/", "POST"), next(2) === 0);
        if (next(2) === 0) await client.send(data(message.stream, new Uint8Array(next(16384)), next(2) === 0));
        if (next(3) === 0) await client.send(resetStream(message.stream, ErrorCode.cancel));
        if (next(3) === 0) await new Promise((resolve) => setTimeout(resolve, next(5)));
      }
    }));
  }
  await until(() => proxy.clusterCounter(ClusterSlot.activeRequests) === 0, "no requests under way");
  await until(() => proxy.clusterCounter(ClusterSlot.pendingRequests) === 0, "no requests that wait");
  for (const [, active] of proxy.hostCounters(HostSlot.activeRequests)) assert.equal(active, 0);
  // A connection that was being made when its request was given up comes late.
  await until(() => {
    for (const peer of backend.peers) peer.close();
    return proxy.clusterCounter(ClusterSlot.activeConnections) === 0 && descriptors() <= before;
  }, () => `${proxy.clusterCounter(ClusterSlot.activeConnections)} connections, ${descriptors() - before} descriptors`);
});
