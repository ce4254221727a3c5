import assert from "node:assert/strict";
import { CompiledService, NamedBackend } from "./compiled_service.ts";
import { Backend } from "./harness.ts";

Deno.test("least request gives heavier hosts more, as their weights say", async () => {
  await using light = new NamedBackend("light");
  await using heavy = new NamedBackend("heavy");
  await using service = await CompiledService.start([[light, { weight: 1 }], [heavy, { weight: 3 }]]);
  const { light: lightly = 0, heavy: heavily = 0 } = await service.tally(80);
  assert.equal(lightly + heavily, 80);
  assert.ok(Math.abs(heavily - 60) <= 2, `${heavily} of 80 went to the heavy host`);
});

Deno.test("a host with requests in flight is spared", async () => {
  const released = Promise.withResolvers<void>();
  await using slow = new Backend(async () => {
    await released.promise;
    return new Response("slow");
  });
  await using quick = new NamedBackend("quick");
  await using service = await CompiledService.start([[slow, { weight: 1 }], [quick, { weight: 2 }]]);
  // One of the first few requests is stuck; then the quick host is due far more often.
  const requests = Array.from({ length: 6 }, () => service.request());
  while (slow.requests === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  released.resolve();
  const answers = (await Promise.all(requests)).map(({ body }) => body);
  assert.ok(answers.filter((answer) => answer === "slow").length <= 3, answers.join(" "));
});

Deno.test("a new host warms up before it takes its full share", async () => {
  await using old = new NamedBackend("old");
  await using fresh = new NamedBackend("fresh");
  await using service = await CompiledService.start([[old]], {
    trafficPolicy: "{ loadBalancer: { simple: ROUND_ROBIN, warmup: { duration: 1h, minimumPercent: 0 } } }",
  });
  await new Promise((resolve) => setTimeout(resolve, 1000));
  await service.serve([[old], [fresh]]);
  // Neither is warm, but the one is older than the other by a second, however long this takes.
  const answers = await service.tally(20);
  assert.ok((answers.fresh ?? 0) < (answers.old ?? 0), JSON.stringify(answers));
});
