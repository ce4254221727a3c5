import assert from "node:assert/strict";
import type { JsonObject } from "@bufbuild/protobuf";
import { ClusterLoadAssignmentSchema } from "../../../routing/xds/gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import { translateEndpoints } from "./endpoints.ts";
import { fromFile, message, refusedAt } from "./testdata/envoy_json.ts";

const unlabelled = {
  workload: "",
  namespace: "",
  app: "",
  version: "",
  canonicalService: "",
  canonicalRevision: "",
  cluster: "",
};

Deno.test("translates endpoints with priorities, weights, health and labels", () => {
  assert.deepEqual(translateEndpoints(fromFile(ClusterLoadAssignmentSchema, "endpoints.json"), "c"), {
    cluster: "c",
    panicThreshold: 50,
    overprovisioningFactor: 140,
    localities: [
      {
        priority: 0,
        locality: "eu/a",
        weight: 3,
        endpoints: [{
          address: "127.0.2.1",
          port: 15006,
          weight: 3,
          healthy: true,
          transportSocketMatch: { tlsMode: "istio" },
          workload: {
            workload: "reviews-v1",
            namespace: "default",
            app: "reviews",
            version: "v1",
            canonicalService: "reviews",
            canonicalRevision: "v1",
            cluster: "Kubernetes",
          },
        }],
      },
      {
        priority: 1,
        locality: "",
        weight: 0,
        endpoints: [
          {
            address: "/run/reviews.sock",
            port: 0,
            weight: 1,
            healthy: false,
            transportSocketMatch: {},
            workload: unlabelled,
          },
          { address: "::1", port: 80, weight: 1, healthy: true, transportSocketMatch: {}, workload: unlabelled },
        ],
      },
    ],
  });
});

const refusals: [string, JsonObject, string][] = [
  ["degraded endpoints", { healthStatus: "DEGRADED" }, ".health_status"],
  ["a weight of nothing", { loadBalancingWeight: 0 }, ".load_balancing_weight"],
  ["endpoints by name", { endpointName: "e" }, ".endpoint_name"],
  [
    "host names",
    { endpoint: { address: { socketAddress: { address: "a.example", portValue: 1 } } } },
    ".endpoint.address.socket_address.address",
  ],
  [
    "ports by name",
    { endpoint: { address: { socketAddress: { address: "::1", namedPort: "x" } } } },
    ".endpoint.address.socket_address.named_port",
  ],
];
for (const [what, fields, path] of refusals) {
  Deno.test(`refuses ${what}, by its path`, () => {
    const endpoint = { address: { socketAddress: { address: "127.0.0.1", portValue: 1 } } };
    const base: JsonObject = "endpointName" in fields ? {} : { endpoint };
    const json = { clusterName: "c", endpoints: [{ lbEndpoints: [{ ...base, ...fields }] }] };
    assert.equal(
      refusedAt(() => translateEndpoints(message(ClusterLoadAssignmentSchema, json), "c")),
      `endpoints c: endpoints[0].lb_endpoints[0]${path}`,
    );
  });
}

Deno.test("refuses policies that change how endpoints are chosen", () => {
  const refused = (policy: JsonObject) =>
    refusedAt(() => translateEndpoints(message(ClusterLoadAssignmentSchema, { clusterName: "c", policy }), "c"));
  assert.equal(refused({ overprovisioningFactor: 0 }), "endpoints c: policy.overprovisioning_factor");
  assert.equal(refused({ dropOverloads: [{ category: "x" }] }), "endpoints c: policy.drop_overloads");
});

Deno.test("takes the overprovisioning factor, and no priority beyond Envoy's limit", () => {
  const translate = (json: JsonObject) =>
    translateEndpoints(message(ClusterLoadAssignmentSchema, { clusterName: "c", ...json }), "c");
  assert.equal(translate({ policy: { overprovisioningFactor: 120 } }).overprovisioningFactor, 120);
  assert.equal(refusedAt(() => translate({ endpoints: [{ priority: 129 }] })), "endpoints c: endpoints[0].priority");
});
