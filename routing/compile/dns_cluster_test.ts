import { deepStrictEqual, strictEqual } from "node:assert/strict";
import type { MeshSettings, Service } from "../mesh.ts";
import { ClusterSchema } from "../xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import { compileProxy } from "./proxy.ts";
import { endpoint, json, mesh, node, service } from "./testing/mesh.ts";

const host = "db.example.com";
const name = `outbound|5432||${host}`;

function compiled(options: Partial<Service>, settings: Partial<MeshSettings> = {}, rules = "") {
  const entry = service(host, {
    hostname: host,
    ports: [{ name: "tcp", number: 5432, protocol: "TCP" }],
    location: "MESH_EXTERNAL",
    resolution: "DNS",
    endpoints: [endpoint("db", { address: host, ports: { 5432: 6432 }, tlsMode: "disabled" })],
    ...options,
  });
  return compileProxy(mesh([entry], rules, settings), node());
}

function cluster(...args: Parameters<typeof compiled>) {
  return json(ClusterSchema, compiled(...args).clusters.get(name));
}

Deno.test("proxies resolve the endpoints of resolution DNS, with Istio's rates", () => {
  const { type, loadAssignment, edsClusterConfig, ...rest } = cluster({});
  deepStrictEqual([type, edsClusterConfig], ["STRICT_DNS", undefined]);
  strictEqual(loadAssignment.clusterName, name);
  deepStrictEqual(loadAssignment.endpoints[0].lbEndpoints[0].endpoint.address.socketAddress, {
    address: host,
    portValue: 6432,
  });
  strictEqual(rest.dnsRefreshRate, "60s");
  strictEqual(rest.respectDnsTtl, true);
  strictEqual(rest.dnsLookupFamily, "V4_PREFERRED");
  deepStrictEqual(rest.dnsFailureRefreshRate, { baseInterval: "1s", maxInterval: "60s" });
  strictEqual(cluster({}, { dnsRefreshRate: 5000 }).dnsRefreshRate, "5s");
});

Deno.test("resolution DNS_ROUND_ROBIN is a logical name", () => {
  strictEqual(cluster({ resolution: "DNS_ROUND_ROBIN" }).type, "LOGICAL_DNS");
});

Deno.test("nobody asks the control plane for endpoints that proxies resolve", () => {
  deepStrictEqual(compiled({}).endpoints, []);
});

Deno.test("subsets, localities and weights of resolved endpoints stand in their clusters", () => {
  const rules = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: db }
spec: { host: ${host}, subsets: [{ name: eu, labels: { zone: eu } }] }
`;
  const at = (address: string, zone: string, weight: number) =>
    endpoint("db", { address, ports: { 5432: 5432 }, labels: { zone }, locality: `${zone}/1`, weight });
  const snapshot = compiled({ endpoints: [at("a.example", "eu", 3), at("b.example", "us", 1)] }, {}, rules);
  const groups = (cluster: string) =>
    json(ClusterSchema, snapshot.clusters.get(cluster)).loadAssignment.endpoints.map((
      // deno-lint-ignore no-explicit-any -- JSON that xDS defines
      { locality, lbEndpoints }: any,
    ) => [
      locality.region,
      lbEndpoints[0].endpoint.address.socketAddress.address,
      lbEndpoints[0].loadBalancingWeight,
    ]);
  deepStrictEqual(groups(name), [["eu", "a.example", 3], ["us", "b.example", 1]]);
  deepStrictEqual(groups(`outbound|5432|eu|${host}`), [["eu", "a.example", 3]]);
});

for (const resolution of ["NONE", "DYNAMIC_DNS"] as const) {
  Deno.test(`of resolution ${resolution} a cluster goes where requests say`, () => {
    const { clusters, warnings } = compiled({ resolution, endpoints: [] });
    const cluster = json(ClusterSchema, clusters.get(name));
    strictEqual(cluster.lbPolicy, "CLUSTER_PROVIDED");
    deepStrictEqual(cluster.clusterType.typedConfig.dnsCacheConfig, {
      name: "mesh-60000",
      dnsLookupFamily: "V4_PREFERRED",
      dnsRefreshRate: "60s",
      dnsFailureRefreshRate: { baseInterval: "1s", maxInterval: "60s" },
      dnsQueryTimeout: "5s",
    });
    deepStrictEqual(warnings, []);
  });
}
