import assert from "node:assert/strict";
import { TokenBucket } from "./token_bucket.ts";

const shared = () => new Int32Array(new SharedArrayBuffer(16));
const bucket = new TokenBucket({ maxTokens: 3, tokensPerFill: 2, fillInterval: 1000, slot: 1 });

function takeAll(memory: Int32Array, now: number): number {
  let taken = 0;
  while (bucket.take(memory, now)) taken++;
  return taken;
}

Deno.test("a bucket begins full, is filled at each interval and never beyond its size", () => {
  const memory = shared();
  assert.equal(takeAll(memory, 0), 3);
  assert.equal(takeAll(memory, 99), 0);
  assert.equal(bucket.untilFill(memory, 99), 1);
  assert.equal(takeAll(memory, 100), 2);
  assert.equal(takeAll(memory, 150), 0);
  assert.equal(bucket.remaining(memory), 0);
  assert.equal(takeAll(memory, 100_000), 3);
});

Deno.test("the clock may wrap, and another thread's may be a little behind", () => {
  const memory = shared();
  const nearEnd = 2 ** 31 - 148;
  takeAll(memory, nearEnd);
  assert.equal(takeAll(memory, nearEnd - 5), 0);
  assert.equal(takeAll(memory, (nearEnd + 150) | 0), 2);
});
