/** Which route, where to, and what becomes of path, host and headers. */
import { add, type Case, prefix, set } from "./case.ts";

const to = (cluster: string) => ({ cluster });
const header = (name: string, matcher: Record<string, unknown>) => ({ name, ...matcher }) as never;

export const routingCases: Case[] = [
  {
    name: "paths",
    routes: [
      { match: { path: "/exact" }, route: to("b") },
      { match: { path: "/Fold", caseSensitive: false }, route: to("b") },
      { match: { safeRegex: { regex: "/re/[a-z]+(/x)?" } }, route: to("b") },
      { match: { pathSeparatedPrefix: "/sep" }, route: to("b") },
      { match: { prefix: "/pre" }, route: to("c") },
      prefix("/"),
    ],
    requests: [
      { path: "/exact", expect: { status: 200, server: "b" } },
      { path: "/exact?a=b", expect: { status: 200, server: "b", path: "/exact?a=b" } },
      { path: "/exact/", expect: { status: 200, server: "a" } },
      { path: "/fOLD", expect: { status: 200, server: "b" } },
      { path: "/re/abc", expect: { status: 200, server: "b" } },
      { path: "/re/abc/x?y=1", expect: { status: 200, server: "b" } },
      { path: "/re/abc/xx", expect: { status: 200, server: "a" } },
      { path: "/sep", expect: { status: 200, server: "b" } },
      { path: "/sep/x", expect: { status: 200, server: "b" } },
      { path: "/sep?x", expect: { status: 200, server: "b" } },
      { path: "/sepx", expect: { status: 200, server: "a" } },
      { path: "/prefix", expect: { status: 200, server: "c" } },
      { path: "/PREFIX", expect: { status: 200, server: "a" } },
      { path: "/exact#frag", expect: { status: 400, differs: ["body", "closed", "headers", "log"] } },
    ],
  },
  {
    name: "headers",
    routes: [
      { match: { prefix: "/", headers: [header("x-exact", { stringMatch: { exact: "one" } })] }, route: to("b") },
      { match: { prefix: "/", headers: [header("x-joined", { stringMatch: { exact: "one,two" } })] }, route: to("b") },
      { match: { prefix: "/", headers: [header("x-prefix", { stringMatch: { prefix: "on" } })] }, route: to("b") },
      { match: { prefix: "/", headers: [header("x-suffix", { stringMatch: { suffix: "ne" } })] }, route: to("b") },
      {
        match: { prefix: "/", headers: [header("x-contains", { stringMatch: { contains: "N", ignoreCase: true } })] },
        route: to("b"),
      },
      {
        match: { prefix: "/", headers: [header("x-regex", { stringMatch: { safeRegex: { regex: "o.e" } } })] },
        route: to("b"),
      },
      { match: { prefix: "/", headers: [header("x-there", { presentMatch: true })] }, route: to("b") },
      {
        match: { prefix: "/not", headers: [header("x-not", { stringMatch: { exact: "one" }, invertMatch: true })] },
        route: to("b"),
      },
      { match: { prefix: "/absent", headers: [header("x-absent", { presentMatch: false })] }, route: to("b") },
      {
        match: {
          prefix: "/empty",
          headers: [
            header("x-empty", { stringMatch: { exact: "one" }, invertMatch: true, treatMissingHeaderAsEmpty: true }),
          ],
        },
        route: to("b"),
      },
      { match: { prefix: "/m", headers: [header(":method", { stringMatch: { exact: "DELETE" } })] }, route: to("b") },
      {
        match: { prefix: "/h", headers: [header(":authority", { stringMatch: { exact: "b.test:80" } })] },
        route: to("b"),
      },
      prefix("/"),
    ],
    requests: [
      { headers: [["X-Exact", "one"]], expect: { status: 200, server: "b" } },
      { headers: [["x-exact", "One"]], expect: { status: 200, server: "a" } },
      { headers: [["x-exact", "one"], ["x-exact", "two"]], expect: { status: 200, server: "b" } },
      { headers: [["x-exact", "two"], ["x-exact", "one"]], expect: { status: 200, server: "b" } },
      { headers: [["x-joined", "one"], ["x-joined", "two"]], expect: { status: 200, server: "a" } },
      { path: "/not", headers: [["x-not", "two"], ["x-not", "one"]], expect: { status: 200, server: "a" } },
      { headers: [["x-exact", " one  "]], expect: { status: 200, server: "b" } },
      { headers: [["x-prefix", "one"]], expect: { status: 200, server: "b" } },
      { headers: [["x-suffix", "one"]], expect: { status: 200, server: "b" } },
      { headers: [["x-contains", "one"]], expect: { status: 200, server: "b" } },
      { headers: [["x-regex", "one"]], expect: { status: 200, server: "b" } },
      { headers: [["x-regex", "onee"]], expect: { status: 200, server: "a" } },
      { headers: [["x-there", ""]], expect: { status: 200, server: "b" } },
      { path: "/not", expect: { status: 200, server: "a" } },
      { path: "/not", headers: [["x-not", "one"]], expect: { status: 200, server: "a" } },
      { path: "/not", headers: [["x-not", "two"]], expect: { status: 200, server: "b" } },
      { path: "/absent", expect: { status: 200, server: "b" } },
      { path: "/absent", headers: [["x-absent", "1"]], expect: { status: 200, server: "a" } },
      { path: "/empty", expect: { status: 200, server: "b" } },
      { path: "/m", method: "DELETE", expect: { status: 200, server: "b" } },
      { path: "/h", host: "b.test:80", expect: { status: 200, server: "b" } },
      { path: "/h", host: "b.test", expect: { status: 200, server: "a" } },
    ],
  },
  {
    name: "queries",
    routes: [
      {
        match: { prefix: "/", queryParameters: [{ name: "v", stringMatch: { exact: "2" } }] },
        route: to("b"),
      },
      {
        match: { prefix: "/", queryParameters: [{ name: "r", stringMatch: { safeRegex: { regex: "[0-9]+" } } }] },
        route: to("b"),
      },
      { match: { prefix: "/", queryParameters: [{ name: "there", presentMatch: true }] }, route: to("c") },
      prefix("/"),
    ],
    requests: [
      { path: "/?v=2", expect: { status: 200, server: "b" } },
      { path: "/?v=1&v=2", expect: { status: 200, server: "a" } },
      { path: "/?v=2&v=1", expect: { status: 200, server: "b" } },
      { path: "/?v=%32", expect: { status: 200 } },
      { path: "/?%76=2", expect: { status: 200 } },
      { path: "/?r=12&x", expect: { status: 200, server: "b" } },
      { path: "/?r=12a", expect: { status: 200, server: "a" } },
      { path: "/?there", expect: { status: 200, server: "c" } },
      { path: "/?there=", expect: { status: 200, server: "c" } },
      { path: "/?xthere=1", expect: { status: 200, server: "a" } },
      { path: "/?a=b&there=1#x", expect: { status: 400, differs: ["body", "closed", "headers", "log"] } },
    ],
  },
  {
    name: "domains",
    virtualHosts: [
      { name: "exact", domains: ["exact.test"], routes: [prefix("/", to("b"))] },
      { name: "port", domains: ["port.test:8080"], routes: [prefix("/", to("b"))] },
      { name: "suffix", domains: ["*.suffix.test"], routes: [prefix("/", to("b"))] },
      { name: "longer", domains: ["*-x.suffix.test"], routes: [prefix("/", to("c"))] },
      { name: "prefix", domains: ["prefix.*"], routes: [prefix("/", to("c"))] },
    ],
    requests: [
      { host: "exact.test", expect: { status: 200, server: "b" } },
      { host: "EXACT.Test", expect: { status: 200, server: "b", differs: ["host"] } },
      { host: "exact.test:80", expect: { status: 404, flags: "NR" } },
      { host: "port.test:8080", expect: { status: 200, server: "b" } },
      { host: "port.test", expect: { status: 404, flags: "NR" } },
      { host: "a.suffix.test", expect: { status: 200, server: "b" } },
      { host: "a-x.suffix.test", expect: { status: 200, server: "c" } },
      { host: ".suffix.test", expect: { status: 404, flags: "NR" } },
      { host: "prefix.anything", expect: { status: 200, server: "c" } },
      { host: "nobody.test", expect: { status: 404, flags: "NR" } },
    ],
  },
  {
    name: "weights",
    routes: [
      prefix("/", {
        weightedClusters: {
          clusters: [
            { name: "a", weight: 0 },
            {
              name: "b",
              weight: 10,
              requestHeadersToAdd: [set("x-cluster", "b")],
              responseHeadersToRemove: ["x-removed"],
              hostRewriteLiteral: "b.rewritten",
            },
          ],
        },
      } as never),
    ],
    requests: [
      {
        times: 4,
        expect: {
          status: 200,
          server: "b",
          seen: { "x-cluster": "b", host: "b.rewritten" },
          headers: { "x-removed": null },
        },
      },
    ],
  },
  {
    name: "rewrites",
    routes: [
      prefix("/old/", { cluster: "a", prefixRewrite: "/new/" }),
      prefix("/gone", { cluster: "a", prefixRewrite: "/" }),
      { match: { path: "/whole" }, route: { cluster: "a", prefixRewrite: "/other" } },
      { match: { prefix: "/FOLD", caseSensitive: false }, route: { cluster: "a", prefixRewrite: "/f" } },
      prefix("/regex", {
        cluster: "a",
        regexRewrite: { pattern: { regex: "/regex/([a-z]+)/([0-9]+)" }, substitution: "/\\2/\\1" },
      }),
      prefix("/every", { cluster: "a", regexRewrite: { pattern: { regex: "e" }, substitution: "_" } }),
      prefix("/host", { cluster: "a", hostRewriteLiteral: "other.test" }),
      { match: { pathSeparatedPrefix: "/sep" }, route: { cluster: "a", prefixRewrite: "/s" } },
    ],
    requests: [
      {
        path: "/old/x?q=1",
        expect: { status: 200, path: "/new/x?q=1", seen: { "x-envoy-original-path": "/old/x?q=1" } },
      },
      { path: "/gone", expect: { status: 200, path: "/" } },
      { path: "/gone/x", expect: { status: 200, path: "//x" } },
      { path: "/whole?q", expect: { status: 200, path: "/other?q" } },
      { path: "/fold/x", expect: { status: 200, path: "/f/x" } },
      { path: "/regex/ab/12?q=/regex/x/1", expect: { status: 200, path: "/12/ab?q=/regex/x/1" } },
      { path: "/every/here?e=e", expect: { status: 200, path: "/_v_ry/h_r_?e=e" } },
      { path: "/host", expect: { status: 200, seen: { host: "other.test" } } },
      { path: "/sep", expect: { status: 200, path: "/s" } },
      { path: "/sep/x", expect: { status: 200, path: "/s/x" } },
      { path: "/nothing", expect: { status: 404, flags: "NR", body: "" } },
    ],
  },
  {
    name: "redirects",
    routes: [
      { match: { prefix: "/path" }, redirect: { pathRedirect: "/here" } },
      { match: { prefix: "/query" }, redirect: { pathRedirect: "/here?x=1" } },
      { match: { prefix: "/prefix" }, redirect: { prefixRewrite: "/other", responseCode: "TEMPORARY_REDIRECT" } },
      { match: { prefix: "/strip" }, redirect: { stripQuery: true, hostRedirect: "b.test" } },
      { match: { prefix: "/https" }, redirect: { httpsRedirect: true } },
      { match: { prefix: "/port" }, redirect: { portRedirect: 8443, schemeRedirect: "https", responseCode: "FOUND" } },
      { match: { prefix: "/plain" }, redirect: { portRedirect: 80 } },
      { match: { prefix: "/see" }, redirect: { hostRedirect: "see.test", responseCode: "SEE_OTHER" } },
      {
        match: { prefix: "/head" },
        redirect: { pathRedirect: "/x", responseCode: "PERMANENT_REDIRECT" },
        responseHeadersToAdd: [set("x-redirected", "yes")],
      },
    ],
    requests: [
      { path: "/path/x?q=1", expect: { status: 301, headers: { location: "http://a.test/here?q=1" } } },
      { path: "/query?q=1", expect: { status: 301 } },
      { path: "/prefix/x?q=1", expect: { status: 307, headers: { location: "http://a.test/other/x?q=1" } } },
      { path: "/strip?q=1", expect: { status: 301, headers: { location: "http://b.test/strip" } } },
      { path: "/https", expect: { status: 301, headers: { location: "https://a.test/https" } } },
      { path: "/https", host: "a.test:8080", expect: { status: 301 } },
      { path: "/https", host: "a.test:80", expect: { status: 301 } },
      { path: "/port", expect: { status: 302, headers: { location: "https://a.test:8443/port" } } },
      { path: "/port", host: "a.test:99", expect: { status: 302, headers: { location: "https://a.test:8443/port" } } },
      { path: "/plain", host: "a.test:99", expect: { status: 301 } },
      { path: "/see", host: "a.test:99", expect: { status: 303 } },
      { path: "/see", host: "[::1]:99", expect: { status: 303 } },
      { path: "/head", method: "POST", body: "x", expect: { status: 308, headers: { "x-redirected": "yes" } } },
      { path: "/path", headers: [["x-forwarded-proto", "https"]], expect: { status: 301 } },
    ],
  },
  {
    name: "require-tls",
    virtualHost: { requireTls: "ALL" },
    requests: [
      { path: "/x", expect: { status: 301 } },
      { path: "/x", headers: [["x-forwarded-proto", "https"]], expect: { status: 200 } },
      { path: "/x", headers: [["x-envoy-internal", "true"]], expect: { status: 301 } },
    ],
  },
  {
    name: "direct",
    routes: [
      {
        match: { prefix: "/tea" },
        directResponse: { status: 418, body: { inlineString: "short and stout" } },
        responseHeadersToAdd: [set("x-pot", "tea"), set("content-type", "text/pot")],
      },
      { match: { prefix: "/none" }, directResponse: { status: 204 } },
      { match: { prefix: "/" }, directResponse: { status: 503, body: { inlineString: "{}" } } },
    ],
    requests: [
      { path: "/tea", expect: { status: 418, body: "short and stout", headers: { "x-pot": "tea" } } },
      { path: "/tea", method: "HEAD", expect: { status: 418 } },
      { path: "/tea", method: "POST", body: "some", expect: { status: 418 } },
      { path: "/none", expect: { status: 204, body: "" } },
      { path: "/x", expect: { status: 503, body: "{}" } },
    ],
  },
  {
    name: "mutations",
    routeConfig: {
      requestHeadersToAdd: [add("x-level", "config")],
      responseHeadersToAdd: [add("x-level", "config")],
      requestHeadersToRemove: ["x-gone"],
    },
    virtualHost: {
      requestHeadersToAdd: [add("x-level", "host")],
      responseHeadersToAdd: [add("x-level", "host")],
    },
    routes: [
      prefix("/", { cluster: "a" }, {
        requestHeadersToAdd: [
          add("x-level", "route"),
          add("x-append", "more"),
          add("x-absent", "new", "ADD_IF_ABSENT"),
          add("x-over", "new", "OVERWRITE_IF_EXISTS_OR_ADD"),
          { ...add("x-empty", ""), keepEmptyValue: true },
          add("x-empty-not", ""),
          add("x-host", "%REQ(:AUTHORITY)%"),
          add("x-two", "%REQ(X-ONE?X-OTHER)%"),
          add("x-cut", "%REQ(X-ONE):2%"),
          add("x-protocol", "%PROTOCOL%"),
          add("x-percent", "100%%"),
        ],
        responseHeadersToAdd: [
          add("x-level", "route"),
          add("x-app", "more"),
          add("x-many", "new", "OVERWRITE_IF_EXISTS_OR_ADD"),
          add("x-new", "only", "ADD_IF_ABSENT"),
          add("x-code", "%RESPONSE_CODE%"),
        ],
        responseHeadersToRemove: ["x-removed"],
      }),
    ],
    requests: [
      {
        headers: [["x-gone", "1"], ["x-append", "1"], ["x-over", "1"], ["x-over", "2"], ["x-one", "first"]],
        expect: {
          status: 200,
          seen: { "x-gone": null, "x-append": "1, more", "x-over": "new", "x-absent": "new" },
          headers: { "x-app": "a, more", "x-many": "new", "x-removed": null },
        },
      },
      {
        headers: [["x-absent", "old"], ["x-exists", "old"], ["x-exists", "older"], ["x-other", "second"]],
        expect: { status: 200, seen: { "x-absent": "old", "x-two": "second" } },
      },
    ],
  },
  {
    name: "own-replies",
    virtualHost: { responseHeadersToAdd: [add("x-host", "1")] },
    routes: [
      prefix("/missing", { cluster: "missing" }, { responseHeadersToAdd: [set("x-route", "%REQ(X-ASKED)%")] }),
      prefix("/nobody", { cluster: "nobody" }, { responseHeadersToAdd: [set("x-route", "1")] }),
      prefix("/slow", { cluster: "a", timeout: "0.1s" }, { responseHeadersToAdd: [set("x-route", "2")] }),
    ],
    routeConfig: { validateClusters: false },
    requests: [
      {
        path: "/missing",
        headers: [["x-asked", "yes"]],
        expect: { status: 503, flags: "NC", headers: { "x-route": "yes", "x-host": "1" } },
      },
      { path: "/nobody", expect: { status: 503, flags: "UF", headers: { "x-route": "1" } } },
      { path: "/slow/400", expect: { status: 504, flags: "UT", headers: { "x-route": "2" } } },
    ],
  },
  {
    name: "attempt-count",
    virtualHost: { includeRequestAttemptCount: true, includeAttemptCountInResponse: true },
    requests: [{ expect: { status: 200, seen: { "x-envoy-attempt-count": "1" } } }],
  },
  {
    name: "unknown-cluster",
    routeConfig: { validateClusters: false },
    routes: [prefix("/", { cluster: "missing" })],
    requests: [{ expect: { status: 503, flags: "NC", body: "" } }],
  },
  {
    name: "nobody-there",
    routes: [prefix("/", { cluster: "nobody" })],
    requests: [{ expect: { status: 503, flags: "UF" } }],
  },
];
