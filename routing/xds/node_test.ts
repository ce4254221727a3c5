import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import type { JsonObject } from "@bufbuild/protobuf";
import { nodeFromMetadata, nodeId, NodeMetadataError, nodeToMetadata, type WorkloadNode } from "./node.ts";

const node: WorkloadNode = {
  agent: "vm-1",
  workload: "reviews-v1",
  namespace: "default",
  serviceAccount: "bookinfo-reviews",
  service: "reviews",
  labels: { app: "reviews", version: "v1" },
  address: "127.0.1.1",
  inboundPort: 15006,
  httpProxy: { address: "127.0.0.1", port: 15002 },
  locality: "eu/a/1",
  ports: [
    { name: "http", number: 9080, protocol: "HTTP", targetAddress: "127.0.0.1", targetPort: 9081 },
    { name: "http-socket", number: 9090, protocol: "", targetAddress: "unix:/run/reviews.sock", targetPort: 0 },
  ],
  version: "0.1.0",
};

Deno.test("node metadata read back is the node that wrote it", () => {
  deepStrictEqual(nodeFromMetadata(nodeToMetadata(node)), node);
  const router: WorkloadNode = { ...node, type: "router" };
  deepStrictEqual(nodeFromMetadata(nodeToMetadata(router)), router);
  const plain = { ...node, httpProxy: null, ports: [], labels: {} };
  deepStrictEqual(nodeFromMetadata(nodeToMetadata(plain)), plain);
});

Deno.test("node metadata with a field of the wrong type names the field", () => {
  const cases: [string, (metadata: Record<string, unknown>) => void][] = [
    ["TYPE", (metadata) => metadata.TYPE = "waypoint"],
    ["AGENT", (metadata) => delete metadata.AGENT],
    ["INBOUND_PORT", (metadata) => metadata.INBOUND_PORT = "15006"],
    ["INBOUND_PORT", (metadata) => metadata.INBOUND_PORT = 70000],
    ["HTTP_PROXY", (metadata) => metadata.HTTP_PROXY = "127.0.0.1:15002"],
    ["HTTP_PROXY.PORT", (metadata) => metadata.HTTP_PROXY = { ADDRESS: "127.0.0.1", PORT: 0 }],
    ["LABELS.app", (metadata) => metadata.LABELS = { app: 1 }],
    ["LABELS", (metadata) => metadata.LABELS = []],
    ["PORTS", (metadata) => metadata.PORTS = null],
    ["PORTS[0].NUMBER", (metadata) => metadata.PORTS = [{ NAME: "http", NUMBER: 1.5 }]],
    ["PORTS[0]", (metadata) => metadata.PORTS = ["9080"]],
  ];
  for (const [field, spoil] of cases) {
    const metadata = structuredClone(nodeToMetadata(node)) as Record<string, unknown>;
    spoil(metadata);
    throws(
      () => nodeFromMetadata(metadata as JsonObject),
      (error) => error instanceof NodeMetadataError && error.field === field,
      field,
    );
  }
});

Deno.test("node id has Istio's four parts", () => {
  strictEqual(nodeId(node), "sidecar~127.0.1.1~reviews-v1.vm-1~default.svc.cluster.local");
  strictEqual(nodeId({ ...node, type: "router" }), "router~127.0.1.1~reviews-v1.vm-1~default.svc.cluster.local");
});
