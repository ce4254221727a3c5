import { deepStrictEqual } from "node:assert/strict";
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

Deno.test("listeners stand only where a TCP port and an address to listen on meet", () => {
  const http: ServicePort = { name: "http", number: 80, protocol: "HTTP" };
  const ports = [tcp, http, { name: "tls", number: 443, protocol: "TLS" as const }];
  deepStrictEqual(listeners([service("a", { ports, addresses: ["127.64.0.1", "127.64.0.2"] })]), [
    "127.64.0.1_5432",
    "127.64.0.1_443",
    "127.64.0.2_5432",
    "127.64.0.2_443",
  ]);
  const others = [
    service("a", { ports }),
    service("b", { ports, addresses: ["127.65.0.1", "240.0.0.1", "127.64.0.0/24"] }),
  ];
  deepStrictEqual(listeners(others), []);
  deepStrictEqual(listeners([service("a", { ports, addresses: ["127.64.0.1"], resolution: "NONE" })]), []);
  deepStrictEqual(listeners([service("a", { ports, addresses: ["127.64.0.1"] })], ""), []);
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
