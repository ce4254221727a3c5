/** Who a stream is for: what its first request says, as far as its certificate bears it out. */
import { isIP } from "node:net";
import { formatServiceAccount, type SpiffeId } from "../../ca/spiffe/spiffe_id.ts";
import type { Node } from "../../routing/xds/gen/envoy/config/core/v3/base_pb.ts";
import { nodeFromMetadata, NodeMetadataError, type WorkloadNode } from "../../routing/xds/node.ts";
import { GrpcError, Status } from "../grpc/status.ts";

/**
 * The workload that a stream serves.
 *
 * @throws {GrpcError} INVALID_ARGUMENT for a node that is missing or malformed, PERMISSION_DENIED for one of another
 * identity than the caller's
 */
export function admitNode(node: Node | undefined, caller: SpiffeId): WorkloadNode {
  if (node?.metadata === undefined) {
    throw new GrpcError(Status.invalidArgument, "the first request of a stream has to describe its node");
  }
  const workload = read(node.metadata);
  const { namespace, serviceAccount, address } = workload;
  if (namespace !== caller.namespace || serviceAccount !== caller.serviceAccount) {
    throw new GrpcError(
      Status.permissionDenied,
      `the node is of ${namespace}/${serviceAccount} and its certificate of ${formatServiceAccount(caller)}: ` +
        "each workload has a stream of its own, opened with its own certificate",
    );
  }
  if (isIP(address) === 0) {
    throw new GrpcError(Status.invalidArgument, `the node's address ${JSON.stringify(address)} is no IP address`);
  }
  return workload;
}

function read(metadata: NonNullable<Node["metadata"]>): WorkloadNode {
  try {
    return nodeFromMetadata(metadata);
  } catch (cause) {
    if (!(cause instanceof NodeMetadataError)) throw cause;
    throw new GrpcError(Status.invalidArgument, cause.message, { cause });
  }
}
