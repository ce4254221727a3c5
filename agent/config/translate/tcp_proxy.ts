/** TCP proxies, with Envoy's defaults. */
import type {
  TcpProxy,
  TcpProxy_WeightedCluster,
} from "../../../routing/xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.ts";
import type { TcpProxyConfig } from "../model.ts";
import type { Place } from "./unsupported.ts";
import { milliseconds } from "./values.ts";

const defaultIdleTimeout = 3_600_000;

export function tcpProxy(filter: TcpProxy, place: Place): TcpProxyConfig {
  const maxConnectAttempts = filter.maxConnectAttempts ?? 1;
  place.field("max_connect_attempts").require(maxConnectAttempts >= 1, "want at least 1");
  const life = milliseconds(
    filter.maxDownstreamConnectionDuration,
    0,
    place.field("max_downstream_connection_duration"),
  );
  const hashPolicies = filter.hashPolicy.map(({ policySpecifier }, index) => {
    place.field("hash_policy").item(index).require(policySpecifier.case === "sourceIp", "want source_ip");
    return policySpecifier;
  });
  const tunneling = filter.tunnelingConfig;
  if (tunneling !== undefined) {
    place.field("tunneling_config.hostname").require(
      /^[A-Za-z0-9._-]+:\d+$|^\[[0-9A-Fa-f:.]+\]:\d+$/.test(tunneling.hostname),
      "want HOST:PORT",
    );
  }
  return {
    ...(tunneling === undefined ? {} : { tunneling: { hostname: tunneling.hostname, usePost: tunneling.usePost } }),
    ...(life > 0 ? { maxConnectionDuration: life } : {}),
    ...(hashPolicies.length > 0 ? { hashesSourceAddress: true } : {}),
    statPrefix: filter.statPrefix,
    clusters: clusters(filter, place),
    idleTimeout: milliseconds(filter.idleTimeout, defaultIdleTimeout, place.field("idle_timeout")),
    maxConnectAttempts,
  };
}

function clusters({ clusterSpecifier: { case: kind, value } }: TcpProxy, place: Place): TcpProxyConfig["clusters"] {
  if (kind === "weightedClusters") return weightedClusters(value, place.field("weighted_clusters"));
  if (kind !== "cluster" || value === "") return place.refuse("want a cluster or weighted_clusters");
  return [{ name: value, weight: 1 }];
}

function weightedClusters({ clusters }: TcpProxy_WeightedCluster, place: Place): TcpProxyConfig["clusters"] {
  const at = place.field("clusters");
  at.require(clusters.length > 0, "want at least one");
  return clusters.map(({ name, weight }, index) => {
    at.item(index).field("name").require(name !== "", "want the name of a cluster");
    at.item(index).field("weight").require(weight >= 1, "want at least 1");
    return { name, weight };
  });
}
