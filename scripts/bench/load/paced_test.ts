import assert from "node:assert/strict";
import { pacedLoad } from "./paced.ts";

Deno.test("a stall is charged to all requests that were due while it lasted, not only to those in flight", async () => {
  const stall = 400;
  let served = 0;
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => {
    if (++served === 100) { for (const until = performance.now() + stall; performance.now() < until;); }
    return new Response("answer");
  });
  const latency = await pacedLoad(server.addr.port, 200, 2, 1.5, null);
  assert.equal(latency.errors, 0);
  // Two are in flight when it begins; of 300, those due within it are 80: the slowest hundredth is most of the stall.
  assert.ok(latency.p99 > stall * 0.8, `p99 is ${latency.p99} ms`);
  assert.ok(latency.p50 < latency.p99 / 2, `p50 is ${latency.p50} ms`);
});
