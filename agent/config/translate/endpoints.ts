/** Cluster load assignments: the endpoints of one cluster. */
import { type Locality, type Metadata } from "../../../routing/xds/gen/envoy/config/core/v3/base_pb.ts";
import { HealthStatus } from "../../../routing/xds/gen/envoy/config/core/v3/health_check_pb.ts";
import type {
  Endpoint_HealthCheckConfig,
  LbEndpoint,
} from "../../../routing/xds/gen/envoy/config/endpoint/v3/endpoint_components_pb.ts";
import {
  type ClusterLoadAssignment,
  ClusterLoadAssignmentSchema,
} from "../../../routing/xds/gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import type { EndpointConfig, EndpointsConfig, WorkloadLabels } from "../model.ts";
import { refuseUnimplemented } from "./strict.ts";
import { Place } from "./unsupported.ts";
import { addressAndPort, textValues } from "./values.ts";

/** An endpoint before it has its counters in shared memory. */
export type SlotlessEndpoint = Omit<EndpointConfig, "slot">;

/** The endpoints of a cluster before they have their counters in shared memory. */
export type SlotlessEndpoints = Omit<EndpointsConfig, "localities"> & {
  localities: (Omit<EndpointsConfig["localities"][number], "endpoints"> & { endpoints: SlotlessEndpoint[] })[];
};

/** Envoy's default of healthy_panic_threshold, in percent. */
export const defaultPanicThreshold = 50;
/** Envoy's limit. */
const maximumPriority = 128;

/**
 * @param cluster name of the cluster whose endpoints these are; the resource may be named otherwise
 * @throws {UnsupportedConfigurationError}
 */
export function translateEndpoints(resource: ClusterLoadAssignment, cluster: string): SlotlessEndpoints {
  const place = new Place(`endpoints ${resource.clusterName}`);
  refuseUnimplemented(ClusterLoadAssignmentSchema, resource, place);
  return endpointsConfig(resource, cluster, place);
}

/**
 * As {@link translateEndpoints}, for an assignment that stands at `place` in a resource that has been checked.
 *
 * @param names whether endpoints may have DNS names
 */
export function endpointsConfig(
  resource: ClusterLoadAssignment,
  cluster: string,
  place: Place,
  names = false,
): SlotlessEndpoints {
  const overprovisioningFactor = resource.policy?.overprovisioningFactor;
  place.field("policy.overprovisioning_factor").require(overprovisioningFactor !== 0, "want at least 1");
  const localities = resource.endpoints.map((group, index) => {
    const at = place.field("endpoints").item(index);
    at.field("priority").require(group.priority <= maximumPriority, `want at most ${maximumPriority}`);
    return {
      priority: group.priority,
      locality: localityName(group.locality),
      weight: group.loadBalancingWeight ?? 0,
      endpoints: group.lbEndpoints.map((endpoint, i) =>
        endpointConfig(endpoint, at.field("lb_endpoints").item(i), names)
      ),
    };
  });
  return {
    cluster,
    localities,
    panicThreshold: defaultPanicThreshold,
    ...(overprovisioningFactor === undefined ? {} : { overprovisioningFactor }),
  };
}

function endpointConfig(endpoint: LbEndpoint, place: Place, names: boolean): SlotlessEndpoint {
  if (endpoint.hostIdentifier.case !== "endpoint") return place.refuse("want an endpoint");
  const weight = endpoint.loadBalancingWeight ?? 1;
  place.field("load_balancing_weight").require(weight > 0, "want at least 1");
  const metadata = place.field("metadata.filter_metadata");
  const sockets = "envoy.transport_socket_match";
  const hashKey = endpoint.metadata?.filterMetadata["envoy.lb"]?.["hash_key"];
  return {
    ...addressAndPort(endpoint.hostIdentifier.value.address, place.field("endpoint.address"), names),
    weight,
    healthy: isHealthy(endpoint.healthStatus, place.field("health_status")),
    transportSocketMatch: textValues(endpoint.metadata?.filterMetadata[sockets], metadata.key(sockets)),
    workload: workloadLabels(endpoint.metadata),
    ...(typeof hashKey === "string" ? { hashKey } : {}),
    ...endpointHealthCheck(endpoint.hostIdentifier.value.healthCheckConfig),
  };
}

function endpointHealthCheck(config: Endpoint_HealthCheckConfig | undefined): Pick<EndpointConfig, "healthCheck"> {
  if (config === undefined) return {};
  const { portValue: port, hostname, disableActiveHealthCheck: disabled } = config;
  return { healthCheck: { port, hostname, disabled } };
}

function isHealthy(status: HealthStatus, place: Place): boolean {
  switch (status) {
    case HealthStatus.UNKNOWN:
    case HealthStatus.HEALTHY:
      return true;
    case HealthStatus.UNHEALTHY:
    case HealthStatus.DRAINING:
    case HealthStatus.TIMEOUT:
      return false;
    default:
      return place.refuse(`${HealthStatus[status] ?? status} is not implemented`);
  }
}

function localityName(locality: Locality | undefined): string {
  if (locality === undefined) return "";
  return [locality.region, locality.zone, locality.subZone].join("/").replace(/\/+$/, "");
}

/**
 * Labels from Istio's `filter_metadata.istio.workload`: `name;namespace;canonical-name;canonical-revision;cluster`.
 *
 * It has no app and no version: by Istio's custom the canonical name and revision stand for them, `latest` for no
 * version.
 */
function workloadLabels(metadata: Metadata | undefined): WorkloadLabels {
  const text = metadata?.filterMetadata["istio"]?.["workload"];
  const parts = typeof text === "string" ? text.split(";") : [];
  const [workload = "", namespace = "", canonicalService = "", canonicalRevision = "", cluster = ""] = parts;
  return {
    workload,
    namespace,
    app: canonicalService,
    version: canonicalRevision === "latest" ? "" : canonicalRevision,
    canonicalService,
    canonicalRevision,
    cluster,
  };
}
