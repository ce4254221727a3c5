import assert from "node:assert/strict";
import type { JsonObject } from "@bufbuild/protobuf";
import { httpFilterType, managerSetup, toBackend } from "./configured.ts";
import { Backend, rawExchange, TestProxy } from "./harness.ts";

const type = { "@type": httpFilterType("local_ratelimit.v3.LocalRateLimit") };
const always = { defaultValue: { numerator: 100 } };
const name = "envoy.filters.http.local_ratelimit";

/** A bucket that is not filled again while a test runs. */
function limit(maxTokens: number, more: JsonObject = {}): JsonObject {
  const tokenBucket = { maxTokens, tokensPerFill: maxTokens, fillInterval: "3600s" };
  return { ...type, statPrefix: "s", tokenBucket, filterEnabled: always, filterEnforced: always, ...more };
}

const onRoute = (config: JsonObject): JsonObject => ({ typedPerFilterConfig: { [name]: config } });

async function limited(
  filter: JsonObject,
  routes: JsonObject[],
  use: (ask: (path?: string) => Promise<Response>, proxy: TestProxy) => Promise<void>,
  workers = 1,
): Promise<void> {
  await using backend = new Backend(() => new Response("ok"));
  const { port, setup } = managerSetup({ httpFilters: [{ name, typedConfig: filter }] }, routes, {
    backend: [backend.port],
  });
  await using proxy = await TestProxy.start(setup, workers);
  await use(async (path = "/") => {
    // A connection of its own each time, so that all threads are asked.
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { connection: "close" } });
    return new Response(await response.text(), response);
  }, proxy);
}

async function statuses(ask: (path?: string) => Promise<Response>, count: number, path?: string): Promise<number[]> {
  const found: number[] = [];
  for (let i = 0; i < count; i++) found.push((await ask(path)).status);
  return found;
}

Deno.test("requests beyond the bucket are answered with 429, and the flag says why", async () => {
  await limited(limit(2), [toBackend], async (ask, proxy) => {
    assert.deepEqual(await statuses(ask, 3), [200, 200, 429]);
    const response = await ask();
    assert.equal(await response.text(), "local_rate_limited");
    assert.equal(response.headers.get("x-ratelimit-limit"), null);
    assert.deepEqual(proxy.recorded(), { "200 -": 2, "429 RL": 2 });
  });
});

Deno.test("all data threads take from one bucket", async () => {
  await limited(limit(10), [toBackend], async (ask) => {
    const all = await statuses(ask, 40);
    assert.equal(all.filter((status) => status === 200).length, 10);
  }, 2);
});

Deno.test("the bucket is filled again", async () => {
  const tokenBucket = { maxTokens: 1, fillInterval: "0.1s" };
  await limited(limit(1, { tokenBucket }), [toBackend], async (ask) => {
    assert.equal((await ask()).status, 200);
    while ((await ask()).status !== 200) await new Promise((resolve) => setTimeout(resolve, 10));
  });
});

Deno.test("status, headers and x-ratelimit headers are as configured", async () => {
  const more = {
    status: { code: "ServiceUnavailable" },
    responseHeadersToAdd: [{ header: { key: "x-limited", value: "yes" } }],
    enableXRatelimitHeaders: "DRAFT_VERSION_03",
  };
  await limited(limit(2, more), [toBackend], async (ask) => {
    const [first, , third] = [await ask(), await ask(), await ask()];
    assert.equal(first.status, 200);
    assert.equal(first.headers.get("x-ratelimit-limit"), "2");
    assert.equal(first.headers.get("x-ratelimit-remaining"), "1");
    assert.ok(Number(first.headers.get("x-ratelimit-reset")) > 0);
    assert.equal(first.headers.get("x-limited"), null);
    assert.equal(third.status, 503);
    assert.equal(third.headers.get("x-limited"), "yes");
    assert.equal(third.headers.get("x-ratelimit-remaining"), "0");
  });
});

Deno.test("a route has a bucket of its own, direct responses included; one without a bucket limits nothing", async () => {
  const routes: JsonObject[] = [
    { ...toBackend, match: { prefix: "/own" }, ...onRoute(limit(1)) },
    { match: { prefix: "/direct" }, directResponse: { status: 201 }, ...onRoute(limit(1)) },
    { ...toBackend, match: { prefix: "/free" }, ...onRoute({ ...type, statPrefix: "s" }) },
    toBackend,
  ];
  await limited(limit(2), routes, async (ask) => {
    assert.deepEqual(await statuses(ask, 2, "/own"), [200, 429]);
    assert.deepEqual(await statuses(ask, 2, "/direct"), [201, 429]);
    assert.deepEqual(await statuses(ask, 3, "/free"), [200, 200, 200]);
    assert.deepEqual(await statuses(ask, 3), [200, 200, 429]);
  });
});

Deno.test("what is not enabled takes no token, what is not enforced answers nobody", async () => {
  const shares: JsonObject[] = [{ filterEnabled: { defaultValue: { numerator: 0 } } }, { filterEnforced: {} }];
  for (const share of shares) {
    await limited(limit(1, share), [toBackend], async (ask) => {
      assert.deepEqual(await statuses(ask, 3), [200, 200, 200]);
    });
  }
});

Deno.test("where each connection has a bucket of its own, one's requests leave the others theirs", async () => {
  await using backend = new Backend(() => new Response("ok"));
  const filter = limit(2, { localRateLimitPerDownstreamConnection: true });
  const { port, setup } = managerSetup({ httpFilters: [{ name, typedConfig: filter }] }, [toBackend], {
    backend: [backend.port],
  });
  await using proxy = await TestProxy.start(setup);
  const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  for (let i = 0; i < 3; i++) {
    const answers = await rawExchange(port, get.repeat(4));
    assert.deepEqual(answers.match(/HTTP\/1\.1 \d+/g), ["200", "200", "429", "429"].map((code) => `HTTP/1.1 ${code}`));
  }
  assert.deepEqual(proxy.recorded(), { "200 -": 6, "429 RL": 6 });
});

Deno.test("a gRPC caller is told UNAVAILABLE, or RESOURCE_EXHAUSTED where that is asked for", async () => {
  for (const [more, status] of [[{}, "14"], [{ rateLimitedAsResourceExhausted: true }, "8"]] as const) {
    await using backend = new Backend(() => new Response("ok"));
    const { port, setup } = managerSetup({ httpFilters: [{ name, typedConfig: limit(1, more) }] }, [toBackend], {
      backend: [backend.port],
    });
    await using _ = await TestProxy.start(setup);
    const ask = () => fetch(`http://127.0.0.1:${port}/`, { headers: { "content-type": "application/grpc" } });
    await (await ask()).body?.cancel();
    const response = await ask();
    await response.body?.cancel();
    assert.deepEqual([response.status, response.headers.get("grpc-status")], [200, status]);
  }
});
