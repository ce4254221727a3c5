import assert from "node:assert/strict";
import type { JsonValue } from "@bufbuild/protobuf";
import { configTables } from "./proxy_config_tables.ts";

const view = (name: string, resource?: unknown, agent = "vm-1") => ({
  proxy: "reviews.default",
  agent,
  name,
  version: "1",
  status: "SYNCED" as const,
  ...(resource === undefined ? {} : { resource: resource as JsonValue }),
});
const lines = (type: string, ...views: ReturnType<typeof view>[]) => configTables[type](views).split("\n");
const sds = (name: string) => ({ name, sdsConfig: { ads: {} } });

Deno.test("listeners: a line for each filter chain, with what it matches and where it leads", () => {
  const address = { socketAddress: { address: "127.0.1.1", portValue: 15006 } };
  const filterChains = [
    {
      filterChainMatch: { serverNames: ["a", "b"] },
      transportSocket: {},
      filters: [{ typedConfig: { rds: { routeConfigName: "inbound" } } }],
    },
    { filters: [{ typedConfig: { cluster: "tcp" } }] },
  ];
  assert.deepEqual(lines("listeners", view("virtualInbound", { address, filterChains })), [
    "LISTENER        ADDRESS          MATCH                DESTINATION     STATUS",
    "virtualInbound  127.0.1.1:15006  SNI a + 1 more; TLS  routes inbound  SYNCED",
    "virtualInbound  127.0.1.1:15006  ALL                  tcp             SYNCED",
  ]);
});

Deno.test("routes: matches as a person would say them, and each kind of destination", () => {
  const routes = [
    {
      match: { prefix: "/", headers: [{ name: "x-user", stringMatch: { exact: "jason" } }] },
      route: { weightedClusters: { clusters: [{ name: "v1", weight: 90 }, { name: "v2", weight: 10 }] } },
    },
    {
      match: { path: "/a", headers: [{ name: "x", presentMatch: true, invertMatch: true }] },
      directResponse: { status: 418 },
    },
    { match: { safeRegex: { regex: "/b+" } }, redirect: { schemeRedirect: "https", portRedirect: 8443 } },
  ];
  assert.deepEqual(lines("routes", view("http", { virtualHosts: [{ domains: ["a", "b", "c"], routes }] })), [
    "ROUTES  DOMAINS        MATCH                 DESTINATION                           STATUS",
    "http    a, b + 1 more  /* if x-user = jason  90: v1, 10: v2                        SYNCED",
    "http    a, b + 1 more  /a if not x           answer 418                            SYNCED",
    "http    a, b + 1 more  regex /b+             redirect to https://(same host):8443  SYNCED",
  ]);
});

Deno.test("clusters and endpoints: names in their parts; what is being replaced says so", () => {
  const name = "outbound|9080|v1|reviews.default.svc.cluster.local";
  assert.deepEqual(lines("clusters", view(name, { type: "EDS", lbPolicy: "MAGLEV" }), view("x", undefined, "vm-2")), [
    "PROXY                    SERVICE                            PORT              SUBSET  DIRECTION  TYPE  BALANCING  TLS  STATUS",
    "reviews.default on vm-1  reviews.default.svc.cluster.local  9080              v1      outbound   EDS   MAGLEV     no   SYNCED",
    "reviews.default on vm-2  x                                  (being replaced)                                           SYNCED",
  ]);
  const endpoint = { address: { socketAddress: { address: "::1", portValue: 80 } } };
  const endpoints = [{ locality: { region: "eu", zone: "a" }, priority: 1, lbEndpoints: [{ endpoint }] }];
  assert.deepEqual(lines("endpoints", view("c", { endpoints }), view("d", {})), [
    "ENDPOINT  HEALTH   WEIGHT  LOCALITY           CLUSTER  STATUS",
    "[::1]:80  UNKNOWN  1       eu/a (priority 1)  c        SYNCED",
    "(none)                                        d        SYNCED",
  ]);
  assert.equal(configTables.endpoints([]), "none");
});

Deno.test("secrets: names alone, from what uses them and from what was sent", () => {
  const tls = {
    commonTlsContext: {
      tlsCertificateSdsSecretConfigs: [sds("default")],
      combinedValidationContext: { validationContextSdsSecretConfig: sds("ROOTCA") },
    },
  };
  assert.deepEqual(lines("secrets", view("default"), view("cluster", { transportSocket: { typedConfig: tls } })), [
    "PROXY                    SECRET   KIND          USES  FOUND",
    "reviews.default on vm-1  ROOTCA   trust bundle  1     by the agent itself",
    "reviews.default on vm-1  default  certificate   1     by the control plane, as a path",
  ]);
});
