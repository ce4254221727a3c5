/** Everything the proxy of one workload or gateway is configured with, compiled from the mesh: Istio's rules in, xDS out. */
import { create } from "@bufbuild/protobuf";
import type { Mesh } from "../mesh.ts";
import type { Cluster } from "../xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import { TrafficDirection } from "../xds/gen/envoy/config/core/v3/base_pb.ts";
import { type Listener, ListenerSchema } from "../xds/gen/envoy/config/listener/v3/listener_pb.ts";
import type { RouteConfiguration } from "../xds/gen/envoy/config/route/v3/route_pb.ts";
import type { WorkloadNode } from "../xds/node.ts";
import { compileGateway } from "./gateway/gateway.ts";
import { compileGrpcClient } from "./grpc_client.ts";
import { outboundHttp } from "./http_connection_manager.ts";
import { compileInbound, socketAddress } from "./inbound.ts";
import { compileOutbound, isEds, type Outbound, visibleClusters } from "./outbound.ts";
import { meshIndex } from "./mesh_index.ts";
import { HTTP_PROXY_ROUTES } from "./outbound_routes.ts";
import { routedListeners } from "./outbound_l4.ts";
import { virtualListeners } from "./outbound_listeners.ts";
import { egressListeners } from "./sidecar/egress_listeners.ts";
import { type ProxySettings, proxySettings } from "./telemetry/proxy_settings.ts";
import { withMetrics } from "./telemetry/listener_metrics.ts";
import { clusterForEnvoy } from "./stock_envoy.ts";
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

/** What a proxy has in common with all that see the mesh alike: the same objects for each of them. */
export interface SharedResources {
  outbound: Outbound;
  /** For services, on the agent's loopback addresses. */
  listeners: ReadonlyMap<string, Listener>;
}

/** A proxy's configuration, with what is its own apart from what is shared, so that the latter is dealt with once. */
export interface ProxyParts {
  /** Where it has a name that the shared resources have too, this one holds. */
  own: ProxySnapshot;
  /** `null`: nothing is. */
  shared: SharedResources | null;
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
  const { own, shared } = compileProxyParts(mesh, node);
  return shared === null ? own : whole(own, shared);
}

/** The same, in two parts. Costs as much as the proxy's own part when another one like it was compiled before. */
export function compileProxyParts(mesh: Mesh, node: WorkloadNode): ProxyParts {
  if (node.software?.kind === "grpc") return { own: compileGrpcClient(mesh, node), shared: null };
  if (node.type !== "router" && node.software === undefined) return compileSidecar(mesh, node);
  const snapshot = node.type === "router" ? compileRouter(mesh, node) : compileWholeSidecar(mesh, node);
  if (node.software?.kind === "envoy") {
    snapshot.clusters = new Map([...snapshot.clusters].map(([name, cluster]) => [name, clusterForEnvoy(cluster)]));
  }
  return { own: snapshot, shared: null };
}

function compileWholeSidecar(mesh: Mesh, node: WorkloadNode): ProxySnapshot {
  const { own, shared } = compileSidecar(mesh, node);
  return shared === null ? own : whole(own, shared);
}

function whole(own: ProxySnapshot, { outbound, listeners }: SharedResources): ProxySnapshot {
  return {
    ...own,
    listeners: new Map([...own.listeners, ...[...listeners].filter(([name]) => !own.listeners.has(name))]),
    clusters: new Map([...own.clusters, ...outbound.clusters]),
    endpoints: [...outbound.endpoints],
  };
}

/** A gateway: it serves callers from outside, and has no workload. */
function compileRouter(mesh: Mesh, node: WorkloadNode): ProxySnapshot {
  const index = meshIndex(mesh);
  const warnings: CompileWarning[] = [];
  const warn = (warning: CompileWarning) => warnings.push(warning);
  const { listeners, routes } = compileGateway(index, node, warn);
  const clusters = visibleClusters(index, node, warn);
  const snapshot = {
    listeners: new Map(listeners.map((listener) => [listener.name, listener])),
    routes: new Map(routes.map((configuration) => [configuration.name, configuration])),
    clusters,
    endpoints: [...clusters.values()].filter(isEds).map(({ name }) => name),
    warnings: [...index.virtualServices.warnings, ...warnings],
  };
  return withTelemetry(snapshot, mesh, node);
}

function compileSidecar(mesh: Mesh, node: WorkloadNode): ProxyParts {
  let shared: SharedResources | null = null;
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
    const outbound = compileOutbound(mesh, node);
    let virtual: ReadonlyMap<string, Listener> = new Map();
    snapshot.routes.set(outbound.routes.name, outbound.routes);
    const listener = httpProxyListener(proxySettings(mesh, node, "CLIENT"), node.httpProxy);
    snapshot.listeners.set(listener.name, listener);
    const warn = (warning: CompileWarning) => warnings.push(warning);
    const egress = egressListeners(meshIndex(mesh), node, warn);
    for (const configuration of egress.routes) snapshot.routes.set(configuration.name, configuration);
    for (const listener of egress.listeners) snapshot.listeners.set(listener.name, listener);
    if (node.vipRange !== undefined) {
      const options = { range: node.vipRange, lowestPort: node.lowestPort ?? 0 };
      const index = meshIndex(mesh);
      virtual = virtualListeners(index, node, options);
      const routed = routedListeners(virtual, index, node, node.vipRange, warn);
      for (const [name, listener] of routed) snapshot.listeners.set(name, listener);
    }
    shared = { outbound, listeners: virtual };
    warnings.push(...outbound.warnings);
  }
  snapshot.warnings = warnings;
  return { own: withTelemetry(snapshot, mesh, node), shared };
}

/** What Telemetries say of the metrics, told by the listeners, and what of them cannot be. */
function withTelemetry(snapshot: ProxySnapshot, mesh: Mesh, node: WorkloadNode): ProxySnapshot {
  const warnings = [...snapshot.warnings];
  const warn = (warning: CompileWarning) => warnings.push(warning);
  const sides = {
    CLIENT: proxySettings(mesh, node, "CLIENT", warn),
    SERVER: proxySettings(mesh, node, "SERVER", warn),
  };
  return { ...snapshot, listeners: withMetrics(snapshot.listeners, sides), warnings: distinctWarnings(warnings) };
}

/** The port to which local applications send requests for any host of the mesh. */
function httpProxyListener(settings: ProxySettings, { address, port }: { address: string; port: number }): Listener {
  return create(ListenerSchema, {
    name: `${HTTP_PROXY_ROUTES}|${address}:${port}`,
    address: socketAddress(address, port),
    trafficDirection: TrafficDirection.OUTBOUND,
    filterChains: [{ filters: [outboundHttp(HTTP_PROXY_ROUTES, HTTP_PROXY_ROUTES, settings)] }],
  });
}
