import assert from "node:assert/strict";
import { ClusterSchema } from "../../xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import { ListenerSchema } from "../../xds/gen/envoy/config/listener/v3/listener_pb.ts";
import type { WorkloadNode } from "../../xds/node.ts";
import type { MeshSettings } from "../../mesh.ts";
import { compileProxy } from "../proxy.ts";
import { bookinfo, endpoint, json, mesh, node, service } from "../testing/mesh.ts";

const services = () => [
  ...bookinfo(),
  service("ads", { namespace: "other", endpoints: [endpoint("ads-v1", { namespace: "other" })] }),
  service("db", {
    namespace: "data",
    ports: [{ name: "tcp", number: 5432, protocol: "TCP" }, { name: "http", number: 80, protocol: "HTTP" }],
    endpoints: [endpoint("db-v1", { namespace: "data", ports: { 5432: 15006, 80: 15006 } })],
  }),
];

const sidecar = (spec: string, metadata = "name: default") => `
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { ${metadata} }
spec: ${spec}
`;

function compile(rules: string, options: Partial<WorkloadNode> = {}, changes: Partial<MeshSettings> = {}) {
  return compileProxy(mesh(services(), rules, changes), node({ vipRange: "127.64.0.0/16", ...options }));
}

/** Names of the outbound clusters, shortened: `9080 reviews.default`. */
function seen(rules: string, options: Partial<WorkloadNode> = {}): string[] {
  const { clusters } = compile(rules, options);
  return [...clusters.keys()].filter((name) => name.startsWith("outbound")).map((name) => {
    const [, port, subset, host] = name.split("|");
    return `${port} ${subset === "" ? "" : `${subset}.`}${host.replace(".svc.cluster.local", "")}`;
  });
}

Deno.test("what egress does not name is not pushed: no cluster, endpoint, route or listener", () => {
  const snapshot = compile(sidecar(`{ egress: [{ hosts: ["./reviews.default.svc.cluster.local", "other/*"] }] }`));
  const outbound = [...snapshot.clusters.keys()].filter((name) => name.startsWith("outbound"));
  assert.deepEqual(outbound, [
    "outbound|9080||ads.other.svc.cluster.local",
    "outbound|9080||reviews.default.svc.cluster.local",
  ]);
  assert.deepEqual(snapshot.endpoints, outbound);
  assert.deepEqual(snapshot.routes.get("http_proxy")?.virtualHosts.map(({ name }) => name), [
    "ads.other.svc.cluster.local:9080",
    "reviews.default.svc.cluster.local:9080",
    "allow_any",
  ]);
  const listeners = [...snapshot.listeners.keys()].filter((name) => name.startsWith("127.64."));
  assert.equal(listeners.length, 2);
});

Deno.test("a workload's own Sidecar goes before the namespace's before the root namespace's", () => {
  const root = sidecar(`{ egress: [{ hosts: ["other/*"] }] }`, "name: default, namespace: istio-system");
  const own = sidecar(`{ egress: [{ hosts: ["./details.default.svc.cluster.local"] }] }`);
  const selecting = sidecar(
    `{ workloadSelector: { labels: { app: productpage } }, egress: [{ hosts: ["./ratings.default.svc.cluster.local"] }] }`,
    "name: productpage",
  );
  assert.deepEqual(seen(root), ["9080 ads.other"]);
  assert.deepEqual(seen(root + own), ["9080 details.default"]);
  assert.deepEqual(seen(root + own + selecting), ["9080 ratings.default"]);
  assert.deepEqual(seen(root + own + selecting, { labels: { app: "sleep" } }), ["9080 details.default"]);
  assert.deepEqual(seen(own + selecting, { namespace: "data", labels: { app: "productpage" } }).length, 7);
});

Deno.test("in the root namespace's Sidecar `.` is the workload's namespace, and gateways have none", () => {
  const root = sidecar(`{ egress: [{ hosts: ["./*"] }] }`, "name: default, namespace: istio-system");
  assert.deepEqual(seen(root, { namespace: "other" }), ["9080 ads.other"]);
  assert.equal(seen(root, { type: "router", namespace: "istio-system" }).length, 7);
});

Deno.test("a port leaves of the services this port alone; listeners add up", () => {
  assert.deepEqual(seen(sidecar(`{ egress: [{ port: { number: 5432, protocol: TCP, name: db }, hosts: ["*/*"] }] }`)), [
    "5432 db.data",
  ]);
  const two = `{ egress: [{ port: { number: 80, protocol: HTTP, name: a }, hosts: ["*/*"] }, { hosts: ["other/*"] }] }`;
  assert.deepEqual(seen(sidecar(two)), ["9080 ads.other", "80 db.data"]);
});

const reviewsFromAds = `
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ads, namespace: other }
spec: { hosts: [ads], http: [{ route: [{ destination: { host: db.data.svc.cluster.local, port: { number: 80 } } }] }] }
`;

Deno.test("what an imported VirtualService leads to is seen; one that is not imported does nothing", () => {
  const imported = sidecar(`{ egress: [{ hosts: ["other/*"] }] }`);
  assert.deepEqual(seen(imported + reviewsFromAds), ["9080 ads.other", "80 db.data"]);
  const { routes, warnings } = compile(sidecar(`{ egress: [{ hosts: ["./*", "data/*"] }] }`) + reviewsFromAds);
  assert.equal(JSON.stringify(routes.get("http_proxy")?.virtualHosts.map(({ name }) => name)).includes("ads"), false);
  assert.deepEqual(warnings, []);
});

Deno.test("a port with an address gets a listener whose routes are those of its hosts", () => {
  const snapshot = compile(sidecar(`
  egress:
    - { port: { number: 80, protocol: HTTP, name: http }, bind: 127.0.0.9, hosts: ["data/*"] }
    - { port: { number: 5432, protocol: TCP, name: tcp }, captureMode: NONE, hosts: ["data/*"] }
    - { hosts: ["./*"] }`));
  assert.deepEqual(
    snapshot.routes.get("127.0.0.9_80")?.virtualHosts.map(({ name }) => name),
    ["db.data.svc.cluster.local:80", "allow_any"],
  );
  const http = json(ListenerSchema, snapshot.listeners.get("127.0.0.9_80"));
  assert.equal(http.filterChains[0].filters[0].typedConfig.rds.routeConfigName, "127.0.0.9_80");
  const tcp = json(ListenerSchema, snapshot.listeners.get("127.0.0.1_5432"));
  assert.equal(tcp.filterChains[0].filters[0].typedConfig.cluster, "outbound|5432||db.data.svc.cluster.local");
  assert.equal(snapshot.routes.get("http_proxy")?.virtualHosts.length, 7);
});

Deno.test("an egress proxy gets what nobody else does, where the Sidecar allows anything", () => {
  const policy =
    "outboundTrafficPolicy: { mode: ALLOW_ANY, egressProxy: { host: ads.other.svc.cluster.local, port: { number: 9080 } } }";
  const hosts = compile(sidecar(`{ ${policy} }`)).routes.get("http_proxy")?.virtualHosts ?? [];
  const last = hosts.at(-1);
  assert.equal(last?.name, "allow_any");
  assert.match(
    JSON.stringify(last?.routes, (_, value) => typeof value === "bigint" ? `${value}` : value),
    /outbound\|9080\|\|ads/,
  );
  const without = (yaml: string) => compile(yaml).routes.get("http_proxy")?.virtualHosts.at(-1)?.name;
  assert.equal(without(""), "allow_any");
  assert.equal(without(sidecar("{ outboundTrafficPolicy: { mode: REGISTRY_ONLY } }")), "block_all");
});

Deno.test("ingress says which ports there are and where they lead", () => {
  const { clusters, listeners } = compile(
    sidecar(`
  ingress:
    - { port: { number: 8080, protocol: HTTP, name: http }, defaultEndpoint: "unix:///run/app.sock" }
    - { port: { number: 8081, protocol: TCP, name: tcp }, bind: 127.0.0.7, defaultEndpoint: "[::]:9" }
    - { port: { number: 9080, protocol: HTTP, name: same } }`),
  );
  const inbound = [...clusters.values()].filter(({ name }) => name.startsWith("inbound"));
  const targets = inbound.map((cluster) => {
    const { address } = json(ClusterSchema, cluster).loadAssignment.endpoints[0].lbEndpoints[0].endpoint;
    return [cluster.name, address.pipe?.path ?? `${address.socketAddress.address}:${address.socketAddress.portValue}`];
  });
  assert.deepEqual(targets, [
    ["inbound|8080||", "/run/app.sock"],
    ["inbound|8081||", "127.0.1.1:9"],
    ["inbound|9080||", "127.0.0.1:9081"],
  ]);
  const names = [...listeners.keys()].filter((name) => !name.startsWith("127.64.") && !name.startsWith("http_proxy"));
  assert.deepEqual(names, ["127.0.1.1_8080", "127.0.0.7_8081", "127.0.1.1_9080", "virtualInbound"]);
  assert.equal(
    compile(sidecar(`{ ingress: [{ port: { number: 8080, protocol: HTTP, name: a } }] }`)).clusters.has(
      "inbound|9080||",
    ),
    false,
  );
});

Deno.test("TLS of an ingress listener holds where mutual TLS is off, and is warned of elsewhere", () => {
  const tls = "tls: { mode: SIMPLE, serverCertificate: /c.pem, privateKey: /k.pem }";
  const rule = sidecar(`{ ingress: [{ port: { number: 9080, protocol: HTTPS, name: https }, ${tls} }] }`);
  const off = `
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: off }
spec: { selector: { matchLabels: { app: productpage } }, portLevelMtls: { 9080: { mode: DISABLE } } }
`;
  const { listeners, warnings } = compile(rule + off);
  assert.deepEqual(warnings, []);
  const [chain, ...others] = json(ListenerSchema, listeners.get("127.0.1.1_9080")).filterChains;
  assert.equal(others.length, 0);
  const { commonTlsContext } = chain.transportSocket.typedConfig;
  assert.equal(commonTlsContext.tlsCertificateSdsSecretConfigs[0].name, "file-cert:/c.pem~/k.pem");
  const [warning] = compile(rule).warnings;
  assert.equal(`${warning.kind} ${warning.field}`, "Sidecar ingress[0].tls");
  assert.match(warning.message, /DISABLE/);
});

Deno.test("pools inbound: the listener's before the Sidecar's before the DestinationRule's; they are not merged", () => {
  const rule = `
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: productpage }
spec: { host: productpage, trafficPolicy: { connectionPool: { tcp: { maxConnections: 1 }, http: { maxRetries: 9 } } } }
`;
  const limits = (rules: string) => {
    const [threshold] = json(ClusterSchema, compile(rules).clusters.get("inbound|9080||")).circuitBreakers.thresholds;
    return [threshold.maxConnections, threshold.maxRetries];
  };
  const none = 4294967295;
  assert.deepEqual(limits(rule), [1, 9]);
  const whole = "inboundConnectionPool: { tcp: { maxConnections: 2 } }";
  assert.deepEqual(limits(rule + sidecar(`{ ${whole} }`)), [2, none]);
  const ingress = (pool: string) => `ingress: [{ port: { number: 9080, protocol: HTTP, name: http } ${pool} }]`;
  assert.deepEqual(limits(rule + sidecar(`{ ${whole}, ${ingress("")} }`)), [2, none]);
  const own = ingress(", connectionPool: { tcp: { maxConnections: 3 } }");
  assert.deepEqual(limits(rule + sidecar(`{ ${whole}, ${own} }`)), [3, none]);
});

Deno.test("workloads that see alike share what is compiled for them", () => {
  const one = mesh(services(), sidecar(`{ egress: [{ hosts: ["./*"] }] }`));
  const routes = (labels: Record<string, string>) => compileProxy(one, node({ labels })).routes.get("http_proxy");
  assert.equal(routes({ app: "a" }), routes({ app: "b" }));
});
