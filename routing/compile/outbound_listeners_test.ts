import { deepStrictEqual, match, notStrictEqual, ok, strictEqual } from "node:assert/strict";
import { ClusterSchema } from "../xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import { ListenerSchema } from "../xds/gen/envoy/config/listener/v3/listener_pb.ts";
import type { Service, ServicePort } from "../mesh.ts";
import { compileProxy } from "./proxy.ts";
import { endpoint, json, mesh, node, service } from "./testing/mesh.ts";

const tcp: ServicePort = { name: "tcp", number: 5432, protocol: "TCP" };

function compiled(services: Service[], vipRange: string | undefined = "127.64.0.0/16") {
  return compileProxy(mesh(services), node({ ports: [], ...(vipRange === "" ? {} : { vipRange }) }));
}

function listeners(...args: Parameters<typeof compiled>): string[] {
  return [...compiled(...args).listeners.keys()].filter((name) => !name.startsWith("http_proxy"));
}

Deno.test("a TCP service with an address of the agent's range gets a listener there, to its cluster", () => {
  const database = service("database", {
    ports: [tcp],
    addresses: ["127.64.0.10", "10.0.0.1"],
    endpoints: [endpoint("db")],
  });
  const snapshot = compiled([database]);
  const listener = json(ListenerSchema, snapshot.listeners.get("127.64.0.10_5432"));
  deepStrictEqual(listener.address.socketAddress, { address: "127.64.0.10", portValue: 5432 });
  deepStrictEqual(listener.trafficDirection, "OUTBOUND");
  const cluster = "outbound|5432||database.default.svc.cluster.local";
  deepStrictEqual(listener.filterChains[0].filters[0].typedConfig.cluster, cluster);
  const [match] = json(ClusterSchema, snapshot.clusters.get(cluster)).transportSocketMatches;
  deepStrictEqual(match.transportSocket.typedConfig.commonTlsContext.alpnProtocols, ["istio"]);
});

Deno.test("every port has a listener, HTTP ports with the routes of the proxy port", () => {
  const http: ServicePort = { name: "http", number: 80, protocol: "HTTP" };
  const ports = [tcp, http, { name: "tls", number: 443, protocol: "TLS" as const }];
  const a = service("a", { ports, addresses: ["127.64.0.1", "127.64.0.2"] });
  deepStrictEqual(listeners([a]), [
    "127.64.0.1_5432",
    "127.64.0.1_80",
    "127.64.0.1_443",
    "127.64.0.2_5432",
    "127.64.0.2_80",
    "127.64.0.2_443",
  ]);
  const { filterChains, metadata } = json(ListenerSchema, compiled([a]).listeners.get("127.64.0.1_80"));
  deepStrictEqual(filterChains[0].filters[0].typedConfig.rds.routeConfigName, "http_proxy");
  deepStrictEqual(metadata.filterMetadata.istio.services[0].host, a.hostname);
});

Deno.test("a port of unsaid protocol is HTTP or TCP by how each connection begins", () => {
  const a = service("a", { ports: [{ ...tcp, protocol: "UNSPECIFIED" }], addresses: ["127.64.0.1"] });
  const { filterChains } = json(ListenerSchema, compiled([a]).listeners.get("127.64.0.1_5432"));
  // deno-lint-ignore no-explicit-any -- JSON of xDS
  deepStrictEqual(filterChains.map((chain: any) => [chain.name, chain.filterChainMatch, chain.filters[0].name]), [
    [
      "http",
      { transportProtocol: "raw_buffer", applicationProtocols: ["http/1.0", "http/1.1", "h2c"] },
      "envoy.filters.network.http_connection_manager",
    ],
    ["tcp", undefined, "envoy.filters.network.tcp_proxy"],
  ]);
});

Deno.test("a service without an address of the range gets one", () => {
  const others = ["10.0.0.1", "127.65.0.1", "127.64.0.0/24"];
  const [name, ...more] = listeners([service("b", { ports: [tcp], addresses: others })]);
  match(name, /^127\.64\.[0-9]+\.[0-9]+_5432$/);
  deepStrictEqual(more, []);
});

Deno.test("there are no listeners without a range, without endpoints to balance, and on ports that need privileges", () => {
  const a = service("a", { ports: [tcp], addresses: ["127.64.0.1"] });
  deepStrictEqual(listeners([{ ...a, resolution: "NONE" }]), []);
  deepStrictEqual(listeners([a], ""), []);
  const ports = [tcp, { name: "http", number: 80, protocol: "HTTP" as const }];
  const { listeners: unprivileged } = compileProxy(
    mesh([{ ...a, ports }]),
    node({ ports: [], vipRange: "127.64.0.0/16", lowestPort: 1024 }),
  );
  deepStrictEqual([...unprivileged.keys()].filter((name) => name.startsWith("127.64.")), ["127.64.0.1_5432"]);
});

Deno.test("an unchanged service keeps its listener when others change", () => {
  const [a, b] = [service("a"), service("b")];
  const one = compiled([a, b]).listeners;
  const other = compiled([a, { ...b }]).listeners;
  const name = [...one.keys()].find((key) => key.startsWith("127.64."))!;
  notStrictEqual(name, undefined);
  strictEqual(one.get(name)!.filterChains.length, 1);
  ok(other.has(name));
});

Deno.test("of two services with one address and port the first keeps it", () => {
  const services = ["b", "a"].map((name) => service(name, { ports: [tcp], addresses: ["127.64.0.1"] }));
  const snapshot = compiled(services);
  const listener = json(ListenerSchema, snapshot.listeners.get("127.64.0.1_5432"));
  deepStrictEqual(
    listener.filterChains[0].filters[0].typedConfig.cluster,
    "outbound|5432||a.default.svc.cluster.local",
  );
});
