/** Clusters whose requests name their hosts: Envoy's dynamic_forward_proxy, with its defaults. */
import type { Cluster } from "../../../routing/xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import { Cluster_LbPolicy } from "../../../routing/xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import { ClusterConfigSchema } from "../../../routing/xds/gen/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster_pb.ts";
import type { DnsCacheConfig } from "../../../routing/xds/gen/envoy/extensions/common/dynamic_forward_proxy/v3/dns_cache_pb.ts";
import { FilterConfigSchema } from "../../../routing/xds/gen/envoy/extensions/filters/http/dynamic_forward_proxy/v3/dynamic_forward_proxy_pb.ts";
import type { DynamicHostsConfig } from "../name_resolution.ts";
import { lookupFamily, refreshTimes } from "./dns.ts";
import { unpack } from "./strict.ts";
import type { Place } from "./unsupported.ts";
import { positiveMilliseconds } from "./values.ts";

/** `null` for a cluster of another type. */
export function dynamicHosts(resource: Cluster, place: Place): DynamicHostsConfig | null {
  const { clusterDiscoveryType } = resource;
  if (clusterDiscoveryType.case !== "clusterType") return null;
  const at = place.field("cluster_type.typed_config");
  const { clusterImplementationSpecifier } = unpack(clusterDiscoveryType.value.typedConfig, ClusterConfigSchema, at);
  place.field("lb_policy").require(resource.lbPolicy === Cluster_LbPolicy.CLUSTER_PROVIDED, "want CLUSTER_PROVIDED");
  place.field("load_assignment").require(resource.loadAssignment === undefined, "requests name the hosts");
  if (clusterImplementationSpecifier.case !== "dnsCacheConfig") return at.refuse("want a dns_cache_config");
  return dnsCache(clusterImplementationSpecifier.value, at.field("dns_cache_config"));
}

/** The filter of the same name has the cluster ask, and the cluster of this agent asks by itself: nothing is left to do. */
export function checkDynamicForwardProxyFilter(config: Parameters<typeof unpack>[0], place: Place): void {
  const { implementationSpecifier } = unpack(config, FilterConfigSchema, place);
  if (implementationSpecifier.case !== "dnsCacheConfig") place.refuse("want a dns_cache_config");
}

function dnsCache(config: DnsCacheConfig, place: Place): DynamicHostsConfig {
  place.field("name").require(config.name !== "", "want a name");
  place.field("max_hosts").require(config.maxHosts !== 0, "want at least 1");
  return {
    hostTtl: positiveMilliseconds(config.hostTtl, 300_000, place.field("host_ttl")),
    maxHosts: config.maxHosts ?? 1024,
    maxPendingRequests: config.dnsCacheCircuitBreaker?.maxPendingRequests ?? 1024,
    queryTimeout: positiveMilliseconds(config.dnsQueryTimeout, 5000, place.field("dns_query_timeout")),
    dns: {
      logical: true,
      lookupFamily: lookupFamily(config.dnsLookupFamily, place.field("dns_lookup_family")),
      ...refreshTimes(config.dnsRefreshRate, 60_000, config.dnsFailureRefreshRate, place),
      respectTtl: true,
    },
  };
}
