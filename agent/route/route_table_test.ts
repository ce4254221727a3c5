import assert from "node:assert/strict";
import type { RouteActionConfig, RouteEntryConfig } from "../config/model.ts";
import { chooseCluster, type ForwardAction, happens, RouteTable } from "./route_table.ts";
import { request } from "./testdata/request.ts";

const noMutation = { set: [], remove: [] };

function forwardTo(...clusters: [name: string, weight: number][]): RouteActionConfig {
  return {
    kind: "route",
    clusters: clusters.map(([name, weight]) => ({
      name,
      weight,
      requestHeaders: noMutation,
      responseHeaders: noMutation,
    })),
    timeout: 0,
    idleTimeout: null,
    retry: null,
    prefixRewrite: "",
    regexRewrite: null,
    hostRewrite: "",
  };
}

function entry(name: string, prefix: string, overrides: Partial<RouteEntryConfig> = {}): RouteEntryConfig {
  return {
    name,
    match: {
      path: { kind: "prefix", value: prefix, ignoreCase: false },
      headers: [],
      queryParameters: [],
      fraction: null,
    },
    action: forwardTo(["backend", 1]),
    requestHeaders: noMutation,
    responseHeaders: noMutation,
    fault: null,
    ...overrides,
  };
}

function table(routes: RouteEntryConfig[], domains = ["*"]): RouteTable {
  return new RouteTable({ name: "routes", virtualHosts: [{ name: "", domains, routes }] });
}

Deno.test("the first route that matches is taken", () => {
  const routes = table([entry("a", "/a"), entry("ab", "/ab"), entry("all", "/")]);
  assert.equal(routes.select(request("GET /abc"))?.name, "a");
  assert.equal(routes.select(request("GET /b"))?.name, "all");
});

Deno.test("without a matching route or virtual host there is none", () => {
  assert.equal(table([entry("a", "/a")]).select(request("GET /b")), null);
  assert.equal(table([entry("a", "/")], ["elsewhere"]).select(request("GET /")), null);
});

Deno.test("a request without a path matches no route, whatever its pattern", () => {
  const anything = entry("any", "/");
  anything.match.path = { kind: "regex", value: ".*", ignoreCase: false };
  const empty = entry("empty", "");
  for (const route of [anything, empty]) {
    assert.equal(table([route]).select(request("CONNECT a:443", "Host: a:443")), null, route.name);
  }
});

Deno.test("a fraction of nothing never happens, of everything always", () => {
  for (let i = 0; i < 1000; i++) {
    assert.equal(happens({ numerator: 0, denominator: 100 }), false);
    assert.equal(happens({ numerator: 100, denominator: 100 }), true);
    assert.equal(happens({ numerator: 1_000_000, denominator: 1_000_000 }), true);
  }
});

Deno.test("a route with a fraction is passed over by the rest of the requests", () => {
  const some = entry("some", "/");
  some.match.fraction = { numerator: 30, denominator: 100 };
  const routes = table([some, entry("rest", "/")]);
  let taken = 0;
  for (let i = 0; i < 10_000; i++) if (routes.select(request("GET /"))!.name === "some") taken++;
  // Six standard deviations are 275.
  assert.ok(taken > 2700 && taken < 3300, `${taken}`);
});

Deno.test("clusters are drawn in proportion to weight, one of weight 0 never", () => {
  const action = table([entry("", "/", { action: forwardTo(["a", 90], ["none", 0], ["b", 10]) })])
    .select(request("GET /"))!.action as ForwardAction;
  const counts: Record<string, number> = { a: 0, none: 0, b: 0 };
  for (let i = 0; i < 10_000; i++) counts[chooseCluster(action).name]++;
  assert.equal(counts.none, 0);
  // Six standard deviations are 180.
  assert.ok(counts.b > 800 && counts.b < 1200, JSON.stringify(counts));
});
