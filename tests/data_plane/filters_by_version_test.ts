/** One table of what filters and routes do, run for callers of either version of HTTP: what they see is the same. */
import assert from "node:assert/strict";
import type { JsonObject } from "@bufbuild/protobuf";
import { httpFilterType, managerSetup } from "./configured.ts";
import { Backend, TestProxy } from "./harness.ts";
import { until } from "./raw_sockets.ts";

/** What the backend has been asked; the answer to `/fail/…` is 503 the first time. */
class Recorder {
  readonly seen: { method: string; path: string; headers: Headers; body: string }[] = [];

  readonly serve = async (request: Request): Promise<Response> => {
    const path = new URL(request.url).pathname;
    this.seen.push({ method: request.method, path, headers: request.headers, body: await request.text() });
    const failing = path.startsWith("/fail") && this.seen.filter((one) => one.path === path).length === 1;
    return new Response(failing ? "once" : "served", {
      status: failing ? 503 : 200,
      headers: { "x-from": "upstream" },
    });
  };
}

type Ask = (path: string, init?: RequestInit) => Promise<{ status: number; text: string; headers: Headers }>;

interface Case {
  name: string;
  /** Filters of the connection manager: name and, where it is not the empty one, configuration. */
  filters?: [name: string, type: string, config?: JsonObject][];
  /** Of the one route, but for `match` and what it does by default. */
  route: JsonObject;
  check(ask: Ask, backend: Recorder, shadow: Recorder): Promise<void>;
  /** What metrics tell of it. */
  recorded: Record<string, number>;
}

const percent = { numerator: 100 };
const perRoute = (filter: string, type: string, config: JsonObject): JsonObject => ({
  typedPerFilterConfig: { [`envoy.filters.http.${filter}`]: { "@type": httpFilterType(type), ...config } },
});
const add = (key: string, value: string): JsonObject => ({ header: { key, value } });

const cases: Case[] = [
  {
    name: "a fault aborts in the upstream's place",
    filters: [["fault", "fault.v3.HTTPFault"]],
    route: perRoute("fault", "fault.v3.HTTPFault", { abort: { httpStatus: 418, percentage: percent } }),
    async check(ask, backend) {
      for (const init of [{}, { method: "POST", body: "x".repeat(100_000) }]) {
        const { status, text } = await ask("/", init);
        assert.deepEqual([status, text], [418, "fault filter abort"]);
      }
      assert.equal(backend.seen.length, 0);
    },
    recorded: { "418 FI": 2 },
  },
  {
    name: "a fault's delay goes before the request, whose body waits for it",
    filters: [["fault", "fault.v3.HTTPFault"]],
    route: perRoute("fault", "fault.v3.HTTPFault", { delay: { fixedDelay: "0.2s", percentage: percent } }),
    async check(ask, backend) {
      const begun = performance.now();
      assert.equal((await ask("/", { method: "POST", body: "y".repeat(100_000) })).status, 200);
      assert.ok(performance.now() - begun >= 190);
      assert.equal(backend.seen[0].body.length, 100_000);
    },
    recorded: { "200 DI": 1 },
  },
  {
    name: "CORS answers the preflight and marks the response",
    filters: [["cors", "cors.v3.Cors"]],
    route: perRoute("cors", "cors.v3.CorsPolicy", {
      allowOriginStringMatch: [{ exact: "https://a.example" }],
      allowMethods: "GET, PUT",
    }),
    async check(ask, backend) {
      const origin = { origin: "https://a.example" };
      const preflight = await ask("/", {
        method: "OPTIONS",
        headers: { ...origin, "access-control-request-method": "PUT" },
      });
      assert.equal(preflight.status, 200);
      assert.equal(preflight.headers.get("access-control-allow-methods"), "GET, PUT");
      assert.equal(backend.seen.length, 0);
      const marked = await ask("/", { headers: origin });
      assert.equal(marked.headers.get("access-control-allow-origin"), "https://a.example");
      const other = await ask("/", { headers: { origin: "https://b.example" } });
      assert.equal(other.headers.get("access-control-allow-origin"), null);
    },
    recorded: { "200 -": 3 },
  },
  {
    name: "a local rate limit turns away what is too much",
    filters: [["local_ratelimit", "local_ratelimit.v3.LocalRateLimit", {
      statPrefix: "s",
      tokenBucket: { maxTokens: 2, tokensPerFill: 2, fillInterval: "3600s" },
      filterEnabled: { defaultValue: percent },
      filterEnforced: { defaultValue: percent },
    }]],
    route: {},
    async check(ask) {
      const statuses = [];
      for (let i = 0; i < 4; i++) statuses.push((await ask("/")).status);
      assert.deepEqual(statuses, [200, 200, 429, 429]);
    },
    recorded: { "200 -": 2, "429 RL": 2 },
  },
  {
    name: "a mirror gets a copy, body and all",
    route: { route: { cluster: "backend", requestMirrorPolicies: [{ cluster: "shadow" }] } },
    async check(ask, _backend, shadow) {
      const body = "z".repeat(100_000);
      assert.equal((await ask("/a", { method: "POST", body })).text, "served");
      await until(() => shadow.seen.length === 1, "the copy");
      const [{ method, path, body: copied }] = shadow.seen;
      assert.deepEqual([method, path, copied === body], ["POST", "/a", true]);
    },
    recorded: { "200 -": 1 },
  },
  {
    name: "a failed attempt is made again, with the whole body",
    route: { route: { cluster: "backend", retryPolicy: { retryOn: "5xx", numRetries: 1 } } },
    async check(ask, backend) {
      const body = "r".repeat(100_000);
      assert.equal((await ask("/fail/1")).text, "served");
      assert.equal((await ask("/fail/2", { method: "POST", body })).text, "served");
      assert.deepEqual(backend.seen.map((one) => one.body.length), [0, 0, body.length, body.length]);
    },
    recorded: { "200 -": 2 },
  },
  {
    name: "headers are added, replaced and taken away, both ways",
    route: {
      requestHeadersToAdd: [add("x-added", "%REQ(:METHOD)% %REQ(:PATH)%"), add("x-twice", "2")],
      requestHeadersToRemove: ["x-secret"],
      responseHeadersToAdd: [add("x-answer", "%RESPONSE_CODE%")],
      responseHeadersToRemove: ["x-from"],
    },
    async check(ask, backend) {
      const { headers } = await ask("/a?b=c", { headers: { "x-secret": "s", "x-twice": "1" } });
      const told = backend.seen[0].headers;
      assert.deepEqual(["x-added", "x-twice", "x-secret"].map((name) => told.get(name)), ["GET /a?b=c", "1, 2", null]);
      assert.deepEqual([headers.get("x-answer"), headers.get("x-from")], ["200", null]);
    },
    recorded: { "200 -": 1 },
  },
  {
    name: "path and host are rewritten on the way",
    route: { route: { cluster: "backend", prefixRewrite: "/new/", hostRewriteLiteral: "inside" } },
    async check(ask, backend) {
      await ask("/old");
      const [{ path, headers }] = backend.seen;
      assert.deepEqual([path, headers.get("host"), headers.get("x-envoy-original-path")], [
        "/new/old",
        "inside",
        "/old",
      ]);
    },
    recorded: { "200 -": 1 },
  },
  {
    name: "a redirect is answered at once, also before a body",
    route: { redirect: { hostRedirect: "other.example", pathRedirect: "/there", responseCode: "FOUND" } },
    async check(ask, backend) {
      for (const init of [{}, { method: "POST", body: "b".repeat(1000) }]) {
        const { status, headers } = await ask("/here?q", init);
        assert.equal(status, 302);
        assert.match(headers.get("location") ?? "", /^https?:\/\/other\.example(:\d+)?\/there/);
      }
      assert.equal(backend.seen.length, 0);
    },
    recorded: { "302 -": 2 },
  },
  {
    name: "a direct response is the proxy's own",
    route: { directResponse: { status: 451, body: { inlineString: "not here" } } },
    async check(ask) {
      const { status, text } = await ask("/");
      assert.deepEqual([status, text], [451, "not here"]);
    },
    recorded: { "451 -": 1 },
  },
];

const versions: [name: string, options: Deno.CreateHttpClientOptions][] = [
  ["HTTP/1.1", { http1: true, http2: false }],
  ["HTTP/2", { http1: false, http2: true }],
];

for (const { name, filters = [], route, check, recorded } of cases) {
  for (const [version, options] of versions) {
    Deno.test(`${version}: ${name}`, async () => {
      const [backend, shadow] = [new Recorder(), new Recorder()];
      await using served = new Backend(backend.serve);
      await using mirrored = new Backend(shadow.serve);
      const httpFilters = filters.map(([filter, type, config = {}]) => ({
        name: `envoy.filters.http.${filter}`,
        typedConfig: { "@type": httpFilterType(type), ...config },
      }));
      const answers = ["route", "redirect", "directResponse"].some((action) => action in route);
      const all: JsonObject = {
        match: { prefix: "/" },
        ...(answers ? {} : { route: { cluster: "backend" } }),
        ...route,
      };
      const clusters = { backend: [served.port], shadow: [mirrored.port] };
      const { port, setup } = managerSetup({ httpFilters }, [all], clusters);
      await using proxy = await TestProxy.start(setup);
      using client = Deno.createHttpClient(options);
      await check(
        async (path, init = {}) => {
          const response = await fetch(`http://127.0.0.1:${port}${path}`, { redirect: "manual", client, ...init });
          return { status: response.status, text: await response.text(), headers: response.headers };
        },
        backend,
        shadow,
      );
      const total = (counts: Record<string, number>) => Object.values(counts).reduce((sum, count) => sum + count, 0);
      await until(() => total(proxy.recorded()) >= total(recorded), () => JSON.stringify(proxy.recorded()));
      assert.deepEqual(proxy.recorded(), recorded);
    });
  }
}
