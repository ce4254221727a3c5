import assert from "node:assert/strict";
import type { OutlierDetectionConfig } from "../../agent/config/model.ts";
import { ClusterSlot, HostSlot } from "../../agent/config/shared_memory.ts";
import { CompiledService, NamedBackend } from "./compiled_service.ts";
import { Backend, freePort, TestProxy } from "./harness.ts";
import { until } from "./raw_sockets.ts";

function detection(
  overrides: Partial<OutlierDetectionConfig>,
): { cluster: { outlierDetection: OutlierDetectionConfig } } {
  return {
    cluster: {
      outlierDetection: {
        consecutive5xx: 0,
        consecutiveGatewayFailure: 0,
        splitExternalLocalOriginErrors: false,
        consecutiveLocalOriginFailure: 0,
        interval: 10_000,
        baseEjectionTime: 60_000,
        maxEjectionTime: 300_000,
        maxEjectionPercent: 100,
        ...overrides,
      },
    },
  };
}

const answer = (status: number) => new Backend(() => new Response(null, { status }));

/** Sends requests, each on a connection of its own, so that every worker gets some. */
async function statuses(port: number, count: number): Promise<number[]> {
  const result: number[] = [];
  for (let i = 0; i < count; i++) {
    const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: "close" } });
    await response.body?.cancel();
    result.push(response.status);
  }
  return result;
}

function ejected(proxy: TestProxy): number[] {
  return [...proxy.hostCounters(HostSlot.ejected)].filter(([, value]) => value === 1).map(([port]) => port);
}

for (const workers of [1, 2]) {
  Deno.test(`with ${workers} workers, a host that answers 5xx again and again is left out by all`, async () => {
    await using good = answer(200);
    await using bad = answer(500);
    const { proxy, port } = await TestProxy.simple([good.port, bad.port], detection({ consecutive5xx: 3 }), workers);
    await using _ = proxy;
    await statuses(port, 20);
    assert.deepEqual(ejected(proxy), [bad.port]);
    assert.equal(proxy.clusterCounter(ClusterSlot.ejectedHosts), 1);
    const before = bad.requests;
    assert.deepEqual(new Set(await statuses(port, 20)), new Set([200]));
    assert.equal(bad.requests, before);
    assert.ok(before >= 3 && before <= 2 + workers, `${before}`);
  });
}

Deno.test("gateway errors count apart from other errors", async () => {
  for (const [status, out] of [[500, false], [502, true], [503, true], [504, true]] as const) {
    await using backend = answer(status);
    const { proxy, port } = await TestProxy.simple([backend.port], detection({ consecutiveGatewayFailure: 3 }));
    await using _ = proxy;
    await statuses(port, 3);
    assert.equal(ejected(proxy).length, out ? 1 : 0, `${status}`);
  }
});

Deno.test("a good answer in between starts the count afresh", async () => {
  let calls = 0;
  await using backend = new Backend(() => new Response(null, { status: ++calls % 3 === 0 ? 200 : 500 }));
  const { proxy, port } = await TestProxy.simple([backend.port], detection({ consecutive5xx: 3 }));
  await using _ = proxy;
  await statuses(port, 12);
  assert.deepEqual(ejected(proxy), []);
});

Deno.test("failures to connect count as errors, or apart where that is configured", async () => {
  const setups: [Partial<OutlierDetectionConfig>, boolean][] = [
    [{ consecutive5xx: 3 }, true],
    [{ consecutiveGatewayFailure: 3 }, true],
    [{ splitExternalLocalOriginErrors: true, consecutive5xx: 3 }, false],
    [{ splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailure: 3 }, true],
  ];
  for (const [setup, out] of setups) {
    const { proxy, port } = await TestProxy.simple([freePort()], detection(setup));
    await using _ = proxy;
    assert.deepEqual(await statuses(port, 3), [503, 503, 503]);
    assert.equal(ejected(proxy).length, out ? 1 : 0, JSON.stringify(setup));
  }
});

Deno.test("when every host is ejected and there is no panic, the answer is 503 UH", async () => {
  await using backend = answer(500);
  const { proxy, port } = await TestProxy.simple([backend.port], detection({ consecutive5xx: 2 }));
  await using _ = proxy;
  assert.deepEqual(await statuses(port, 4), [500, 500, 503, 503]);
  assert.deepEqual(proxy.recorded(), { "500 -": 2, "503 UH": 2 });
});

Deno.test("no more than the configured share of hosts is ejected, but one may always be", async () => {
  const hosts = Array.from({ length: 4 }, () => answer(500));
  for (const [maxEjectionPercent, out] of [[0, 1], [25, 1], [50, 2], [100, 4]]) {
    const setup = detection({ consecutive5xx: 1, maxEjectionPercent });
    const { proxy, port } = await TestProxy.simple(hosts.map((host) => host.port), setup);
    await using _ = proxy;
    await statuses(port, 30);
    assert.equal(ejected(proxy).length, out, `${maxEjectionPercent} %`);
  }
  for (const host of hosts) await host[Symbol.asyncDispose]();
});

Deno.test("an ejected host comes back when its time is over", async () => {
  let status = 500;
  await using backend = new Backend(() => new Response(null, { status }));
  const setup = detection({ consecutive5xx: 1, baseEjectionTime: 500 });
  const { proxy, port } = await TestProxy.simple([backend.port], setup, 2);
  await using _ = proxy;
  assert.deepEqual(await statuses(port, 1), [500]);
  assert.deepEqual(ejected(proxy), [backend.port]);
  status = 200;
  await until(async () => (await statuses(port, 1))[0] === 200, "the host is back");
  assert.deepEqual(new Set(await statuses(port, 10)), new Set([200]));
  assert.equal(proxy.clusterCounter(ClusterSlot.ejectedHosts), 0);
});

Deno.test("where a rule names the statuses that are errors, those count, whatever they are, and no others", async () => {
  await using backend = new NamedBackend("a");
  const codes = "{ consecutive5xxErrors: 2, maxEjectionPercent: 100, outlierDetectionHttpErrorCodes: [404, 418] }";
  await using service = await CompiledService.start([[backend]], { trafficPolicy: `{ outlierDetection: ${codes} }` });
  const answers: number[] = [];
  for (const status of [500, 500, 500, 404, 200, 418, 500, 404, 418, 200]) {
    backend.answer.status = status;
    answers.push((await service.request()).status);
  }
  assert.deepEqual(answers, [500, 500, 500, 404, 200, 418, 500, 404, 418, 503]);
});
