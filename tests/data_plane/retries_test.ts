import assert from "node:assert/strict";
import type { RetryConfig } from "../../agent/config/model.ts";
import { ClusterSlot } from "../../agent/config/shared_memory.ts";
import { CompiledService, NamedBackend } from "./compiled_service.ts";
import { Backend, freePort, TestProxy } from "./harness.ts";
import { exchangeUntilEnd, RawBackend, statusOf, until } from "./raw_sockets.ts";

function retry(retryOn: string[], overrides: Partial<RetryConfig> = {}): RetryConfig {
  return {
    retryOn,
    numRetries: 2,
    perTryTimeout: 0,
    retriableStatusCodes: [],
    backOffBase: 1,
    backOffMax: 10,
    avoidPreviousHosts: false,
    hostSelectionMaxAttempts: 1,
    ...overrides,
  };
}

/** Answers with these statuses in turn, then with 200. */
function failing(...statuses: number[]): Backend {
  let next = 0;
  return new Backend(async (request) => {
    const body = await request.text();
    return new Response(`read ${body.length}`, { status: statuses[next++] ?? 200 });
  });
}

async function get(port: number, init: RequestInit = {}): Promise<{ status: number; text: string }> {
  const response = await fetch(`http://127.0.0.1:${port}/`, init);
  return { status: response.status, text: await response.text() };
}

const onStatus: [
  name: string,
  policy: RetryConfig | null,
  statuses: number[],
  status: number,
  requests: number,
  flags: string,
][] = [
  ["without a policy a 503 comes through", null, [503], 503, 1, "503 -"],
  ["503 is retried on 5xx", retry(["5xx"]), [503], 200, 2, "200 -"],
  ["500 is not retried on gateway-error", retry(["gateway-error"]), [500], 500, 1, "500 -"],
  ["503 is not retried on connect-failure", retry(["connect-failure"]), [503], 503, 1, "503 -"],
  [
    "a listed status is retried",
    retry(["retriable-status-codes"], { retriableStatusCodes: [418] }),
    [418],
    200,
    2,
    "200 -",
  ],
  ["the last of all attempts comes through", retry(["5xx"]), [503, 502, 500], 500, 3, "500 URX"],
  ["two failures, then success", retry(["5xx"]), [503, 503], 200, 3, "200 -"],
  ["no retries, no second attempt", retry(["5xx"], { numRetries: 0 }), [503], 503, 1, "503 URX"],
];

for (const [name, policy, statuses, status, requests, flags] of onStatus) {
  Deno.test(name, async () => {
    await using backend = failing(...statuses);
    const { proxy, port } = await TestProxy.simple([backend.port], { action: { retry: policy } });
    await using _ = proxy;
    assert.equal((await get(port)).status, status);
    assert.equal(backend.requests, requests);
    assert.deepEqual(proxy.recorded(), { [flags]: 1 });
    assert.equal(proxy.clusterCounter(ClusterSlot.retries), requests - 1);
    assert.equal(proxy.clusterCounter(ClusterSlot.activeRetries), 0);
  });
}

Deno.test("a host that cannot be reached is left for another, where the policy says so", async () => {
  await using backend = failing();
  const setup = {
    action: { retry: retry(["connect-failure"], { avoidPreviousHosts: true, hostSelectionMaxAttempts: 5 }) },
  };
  const { proxy, port } = await TestProxy.simple([freePort(), backend.port], setup);
  await using _ = proxy;
  for (let i = 0; i < 10; i++) assert.equal((await get(port)).status, 200);
  assert.equal(backend.requests, 10);
  const without = await TestProxy.simple([freePort()], { action: { retry: retry(["retriable-4xx"]) } });
  await using _other = without.proxy;
  assert.equal((await get(without.port)).status, 503);
  assert.deepEqual(without.proxy.recorded(), { "503 UF": 1 });
});

Deno.test("when every attempt to connect fails, the flags say both", async () => {
  const { proxy, port } = await TestProxy.simple([freePort()], { action: { retry: retry(["connect-failure"]) } });
  await using _ = proxy;
  assert.equal((await get(port)).status, 503);
  assert.deepEqual(proxy.recorded(), { "503 URX,UF": 1 });
  assert.equal(proxy.clusterCounter(ClusterSlot.connectFailures), 3);
});

Deno.test("a connection that breaks before the response is retried on reset", async () => {
  for (const [policy, status] of [[retry(["reset"]), 200], [retry(["connect-failure"]), 503]] as const) {
    using backend = new RawBackend(async (connection, index) => {
      await connection.until(/\r\n\r\n/);
      if (index === 0) return connection.close();
      await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    const { proxy, port } = await TestProxy.simple([backend.port], { action: { retry: policy } });
    await using _ = proxy;
    assert.equal((await get(port)).status, status);
  }
});

Deno.test("an attempt that takes too long is followed by another", async () => {
  let calls = 0;
  using backend = new RawBackend(async (connection) => {
    await connection.until(/\r\n\r\n/);
    if (++calls === 1) return;
    await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  });
  const policy = retry(["5xx"], { perTryTimeout: 1000 });
  const { proxy, port } = await TestProxy.simple([backend.port], { action: { retry: policy, timeout: 30_000 } });
  await using _ = proxy;
  assert.deepEqual(await get(port), { status: 200, text: "ok" });
  assert.equal(calls, 2);
});

Deno.test("when every attempt takes too long the answer is 504", async () => {
  using backend = new RawBackend();
  const policy = retry(["5xx"], { perTryTimeout: 30, numRetries: 1 });
  const { proxy, port } = await TestProxy.simple([backend.port], { action: { retry: policy } });
  await using _ = proxy;
  assert.equal((await get(port)).status, 504);
  assert.deepEqual(proxy.recorded(), { "504 URX,UT": 1 });
  await until(() => backend.connections.length === 2, "two attempts");
});

Deno.test("retries wait, longer each time, and within the whole timeout", async () => {
  await using backend = failing(...new Array(50).fill(503));
  const policy = retry(["5xx"], { numRetries: 50, backOffBase: 10_000, backOffMax: 100_000 });
  const { proxy, port } = await TestProxy.simple([backend.port], { action: { retry: policy, timeout: 100 } });
  await using _ = proxy;
  assert.equal((await get(port)).status, 504);
  // Fully jittered: a first wait below 100 of up to 10,000 ms is possible, several in a row are not.
  assert.ok(backend.requests <= 3, `${backend.requests}`);
});

Deno.test("a request with a body is sent whole on every attempt", async () => {
  for (const size of [1, 1000, 100_000, 200_000]) {
    await using backend = failing(503, 503);
    const { proxy, port } = await TestProxy.simple([backend.port], { action: { retry: retry(["5xx"]) } });
    await using _ = proxy;
    const body = new Uint8Array(size);
    assert.deepEqual(await get(port, { method: "POST", body }), { status: 200, text: `read ${size}` });
    assert.equal(backend.requests, 3);
  }
});

Deno.test("a body too large to keep is not sent again", async () => {
  await using backend = failing(503);
  const { proxy, port } = await TestProxy.simple([backend.port], { action: { retry: retry(["5xx"]) } });
  await using _ = proxy;
  assert.equal((await get(port, { method: "POST", body: new Uint8Array(3_000_000) })).status, 503);
  assert.equal(backend.requests, 1);
});

Deno.test("a retry prefers hosts that have not been tried", async () => {
  await using bad = failing(...new Array(100).fill(503));
  await using good = failing();
  const policy = retry(["5xx"], { avoidPreviousHosts: true, hostSelectionMaxAttempts: 10, numRetries: 1 });
  const { proxy, port } = await TestProxy.simple([bad.port, good.port], { action: { retry: policy } });
  await using _ = proxy;
  for (let i = 0; i < 20; i++) assert.equal((await get(port)).status, 200);
});

Deno.test("no more retries are under way at once than the circuit breaker allows", async () => {
  using backend = new RawBackend(async (connection) => {
    await connection.until(/\r\n\r\n/);
    await connection.send("HTTP/1.1 503 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  });
  const circuitBreakers = { maxConnections: 100, maxPendingRequests: 100, maxRequests: 100, maxRetries: 0 };
  const { proxy, port } = await TestProxy.simple([backend.port], {
    action: { retry: retry(["5xx"]) },
    cluster: { circuitBreakers },
  });
  await using _ = proxy;
  const answers = await Promise.all(
    Array.from({ length: 10 }, () => exchangeUntilEnd(port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")),
  );
  assert.deepEqual(answers.map(statusOf), new Array(10).fill(503));
  assert.equal(backend.connections.length, 10);
  assert.equal(proxy.clusterCounter(ClusterSlot.retries), 0);
  // As in Envoy the host's answer goes to the caller, and the flag says what kept it from another attempt.
  assert.deepEqual(proxy.recorded(), { "503 UO": 10 });
});

Deno.test("a rule's retry budget stands in the place of the limit on retries", async () => {
  const budgets: [budget: string, requests: number, flags: string][] = [
    ["{ percent: 0, minRetryConcurrency: 0 }", 1, "503 UO"],
    ["{ percent: 0, minRetryConcurrency: 1 }", 3, "503 URX"],
    ["{ percent: 0 }", 3, "503 URX"],
    // The request itself is still active when its retry is asked for.
    ["{ percent: 100, minRetryConcurrency: 0 }", 3, "503 URX"],
  ];
  for (const [budget, requests, flags] of budgets) {
    await using backend = new NamedBackend("a", { status: 503 });
    await using service = await CompiledService.start([[backend]], { trafficPolicy: `{ retryBudget: ${budget} }` });
    assert.equal((await service.request()).status, 503);
    assert.equal(backend.requests, requests, budget);
    assert.deepEqual(service.proxy.recorded(), { [flags]: 1 }, budget);
  }
});

Deno.test("a retry budget of so many percent lets as many of the requests under way be retries", async () => {
  let waiting = 0;
  using backend = new RawBackend(async (connection) => {
    await connection.until(/\r\n\r\n/);
    waiting++;
    await until(() => waiting >= 10, "all first attempts");
    await connection.send("HTTP/1.1 503 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  });
  const circuitBreakers = {
    maxConnections: 100,
    maxPendingRequests: 100,
    maxRequests: 100,
    maxRetries: 0,
    retryBudget: { percent: 30, minimumConcurrency: 0 },
  };
  const policy = retry(["5xx"], { numRetries: 1, backOffBase: 2000, backOffMax: 2000 });
  const { proxy, port } = await TestProxy.simple([backend.port], {
    action: { retry: policy },
    cluster: { circuitBreakers },
  });
  await using _ = proxy;
  await Promise.all(
    Array.from({ length: 10 }, () => exchangeUntilEnd(port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")),
  );
  const { "503 UO": refused, "503 URX": retried } = proxy.recorded();
  assert.equal(refused + retried, 10);
  // The first answer comes while ten are active, later ones while fewer are.
  assert.ok(retried >= 1 && retried <= 3, `${retried}`);
});
