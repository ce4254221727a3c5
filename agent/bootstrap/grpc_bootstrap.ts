/** The bootstrap file of a proxyless gRPC client (gRFC A27), whose xDS library takes a workload's place in the mesh. */
import type { JsonObject } from "@bufbuild/protobuf";
import { nodeId, nodeToMetadata, type WorkloadNode } from "../../routing/xds/node.ts";
import { locality } from "./locality.ts";

/**
 * @param node with `software` of kind `grpc`
 * @param socket path of the socket that leads to the control plane: not every library can show a certificate to it
 */
export function grpcBootstrap(node: WorkloadNode, socket: string): JsonObject {
  return {
    xds_servers: [{
      server_uri: `unix:${socket}`,
      channel_creds: [{ type: "insecure" }],
      server_features: ["xds_v3"],
    }],
    node: {
      id: nodeId(node),
      cluster: node.namespace,
      locality: locality(node.locality),
      metadata: nodeToMetadata(node),
    },
  };
}
