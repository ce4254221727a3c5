/** Everything one workload's proxy is configured with, compiled from the mesh: Istio's rules in, xDS out. */
import { create } from "@bufbuild/protobuf";
import type { Mesh } from "../mesh.ts";
import { type Cluster } from "../xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import { TrafficDirection } from "../xds/gen/envoy/config/core/v3/base_pb.ts";
import { type Listener, ListenerSchema } from "../xds/gen/envoy/config/listener/v3/listener_pb.ts";
import type { RouteConfiguration } from "../xds/gen/envoy/config/route/v3/route_pb.ts";
import type { WorkloadNode } from "../xds/node.ts";
import { outboundHttp } from "./http_connection_manager.ts";
import { compileInbound, socketAddress } from "./inbound.ts";
import { meshIndex } from "./mesh_index.ts";
import { outboundClusters } from "./outbound_clusters.ts";
import { compileOutboundRoutes, HTTP_PROXY_ROUTES } from "./outbound_routes.ts";
import { type CompileWarning, distinctWarnings } from "./warning.ts";

/** The resources of one xDS node, by name. Messages are shared between snapshots and never changed. */
export interface ProxySnapshot {
  listeners: Map<string, Listener>;
  routes: Map<string, RouteConfiguration>;
  clusters: Map<string, Cluster>;
  /** Names of the clusters whose endpoints are discovered: see `compileEndpoints`. */
  endpoints: string[];
  /** What of the rules that concern this workload cannot do what it says. */
  warnings: CompileWarning[];
}

/**
 * Compiles the configuration of a workload.
 *
 * A later mesh shares the `Service` and rule objects that did not change; what was compiled from them is then the very
 * same message, so that comparing objects tells what to push.
 *
 * @param mesh never changed after the first call with it
 */
export function compileProxy(mesh: Mesh, node: WorkloadNode): ProxySnapshot {
  const snapshot: ProxySnapshot = {
    listeners: new Map(),
    routes: new Map(),
    clusters: new Map(),
    endpoints: [],
    warnings: [],
  };
  const warnings: CompileWarning[] = [];
  const inbound = compileInbound(mesh, node, (warning) => warnings.push(warning));
  for (const listener of inbound.listeners) snapshot.listeners.set(listener.name, listener);
  for (const cluster of inbound.clusters) snapshot.clusters.set(cluster.name, cluster);
  if (node.httpProxy !== null) {
    compileOutbound(mesh, node, node.httpProxy, snapshot, warnings);
  }
  snapshot.warnings = distinctWarnings(warnings);
  return snapshot;
}

function compileOutbound(
  mesh: Mesh,
  node: WorkloadNode,
  { address, port }: { address: string; port: number },
  snapshot: ProxySnapshot,
  warnings: CompileWarning[],
): void {
  const index = meshIndex(mesh);
  for (const service of index.view(node.namespace).services) {
    const compiled = outboundClusters(service, index.rulesFor(service, node), mesh.settings);
    for (const [name, cluster] of compiled.clusters) {
      snapshot.clusters.set(name, cluster);
      snapshot.endpoints.push(name);
    }
    warnings.push(...compiled.warnings);
  }
  const routes = compileOutboundRoutes(index, node, (warning) => warnings.push(warning));
  snapshot.routes.set(routes.name, routes);
  const name = `${HTTP_PROXY_ROUTES}|${address}:${port}`;
  snapshot.listeners.set(
    name,
    create(ListenerSchema, {
      name,
      address: socketAddress(address, port),
      trafficDirection: TrafficDirection.OUTBOUND,
      filterChains: [{ filters: [outboundHttp(HTTP_PROXY_ROUTES, HTTP_PROXY_ROUTES, mesh.settings)] }],
    }),
  );
}
