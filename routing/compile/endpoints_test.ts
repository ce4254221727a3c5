import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { ClusterLoadAssignmentSchema } from "../xds/gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import { compileEndpoints } from "./endpoints.ts";
import { bookinfo, endpoint, json, mesh, service } from "./testing/mesh.ts";

const host = "reviews.default.svc.cluster.local";
const all = `outbound|9080||${host}`;

function reviews(...endpoints: ReturnType<typeof endpoint>[]) {
  return mesh([service("reviews", { endpoints })]);
}

/** `locality: address:port weight health` of each endpoint. */
function list(compiled: ReturnType<typeof compileEndpoints>): string[] {
  const assignment = json(ClusterLoadAssignmentSchema, compiled);
  // deno-lint-ignore no-explicit-any -- JSON of xDS
  return (assignment.endpoints ?? []).flatMap((group: any) =>
    // deno-lint-ignore no-explicit-any -- JSON of xDS
    group.lbEndpoints.map((each: any) => {
      const { address, portValue } = each.endpoint.address.socketAddress;
      const { region = "", zone = "", subZone = "" } = group.locality ?? {};
      return `${region}/${zone}/${subZone}: ${address}:${portValue} ${each.loadBalancingWeight} ${each.healthStatus}`;
    })
  );
}

Deno.test("an endpoint carries its address, health, weight, TLS mode and workload", () => {
  const compiled = json(ClusterLoadAssignmentSchema, compileEndpoints(reviews(endpoint("reviews-v1")), all));
  deepStrictEqual(compiled, {
    clusterName: all,
    endpoints: [{
      loadBalancingWeight: 1,
      lbEndpoints: [{
        endpoint: { address: { socketAddress: { address: "127.0.1.1", portValue: 15006 } } },
        healthStatus: "HEALTHY",
        loadBalancingWeight: 1,
        metadata: {
          filterMetadata: {
            istio: { workload: "reviews-v1;default;reviews;v1;" },
            "envoy.transport_socket_match": { tlsMode: "istio" },
          },
        },
      }],
    }],
  });
});

Deno.test("plain endpoints match no TLS and canonical names come from labels", () => {
  const labels = { "service.istio.io/canonical-name": "named", "service.istio.io/canonical-revision": "r2", app: "x" };
  const plain = endpoint("reviews-v1", { tlsMode: "disabled", labels, ports: { 9080: 9080 } });
  const [group] = json(ClusterLoadAssignmentSchema, compileEndpoints(reviews(plain), all)).endpoints;
  deepStrictEqual(group.lbEndpoints[0].metadata, {
    filterMetadata: { istio: { workload: "reviews-v1;default;named;r2;" } },
  });
});

Deno.test("endpoints stand in their localities, unhealthy ones among them", () => {
  const compiled = compileEndpoints(
    reviews(
      endpoint("reviews-v1", { address: "127.0.1.1", locality: "us/east", weight: 3 }),
      endpoint("reviews-v2", { address: "127.0.2.1", locality: "eu/west/1", healthy: false }),
      endpoint("reviews-v3", { address: "127.0.3.1", locality: "us/east", weight: 0 }),
      endpoint("reviews-v4", { address: "127.0.4.1", ports: { 80: 80 } }),
    ),
    all,
  );
  deepStrictEqual(list(compiled), [
    "eu/west/1: 127.0.2.1:15006 1 UNHEALTHY",
    "us/east/: 127.0.1.1:15006 3 HEALTHY",
    "us/east/: 127.0.3.1:15006 1 HEALTHY",
  ]);
});

Deno.test("workloads behind one address are one endpoint with the weight of the healthy ones", () => {
  const compiled = compileEndpoints(
    reviews(
      endpoint("reviews-v1", { weight: 2 }),
      endpoint("reviews-v2", { weight: 3 }),
      endpoint("reviews-v3", { weight: 5, healthy: false }),
    ),
    all,
  );
  deepStrictEqual(list(compiled), ["//: 127.0.1.1:15006 5 HEALTHY"]);
  const [group] = json(ClusterLoadAssignmentSchema, compiled).endpoints;
  strictEqual(group.lbEndpoints[0].metadata.filterMetadata.istio.workload, ";default;reviews;;");
});

Deno.test("a subset has the endpoints whose labels it names, as the client's rules define it", () => {
  const endpoints = ["v1", "v2"].map((version, index) =>
    endpoint(`reviews-${version}`, { address: `127.0.${index + 1}.1` })
  );
  const state = mesh(
    [service("reviews", { endpoints })],
    `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews }
spec: { host: reviews, subsets: [ { name: stable, labels: { version: v1 } } ] }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews, namespace: shop }
spec: { host: ${host}, subsets: [ { name: stable, labels: { version: v2 } } ] }
`,
  );
  const name = `outbound|9080|stable|${host}`;
  deepStrictEqual(list(compileEndpoints(state, name)), ["//: 127.0.1.1:15006 1 HEALTHY"]);
  const shop = { namespace: "shop", labels: {} };
  deepStrictEqual(list(compileEndpoints(state, name, shop)), ["//: 127.0.2.1:15006 1 HEALTHY"]);
  deepStrictEqual(list(compileEndpoints(state, `outbound|9080|none|${host}`)), []);
});

Deno.test("clusters that do not exist have no endpoints", () => {
  for (const name of ["outbound|9080||nowhere", "inbound|9080||", "PassthroughCluster"]) {
    const compiled = compileEndpoints(mesh(bookinfo()), name);
    strictEqual(compiled.clusterName, name);
    deepStrictEqual(list(compiled), []);
  }
});
