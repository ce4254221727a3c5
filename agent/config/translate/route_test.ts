import assert from "node:assert/strict";
import type { JsonObject } from "@bufbuild/protobuf";
import { RouteConfigurationSchema } from "../../../routing/xds/gen/envoy/config/route/v3/route_pb.ts";
import type { RouteActionConfig, RouteEntryConfig } from "../model.ts";
import { translateRouteConfiguration } from "./route.ts";
import { fromFile, message, refusedAt } from "./testdata/envoy_json.ts";

const none = { set: [], remove: [] };
const present = { kind: "present", value: "", ignoreCase: false };

/** A configuration with one route to cluster `c`, with these fields at each level. */
function translate(route: JsonObject, host: JsonObject = {}, configuration: JsonObject = {}): RouteEntryConfig {
  const action: JsonObject = "directResponse" in route ? {} : { route: { cluster: "c" } };
  const routes = [{ match: { prefix: "/" }, ...action, ...route }];
  const virtualHosts = [{ name: "v", domains: ["*"], routes, ...host }];
  return translateRouteConfiguration(message(RouteConfigurationSchema, { name: "r", virtualHosts, ...configuration }))
    .virtualHosts[0].routes[0];
}

const refused = (...levels: Parameters<typeof translate>) => refusedAt(() => translate(...levels));
const at = "route r: virtual_hosts[0].routes[0]";

Deno.test("translates a route with all conditions, rewriting, retries and a fault", () => {
  const { name, virtualHosts } = translateRouteConfiguration(fromFile(RouteConfigurationSchema, "route.json"));
  assert.equal(name, "http_proxy");
  assert.deepEqual(virtualHosts[0].domains, ["reviews", "reviews:9080", "*.reviews.example"]);
  const exact = { kind: "exact", ignoreCase: false };
  assert.deepEqual(virtualHosts[0].routes[0], {
    name: "jason",
    match: {
      path: { kind: "regex", value: "/reviews/[0-9]+", ignoreCase: false },
      headers: [
        { name: "end-user", matcher: { kind: "exact", value: "jason", ignoreCase: true }, invert: false },
        { name: "cookie", matcher: present, invert: false },
        { name: "cookie", matcher: { kind: "regex", value: ".*a=b.*", ignoreCase: false }, invert: true },
        { name: "x-old", matcher: { kind: "prefix", value: "v", ignoreCase: false }, invert: true },
        { name: "x-gone", matcher: present, invert: true },
        { name: ":method", matcher: { ...exact, value: "GET" }, invert: false },
      ],
      queryParameters: [
        { name: "q", matcher: { kind: "contains", value: "x", ignoreCase: false }, invert: false },
        { name: "p", matcher: present, invert: false },
      ],
      fraction: { numerator: 5, denominator: 10_000 },
    },
    action: {
      kind: "route",
      clusters: [{ name: "v2", weight: 1, requestHeaders: none, responseHeaders: none }],
      timeout: 3000,
      idleTimeout: 1000,
      retry: {
        retryOn: ["connect-failure", "retriable-status-codes"],
        numRetries: 2,
        perTryTimeout: 500,
        retriableStatusCodes: [503],
        backOffBase: 100,
        backOffMax: 1000,
        avoidPreviousHosts: true,
        hostSelectionMaxAttempts: 5,
      },
      prefixRewrite: "",
      regexRewrite: { pattern: "^/reviews/(.*)$", substitution: "/\\1" },
      hostRewrite: "reviews.internal",
    },
    requestHeaders: {
      set: [
        { name: "x-level", value: "host", mode: "overwrite" },
        { name: "x-level", value: "configuration", mode: "append" },
      ],
      remove: ["x-drop"],
    },
    responseHeaders: { set: [], remove: ["x-secret"] },
    fault: {
      delay: { duration: 2000, percentage: { numerator: 100, denominator: 100 } },
      abort: { httpStatus: 503, grpcStatus: 14, percentage: { numerator: 10_000, denominator: 1_000_000 } },
    },
  });
});

Deno.test("translates weighted clusters with headers of their own, redirects and direct responses", () => {
  const [, split, redirect, direct] =
    translateRouteConfiguration(fromFile(RouteConfigurationSchema, "route.json")).virtualHosts[0].routes;
  const action = split.action as RouteActionConfig;
  assert.deepEqual(split.match.path, { kind: "pathSeparatedPrefix", value: "/split", ignoreCase: false });
  assert.equal(action.prefixRewrite, "/");
  // What the levels above say is with each cluster, since one of them has headers of its own.
  assert.equal(action.hostRewrite, "");
  assert.deepEqual([split.requestHeaders, split.responseHeaders], [none, none]);
  const levels = [
    { name: "x-level", value: "host", mode: "overwrite" },
    { name: "x-level", value: "configuration", mode: "append" },
  ];
  assert.deepEqual(action.clusters.map(({ name, weight }) => [name, weight]), [["v1", 90], ["v2", 10]]);
  const byName = (set: { name: string; value: string }[]) =>
    set.toSorted((one, other) => one.name < other.name ? -1 : one.name > other.name ? 1 : 0);
  assert.deepEqual(action.clusters.map(({ requestHeaders }) => byName(requestHeaders.set)), [
    [{ name: ":authority", value: "v1.internal", mode: "overwrite" }, ...levels],
    [{ name: ":authority", value: "all.internal", mode: "overwrite" }, ...levels],
  ]);
  assert.deepEqual(action.clusters.map(({ responseHeaders }) => responseHeaders), [
    {
      set: [{ name: "x-cluster", value: "v1", mode: "append" }, { name: "x-route", value: "split", mode: "append" }],
      remove: ["x-secret"],
    },
    { set: [{ name: "x-route", value: "split", mode: "append" }], remove: ["x-secret"] },
  ]);
  assert.deepEqual(redirect.action, {
    kind: "redirect",
    status: 308,
    host: "new.example",
    port: 8443,
    scheme: "https",
    path: "/new",
    prefixRewrite: "",
    stripQuery: true,
  });
  assert.deepEqual(direct.action, { kind: "direct", status: 418, body: "teapot" });
});

Deno.test("fills in Envoy's defaults of a route", () => {
  assert.deepEqual(translate({}), {
    name: "",
    match: {
      path: { kind: "prefix", value: "/", ignoreCase: false },
      headers: [],
      queryParameters: [],
      fraction: null,
    },
    action: {
      kind: "route",
      clusters: [{ name: "c", weight: 1, requestHeaders: none, responseHeaders: none }],
      timeout: 15_000,
      idleTimeout: null,
      retry: null,
      prefixRewrite: "",
      regexRewrite: null,
      hostRewrite: "",
    },
    requestHeaders: none,
    responseHeaders: none,
    fault: null,
  });
});

Deno.test("fills in Envoy's defaults of retries, and takes those of the virtual host for routes without any", () => {
  const host = { retryPolicy: { retryOn: "5xx" } };
  assert.deepEqual((translate({}, host).action as RouteActionConfig).retry, {
    retryOn: ["5xx"],
    numRetries: 1,
    perTryTimeout: 0,
    retriableStatusCodes: [],
    backOffBase: 25,
    backOffMax: 250,
    avoidPreviousHosts: false,
    hostSelectionMaxAttempts: 1,
  });
  const own = { route: { cluster: "c", retryPolicy: { retryOn: "reset" } } };
  assert.deepEqual((translate(own, host).action as RouteActionConfig).retry?.retryOn, ["reset"]);
});

Deno.test("the fault nearest to the route holds, and an empty one switches it off", () => {
  const fault = (fields: JsonObject) => ({
    typedPerFilterConfig: {
      "envoy.filters.http.fault": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
        ...fields,
      },
    },
  });
  const abort = (httpStatus: number) => fault({ abort: { httpStatus } });
  const status = (...levels: Parameters<typeof translate>) => translate(...levels).fault?.abort?.httpStatus;
  assert.equal(status(abort(500), abort(501), abort(502)), 500);
  assert.equal(status({}, abort(501), abort(502)), 501);
  assert.equal(status({}, {}, abort(502)), 502);
  assert.equal(translate(fault({}), abort(501)).fault, null);
  // Envoy's default percentage is none.
  assert.deepEqual(translate(abort(500)).fault?.abort?.percentage, { numerator: 0, denominator: 100 });
});

const refusals: [string, JsonObject, string][] = [
  ["a pattern that RE2 does not take", { match: { safeRegex: { regex: "(?=x)" } } }, ".match.safe_regex.regex"],
  ["a pattern that is too long", { match: { safeRegex: { regex: "x".repeat(5000) } } }, ".match.safe_regex.regex"],
  ["a route without a path", { match: {} }, ".match"],
  ["a prefix that ends within a segment", { match: { pathSeparatedPrefix: "/a/" } }, ".match.path_separated_prefix"],
  [
    "a header compared with numbers",
    { match: { prefix: "/", headers: [{ name: "x", rangeMatch: { start: 1, end: 2 } }] } },
    ".match.headers[0].range_match",
  ],
  [
    "a missing header that would match as empty",
    {
      match: {
        prefix: "/",
        headers: [{ name: "x", stringMatch: { safeRegex: { regex: ".*" } }, treatMissingHeaderAsEmpty: true }],
      },
    },
    ".match.headers[0].treat_missing_header_as_empty",
  ],
  [
    "mirroring to a cluster that the request names",
    { route: { cluster: "c", requestMirrorPolicies: [{ clusterHeader: "d" }] } },
    ".route.request_mirror_policies[0].cluster_header",
  ],
  ["a hash of nothing", { route: { cluster: "c", hashPolicy: [{ terminal: true }] } }, ".route.hash_policy[0]"],
  [
    "a cookie that breaks its header",
    { route: { cluster: "c", hashPolicy: [{ cookie: { name: "c", path: "/;x" } }] } },
    ".route.hash_policy[0].cookie.path",
  ],
  [
    "an unknown condition to retry on",
    { route: { cluster: "c", retryPolicy: { retryOn: "5xx,503" } } },
    ".route.retry_policy.retry_on",
  ],
  [
    "a group that the pattern does not have",
    { route: { cluster: "c", regexRewrite: { pattern: { regex: "a" }, substitution: "\\1" } } },
    ".route.regex_rewrite.substitution",
  ],
  [
    "weights of nothing",
    { route: { weightedClusters: { clusters: [{ name: "c", weight: 0 }] } } },
    ".route.weighted_clusters",
  ],
  ["a negative timeout", { route: { cluster: "c", timeout: "-1s" } }, ".route.timeout"],
  [
    "command operators that are not known",
    { requestHeadersToAdd: [{ header: { key: "x", value: "%DYNAMIC_METADATA(a:b)%" } }] },
    ".request_headers_to_add[0].header.value",
  ],
  [
    "line ends in headers",
    { responseHeadersToAdd: [{ header: { key: "x", value: "a\r\nb: c" } }] },
    ".response_headers_to_add[0].header.value",
  ],
  ["changing host", { requestHeadersToRemove: ["a", "Host"] }, ".request_headers_to_remove[1]"],
  [
    "configuration of other filters",
    {
      typedPerFilterConfig: {
        "envoy.filters.http.cors": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
      },
    },
    '.typed_per_filter_config["envoy.filters.http.cors"]',
  ],
];
for (const [what, route, path] of refusals) {
  Deno.test(`refuses ${what}, by its path`, () => assert.equal(refused(route), at + path));
}

const connects = { upgradeType: "CONNECT", connectConfig: {} };

Deno.test("takes CONNECT to the bytes of a cluster, and upgrades that a route allows or forbids", () => {
  const connect = translate({
    match: { connectMatcher: {} },
    route: { cluster: "c", upgradeConfigs: [connects] },
  });
  assert.equal(connect.match.connect, true);
  assert.deepEqual((connect.action as RouteActionConfig).upgrades, { connect: true });
  const upgradeConfigs: JsonObject[] = [{ upgradeType: "WebSocket", enabled: false }, { upgradeType: "foo" }];
  const plain = translate({ route: { cluster: "c", upgradeConfigs } });
  assert.equal(plain.match.connect, undefined);
  assert.deepEqual((plain.action as RouteActionConfig).upgrades, { websocket: false, foo: true });
});

Deno.test("refuses CONNECT that is not for the bytes of a cluster, and CONNECT without its matcher", () => {
  const route = (upgradeConfigs: JsonObject[], match: JsonObject = { connectMatcher: {} }) =>
    refused({ match, route: { cluster: "c", upgradeConfigs } }).replace(at, "");
  assert.equal(route([]), ".route.upgrade_configs");
  assert.equal(route([{ upgradeType: "CONNECT" }]), ".route.upgrade_configs[0].connect_config");
  assert.equal(route([connects], { prefix: "/" }), ".route.upgrade_configs");
  assert.equal(route([{ upgradeType: "CONNECT", connectConfig: { allowPost: true } }]).includes("allow_post"), true);
  assert.equal(route([connects, connects]), ".route.upgrade_configs[1].upgrade_type");
});

Deno.test("refuses a domain that stands twice, and a body beyond the limit", () => {
  assert.equal(refused({}, { domains: ["a", "b", "A"] }), "route r: virtual_hosts[0].domains[2]");
  const teapot = { directResponse: { status: 418, body: { inlineString: "teapot" } } };
  assert.equal(refused(teapot, {}, { maxDirectResponseBodySizeBytes: 5 }), `${at}.direct_response.body`);
});
