/** What a workload needs to reach the mesh: clusters and the routes to them. */
import type { Mesh } from "../mesh.ts";
import { type Cluster, Cluster_DiscoveryType } from "../xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import type { RouteConfiguration } from "../xds/gen/envoy/config/route/v3/route_pb.ts";
import type { Client } from "./destination_rules.ts";
import { type MeshIndex, meshIndex } from "./mesh_index.ts";
import type { NamespaceView } from "./namespace_view.ts";
import { outboundClusters } from "./outbound_clusters.ts";
import { otherHostsClusters } from "./other_hosts.ts";
import { compileOutboundRoutes } from "./outbound_routes.ts";
import { outboundTrafficPolicy } from "./sidecar/outbound_traffic_policy.ts";
import type { CompileWarning, Warn } from "./warning.ts";

/** Shared by all workloads that see the mesh alike: never change it. */
export interface Outbound {
  clusters: ReadonlyMap<string, Cluster>;
  /** Names of the clusters whose endpoints are discovered. */
  endpoints: readonly string[];
  routes: RouteConfiguration;
  warnings: readonly CompileWarning[];
}

const compiled = new WeakMap<NamespaceView, Map<string, Outbound>>();

/** The clusters of every service that the client sees. */
export function visibleClusters(index: MeshIndex, client: Client, warn: Warn): Map<string, Cluster> {
  const clusters = new Map<string, Cluster>();
  for (const service of index.view(client).services) {
    const ofService = outboundClusters(service, index.rulesFor(service, client), index.mesh.settings);
    for (const [name, cluster] of ofService.clusters) clusters.set(name, cluster);
    ofService.warnings.forEach(warn);
  }
  return clusters;
}

/** Compiles for a client; once for all clients of a namespace that see alike, unless some rule of the mesh asks for labels. */
export function compileOutbound(mesh: Mesh, client: Client): Outbound {
  const index = meshIndex(mesh);
  const view = index.view(client);
  let byClient = compiled.get(view);
  if (byClient === undefined) compiled.set(view, byClient = new Map());
  const { mode, egressProxy = "" } = outboundTrafficPolicy(index, client);
  const key = `${mode} ${egressProxy} ${clientKey(index, client)}`;
  let outbound = byClient.get(key);
  if (outbound === undefined) byClient.set(key, outbound = compile(index, client));
  return outbound;
}

function clientKey(index: MeshIndex, { namespace, labels }: Client): string {
  if (!index.destinationRules.selective && !index.virtualServices.selective) return namespace;
  const entries = Object.entries(labels).sort(([one], [other]) => one < other ? -1 : 1);
  return JSON.stringify([namespace, entries]);
}

function compile(index: MeshIndex, client: Client): Outbound {
  const warnings: CompileWarning[] = [...index.virtualServices.warnings];
  const warn = (warning: CompileWarning) => warnings.push(warning);
  const clusters = visibleClusters(index, client, warn);
  for (const cluster of otherHostsClusters(index.mesh.settings)) clusters.set(cluster.name, cluster);
  const routes = compileOutboundRoutes(index, client, warn);
  const endpoints = [...clusters.values()].filter(isEds).map(({ name }) => name);
  return { clusters, endpoints, routes, warnings };
}

/** Whether the control plane tells the cluster's endpoints. */
export function isEds({ clusterDiscoveryType: { case: kind, value } }: Cluster): boolean {
  return kind === "type" && value === Cluster_DiscoveryType.EDS;
}
