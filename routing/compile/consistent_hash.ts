/** Istio's consistentHash: the cluster's policy, and what of a request the routes to it hash. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { parseDuration } from "../istio/duration.ts";
import type { ConsistentHash } from "../istio/types.ts";
import { Cluster_LbPolicy, type ClusterSchema } from "../xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import type { RouteAction_HashPolicySchema } from "../xds/gen/envoy/config/route/v3/route_components_pb.ts";

/** Policy and table of a cluster; a ring unless the rule asks for Maglev. Sizes that are left out are Envoy's. */
export function hashingFields(
  { maglev, ringHash, minimumRingSize }: ConsistentHash,
): Pick<MessageInitShape<typeof ClusterSchema>, "lbPolicy" | "lbConfig"> {
  if (maglev !== undefined) {
    const tableSize = maglev.tableSize ? BigInt(maglev.tableSize) : undefined;
    return { lbPolicy: Cluster_LbPolicy.MAGLEV, lbConfig: { case: "maglevLbConfig", value: { tableSize } } };
  }
  const size = (ringHash === undefined ? minimumRingSize : ringHash.minimumRingSize) || undefined;
  return {
    lbPolicy: Cluster_LbPolicy.RING_HASH,
    lbConfig: {
      case: "ringHashLbConfig",
      value: { minimumRingSize: size === undefined ? undefined : BigInt(size) },
    },
  };
}

/** The hash policy of routes to such a cluster; `null` where nothing is to be hashed. */
export function hashPolicy(hash: ConsistentHash): MessageInitShape<typeof RouteAction_HashPolicySchema> | null {
  const { httpHeaderName, httpCookie, useSourceIp, httpQueryParameterName } = hash;
  if (httpHeaderName !== undefined) {
    return { policySpecifier: { case: "header", value: { headerName: httpHeaderName } } };
  }
  if (httpCookie !== undefined) {
    const { name, path, ttl, attributes } = httpCookie;
    return {
      policySpecifier: {
        case: "cookie",
        value: {
          name,
          path,
          ttl: ttl === undefined ? undefined : durationFromMs(parseDuration(ttl)),
          attributes: attributes ?? [],
        },
      },
    };
  }
  if (httpQueryParameterName !== undefined) {
    return { policySpecifier: { case: "queryParameter", value: { name: httpQueryParameterName } } };
  }
  return useSourceIp === true ? { policySpecifier: { case: "connectionProperties", value: { sourceIp: true } } } : null;
}
