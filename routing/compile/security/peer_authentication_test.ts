import { deepStrictEqual, strictEqual } from "node:assert/strict";
import type { MutualTlsMode, PeerAuthentication, PeerAuthenticationSpec } from "../../istio/security_types.ts";
import { ClusterLoadAssignmentSchema } from "../../xds/gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import { compileEndpoints } from "../endpoints.ts";
import { endpoint, json, mesh, service } from "../testing/mesh.ts";
import { oldestFirst, PeerAuthenticationIndex } from "./peer_authentication.ts";

const workload = { namespace: "default", labels: { app: "reviews" } };

function policy(namespace: string, spec: PeerAuthenticationSpec, name = "p", created?: string): PeerAuthentication {
  return {
    apiVersion: "security.istio.io/v1",
    kind: "PeerAuthentication",
    metadata: {
      name,
      namespace,
      labels: {},
      annotations: {},
      ...(created === undefined ? {} : { creationTimestamp: created }),
    },
    spec,
    origin: { file: "", line: 1, column: 1 },
  };
}

const of = (mode: MutualTlsMode) => ({ mtls: { mode } });
const reviews = { selector: { matchLabels: { app: "reviews" } } };

function mode(...policies: PeerAuthentication[]): string {
  return new PeerAuthenticationIndex("istio-system", oldestFirst(policies)).mode(workload, 9080);
}

Deno.test("the port's mode goes before the workload's, the namespace's and the mesh's", () => {
  const root = policy("istio-system", of("STRICT"));
  const namespace = policy("default", of("PERMISSIVE"));
  const own = policy("default", { ...reviews, ...of("DISABLE") }, "own");
  const port = policy("default", { ...reviews, ...of("DISABLE"), portLevelMtls: { 9080: { mode: "STRICT" } } }, "own");
  strictEqual(mode(), "PERMISSIVE");
  strictEqual(mode(root), "STRICT");
  strictEqual(mode(root, namespace), "PERMISSIVE");
  strictEqual(mode(root, namespace, own), "DISABLE");
  strictEqual(mode(root, namespace, port), "STRICT");
});

Deno.test("UNSET inherits at every level", () => {
  const root = policy("istio-system", of("STRICT"));
  const unset = policy("default", of("UNSET"));
  strictEqual(mode(root, unset), "STRICT");
  strictEqual(mode(root, policy("default", reviews, "own")), "STRICT");
  const port = { ...reviews, ...of("DISABLE"), portLevelMtls: { 9080: { mode: "UNSET" as const } } };
  strictEqual(mode(root, policy("default", port, "own")), "DISABLE");
  strictEqual(mode(policy("istio-system", of("UNSET"))), "PERMISSIVE");
});

Deno.test("the oldest of a level counts; other workloads' and namespaces' do not, nor selectors in the root namespace", () => {
  const older = policy("default", of("STRICT"), "z", "2020-01-01T00:00:00Z");
  const newer = policy("default", of("DISABLE"), "a", "2021-01-01T00:00:00Z");
  strictEqual(mode(newer, older), "STRICT");
  strictEqual(mode(policy("shop", of("STRICT"))), "PERMISSIVE");
  strictEqual(mode(policy("default", { selector: { matchLabels: { app: "x" } }, ...of("STRICT") })), "PERMISSIVE");
  strictEqual(mode(policy("istio-system", { ...reviews, ...of("STRICT") })), "PERMISSIVE");
});

Deno.test("callers dial a port without mutual TLS where it is switched off, and only there", () => {
  const ports = { ports: { 9080: 15006 }, workloadPorts: { 9080: 9080 } };
  const services = [
    service("reviews", {
      endpoints: [
        endpoint("reviews-v1", { address: "127.0.1.1", ...ports }),
        endpoint("ratings-v1", { address: "127.0.1.2", ...ports }),
      ],
    }),
  ];
  const cluster = "outbound|9080||reviews.default.svc.cluster.local";
  const dialled = (rules: PeerAuthentication[]) =>
    json(ClusterLoadAssignmentSchema, compileEndpoints(mesh(services, rules), cluster)).endpoints.flatMap(
      // deno-lint-ignore no-explicit-any -- JSON of xDS
      ({ lbEndpoints }: any) =>
        // deno-lint-ignore no-explicit-any -- JSON of xDS
        lbEndpoints.map(({ endpoint, metadata }: any) => [
          endpoint.address.socketAddress.portValue,
          metadata.filterMetadata["envoy.transport_socket_match"]?.tlsMode ?? "none",
        ]),
    );
  deepStrictEqual(dialled([]), [[15006, "istio"], [15006, "istio"]]);
  deepStrictEqual(dialled([policy("default", { ...reviews, ...of("DISABLE") })]), [[9080, "none"], [15006, "istio"]]);
  deepStrictEqual(dialled([]), [[15006, "istio"], [15006, "istio"]], "after it is gone");
});
