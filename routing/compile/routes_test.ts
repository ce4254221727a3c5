import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { RouteConfigurationSchema } from "../xds/gen/envoy/config/route/v3/route_pb.ts";
import type { WorkloadNode } from "../xds/node.ts";
import { compileProxy } from "./proxy.ts";
import { bookinfo, json, mesh, node } from "./testing/mesh.ts";

const host = "reviews.default.svc.cluster.local";

const subsets = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews }
spec: { host: reviews, subsets: [ { name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } } ] }
`;

/** A VirtualService for reviews with these HTTP routes, and the subsets v1 and v2. */
function rule(http: string): string {
  return `${subsets}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews }
spec: { hosts: [reviews], http: ${http} }
`;
}

/** The routes of reviews:9080 under these HTTP routes, without that of CONNECT, which they do not change. */
function routes(http: string, changes: Partial<WorkloadNode> = {}) {
  const snapshot = compileProxy(mesh(bookinfo(), rule(http)), node(changes));
  const configuration = json(RouteConfigurationSchema, snapshot.routes.get("http_proxy"));
  // deno-lint-ignore no-explicit-any -- JSON of xDS
  const all = configuration.virtualHosts.find(({ name }: any) => name === `${host}:9080`).routes;
  strictEqual(all.at(-1).name, "connect");
  return all.slice(0, -1);
}

const to = "route: [ { destination: { host: reviews, subset: v1 } } ]";

/** The match of a single route with this match block. */
function match(block: string) {
  return routes(`[ { match: [ ${block} ], ${to} } ]`)[0].match;
}

Deno.test("a route to one destination names its subset's cluster, has no timeout and Istio's retries", () => {
  const [route] = routes(`[ { name: all, ${to} } ]`);
  strictEqual(route.name, "all");
  deepStrictEqual(route.match, { prefix: "/" });
  strictEqual(route.route.cluster, `outbound|9080|v1|${host}`);
  strictEqual(route.route.timeout, "0s");
  deepStrictEqual(route.route.retryPolicy, {
    retryOn: "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes",
    numRetries: 2,
    retriableStatusCodes: [503],
    hostSelectionRetryMaxAttempts: "5",
    retryHostPredicate: [{
      name: "envoy.retry_host_predicates.previous_hosts",
      typedConfig: {
        "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
      },
    }],
  });
});

Deno.test("several destinations share by weight and one of weight 0 gets none", () => {
  const [route] = routes(`[ { route: [
    { destination: { host: reviews, subset: v1 }, weight: 90 },
    { destination: { host: reviews, subset: v2 }, weight: 10, headers: { request: { set: { x: y, host: other } } } },
    { destination: { host: ratings }, weight: 0 } ] } ]`);
  deepStrictEqual(route.route.weightedClusters.clusters, [
    { name: `outbound|9080|v1|${host}`, weight: 90 },
    {
      name: `outbound|9080|v2|${host}`,
      weight: 10,
      requestHeadersToAdd: [{ header: { key: "x", value: "y" }, appendAction: "OVERWRITE_IF_EXISTS_OR_ADD" }],
      hostRewriteLiteral: "other",
    },
  ]);
});

Deno.test("a route that can choose no destination is left out", () => {
  const http =
    `[ { route: [ { destination: { host: ratings } }, { destination: { host: details } } ] }, { name: next, ${to} } ]`;
  deepStrictEqual(routes(http).map(({ name }: { name: string }) => name), ["next"]);
});

Deno.test("match blocks become routes in their order, up to the first that takes everything", () => {
  const compiled = routes(`[
    { name: a, match: [ { name: one, uri: { exact: /a } }, { name: two, uri: { prefix: /b } } ], ${to} },
    { name: b, match: [ { uri: { prefix: / } } ], ${to} },
    { name: never, ${to} } ]`);
  deepStrictEqual(compiled.map(({ name }: { name: string }) => name), ["a.one", "a.two", "b"]);
});

Deno.test("conditions on the request become Envoy's matchers", () => {
  const cases: [string, Record<string, unknown>][] = [
    ["{ uri: { exact: /a } }", { path: "/a" }],
    ["{ uri: { prefix: /a } }", { prefix: "/a" }],
    ["{ uri: { regex: '/a.*' } }", { safeRegex: { regex: "/a.*" } }],
    ["{ uri: { exact: /a }, ignoreUriCase: true }", { path: "/a", caseSensitive: false }],
    ["{ method: { exact: GET } }", { prefix: "/", headers: [{ name: ":method", stringMatch: { exact: "GET" } }] }],
    ["{ authority: { prefix: a }, scheme: { exact: http } }", {
      prefix: "/",
      headers: [
        { name: ":authority", stringMatch: { prefix: "a" } },
        { name: ":scheme", stringMatch: { exact: "http" } },
      ],
    }],
    ["{ headers: { b: { regex: x+ }, a: {}, c: { regex: '*' } } }", {
      prefix: "/",
      headers: [
        { name: "a", presentMatch: true },
        { name: "b", stringMatch: { safeRegex: { regex: "x+" } } },
        { name: "c", presentMatch: true },
      ],
    }],
    ["{ withoutHeaders: { a: {}, b: { exact: x } } }", {
      prefix: "/",
      headers: [
        { name: "a", presentMatch: true, invertMatch: true },
        { name: "b", stringMatch: { exact: "x" }, invertMatch: true, treatMissingHeaderAsEmpty: true },
      ],
    }],
    ["{ queryParams: { a: { exact: '' }, b: { prefix: x }, c: {} } }", {
      prefix: "/",
      queryParameters: [
        { name: "a", stringMatch: { exact: "" } },
        { name: "b", stringMatch: { prefix: "x" } },
        { name: "c", presentMatch: true },
      ],
    }],
  ];
  for (const [block, expected] of cases) deepStrictEqual(match(block), expected, block);
});

Deno.test("conditions on the source are decided at compile time", () => {
  const labelled = `[ { name: a, match: [ { sourceLabels: { app: productpage } } ], ${to} }, { name: rest, ${to} } ]`;
  const names = (http: string, changes?: Partial<WorkloadNode>) =>
    routes(http, changes).map(({ name }: { name: string }) => name);
  deepStrictEqual(names(labelled), ["a"]);
  deepStrictEqual(names(labelled, { labels: { app: "other" } }), ["rest"]);
  const placed = `[ { name: a, match: [ { sourceNamespace: shop } ], ${to} }, { name: rest, ${to} } ]`;
  deepStrictEqual(names(placed), ["rest"]);
  deepStrictEqual(names(placed, { namespace: "shop" }), ["a"]);
  const ported = `[ { name: a, match: [ { port: 80 } ], ${to} }, { name: b, match: [ { port: 9080 } ], ${to} } ]`;
  deepStrictEqual(names(ported), ["b"]);
  const gated = `[ { name: a, match: [ { gateways: [edge] } ], ${to} },
    { name: b, match: [ { gateways: [mesh], sourceLabels: { app: ignored } } ], ${to} } ]`;
  deepStrictEqual(names(gated), ["b"]);
});

Deno.test("a rule without a route for the client leaves the default route", () => {
  const [route] = routes(`[ { match: [ { sourceLabels: { app: other } } ], ${to} } ]`);
  strictEqual(route.name, "default");
  strictEqual(route.route.cluster, `outbound|9080||${host}`);
});

Deno.test("timeouts and retries are the rule's", () => {
  const [route] = routes(`[ { timeout: 500ms, retries: { attempts: 3, perTryTimeout: 2s, backoff: 100ms,
    retryOn: "5xx, 429,reset", retryIgnorePreviousHosts: false }, ${to} } ]`);
  strictEqual(route.route.timeout, "0.500s");
  deepStrictEqual(route.route.retryPolicy, {
    retryOn: "5xx,reset,retriable-status-codes",
    numRetries: 3,
    perTryTimeout: "2s",
    retriableStatusCodes: [429],
    hostSelectionRetryMaxAttempts: "5",
    retryBackOff: { baseInterval: "0.100s" },
  });
  strictEqual(routes(`[ { retries: { attempts: 0 }, ${to} } ]`)[0].route.retryPolicy, undefined);
});

Deno.test("retries of a rule that names no conditions keep the default ones", () => {
  const { retryPolicy } = routes(`[ { retries: { attempts: 1 }, ${to} } ]`)[0].route;
  strictEqual(retryPolicy.numRetries, 1);
  deepStrictEqual(retryPolicy.retriableStatusCodes, [503]);
  strictEqual(retryPolicy.retryHostPredicate.length, 1);
});

Deno.test("rewrites replace the path, the authority, or both", () => {
  const uri =
    routes(`[ { match: [ { uri: { prefix: /old } } ], rewrite: { uri: /new, authority: other }, ${to} } ]`)[0];
  strictEqual(uri.route.prefixRewrite, "/new");
  strictEqual(uri.route.hostRewriteLiteral, "other");
  const [regex] = routes(`[ { rewrite: { uriRegexRewrite: { match: "/(.*)", rewrite: '/v2/\\1' } }, ${to} } ]`);
  deepStrictEqual(regex.route.regexRewrite, { pattern: { regex: "/(.*)" }, substitution: "/v2/\\1" });
});

Deno.test("redirects keep what they do not name and leave out ports that the scheme implies", () => {
  const redirect = (spec: string) => routes(`[ { redirect: ${spec} } ]`)[0].redirect;
  deepStrictEqual(redirect("{ uri: /x, authority: other, redirectCode: 302 }"), {
    hostRedirect: "other",
    pathRedirect: "/x",
    responseCode: "FOUND",
  });
  deepStrictEqual(redirect("{ scheme: https, port: 443 }"), { schemeRedirect: "https" });
  deepStrictEqual(redirect("{ scheme: https, port: 80 }"), { schemeRedirect: "https", portRedirect: 80 });
  deepStrictEqual(redirect("{ derivePort: FROM_REQUEST_PORT }"), { portRedirect: 9080 });
});

Deno.test("direct responses carry status and body", () => {
  const response = (spec: string) => routes(`[ { directResponse: ${spec} } ]`)[0].directResponse;
  deepStrictEqual(response("{ status: 503 }"), { status: 503 });
  deepStrictEqual(response("{ status: 200, body: { string: hello } }"), {
    status: 200,
    body: { inlineString: "hello" },
  });
  deepStrictEqual(response("{ status: 200, body: { bytes: aGk= } }"), { status: 200, body: { inlineBytes: "aGk=" } });
});

Deno.test("header operations go to the route, and a single destination's after the route's", () => {
  const [route] = routes(`[ {
    headers: { request: { set: { b: "1", a: "2" }, add: { c: "3" }, remove: [d, ":path"] }, response: { remove: [server] } },
    route: [ { destination: { host: reviews }, headers: { request: { set: { z: "4", Host: named } }, response: { add: { r: "5" } } } } ]
  } ]`);
  const option = (key: string, value: string, appendAction?: string) => ({
    header: { key, value },
    ...(appendAction === undefined ? {} : { appendAction }),
  });
  deepStrictEqual(route.requestHeadersToAdd, [
    option("a", "2", "OVERWRITE_IF_EXISTS_OR_ADD"),
    option("b", "1", "OVERWRITE_IF_EXISTS_OR_ADD"),
    option("c", "3"),
    option("z", "4", "OVERWRITE_IF_EXISTS_OR_ADD"),
  ]);
  deepStrictEqual(route.requestHeadersToRemove, ["d"]);
  deepStrictEqual(route.responseHeadersToAdd, [option("r", "5")]);
  deepStrictEqual(route.responseHeadersToRemove, ["server"]);
  strictEqual(route.route.hostRewriteLiteral, "named");
});

Deno.test("faults are configuration of the fault filter, and without a percentage hit nobody", () => {
  const fault = (spec: string) => {
    const { "@type": type, ...fields } = routes(`[ { fault: ${spec}, ${to} } ]`)[0]
      .typedPerFilterConfig["envoy.filters.http.fault"];
    strictEqual(type, "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault");
    return fields;
  };
  deepStrictEqual(fault("{ delay: { fixedDelay: 2s, percentage: { value: 12.5 } } }"), {
    delay: { fixedDelay: "2s", percentage: { numerator: 125000, denominator: "MILLION" } },
  });
  deepStrictEqual(fault("{ delay: { fixedDelay: 2s, percent: 40 } }"), {
    delay: { fixedDelay: "2s", percentage: { numerator: 40 } },
  });
  deepStrictEqual(fault("{ delay: { fixedDelay: 2s } }"), { delay: { fixedDelay: "2s", percentage: {} } });
  deepStrictEqual(fault("{ abort: { httpStatus: 500, percentage: { value: 100 } } }"), {
    abort: { httpStatus: 500, percentage: { numerator: 1000000, denominator: "MILLION" } },
  });
  deepStrictEqual(fault("{ abort: { grpcStatus: UNAVAILABLE } }"), { abort: { grpcStatus: 14 } });
});

Deno.test("destinations that do not exist are warned about, with their paths", () => {
  const http = `[
    { match: [ { uri: { prefix: /a } } ], ${to} },
    { route: [ { destination: { host: nowhere }, weight: 1 }, { destination: { host: reviews, subset: v9 }, weight: 1 },
               { destination: { host: reviews, port: { number: 81 } }, weight: 1 } ] } ]`;
  const snapshot = compileProxy(mesh(bookinfo(), rule(http)), node());
  deepStrictEqual(snapshot.warnings.map(({ kind, name, field }) => `${kind} ${name} ${field}`), [
    "VirtualService reviews http[1].route[0].destination.host",
    "VirtualService reviews http[1].route[1].destination.subset",
    "VirtualService reviews http[1].route[2].destination.port",
  ]);
  const clusters = routes(http)[1].route.weightedClusters.clusters.map(({ name }: { name: string }) => name);
  deepStrictEqual(clusters, [
    "outbound|9080||nowhere.default.svc.cluster.local",
    `outbound|9080|v9|${host}`,
    `outbound|81||${host}`,
  ]);
});

Deno.test("no request has claims: a match that asks for one is left out, one that asks for none holds", () => {
  const claim = `"@request.auth.claims.group": { exact: admin }`;
  const compiled = routes(`[ { match: [ { headers: { ${claim} } }, { uri: { prefix: /a } } ], ${to} },
    { match: [ { withoutHeaders: { ${claim} } } ], ${to} } ]`);
  deepStrictEqual(compiled.map(({ match }: { match: unknown }) => match), [{ prefix: "/a" }, { prefix: "/" }]);
});
