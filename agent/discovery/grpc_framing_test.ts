import assert from "node:assert/strict";
import fc from "fast-check";
import { BackOff, reconnectBackOff } from "./back_off.ts";
import { frameMessage, FrameReader, GrpcFramingError } from "./grpc_framing.ts";

Deno.test("messages come out whole however their bytes are split", () => {
  fc.assert(fc.property(
    fc.array(fc.uint8Array({ maxLength: 40 })),
    fc.array(fc.integer({ min: 1, max: 17 }), { minLength: 1 }),
    (messages, sizes) => {
      const bytes = new Uint8Array(messages.flatMap((message) => [...frameMessage(message)]));
      const reader = new FrameReader(100);
      const read: Uint8Array[] = [];
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const size = sizes[i % sizes.length];
        read.push(...reader.push(bytes.subarray(at, at + size)));
        at += size;
      }
      assert.deepEqual(read.map((message) => [...message]), messages.map((message) => [...message]));
    },
  ));
});

Deno.test("a message over the limit, or compressed, is refused before it is buffered", () => {
  assert.throws(() => new FrameReader(10).push(new Uint8Array([0, 0, 0, 0, 11])), GrpcFramingError);
  assert.throws(() => new FrameReader(10).push(new Uint8Array([1, 0, 0, 0, 1])), GrpcFramingError);
});

Deno.test("delays double up to the longest, spread, and start over after a success", () => {
  const backOff = new BackOff(100, 350, () => 0);
  assert.deepEqual([1, 2, 3, 4].map(() => Math.round(backOff.next())), [100, 200, 350, 350]);
  backOff.reset();
  assert.equal(Math.round(backOff.next()), 100);
  const spread = new BackOff(100, 100, () => 0.5);
  assert.equal(Math.round(spread.next()), 80);
});

Deno.test("a stream is tried again at once, then ever later, and after three seconds at the latest", () => {
  const longest = reconnectBackOff(() => 0);
  const delays = Array.from({ length: 20 }, () => longest.next());
  assert.ok(delays[0] <= 50);
  assert.equal(Math.max(...delays), 3_000);
  const shortest = reconnectBackOff(() => 1);
  assert.equal(Array.from({ length: 20 }, () => shortest.next()).at(-1), 1_800);
});
