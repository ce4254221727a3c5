import assert from "node:assert/strict";
import { CompiledService, NamedBackend, type Served } from "./compiled_service.ts";

const outliers = "outlierDetection: { consecutive5xxErrors: 1, interval: 60s, baseEjectionTime: 60s, " +
  "maxEjectionPercent: 100 }";

/** Whether so many of `count` requests may be taken for a share of `percent`: six standard deviations and more. */
function assertShare(found: number | undefined, count: number, percent: number): void {
  const expected = count * percent / 100;
  const tolerance = 6 * Math.sqrt(count * percent / 100 * (1 - percent / 100)) + 2;
  assert.ok(Math.abs((found ?? 0) - expected) <= tolerance, `${found} of ${count}, want about ${percent} %`);
}

Deno.test("requests stay in the client's zone, spill over as it fails, and fail over when it is gone", async () => {
  await using a1 = new NamedBackend("a1");
  await using a2 = new NamedBackend("a2");
  await using b = new NamedBackend("b");
  await using far = new NamedBackend("far");
  await using service = await CompiledService.start([
    [a1, { locality: "eu/a" }],
    [a2, { locality: "eu/a" }],
    [b, { locality: "eu/b" }],
    [far, { locality: "us/x" }],
  ], { locality: "eu/a", trafficPolicy: `{ loadBalancer: { simple: ROUND_ROBIN }, ${outliers} }` });
  assert.deepEqual(await service.tally(20), { a1: 10, a2: 10 });

  a1.answer.status = 500;
  while ((await service.request()).status !== 500);
  // Half of the zone's hosts are left: with overprovisioning they keep 70 % of the load.
  const spilt = await service.tally(400);
  assertShare(spilt.a2, 400, 70);
  assertShare(spilt.b, 400, 30);

  a2.answer.status = 500;
  while ((await service.request()).status !== 500);
  assert.deepEqual(await service.tally(20), { b: 20 });
});

Deno.test("retryRemoteLocalities takes a request elsewhere after two attempts near the client", async () => {
  await using near = new NamedBackend("near", { status: 503 });
  await using far = new NamedBackend("far");
  const served: Served[] = [[near, { locality: "eu/a" }], [far, { locality: "us/x" }]];
  const trafficPolicy = "{ outlierDetection: { consecutive5xxErrors: 1000 } }";
  const retries = (more: string) => `retries: { attempts: 3, retryOn: 5xx, backoff: 1ms${more} }`;
  await using staying = await CompiledService.start(served, { locality: "eu/a", trafficPolicy, route: retries("") });
  assert.deepEqual(await staying.tally(5), { 503: 5 });
  assert.equal(near.requests, 20);
  await using leaving = await CompiledService.start(served, {
    locality: "eu/a",
    trafficPolicy,
    route: retries(", retryRemoteLocalities: true"),
  });
  assert.deepEqual(await leaving.tally(5), { far: 5 });
  assert.equal(near.requests, 30);
});

Deno.test("without outlier detection locality makes no difference", async () => {
  await using near = new NamedBackend("near");
  await using far = new NamedBackend("far");
  await using service = await CompiledService.start([
    [near, { locality: "eu/a" }],
    [far, { locality: "us/x" }],
  ], { locality: "eu/a", trafficPolicy: "{ loadBalancer: { simple: ROUND_ROBIN } }" });
  assert.deepEqual(await service.tally(20), { near: 10, far: 10 });
});

Deno.test("switched off for the mesh, locality makes no difference", async () => {
  await using near = new NamedBackend("near");
  await using far = new NamedBackend("far");
  await using service = await CompiledService.start([
    [near, { locality: "eu/a" }],
    [far, { locality: "us/x" }],
  ], {
    locality: "eu/a",
    trafficPolicy: `{ loadBalancer: { simple: ROUND_ROBIN }, ${outliers} }`,
    settings: { localityLbSetting: { enabled: false } },
  });
  assert.deepEqual(await service.tally(20), { near: 10, far: 10 });
});

Deno.test("a region fails over to the region that the rule names", async () => {
  await using us = new NamedBackend("us");
  await using asia = new NamedBackend("asia");
  await using service = await CompiledService.start([
    [us, { locality: "us/x" }],
    [asia, { locality: "asia/y" }],
  ], {
    locality: "eu/a",
    trafficPolicy: `{ loadBalancer: { localityLbSetting: { failover: [{ from: eu, to: asia }] } }, ${outliers} }`,
  });
  assert.deepEqual(await service.tally(10), { asia: 10 });
  asia.answer.status = 500;
  while ((await service.request()).status !== 500);
  assert.deepEqual(await service.tally(10), { us: 10 });
});

Deno.test("failover by labels prefers endpoints with the client's own", async () => {
  await using same = new NamedBackend("same");
  await using other = new NamedBackend("other");
  await using service = await CompiledService.start([
    [other, { labels: { version: "v2" } }],
    [same, { labels: { version: "v1" } }],
  ], {
    labels: { version: "v1" },
    trafficPolicy: `{ loadBalancer: { localityLbSetting: { failoverPriority: [version] } }, ${outliers} }`,
  });
  assert.deepEqual(await service.tally(10), { same: 10 });
  same.answer.status = 500;
  while ((await service.request()).status !== 500);
  assert.deepEqual(await service.tally(10), { other: 10 });
});

Deno.test("load is distributed over localities by the weights that the rule gives them", async () => {
  await using near = new NamedBackend("near");
  await using far1 = new NamedBackend("far");
  await using far2 = new NamedBackend("far");
  await using none = new NamedBackend("none");
  await using service = await CompiledService.start([
    [near, { locality: "eu/a" }],
    [far1, { locality: "us/x" }],
    [far2, { locality: "us/x" }],
    [none, { locality: "asia/y" }],
  ], {
    locality: "eu/a",
    trafficPolicy:
      '{ loadBalancer: { localityLbSetting: { distribute: [{ from: "eu/*", to: { "eu/a": 80, us: 20 } }] } } }',
  });
  const answers = await service.tally(400);
  assertShare(answers.near, 400, 80);
  assertShare(answers.far, 400, 20);
  assert.equal(answers.none, undefined);
});

Deno.test("below the panic threshold unhealthy endpoints are used as well", async () => {
  await using good = new NamedBackend("good");
  await using down1 = new NamedBackend("down1");
  await using down2 = new NamedBackend("down2");
  await using service = await CompiledService.start([
    [good],
    [down1, { healthy: false }],
    [down2, { healthy: false }],
  ], { trafficPolicy: "{ loadBalancer: { simple: ROUND_ROBIN }, outlierDetection: { minHealthPercent: 40 } }" });
  assert.deepEqual(await service.tally(30), { good: 10, down1: 10, down2: 10 });
  await service.serve([[good], [down1], [down2, { healthy: false }]]);
  assert.deepEqual(await service.tally(30), { good: 15, down1: 15 });
});
