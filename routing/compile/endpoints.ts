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
import { meshIndex } from "./mesh_index.ts";

const compiled = new WeakMap<Service, WeakMap<RuleSet, Map<string, ClusterLoadAssignment>>>();

/**
 * The endpoints of an outbound cluster. Empty for a cluster whose service or subset does not exist, or that the
 * client does not see.
 *
 * @param client decides which DestinationRules define the subset; without one, a client in the service's namespace
 */
export function compileEndpoints(mesh: Mesh, clusterName: string, client?: Client): ClusterLoadAssignment {
  const parsed = parseClusterName(clusterName);
  const service = parsed === null || parsed.direction === "inbound" ? undefined : mesh.services.get(parsed.host);
  if (parsed === null || service === undefined) return create(ClusterLoadAssignmentSchema, { clusterName });
  const rules = meshIndex(mesh).rulesFor(service, client ?? { namespace: service.namespace, labels: {} });

  let byRules = compiled.get(service);
  if (byRules === undefined) compiled.set(service, byRules = new WeakMap());
  let byName = byRules.get(rules);
  if (byName === undefined) byRules.set(rules, byName = new Map());
  let assignment = byName.get(clusterName);
  if (assignment === undefined) {
    assignment = compile(clusterName, subsetEndpoints(service, rules, parsed.subset), parsed.port);
    byName.set(clusterName, assignment);
  }
  return assignment;
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
  workloads: [Endpoint, ...Endpoint[]];
}

function compile(clusterName: string, endpoints: readonly Endpoint[], port: number): ClusterLoadAssignment {
  const dialled = new Map<string, Dialled>();
  for (const endpoint of endpoints) {
    const dialPort = endpoint.ports[port];
    if (dialPort === undefined) continue;
    const key = `${endpoint.address} ${dialPort}`;
    const known = dialled.get(key);
    if (known === undefined) dialled.set(key, { address: endpoint.address, port: dialPort, workloads: [endpoint] });
    else known.workloads.push(endpoint);
  }
  const localities = Map.groupBy(dialled.values(), ({ workloads }) => workloads[0].locality);
  return create(ClusterLoadAssignmentSchema, {
    clusterName,
    endpoints: [...localities.keys()].sort().map((name) => {
      const members = localities.get(name)!;
      return {
        locality: locality(name),
        lbEndpoints: members.map(lbEndpoint),
        loadBalancingWeight: members.reduce((sum, member) => sum + weight(member), 0),
      };
    }),
  });
}

function lbEndpoint(dialled: Dialled) {
  const { address, port, workloads } = dialled;
  const filterMetadata: Record<string, JsonObject> = { istio: { workload: workloadMetadata(workloads) } };
  if (workloads[0].tlsMode === "istio") filterMetadata["envoy.transport_socket_match"] = { tlsMode: "istio" };
  return {
    hostIdentifier: {
      case: "endpoint" as const,
      value: {
        address: {
          address: {
            case: "socketAddress" as const,
            value: { address, portSpecifier: { case: "portValue" as const, value: port } },
          },
        },
      },
    },
    healthStatus: workloads.some(({ healthy }) => healthy) ? HealthStatus.HEALTHY : HealthStatus.UNHEALTHY,
    loadBalancingWeight: weight(dialled),
    metadata: { filterMetadata },
  };
}

/** Healthy workloads share the load; Envoy refuses a weight of 0, and Istio takes that for unset. */
function weight({ workloads }: Dialled): number {
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
