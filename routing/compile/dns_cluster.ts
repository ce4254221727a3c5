/** Clusters whose endpoints the proxies themselves find by DNS: ServiceEntries of resolution DNS and DNS_ROUND_ROBIN. */
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { MeshSettings, Service } from "../mesh.ts";
import { Cluster_DiscoveryType, Cluster_DnsLookupFamily } from "../xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import type { ClusterLoadAssignment } from "../xds/gen/envoy/config/endpoint/v3/endpoint_pb.ts";

/** Istio's default of MeshConfig's `dnsRefreshRate`. */
const DNS_REFRESH_RATE = 60_000;
/** A name that cannot be resolved is asked for again soon, then ever more rarely. */
const FIRST_FAILURE_REFRESH = 1000;

/** Whether the service's endpoints are names that proxies resolve. */
export function isResolvedByProxies({ resolution }: Service): boolean {
  return resolution === "DNS" || resolution === "DNS_ROUND_ROBIN";
}

/** The fields of such a cluster. IPv4 addresses are taken where there are any, so that a host without IPv6 can dial. */
export function dnsDiscovery(service: Service, settings: MeshSettings, loadAssignment: ClusterLoadAssignment) {
  const type = service.resolution === "DNS" ? Cluster_DiscoveryType.STRICT_DNS : Cluster_DiscoveryType.LOGICAL_DNS;
  return {
    clusterDiscoveryType: { case: "type" as const, value: type },
    loadAssignment,
    ...dnsRefresh(settings),
    respectDnsTtl: true,
    dnsLookupFamily: Cluster_DnsLookupFamily.V4_PREFERRED,
  };
}

/** When proxies ask for names again. */
export function dnsRefresh({ dnsRefreshRate: refreshRate = DNS_REFRESH_RATE }: MeshSettings) {
  return {
    dnsRefreshRate: durationFromMs(refreshRate),
    dnsFailureRefreshRate: {
      baseInterval: durationFromMs(Math.min(FIRST_FAILURE_REFRESH, refreshRate)),
      maxInterval: durationFromMs(refreshRate),
    },
  };
}
