import assert from "node:assert/strict";
import type { RouteEntryConfig, StringMatcher } from "../../agent/config/model.ts";
import {
  Backend,
  cluster,
  endpoint,
  endpoints,
  forwardTo,
  freePort,
  listener,
  noMutation,
  route,
  routes,
  TestProxy,
} from "./harness.ts";
import { exchangeUntilEnd } from "./raw_sockets.ts";

/** Three backends `v1` to `v3`, each a cluster of its own, that answer with their name and what they were asked. */
class Versions implements AsyncDisposable {
  readonly names = ["v1", "v2", "v3"];
  readonly backends = this.names.map((name) =>
    new Backend((request) => {
      const url = new URL(request.url);
      return Response.json({
        name,
        host: request.headers.get("host"),
        target: url.pathname + url.search,
        headers: Object.fromEntries(request.headers),
      }, { headers: { "x-upstream": name } });
    })
  );
  proxy!: TestProxy;
  readonly port = freePort();

  static async start(list: RouteEntryConfig[]): Promise<Versions> {
    const versions = new Versions();
    versions.proxy = await TestProxy.start({
      clusters: versions.names.map((name) => cluster({ name })),
      endpoints: versions.names.map((name, i) => endpoints(name, [endpoint(versions.backends[i].port)])),
      routes: [routes(list)],
      listeners: [listener(versions.port)],
    });
    return versions;
  }

  async ask(path: string, init: RequestInit = {}) {
    const response = await fetch(`http://127.0.0.1:${this.port}${path}`, { redirect: "manual", ...init });
    const text = await response.text();
    return { response, body: text.startsWith("{") ? JSON.parse(text) : { name: text } };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy[Symbol.asyncDispose]();
    for (const backend of this.backends) await backend[Symbol.asyncDispose]();
  }
}

const text = (kind: StringMatcher["kind"], value: string): StringMatcher => ({ kind, value, ignoreCase: false });

function matching(name: string, match: Partial<RouteEntryConfig["match"]>): RouteEntryConfig {
  return route({ match: { ...route().match, ...match }, action: forwardTo(name) });
}

Deno.test("routes go by headers, query, method and path, in order", async () => {
  await using versions = await Versions.start([
    matching("v2", { headers: [{ name: "end-user", matcher: text("exact", "jason"), invert: false }] }),
    matching("v3", { queryParameters: [{ name: "debug", matcher: text("present", ""), invert: false }] }),
    matching("v2", { headers: [{ name: ":method", matcher: text("exact", "DELETE"), invert: false }] }),
    matching("v3", { path: { kind: "regex", value: "/api/v[0-9]+/.*", ignoreCase: false } }),
    matching("v2", { path: { kind: "exact", value: "/exact", ignoreCase: false } }),
    matching("v1", {}),
  ]);
  const name = async (path: string, init?: RequestInit) => (await versions.ask(path, init)).body.name;
  assert.equal(await name("/"), "v1");
  assert.equal(await name("/", { headers: { "end-user": "jason" } }), "v2");
  assert.equal(await name("/", { headers: { "end-user": "jasons" } }), "v1");
  assert.equal(await name("/?debug"), "v3");
  assert.equal(await name("/?debug", { headers: { "end-user": "jason" } }), "v2");
  assert.equal(await name("/", { method: "DELETE" }), "v2");
  assert.equal(await name("/api/v12/x"), "v3");
  assert.equal(await name("/api/v/x"), "v1");
  assert.equal(await name("/exact?a"), "v2");
  assert.equal(await name("/exact/"), "v1");
});

Deno.test("weights 90 and 10 hold within six standard deviations", async () => {
  const one = forwardTo("v1").clusters[0];
  const action = forwardTo("", { clusters: [{ ...one, weight: 90 }, { ...one, name: "v2", weight: 10 }] });
  await using versions = await Versions.start([route({ action })]);
  for (let i = 0; i < 500; i++) await versions.ask("/");
  const [v1, v2] = versions.backends.map((backend) => backend.requests);
  assert.equal(v1 + v2, 500);
  assert.ok(v2 > 50 - 41 && v2 < 50 + 41, `${v2}`);
});

Deno.test("paths are rewritten by prefix, exact match and pattern; the application learns the original", async () => {
  const entry = (path: RouteEntryConfig["match"]["path"], overrides: Parameters<typeof forwardTo>[1]) =>
    route({ match: { ...route().match, path }, action: forwardTo("v1", overrides) });
  await using versions = await Versions.start([
    entry({ kind: "prefix", value: "/old/", ignoreCase: false }, { prefixRewrite: "/" }),
    entry({ kind: "exact", value: "/one", ignoreCase: false }, { prefixRewrite: "/two" }),
    entry({ kind: "prefix", value: "/users", ignoreCase: false }, {
      regexRewrite: { pattern: "/users/([0-9]+)/(.*)", substitution: "/\\2/of/\\1" },
    }),
    entry({ kind: "prefix", value: "/", ignoreCase: false }, { hostRewrite: "other.example" }),
  ]);
  const seen = async (path: string) => {
    const { body } = await versions.ask(path);
    return [body.target, body.headers["x-envoy-original-path"]];
  };
  assert.deepEqual(await seen("/old/page?a=b"), ["/page?a=b", "/old/page?a=b"]);
  assert.deepEqual(await seen("/one?a"), ["/two?a", "/one?a"]);
  assert.deepEqual(await seen("/users/12/posts?x=y"), ["/posts/of/12?x=y", "/users/12/posts?x=y"]);
  const { body } = await versions.ask("/plain");
  assert.equal(body.host, "other.example");
  assert.equal(body.headers["x-envoy-original-path"], undefined);
});

Deno.test("redirects and direct responses are answered without an upstream", async () => {
  const redirect = {
    kind: "redirect" as const,
    status: 308,
    host: "new.example",
    port: 0,
    scheme: "https",
    path: "",
    prefixRewrite: "",
    stripQuery: false,
  };
  await using versions = await Versions.start([
    route({
      match: { ...route().match, path: { kind: "exact", value: "/moved", ignoreCase: false } },
      action: redirect,
    }),
    route({ action: { kind: "direct", status: 503, body: "closed for today" } }),
  ]);
  const moved = await versions.ask("/moved?a=b");
  assert.equal(moved.response.status, 308);
  assert.equal(moved.response.headers.get("location"), "https://new.example/moved?a=b");
  const direct = await versions.ask("/");
  assert.equal(direct.response.status, 503);
  assert.equal(direct.body.name, "closed for today");
  assert.deepEqual(versions.backends.map((backend) => backend.requests), [0, 0, 0]);
  assert.deepEqual(versions.proxy.recorded(), { "308 -": 1, "503 -": 1 });
});

Deno.test("headers are set, added and removed, by route and by cluster, both ways", async () => {
  const action = forwardTo("v1");
  action.clusters[0] = {
    ...action.clusters[0],
    requestHeaders: { set: [{ name: "x-cluster", value: "c", mode: "overwrite" }], remove: [] },
    responseHeaders: { set: [{ name: "x-cluster", value: "c", mode: "overwrite" }], remove: [] },
  };
  await using versions = await Versions.start([route({
    action,
    requestHeaders: {
      set: [
        { name: "x-set", value: "1", mode: "overwrite" },
        { name: "x-add", value: "2", mode: "append" },
        { name: "x-default", value: "3", mode: "addIfAbsent" },
        { name: "host", value: "by.route", mode: "overwrite" },
      ],
      remove: ["x-secret"],
    },
    responseHeaders: { ...noMutation, remove: ["x-upstream"], set: [{ name: "x-more", value: "4", mode: "append" }] },
  })]);
  const { response, body } = await versions.ask("/", {
    headers: { "x-set": "mine", "x-add": "mine", "x-default": "mine", "x-secret": "mine", "x-cluster": "mine" },
  });
  assert.equal(body.headers["x-set"], "1");
  assert.equal(body.headers["x-add"], "mine, 2");
  assert.equal(body.headers["x-default"], "mine");
  assert.equal(body.headers["x-secret"], undefined);
  assert.equal(body.headers["x-cluster"], "c");
  assert.equal(body.host, "by.route");
  assert.equal(response.headers.get("x-upstream"), null);
  assert.equal(response.headers.get("x-more"), "4");
  assert.equal(response.headers.get("x-cluster"), "c");
});

Deno.test("the host decides in any case, with a dot at its end, and in absolute form", async () => {
  await using versions = await Versions.start([]);
  await versions.proxy.update({
    routes: [{
      name: "routes",
      virtualHosts: [
        { name: "a", domains: ["reviews", "reviews:9080"], routes: [route({ action: forwardTo("v1") })] },
        { name: "b", domains: ["*.example"], routes: [route({ action: forwardTo("v2") })] },
      ],
    }],
  });
  const ask = async (target: string, host: string) => {
    const answer = await exchangeUntilEnd(
      versions.port,
      `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
    );
    return /x-upstream: (\w+)/.exec(answer)?.[1] ?? answer.slice(9, 12);
  };
  assert.equal(await ask("/", "REVIEWS"), "v1");
  assert.equal(await ask("/", "reviews.:9080"), "v1");
  assert.equal(await ask("/", "a.Example."), "v2");
  assert.equal(await ask("http://Reviews:9080/x", "reviews:9080"), "v1");
  assert.equal(await ask("/", "unknown"), "404");
});
