/** How a cluster's proxy resolves names: STRICT_DNS and LOGICAL_DNS, with Envoy's defaults. */
import type { Duration } from "@bufbuild/protobuf/wkt";
import {
  type Cluster,
  Cluster_DiscoveryType,
  Cluster_DnsLookupFamily,
  type Cluster_RefreshRate,
} from "../../../routing/xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import type { DnsConfig } from "../name_resolution.ts";
import type { Place } from "./unsupported.ts";
import { positiveMilliseconds } from "./values.ts";

const defaultRefreshRate = 5000;

const families: Readonly<Record<Cluster_DnsLookupFamily, DnsConfig["lookupFamily"]>> = {
  [Cluster_DnsLookupFamily.AUTO]: "AUTO",
  [Cluster_DnsLookupFamily.V4_ONLY]: "V4_ONLY",
  [Cluster_DnsLookupFamily.V6_ONLY]: "V6_ONLY",
  [Cluster_DnsLookupFamily.V4_PREFERRED]: "V4_PREFERRED",
  [Cluster_DnsLookupFamily.ALL]: "ALL",
};

/** Whether the cluster's proxy resolves the names of its endpoints. */
export function isResolved(type: Cluster_DiscoveryType): boolean {
  return type === Cluster_DiscoveryType.STRICT_DNS || type === Cluster_DiscoveryType.LOGICAL_DNS;
}

/** `null` for a cluster of another type, which then must say nothing of DNS. */
export function dnsConfig(resource: Cluster, place: Place): DnsConfig | null {
  const { clusterDiscoveryType: { case: kind, value: type }, dnsFailureRefreshRate: failure } = resource;
  if (kind !== "type" || !isResolved(type)) return null;
  const logical = type === Cluster_DiscoveryType.LOGICAL_DNS;
  const endpoints = resource.loadAssignment?.endpoints.flatMap(({ lbEndpoints }) => lbEndpoints) ?? [];
  place.field("load_assignment.endpoints").require(
    !logical || endpoints.length === 1,
    `want one endpoint in a cluster of type LOGICAL_DNS, found ${endpoints.length}`,
  );
  return {
    logical,
    lookupFamily: lookupFamily(resource.dnsLookupFamily, place.field("dns_lookup_family")),
    ...refreshTimes(resource.dnsRefreshRate, defaultRefreshRate, failure, place),
    respectTtl: resource.respectDnsTtl,
  };
}

/** @throws {UnsupportedConfigurationError} */
export function lookupFamily(family: Cluster_DnsLookupFamily, place: Place): DnsConfig["lookupFamily"] {
  return families[family] ?? place.refuse("is unknown");
}

/** When names are asked for again; `place` is the message that has the fields. */
export function refreshTimes(
  rate: Duration | undefined,
  defaultRate: number,
  failure: Cluster_RefreshRate | undefined,
  place: Place,
): Pick<DnsConfig, "refreshRate" | "failureRefresh"> {
  const refreshRate = positiveMilliseconds(rate, defaultRate, place.field("dns_refresh_rate"));
  const at = place.field("dns_failure_refresh_rate");
  const base = positiveMilliseconds(failure?.baseInterval, refreshRate, at.field("base_interval"));
  const maximum = positiveMilliseconds(
    failure?.maxInterval,
    failure === undefined ? refreshRate : base * 10,
    at.field("max_interval"),
  );
  at.field("max_interval").require(maximum >= base, "want at least base_interval");
  return { refreshRate, failureRefresh: { base, maximum } };
}
