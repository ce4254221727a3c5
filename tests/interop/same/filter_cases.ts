/** Filters, retries and deadlines. */
import type { JsonObject } from "@bufbuild/protobuf";
import { add, type Case, cluster, filter, prefix, type } from "./case.ts";

const percent = (value: number) => ({ numerator: value, denominator: "HUNDRED" });
const always = { defaultValue: percent(100) };

const fault = (fields: JsonObject) => ({
  typedPerFilterConfig: {
    "envoy.filters.http.fault": { ...type("extensions.filters.http.fault.v3.HTTPFault"), ...fields },
  },
});

const cors = (fields: JsonObject) => ({
  typedPerFilterConfig: {
    "envoy.filters.http.cors": { ...type("extensions.filters.http.cors.v3.CorsPolicy"), ...fields },
  },
});

const rateLimit = (maxTokens: number, fields: JsonObject = {}) =>
  filter("local_ratelimit", "local_ratelimit.v3.LocalRateLimit", {
    statPrefix: "s",
    tokenBucket: { maxTokens, tokensPerFill: maxTokens, fillInterval: "3600s" },
    filterEnabled: always,
    filterEnforced: always,
    ...fields,
  });

const retrying = (fields: JsonObject, route: JsonObject = {}) => ({ cluster: "a", retryPolicy: fields, ...route });

const goodOrigin = "http://good.test";

export const filterCases: Case[] = [
  {
    name: "retries",
    virtualHost: { includeRequestAttemptCount: true },
    routes: [
      prefix("/first/503", retrying({ retryOn: "5xx", numRetries: 2 })),
      prefix("/first/429", retrying({ retryOn: "retriable-status-codes", retriableStatusCodes: [429] })),
      prefix("/first/409", retrying({ retryOn: "retriable-4xx" })),
      prefix("/first/502", retrying({ retryOn: "gateway-error" })),
      prefix("/first/500", retrying({ retryOn: "gateway-error" })),
      prefix("/status/503", retrying({ retryOn: "5xx", numRetries: 1, retryBackOff: { baseInterval: "0.001s" } })),
      prefix("/reset", retrying({ retryOn: "reset", numRetries: 1, retryBackOff: { baseInterval: "0.001s" } })),
      prefix("/x", { cluster: "nobody", retryPolicy: { retryOn: "connect-failure", numRetries: 1 } }),
      prefix("/"),
    ],
    requests: [
      { path: "/first/503/SIDE", expect: { status: 200, seen: { "x-envoy-attempt-count": "2" } } },
      { path: "/first/503/bodySIDE", method: "POST", body: "again", expect: { status: 200 } },
      { path: "/first/429/SIDE", expect: { status: 200, seen: { "x-envoy-attempt-count": "2" } } },
      { path: "/first/409/SIDE", expect: { status: 200 } },
      { path: "/first/502/SIDE", expect: { status: 200 } },
      { path: "/first/500/SIDE", expect: { status: 500 } },
      { path: "/status/503", expect: { status: 503, flags: "URX" } },
      { path: "/reset", expect: { status: 503, flags: "URX,UC" } },
      { path: "/x", expect: { status: 503, flags: "URX,UF" } },
      { path: "/reset", method: "POST", body: "x", expect: { status: 503, flags: "URX,UC" } },
      { path: "/status/404", expect: { status: 404 } },
      { path: "/status/204", expect: { status: 204, body: "" } },
      { path: "/status/304", expect: { status: 304, body: "" } },
    ],
  },
  {
    name: "callers-retries",
    manager: {
      useRemoteAddress: true,
      internalAddressConfig: { cidrRanges: [{ addressPrefix: "127.0.0.0", prefixLen: 8 }] },
    },
    requests: [
      {
        path: "/first/503/cSIDE",
        headers: [["x-envoy-retry-on", "5xx"], ["x-envoy-max-retries", "2"]],
        expect: { status: 200, seen: { "x-envoy-retry-on": null, "x-envoy-max-retries": null } },
      },
      {
        path: "/first/418/cSIDE",
        headers: [["x-envoy-retry-on", "retriable-status-codes"], ["x-envoy-retriable-status-codes", "418,419"]],
        expect: { status: 200 },
      },
      {
        path: "/slow/400",
        headers: [["x-envoy-upstream-rq-timeout-ms", "60"]],
        expect: { status: 504, flags: "UT", body: "upstream request timeout" },
      },
      {
        path: "/slow/400",
        headers: [["x-envoy-upstream-rq-timeout-ms", "60"], ["x-envoy-upstream-rq-timeout-alt-response", "1"]],
        expect: { status: 504, flags: "UT", differs: ["status", "headers", "body", "log"] },
      },
      { path: "/slow/1", headers: [["x-envoy-expected-rq-timeout-ms", "5"]], expect: { status: 200 } },
    ],
  },
  {
    name: "timeouts",
    routes: [
      prefix("/slow/400", { cluster: "a", timeout: "0.1s" }),
      prefix("/slow/401", {
        cluster: "a",
        timeout: "1s",
        retryPolicy: {
          retryOn: "5xx",
          numRetries: 1,
          perTryTimeout: "0.06s",
          retryBackOff: { baseInterval: "0.001s" },
        },
      }),
      prefix("/slow/402", { cluster: "a", timeout: "0s", idleTimeout: "0.1s" }),
      prefix("/slow/403", { cluster: "a", timeout: "0s", maxStreamDuration: { maxStreamDuration: "0.1s" } }),
      prefix("/", { cluster: "a", timeout: "2s" }),
    ],
    requests: [
      { path: "/slow/400", expect: { status: 504, flags: "UT", body: "upstream request timeout" } },
      { path: "/slow/401", expect: { status: 504, flags: "URX,UT" } },
      { path: "/slow/402", expect: { status: 504, flags: "SI" } },
      { path: "/slow/403", expect: { status: 504, flags: "-" } },
      { path: "/slow/1", expect: { status: 200 } },
    ],
  },
  {
    name: "faults",
    manager: { httpFilters: [filter("fault", "fault.v3.HTTPFault")] },
    routes: [
      prefix("/abort", { cluster: "a" }, fault({ abort: { httpStatus: 555, percentage: percent(100) } })),
      prefix("/never", { cluster: "a" }, fault({ abort: { httpStatus: 555, percentage: percent(0) } })),
      prefix("/delay", { cluster: "a" }, fault({ delay: { fixedDelay: "0.05s", percentage: percent(100) } })),
      prefix("/both", { cluster: "a" }, {
        ...fault({
          delay: { fixedDelay: "0.05s", percentage: percent(100) },
          abort: { httpStatus: 503, percentage: percent(100) },
        }),
        responseHeadersToAdd: [add("x-route", "added")],
      }),
      prefix("/grpc", { cluster: "a" }, fault({ abort: { grpcStatus: 14, percentage: percent(100) } })),
    ],
    requests: [
      { path: "/abort", expect: { status: 555, flags: "FI", body: "fault filter abort" } },
      { path: "/abort", method: "HEAD", expect: { status: 555, flags: "FI" } },
      { path: "/never", expect: { status: 200 } },
      { path: "/delay", expect: { status: 200, flags: "DI" } },
      { path: "/both", expect: { status: 503, flags: "DI,FI", headers: { "x-route": "added" } } },
      { path: "/grpc", headers: [["content-type", "application/grpc"]], expect: { status: 200, flags: "FI" } },
      { path: "/grpc", expect: { status: 503, flags: "FI", differs: ["status", "log"] } },
      { path: "/abort", headers: [["content-type", "application/grpc"]], expect: { status: 200, flags: "FI" } },
    ],
  },
  {
    name: "cors",
    manager: { httpFilters: [filter("cors", "cors.v3.Cors")] },
    routes: [
      prefix("/all", { cluster: "a" }, cors({ allowOriginStringMatch: [{ safeRegex: { regex: ".*" } }] })),
      prefix(
        "/",
        { cluster: "a" },
        cors({
          allowOriginStringMatch: [{ exact: goodOrigin }, { suffix: ".fine.test" }],
          allowMethods: "GET,PUT",
          allowHeaders: "x-one",
          exposeHeaders: "x-app",
          maxAge: "60",
          allowCredentials: true,
        }),
      ),
    ],
    requests: [
      {
        headers: [["Origin", goodOrigin]],
        expect: {
          status: 200,
          headers: {
            "access-control-allow-origin": goodOrigin,
            "access-control-allow-credentials": "true",
            "access-control-expose-headers": "x-app",
          },
        },
      },
      {
        method: "OPTIONS",
        headers: [["Origin", "http://a.fine.test"], ["Access-Control-Request-Method", "PUT"]],
        expect: { status: 200, headers: { "access-control-allow-methods": "GET,PUT", "access-control-max-age": "60" } },
      },
      { method: "OPTIONS", headers: [["Origin", goodOrigin]], expect: { status: 200, server: "a" } },
      {
        method: "OPTIONS",
        headers: [["Origin", "http://bad.test"], ["Access-Control-Request-Method", "PUT"]],
        expect: { status: 200 },
      },
      { headers: [["Origin", "http://bad.test"]], expect: { status: 200 } },
      { path: "/all", headers: [["Origin", "null"]], expect: { status: 200 } },
      { headers: [["Origin", "HTTP://GOOD.test"]], expect: { status: 200 } },
    ],
  },
  {
    name: "rate-limit",
    manager: {
      httpFilters: [
        rateLimit(2, { responseHeadersToAdd: [add("x-limited", "yes")], enableXRatelimitHeaders: "DRAFT_VERSION_03" }),
      ],
    },
    requests: [
      { times: 2, expect: { status: 200, differs: ["x-ratelimit-reset"] } },
      {
        expect: {
          status: 429,
          flags: "RL",
          body: "local_rate_limited",
          headers: { "x-limited": "yes" },
          differs: ["x-ratelimit-reset"],
        },
      },
      {
        headers: [["content-type", "application/grpc"]],
        expect: { status: 200, flags: "RL", differs: ["x-ratelimit-reset"] },
      },
    ],
  },
  {
    name: "rate-limit-status",
    manager: { httpFilters: [rateLimit(1, { status: { code: 503 } })] },
    requests: [{ expect: { status: 200 } }, { times: 2, expect: { status: 503, flags: "RL" } }],
  },
  {
    name: "buffer",
    manager: { httpFilters: [filter("buffer", "buffer.v3.Buffer", { maxRequestBytes: 8 })] },
    requests: [
      { method: "POST", body: "12345678", expect: { status: 200 } },
      { method: "POST", body: "123456789", expect: { status: 413 } },
      {
        raw: "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n",
        expect: { status: 200, seen: { "content-length": "(some)", "transfer-encoding": null } },
      },
    ],
  },
  {
    name: "outliers",
    clusters: ({ a, b }) => [
      cluster("ejecting", [a, b], {
        outlierDetection: { consecutive5xx: 2, interval: "3600s", baseEjectionTime: "3600s", maxEjectionPercent: 100 },
        commonLbConfig: { healthyPanicThreshold: { value: 0 }, updateMergeWindow: "0s" },
      }),
    ],
    routes: [prefix("/", { cluster: "ejecting" })],
    requests: [
      // Each proxy begins at a random one of the two servers, which name themselves.
      { path: "/status/503", times: 4, expect: { status: 503, differs: ["server", "x-app"] } },
      { times: 3, expect: { status: 503, flags: "UH", body: "no healthy upstream" } },
    ],
  },
  {
    name: "full",
    clusters: ({ a }) => [
      cluster("full", [a], {
        circuitBreakers: { thresholds: [{ maxPendingRequests: 0, maxRequests: 0, maxConnections: 0 }] },
      }),
    ],
    routes: [prefix("/", { cluster: "full" })],
    requests: [{ expect: { status: 503, flags: "UO", headers: { "x-envoy-overloaded": "true" } } }],
  },
  {
    name: "empty-cluster",
    clusters: () => [cluster("empty", [])],
    routes: [prefix("/", { cluster: "empty" })],
    requests: [{ expect: { status: 503, flags: "UH", body: "no healthy upstream" } }],
  },
];
