/** The endpoints of a cluster: addresses to dial, weights, health, and what metrics say of each. */
import { create, type JsonObject } from "@bufbuild/protobuf";
import type { Endpoint, Mesh, Service } from "../mesh.ts";
import { HealthStatus } from "../xds/gen/envoy/config/core/v3/health_check_pb.ts";
import {
  type ClusterLoadAssignment,
  ClusterLoadAssignmentSchema,
} from "../xds/gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import { parseClusterName } from "../xds/names.ts";
import type { Client, RuleSet } from "./destination_rules.ts";
import { canonicalName, canonicalRevision, selects } from "./labels.ts";
import { type LocalityGroup, localityPreference, preferNear, sumOfWeights } from "./locality.ts";
import { meshIndex } from "./mesh_index.ts";
import type { PeerAuthenticationIndex } from "./security/peer_authentication.ts";
import { securityIndex } from "./security/security_index.ts";

const UNIX_SCHEME = "unix://";

const compiled = new WeakMap<Service, WeakMap<RuleSet, Map<string, ClusterLoadAssignment>>>();

/**
 * The endpoints of an outbound cluster. Empty for a cluster whose service or subset does not exist, or that the
 * client does not see.
 *
 * @param client decides which DestinationRules define the subset, and which endpoints are near; without one, a client
 *   in the service's namespace and in no locality
 */
export function compileEndpoints(mesh: Mesh, clusterName: string, client?: Client): ClusterLoadAssignment {
  const parsed = parseClusterName(clusterName);
  const service = parsed === null || parsed.direction === "inbound" ? undefined : mesh.services.get(parsed.host);
  if (parsed === null || service === undefined) return create(ClusterLoadAssignmentSchema, { clusterName });
  const rules = meshIndex(mesh).rulesFor(service, client ?? { namespace: service.namespace, labels: {} });

  let byRules = compiled.get(service);
  if (byRules === undefined) compiled.set(service, byRules = new WeakMap());
  let byKey = byRules.get(rules);
  if (byKey === undefined) byRules.set(rules, byKey = new Map());
  const preference = localityPreference(rules, parsed.subset, parsed.port, mesh.settings, client);
  const plaintext = plaintextPorts(securityIndex(mesh).peerAuthentication, service, parsed.port);
  const modes = plaintext.size === 0 ? null : service.endpoints.map((endpoint) => plaintext.get(endpoint) ?? 0);
  const key = preference === null && modes === null ? clusterName : JSON.stringify([clusterName, preference, modes]);
  let assignment = byKey.get(key);
  if (assignment === undefined) {
    const groups = byLocality(subsetEndpoints(service, rules, parsed.subset), parsed.port, plaintext);
    assignment = assignmentOf(clusterName, preference === null ? groups : preferNear(groups, preference));
    byKey.set(key, assignment);
  }
  return assignment;
}

/**
 * The endpoints that stand in a cluster itself, since the proxy resolves their names: those of one port and subset, by
 * locality. Whatever the client's locality, all have one priority.
 */
export function inlineEndpoints(
  service: Service,
  rules: RuleSet,
  { name, subset, port }: { name: string; subset: string; port: number },
): ClusterLoadAssignment {
  return assignmentOf(name, byLocality(subsetEndpoints(service, rules, subset), port));
}

function subsetEndpoints(service: Service, rules: RuleSet, name: string): readonly Endpoint[] {
  if (name === "") return service.endpoints;
  const labels = rules.subsets.get(name);
  if (labels === undefined) return [];
  return service.endpoints.filter((endpoint) => selects(labels.subset.labels, endpoint.labels));
}

/** Workloads behind one address and port: to a client they are one endpoint. */
interface Dialled {
  address: string;
  port: number;
  tlsMode: Endpoint["tlsMode"];
  workloads: [Endpoint, ...Endpoint[]];
  locality: string;
  labels: Record<string, string>;
  weight: number;
}

/**
 * The endpoints that take no mutual TLS on this port, though their agents could, with the port at which they are dialled
 * then: PeerAuthentication switches it off for them.
 */
function plaintextPorts(policies: PeerAuthenticationIndex, service: Service, port: number): Map<Endpoint, number> {
  const plaintext = new Map<Endpoint, number>();
  if (!policies.mayDisable) return plaintext;
  for (const endpoint of service.endpoints) {
    const workloadPort = endpoint.workloadPorts?.[port];
    if (endpoint.tlsMode !== "istio" || workloadPort === undefined) continue;
    if (policies.mode(endpoint, workloadPort) === "DISABLE") plaintext.set(endpoint, workloadPort);
  }
  return plaintext;
}

function byLocality(
  endpoints: readonly Endpoint[],
  port: number,
  plaintext: ReadonlyMap<Endpoint, number> = new Map(),
): LocalityGroup<Dialled>[] {
  const workloads = new Map<string, [Endpoint, ...Endpoint[]]>();
  for (const endpoint of endpoints) {
    const dialPort = plaintext.get(endpoint) ?? endpoint.ports[port];
    if (dialPort === undefined) continue;
    const key = `${endpoint.address} ${dialPort}`;
    const known = workloads.get(key);
    if (known === undefined) workloads.set(key, [endpoint]);
    else known.push(endpoint);
  }
  const dialled = [...workloads.values()].map((behind): Dialled => {
    const [first] = behind;
    const { address, ports, locality, labels } = first;
    const tlsMode = plaintext.has(first) ? "disabled" as const : first.tlsMode;
    return {
      address,
      port: plaintext.get(first) ?? ports[port],
      tlsMode,
      workloads: behind,
      locality,
      labels,
      weight: weight(behind),
    };
  });
  const localities = Map.groupBy(dialled, ({ locality }) => locality);
  return [...localities.keys()].sort().map((locality) => {
    const members = localities.get(locality)!;
    return { locality, members, weight: sumOfWeights(members), priority: 0 };
  });
}

function assignmentOf(clusterName: string, groups: readonly LocalityGroup<Dialled>[]): ClusterLoadAssignment {
  return create(ClusterLoadAssignmentSchema, {
    clusterName,
    endpoints: groups.map((group) => ({
      locality: locality(group.locality),
      priority: group.priority,
      lbEndpoints: group.members.map(lbEndpoint),
      loadBalancingWeight: group.weight,
    })),
  });
}

function lbEndpoint(dialled: Dialled) {
  const { tlsMode, workloads, weight } = dialled;
  const filterMetadata: Record<string, JsonObject> = { istio: { workload: workloadMetadata(workloads) } };
  if (tlsMode === "istio") filterMetadata["envoy.transport_socket_match"] = { tlsMode: "istio" };
  return {
    hostIdentifier: {
      case: "endpoint" as const,
      value: { address: { address: dialledAddress(dialled) } },
    },
    healthStatus: workloads.some(({ healthy }) => healthy) ? HealthStatus.HEALTHY : HealthStatus.UNHEALTHY,
    loadBalancingWeight: weight,
    metadata: { filterMetadata },
  };
}

/** A Unix socket goes by its path, which Istio writes as `unix:///path` or `unix://@name`. */
function dialledAddress({ address, port }: Dialled) {
  if (address.startsWith(UNIX_SCHEME)) {
    return { case: "pipe" as const, value: { path: address.slice(UNIX_SCHEME.length) } };
  }
  return {
    case: "socketAddress" as const,
    value: { address, portSpecifier: { case: "portValue" as const, value: port } },
  };
}

/** Healthy workloads share the load; Envoy refuses a weight of 0, and Istio takes that for unset. */
function weight(workloads: readonly Endpoint[]): number {
  const healthy = workloads.filter((workload) => workload.healthy);
  return (healthy.length === 0 ? workloads : healthy).reduce((sum, workload) => sum + (workload.weight || 1), 0);
}

/**
 * Istio's `name;namespace;canonical-name;canonical-revision;cluster`, from which metrics take their labels. Where
 * workloads behind one address differ, the part is empty: the client cannot tell which of them answers.
 */
function workloadMetadata(workloads: readonly Endpoint[]): string {
  const common = (part: (workload: Endpoint) => string) => {
    const value = part(workloads[0]);
    return workloads.every((workload) => part(workload) === value) ? value : "";
  };
  return [
    common(({ workload }) => workload),
    common(({ namespace }) => namespace),
    common(({ labels, workload }) => canonicalName(labels, workload)),
    common(({ labels }) => canonicalRevision(labels)),
    "",
  ].join(";");
}

function locality(name: string) {
  if (name === "") return undefined;
  const [region, zone, ...subZone] = name.split("/");
  return { region, zone: zone ?? "", subZone: subZone.join("/") };
}
