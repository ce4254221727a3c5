/**
 * Clusters whose requests name their hosts: what Istio does by the original destination of a captured connection, a
 * proxy port does by the authority of a request (Envoy's dynamic_forward_proxy).
 */
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { MeshSettings, Service } from "../mesh.ts";
import { Cluster_DnsLookupFamily, Cluster_LbPolicy } from "../xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import { ClusterConfigSchema } from "../xds/gen/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster_pb.ts";
import { FilterConfigSchema } from "../xds/gen/envoy/extensions/filters/http/dynamic_forward_proxy/v3/dynamic_forward_proxy_pb.ts";
import {
  type HttpFilter,
  HttpFilterSchema,
} from "../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import { packAny } from "../xds/resources.ts";
import { dnsRefresh } from "./dns_cluster.ts";

/** Whether requests for the service go where they say: it has no endpoints. */
export function goesByAuthority({ resolution }: Service): boolean {
  return resolution === "NONE" || resolution === "DYNAMIC_DNS";
}

/**
 * The fields of such a cluster.
 *
 * @param verified whether TLS holds the certificate against the host of the request; Envoy wants to be told where not
 */
export function dynamicDiscovery(settings: MeshSettings, verified: boolean) {
  const config = create(ClusterConfigSchema, {
    clusterImplementationSpecifier: { case: "dnsCacheConfig", value: dnsCache(settings) },
    allowInsecureClusterOptions: !verified,
  });
  return {
    clusterDiscoveryType: {
      case: "clusterType" as const,
      value: { name: "envoy.clusters.dynamic_forward_proxy", typedConfig: packAny(ClusterConfigSchema, config) },
    },
    lbPolicy: Cluster_LbPolicy.CLUSTER_PROVIDED,
    lbConfig: { case: undefined },
  };
}

/** The HTTP filter by which Envoy resolves the host of a request that goes to such a cluster. */
export function dynamicForwardProxyFilter(settings: MeshSettings): HttpFilter {
  const config = create(FilterConfigSchema, {
    implementationSpecifier: { case: "dnsCacheConfig", value: dnsCache(settings) },
  });
  return create(HttpFilterSchema, {
    name: "envoy.filters.http.dynamic_forward_proxy",
    configType: { case: "typedConfig", value: packAny(FilterConfigSchema, config) },
  });
}

/** All clusters and filters of a proxy share one cache: in Envoy those of one name must agree, so the name says all. */
function dnsCache(settings: MeshSettings) {
  const refresh = dnsRefresh(settings);
  return {
    name: `mesh-${Number(refresh.dnsRefreshRate.seconds) * 1000 + refresh.dnsRefreshRate.nanos / 1e6}`,
    dnsLookupFamily: Cluster_DnsLookupFamily.V4_PREFERRED,
    ...refresh,
    dnsQueryTimeout: durationFromMs(DNS_QUERY_TIMEOUT),
  };
}

/** Envoy's default, said aloud: so long may a request wait for its host. */
const DNS_QUERY_TIMEOUT = 5000;
