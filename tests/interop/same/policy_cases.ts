/** RBAC, TCP and TLS. */
import type { JsonObject } from "@bufbuild/protobuf";
import { type Case, cluster, filter, prefix, type } from "./case.ts";

const rules = (action: string, permissions: JsonObject[], principals: JsonObject[] = [{ any: true }]): JsonObject => ({
  rules: { action, policies: { one: { permissions, principals } } },
});
const http = (...filters: JsonObject[]): JsonObject => ({
  httpFilters: filters.map((fields) => filter("rbac", "rbac.v3.RBAC", fields)),
});
const network = (fields: JsonObject): JsonObject => ({
  name: "envoy.filters.network.rbac",
  typedConfig: { ...type("extensions.filters.network.rbac.v3.RBAC"), statPrefix: "s", ...fields },
});
const tcpProxy = (name: string): JsonObject => ({
  name: "envoy.filters.network.tcp_proxy",
  typedConfig: { ...type("extensions.filters.network.tcp_proxy.v3.TcpProxy"), statPrefix: "s", cluster: name },
});
const path = (matcher: JsonObject): JsonObject => ({ urlPath: { path: matcher } });
const header = (name: string, stringMatch: JsonObject): JsonObject => ({ header: { name, stringMatch } });

const denied = { status: 403, body: "RBAC: access denied" };
const allowed = { status: 200 };
/** Another answer altogether. */
const all = ["status", "headers", "body", "seen", "closed", "log"];

export const policyCases: Case[] = [
  {
    name: "deny-path",
    manager: http(rules("DENY", [path({ exact: "/secret" }), path({ prefix: "/in/" }), path({ suffix: ".key" })])),
    requests: [
      { path: "/secret", expect: denied },
      { path: "/secret?x", expect: denied },
      { path: "/secret/", expect: allowed },
      { path: "/in/x", expect: denied },
      { path: "/in", expect: allowed },
      { path: "/a.key?b", expect: denied },
      { path: "/SECRET", expect: allowed },
      { path: "/%73ecret", expect: allowed },
    ],
  },
  {
    name: "allow-header",
    manager: http(
      rules("ALLOW", [{
        andRules: {
          rules: [header(":method", { exact: "GET" }), { orRules: { rules: [header("x-key", { exact: "1" })] } }],
        },
      }]),
    ),
    requests: [
      { expect: denied },
      { headers: [["x-key", "1"]], expect: allowed },
      { headers: [["X-Key", "12"]], expect: denied },
      { method: "POST", headers: [["x-key", "1"]], expect: denied },
    ],
  },
  {
    name: "deny-not",
    manager: http(rules("DENY", [{ notRule: header("x-key", { exact: "1" }) }])),
    requests: [{ expect: denied }, { headers: [["x-key", "1"]], expect: allowed }],
  },
  {
    name: "deny-then-allow",
    manager: http(rules("DENY", [path({ prefix: "/no" })]), rules("ALLOW", [path({ prefix: "/n" })])),
    requests: [
      { path: "/no", expect: denied },
      { path: "/na", expect: allowed },
      { path: "/x", expect: denied },
    ],
  },
  {
    name: "no-policies",
    manager: { httpFilters: [filter("rbac", "rbac.v3.RBAC", { rules: { action: "ALLOW", policies: {} } })] },
    requests: [{ expect: denied }],
  },
  {
    name: "shadow",
    manager: {
      httpFilters: [filter("rbac", "rbac.v3.RBAC", {
        shadowRules: {
          action: "DENY",
          policies: { one: { permissions: [{ any: true }], principals: [{ any: true }] } },
        },
      })],
    },
    requests: [{ expect: allowed }],
  },
  {
    name: "addresses",
    manager: http(
      rules("ALLOW", [{ any: true }], [
        { directRemoteIp: { addressPrefix: "127.0.0.0", prefixLen: 8 } },
      ]),
      rules("DENY", [{ any: true }], [{ remoteIp: { addressPrefix: "1.2.3.4", prefixLen: 32 } }]),
    ),
    requests: [{ expect: allowed }, {
      headers: [["x-forwarded-for", "1.2.3.4"]],
      expect: { ...allowed, differs: all },
    }],
  },
  {
    name: "principal",
    manager: http(rules("ALLOW", [{ any: true }], [{ authenticated: { principalName: { prefix: "spiffe://" } } }])),
    requests: [{ expect: denied }],
  },
  {
    name: "network-deny",
    networkFilters: [network(rules("DENY", [{ any: true }]))],
    requests: [{ expect: { ...denied, differs: all } }],
  },
  {
    name: "network-allow",
    networkFilters: [
      network(rules("ALLOW", [{ any: true }], [{ directRemoteIp: { addressPrefix: "127.0.0.1", prefixLen: 32 } }])),
    ],
    requests: [{ expect: allowed }],
  },
  {
    name: "tcp",
    clusters: ({ tcp }) => [cluster("tcp", [tcp])],
    networkFilters: [tcpProxy("tcp")],
    requests: [{ raw: "anything\n", expect: { status: 0, body: "tcp:anything\n" } }],
  },
  {
    name: "tcp-nobody",
    networkFilters: [tcpProxy("nobody")],
    requests: [{ raw: "anything", expect: { status: 0, flags: "URX,UF", differs: ["log"] } }],
  },
  {
    name: "tcp-denied",
    clusters: ({ tcp }) => [cluster("tcp2", [tcp])],
    networkFilters: [network(rules("DENY", [{ destinationPortRange: { start: 1, end: 65535 } }])), tcpProxy("tcp2")],
    // Envoy connects before it judges: what the server says first may come through.
    requests: [{ raw: "anything", expect: { status: 0, body: "", differs: ["log", "body"] } }],
  },
];

/** The same key has to go to the same endpoint, on each side to one of its own choice. */
const hashing = (name: string, lbPolicy: string, hashPolicy: JsonObject[]): Case => ({
  name,
  clusters: ({ a, b, c }) => [cluster(name, [a, b, c], { lbPolicy })],
  routes: [prefix("/", { cluster: name, hashPolicy })],
  requests: [],
});

export const hashCases: Case[] = [
  hashing("ring-header", "RING_HASH", [{ header: { headerName: "x-key" } }]),
  hashing("maglev-header", "MAGLEV", [{ header: { headerName: "x-key" } }]),
  hashing("ring-query", "RING_HASH", [{ queryParameter: { name: "key" } }]),
  hashing("maglev-cookie", "MAGLEV", [{ cookie: { name: "key" } }]),
];
