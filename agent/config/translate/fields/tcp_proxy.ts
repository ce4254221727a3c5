/** Implemented fields of the TCP proxy. */
import {
  HashPolicy_SourceIpSchema,
  HashPolicySchema,
} from "../../../../routing/xds/gen/envoy/type/v3/hash_policy_pb.ts";
import {
  TcpProxy_TunnelingConfigSchema,
  TcpProxy_WeightedCluster_ClusterWeightSchema,
  TcpProxy_WeightedClusterSchema,
  TcpProxySchema,
} from "../../../../routing/xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.ts";
import { message } from "./message_fields.ts";

export const tcpProxyFields = [
  message(
    TcpProxySchema,
    "stat_prefix cluster weighted_clusters idle_timeout access_log max_connect_attempts hash_policy max_downstream_connection_duration tunneling_config",
  ),
  message(TcpProxy_TunnelingConfigSchema, "hostname use_post"),
  message(HashPolicySchema, "source_ip"),
  message(HashPolicy_SourceIpSchema, ""),
  message(TcpProxy_WeightedClusterSchema, "clusters"),
  message(TcpProxy_WeightedCluster_ClusterWeightSchema, "name weight"),
];
