import { deepStrictEqual, strictEqual } from "node:assert/strict";
import type { Service } from "../mesh.ts";
import { ClusterSchema } from "../xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import { ListenerSchema } from "../xds/gen/envoy/config/listener/v3/listener_pb.ts";
import type { WorkloadNode } from "../xds/node.ts";
import { compileProxy } from "./proxy.ts";
import { bookinfo, json, mesh, node, service } from "./testing/mesh.ts";

const reviewsNode: Partial<WorkloadNode> = {
  workload: "reviews-v2",
  service: "reviews",
  labels: { app: "reviews", version: "v2" },
  httpProxy: null,
};

function inbound(changes: Partial<WorkloadNode> = {}, rules = "", services: Service[] = bookinfo()) {
  const snapshot = compileProxy(mesh(services, rules), node({ ...reviewsNode, ...changes }));
  return {
    snapshot,
    listener: (name: string) => json(ListenerSchema, snapshot.listeners.get(name)),
    cluster: (name: string) => json(ClusterSchema, snapshot.clusters.get(name)),
  };
}

Deno.test("a workload is reached by mutual TLS on the inbound port and in plaintext on its own", () => {
  const { snapshot, listener } = inbound();
  deepStrictEqual([...snapshot.listeners.keys()], ["127.0.1.1_9080", "virtualInbound"]);
  const mesh = listener("virtualInbound");
  deepStrictEqual(mesh.address.socketAddress, { address: "127.0.1.1", portValue: 15006 });
  strictEqual(mesh.trafficDirection, "INBOUND");
  const tls = mesh.filterChains[0].transportSocket.typedConfig;
  strictEqual(tls.requireClientCertificate, true);
  strictEqual(tls.commonTlsContext.tlsParams.tlsMinimumProtocolVersion, "TLSv1_3");
  deepStrictEqual(tls.commonTlsContext.alpnProtocols, ["h2", "http/1.1"]);
  strictEqual(tls.commonTlsContext.tlsCertificateSdsSecretConfigs[0].name, "default");
  strictEqual(tls.commonTlsContext.combinedValidationContext.validationContextSdsSecretConfig.name, "ROOTCA");

  const plain = listener("127.0.1.1_9080");
  deepStrictEqual(plain.address.socketAddress, { address: "127.0.1.1", portValue: 9080 });
  const [mutual, open] = plain.filterChains;
  deepStrictEqual(mutual.filterChainMatch, {
    transportProtocol: "tls",
    applicationProtocols: ["istio-peer-exchange", "istio", "istio-http/1.0", "istio-http/1.1", "istio-h2"],
  });
  strictEqual(mutual.transportSocket.typedConfig.requireClientCertificate, true);
  deepStrictEqual(open.filterChainMatch, { transportProtocol: "raw_buffer" });
  strictEqual(open.transportSocket, undefined);
});

Deno.test("inbound requests go to the application and carry the caller's identity", () => {
  const manager = inbound().listener("virtualInbound").filterChains[0].filters[0].typedConfig;
  strictEqual(manager.forwardClientCertDetails, "APPEND_FORWARD");
  deepStrictEqual(manager.setCurrentClientCertDetails, { subject: true, dns: true, uri: true });
  strictEqual(manager.serverName, "skiff");
  strictEqual(manager.streamIdleTimeout, "0s");
  strictEqual(manager.requestHeadersTimeout, "60s");
  deepStrictEqual(manager.httpFilters.map(({ name }: { name: string }) => name), ["envoy.filters.http.router"]);
  deepStrictEqual(manager.routeConfig.virtualHosts[0], {
    name: "inbound|http|9080",
    domains: ["*"],
    routes: [{ name: "default", match: { prefix: "/" }, route: { cluster: "inbound|9080||", timeout: "0s" } }],
  });
});

Deno.test("a filter chain answers to every subset that the workload is in, of any namespace's rules", () => {
  const rules = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews }
spec: { host: reviews, subsets: [ { name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } } ] }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: mine, namespace: shop }
spec: { host: reviews.default.svc.cluster.local, subsets: [ { name: any, labels: { app: reviews } } ] }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: wide, namespace: istio-system }
spec: { host: "*.local", subsets: [ { name: wide } ] }
`;
  deepStrictEqual(inbound({}, rules).listener("virtualInbound").filterChains[0].filterChainMatch, {
    transportProtocol: "tls",
    serverNames: ["", "any", "v2", "wide"].map((subset) =>
      `outbound_.9080_.${subset}_.reviews.default.svc.cluster.local`
    ),
  });
});

Deno.test("a ServiceEntry's host stands in server names as it is", () => {
  const entry = service("api.example.com", { hostname: "api.example.com" });
  const { listener, cluster } = inbound({ service: "api.example.com" }, "", [entry]);
  deepStrictEqual(listener("virtualInbound").filterChains[0].filterChainMatch.serverNames, [
    "outbound_.9080_._.api.example.com",
  ]);
  deepStrictEqual(cluster("inbound|9080||").metadata.filterMetadata.istio.services, [
    { host: "api.example.com", name: "api.example.com", namespace: "default" },
  ]);
});

Deno.test("a ServiceEntry of another namespace does not lend its host", () => {
  const entry = service("api.example.com", { hostname: "api", namespace: "shop" });
  const { listener } = inbound({ service: "api" }, "", [entry]);
  deepStrictEqual(listener("virtualInbound").filterChains[0].filterChainMatch.serverNames, [
    "outbound_.9080_._.api.default.svc.cluster.local",
  ]);
});

Deno.test("inbound clusters dial the application, by address or Unix socket", () => {
  const { cluster } = inbound({
    ports: [
      { name: "http", number: 9080, protocol: "", targetAddress: "127.0.0.1", targetPort: 9081 },
      { name: "http-b", number: 9090, protocol: "HTTP", targetAddress: "unix:/run/reviews.sock", targetPort: 0 },
    ],
  });
  const address = (name: string) => {
    strictEqual(cluster(name).type, "STATIC");
    return cluster(name).loadAssignment.endpoints[0].lbEndpoints[0].endpoint.address;
  };
  deepStrictEqual(address("inbound|9080||"), { socketAddress: { address: "127.0.0.1", portValue: 9081 } });
  deepStrictEqual(address("inbound|9090||"), { pipe: { path: "/run/reviews.sock" } });
});

Deno.test("of a rule the connection pool holds for the application too", () => {
  const rules = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews }
spec: { host: reviews, trafficPolicy: { connectionPool: { tcp: { maxConnections: 3 } }, outlierDetection: {} } }
`;
  const compiled = inbound({}, rules).cluster("inbound|9080||");
  strictEqual(compiled.circuitBreakers.thresholds[0].maxConnections, 3);
  strictEqual(compiled.outlierDetection, undefined);
});

Deno.test("an application on the workload's own address keeps its port", () => {
  const port = { name: "http", number: 9080, protocol: "HTTP", targetAddress: "127.0.1.1", targetPort: 9080 };
  deepStrictEqual([...inbound({ ports: [port] }).snapshot.listeners.keys()], ["virtualInbound"]);
});

Deno.test("a port that is not HTTP is a TCP proxy, over mutual TLS without ALPN and in plaintext without detection", () => {
  const port = { name: "tcp-db", number: 5432, protocol: "", targetAddress: "127.0.0.1", targetPort: 5433 };
  const { snapshot, listener } = inbound({ ports: [port] });
  deepStrictEqual([...snapshot.clusters.keys()], ["inbound|5432||"]);
  const [mutual] = listener("virtualInbound").filterChains;
  deepStrictEqual(mutual.filterChainMatch, {
    transportProtocol: "tls",
    serverNames: ["outbound_.5432_._.reviews.default.svc.cluster.local"],
  });
  strictEqual(mutual.transportSocket.typedConfig.requireClientCertificate, true);
  strictEqual(mutual.transportSocket.typedConfig.commonTlsContext.alpnProtocols, undefined);
  const proxy = { statPrefix: "inbound|5432||", cluster: "inbound|5432||" };
  const type = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy";
  deepStrictEqual(mutual.filters[0].typedConfig, { "@type": type, ...proxy });
  const [plain] = listener("127.0.1.1_5432").filterChains;
  strictEqual(plain.filterChainMatch, undefined);
  deepStrictEqual(plain.filters[0].typedConfig, { "@type": type, ...proxy });
});

Deno.test("a workload that serves nothing has no inbound listener", () => {
  strictEqual(inbound({ service: "", ports: [] }).snapshot.listeners.size, 0);
});
