/** Workloads for tests. */
import type { WorkloadNode } from "../../routing/xds/node.ts";

/** A workload of service `reviews`; `changes` say how it differs. */
export function testNode(changes: Partial<WorkloadNode> = {}): WorkloadNode {
  return {
    agent: "vm-1",
    workload: "reviews-v1",
    namespace: "default",
    serviceAccount: "bookinfo-reviews",
    service: "reviews",
    labels: { app: "reviews", version: "v1" },
    address: "127.0.1.1",
    inboundPort: 15006,
    httpProxy: { address: "127.0.1.11", port: 15002 },
    locality: "",
    ports: [{ name: "http", number: 9080, protocol: "HTTP", targetAddress: "127.0.1.11", targetPort: 9080 }],
    version: "0.1.0",
    ...changes,
  };
}
