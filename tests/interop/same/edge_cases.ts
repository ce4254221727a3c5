/** Paths, hosts, forwarded headers, and requests that are not well made. */
import { type Case, prefix } from "./case.ts";

const head = (line: string, ...more: string[]) => `${[line, ...more].join("\r\n")}\r\n\r\n`;
const get = (...more: string[]) => head("GET / HTTP/1.1", ...more);
/** Another answer altogether. */
const all = ["status", "headers", "body", "seen", "closed", "log"];

const paths = [
  "/a//b",
  "/a/./b",
  "/a/../b",
  "/../x",
  "/%2e%2e/x",
  "/a%2fb",
  "/a%2Fb",
  "/a%5cb",
  "/a\\b",
  "/%41",
  "/%7e",
  "/a;x=1",
  "/a%00b",
  "/%zz",
  "/?a=//b/../c%2f",
  "/.",
  "/..",
  "/a/..",
  "//",
];

export const edgeCases: Case[] = [
  { name: "paths-as-they-are", requests: paths.map((path) => ({ path, expect: { status: 200 } })) },
  {
    name: "paths-normalized",
    manager: { normalizePath: true, mergeSlashes: true },
    requests: paths.map((path) => ({
      path,
      expect: { status: path === "/a%00b" ? 400 : 200, ...(path === "//" ? { path: "/", differs: ["path"] } : {}) },
    })),
  },
  ...["REJECT_REQUEST", "UNESCAPE_AND_FORWARD", "UNESCAPE_AND_REDIRECT", "KEEP_UNCHANGED"].map((action): Case => ({
    name: `slashes-${action.toLowerCase().replaceAll("_", "-")}`,
    manager: { normalizePath: true, pathWithEscapedSlashesAction: action },
    requests: ["/a%2fb", "/a%5Cb", "/a/b", "/a%2f..%2fb?x=%2f"].map((path) => ({
      path,
      expect: { status: path === "/a/b" || /FORWARD|KEEP/.test(action) ? 200 : /REDIRECT/.test(action) ? 307 : 400 },
    })),
  })),
  {
    name: "hosts",
    manager: { stripAnyHostPort: true, stripTrailingHostDot: true },
    virtualHosts: [{ name: "h", domains: ["a.test"], routes: [prefix("/")] }],
    requests: [
      { host: "a.test:99", expect: { status: 200 } },
      { host: "a.test.", expect: { status: 200 } },
      { host: "a.test.:99", expect: { status: 200 } },
      { host: "A.TEST", expect: { status: 200, differs: ["host"] } },
    ],
  },
  {
    name: "edge",
    manager: { useRemoteAddress: true },
    requests: [
      { expect: { status: 200, seen: { "x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "http" } } },
      {
        headers: [["x-forwarded-for", "1.2.3.4"]],
        expect: { status: 200, seen: { "x-forwarded-for": "1.2.3.4,127.0.0.1" } },
      },
      { headers: [["x-forwarded-proto", "https"]], expect: { status: 200, seen: { "x-forwarded-proto": "http" } } },
      { headers: [["x-request-id", "mine"]], expect: { status: 200 } },
      { headers: [["x-envoy-internal", "true"]], expect: { status: 200 } },
      { headers: [["x-envoy-decorator-operation", "x"]], expect: { status: 200 } },
      { headers: [["x-envoy-original-path", "/forged"]], expect: { status: 200 } },
      {
        headers: [["x-envoy-peer-metadata", "x"], ["x-envoy-external-address", "1.1.1.1"]],
        expect: { status: 200, differs: ["x-envoy-peer-metadata"] },
      },
      {
        headers: [["x-forwarded-client-cert", "URI=spiffe://forged"]],
        expect: { status: 200, seen: { "x-forwarded-client-cert": null } },
      },
      { headers: [["x-forwarded-host", "x.test"]], expect: { status: 200 } },
    ],
  },
  {
    name: "trusted-hop",
    manager: { useRemoteAddress: true, xffNumTrustedHops: 1 },
    requests: [
      { headers: [["x-forwarded-for", "1.2.3.4, 5.6.7.8"]], expect: { status: 200 } },
      {
        headers: [["x-forwarded-for", "1.2.3.4"], ["x-forwarded-proto", "https"]],
        expect: { status: 200, seen: { "x-forwarded-proto": "https" } },
      },
      { headers: [["x-forwarded-for", "nonsense"]], expect: { status: 200 } },
    ],
  },
  {
    name: "behind-another",
    requests: [
      { expect: { status: 200 } },
      { headers: [["x-forwarded-for", "1.2.3.4"]], expect: { status: 200, seen: { "x-forwarded-for": "1.2.3.4" } } },
      { headers: [["x-forwarded-for", "10.0.0.1"]], expect: { status: 200 } },
      { headers: [["x-forwarded-proto", "https"]], expect: { status: 200, seen: { "x-forwarded-proto": "https" } } },
      { headers: [["x-request-id", "mine"]], expect: { status: 200 } },
    ],
  },
  {
    name: "request-ids",
    manager: { preserveExternalRequestId: true, alwaysSetRequestIdInResponse: true, useRemoteAddress: true },
    requests: [
      { headers: [["x-request-id", "mine"]], expect: { status: 200 } },
      { expect: { status: 200 } },
    ],
  },
  {
    name: "no-request-ids",
    manager: { generateRequestId: false },
    requests: [{ expect: { status: 200, seen: { "x-request-id": null } } }],
  },
  {
    name: "via",
    manager: { via: "skipper", serverName: "front", skipXffAppend: true, useRemoteAddress: true },
    requests: [{ headers: [["via", "1.1 other"]], expect: { status: 200, headers: { server: "front" } } }],
  },
  {
    name: "hop-by-hop",
    requests: [
      { headers: [["Proxy-Connection", "x"], ["Keep-Alive", "timeout=5"], ["X-Kept", "1"]], expect: { status: 200 } },
      { headers: [["TE", "trailers"]], expect: { status: 200 } },
      { headers: [["TE", "gzip"]], expect: { status: 200 } },
      { headers: [["Expect", "100-continue"]], expect: { status: 200 } },
      {
        raw: head("GET / HTTP/1.1", "Host: a", "Connection: close, x-hop", "x-hop: 1", "x-other: 2"),
        expect: { status: 200 },
      },
      {
        raw: head("GET / HTTP/1.1", "Host: a", "Upgrade: websocket", "Connection: Upgrade"),
        expect: { status: 403, differs: ["log"] },
      },
      { raw: head("GET / HTTP/1.0", "Host: a"), expect: { status: 200, differs: all } },
      { raw: head("GET / HTTP/1.0"), expect: { status: 200, differs: all } },
      {
        raw: get("Host: a", "X-UPPER: Value", "x-empty:"),
        expect: { status: 200, seen: { "x-upper": "Value", "x-empty": "" } },
      },
      { raw: "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", expect: { status: 200 } },
      {
        raw: head("GET http://other.test/abs?q HTTP/1.1", "Host: other.test"),
        expect: { status: 200, path: "/abs?q" },
      },
      { raw: head("OPTIONS * HTTP/1.1", "Host: a"), expect: { status: 404, differs: ["log"] } },
      { raw: head("PROPFIND / HTTP/1.1", "Host: a"), expect: { status: 200 } },
    ],
  },
  {
    name: "malformed",
    requests: [
      get("Host: a b"),
      get("Host: a", "Content-Length: 1", "Transfer-Encoding: chunked"),
      get("Host: a", "Content-Length: +1"),
      get("Host: a", "Content-Length: 0x1"),
      get("Host: a", "Content-Length: 1, 1"),
      get("Host: a", "Content-Length: 0", "Content-Length: 0"),
      get("Host: a", "Content-Length: 0", "Content-Length: 1"),
      get("Host: a", "Space : 1"),
      get("Host: a", " folded: 1"),
      get("Host: a", ": empty"),
      get("Host: a", "no colon"),
      get("Host: a", "x: \x00"),
      get("Host: a", "x: \x01"),
      get("Host: a", "x(y): 1"),
      head("GET / HTTP/3", "Host: a"),
      head("GET / http/1.1", "Host: a"),
      head("GET /a b HTTP/1.1", "Host: a"),
      head("G@T / HTTP/1.1", "Host: a"),
      head("GET x HTTP/1.1", "Host: a"),
      head("GET /\x7f HTTP/1.1", "Host: a"),
      head("GET /\xe9 HTTP/1.1", "Host: a"),
      "\x16\x03\x01\x00\x05hello\r\n\r\n",
    ].map((raw) => ({ raw, expect: { status: 400, flags: "DPE" } })),
  },
  {
    name: "malformed-bodies",
    requests: ["zz\r\n", "ffffffffffffffffff\r\n"].map((chunk) => ({
      raw: `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}`,
      expect: { status: 400, flags: "DPE" },
    })),
  },
  {
    name: "unimplemented",
    requests: [
      get("Host: a", "Transfer-Encoding: gzip"),
      get("Host: a", "Transfer-Encoding: gzip, chunked"),
      get("Host: a", "Transfer-Encoding: chunked, identity"),
    ].map((raw) => ({ raw, expect: { status: 501, flags: "DPE" } })),
  },
  // Envoy serves what RFC 9112 has refused, or refuses it in another way.
  {
    name: "refused",
    requests: [
      get(),
      get("Host: a", "Host: a"),
      get("Host: a", "Host: b"),
      get("Host: a", "x: 1", " folded"),
      head("GET /", "Host: a"),
      head("GET  / HTTP/1.1", "Host: a"),
      head("GET / HTTP/1.1 ", "Host: a"),
      "GET / HTTP/1.1\nHost: a\n\n",
      "GET / HTTP/1.1\r\nHost: a\r\nx: a\rb\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
    ].map((raw) => ({ raw, expect: { status: 400, flags: "DPE", differs: all } })),
  },
  {
    name: "versions",
    requests: [
      head("GET / HTTP/1.2", "Host: a"),
      head("GET / HTTP/2.0", "Host: a"),
      "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
    ].map((raw) => ({ raw, expect: { status: 505, flags: "DPE", differs: all } })),
  },
  {
    name: "connect",
    requests: [{ raw: head("CONNECT a:80 HTTP/1.1", "Host: a:80"), expect: { status: 404, flags: "NR" } }],
  },
  {
    name: "oversized",
    requests: [
      { raw: get("Host: a", `x: ${"y".repeat(61 * 1024)}`), expect: { status: 431, flags: "DPE" } },
      { raw: get("Host: a", `x: ${"y".repeat(12 * 1024)}`), expect: { status: 200 } },
      {
        raw: get("Host: a", ...Array.from({ length: 101 }, (_, i) => `x-${i}: 1`)),
        expect: { status: 431, flags: "DPE" },
      },
      { raw: get("Host: a", ...Array.from({ length: 90 }, (_, i) => `x-${i}: 1`)), expect: { status: 200 } },
      { raw: head(`GET /${"y".repeat(61 * 1024)} HTTP/1.1`, "Host: a"), expect: { status: 431, flags: "DPE" } },
    ],
  },
];
