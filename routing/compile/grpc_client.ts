/**
 * Configuration of a proxyless gRPC client (gRFC A27): for each port of HTTP, HTTP/2 or gRPC of each service that it
 * sees an API listener `HOST:PORT`, which `xds:///HOST:PORT` asks for, a route configuration of that name, and clusters
 * of which the library understands every field.
 *
 * It speaks to workloads without TLS, on the ports on which agents take callers from outside the mesh, as
 * PeerAuthentication allows: the libraries cannot name the workload by SNI.
 */
import { create } from "@bufbuild/protobuf";
import type { Mesh } from "../mesh.ts";
import { type Cluster, Cluster_LbPolicy, ClusterSchema } from "../xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import {
  type ClusterLoadAssignment,
  ClusterLoadAssignmentSchema,
} from "../xds/gen/envoy/config/endpoint/v3/endpoint_pb.ts";
import { LocalitySchema } from "../xds/gen/envoy/config/core/v3/base_pb.ts";
import { type Listener, ListenerSchema } from "../xds/gen/envoy/config/listener/v3/listener_pb.ts";
import { EndpointSchema, LbEndpointSchema } from "../xds/gen/envoy/config/endpoint/v3/endpoint_components_pb.ts";
import { type RouteConfiguration, RouteConfigurationSchema } from "../xds/gen/envoy/config/route/v3/route_pb.ts";
import type { Route, VirtualHost } from "../xds/gen/envoy/config/route/v3/route_components_pb.ts";
import { HttpConnectionManagerSchema } from "../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts";
import { parseClusterName } from "../xds/names.ts";
import type { WorkloadNode } from "../xds/node.ts";
import { packAny } from "../xds/resources.ts";
import { FAULT_FILTER, grpcClientFilters } from "./http_connection_manager.ts";
import { socketAddress } from "./inbound.ts";
import { meshIndex } from "./mesh_index.ts";
import { compileOutbound } from "./outbound.ts";
import { isHttp } from "./protocol.ts";
import type { ProxySnapshot } from "./proxy.ts";
import { ADS } from "./transport_socket.ts";

/** What the client may ask for. Messages are made once from the same parts. */
export function compileGrpcClient(mesh: Mesh, node: WorkloadNode): ProxySnapshot {
  const outbound = compileOutbound(mesh, node);
  const virtualHosts = new Map(outbound.routes.virtualHosts.map((each) => [each.name, each]));
  const listeners = new Map<string, Listener>();
  const routes = new Map<string, RouteConfiguration>();
  for (const service of meshIndex(mesh).view(node).services) {
    for (const port of service.ports) {
      const name = `${service.hostname}:${port.number}`;
      const virtualHost = virtualHosts.get(name);
      if (!isHttp(port.protocol) || virtualHost === undefined) continue;
      listeners.set(name, apiListener(name));
      routes.set(name, routesOf(name, virtualHost));
    }
  }
  const discovered = [...outbound.clusters.values()].filter(({ edsClusterConfig }) => edsClusterConfig !== undefined);
  const clusters = new Map(discovered.map((cluster) => [cluster.name, clusterForGrpc(cluster)]));
  return { listeners, routes, clusters, endpoints: [...clusters.keys()], warnings: [...outbound.warnings] };
}

const routeConfigurations = new WeakMap<VirtualHost, RouteConfiguration>();
const clusters = new WeakMap<Cluster, Cluster>();
const assignments = new WeakMap<ClusterLoadAssignment, ClusterLoadAssignment>();

function apiListener(name: string): Listener {
  const manager = create(HttpConnectionManagerSchema, {
    statPrefix: name,
    routeSpecifier: { case: "rds", value: { configSource: ADS, routeConfigName: name } },
    httpFilters: [...grpcClientFilters],
  });
  return create(ListenerSchema, { name, apiListener: { apiListener: packAny(HttpConnectionManagerSchema, manager) } });
}

function routesOf(name: string, virtualHost: VirtualHost): RouteConfiguration {
  let known = routeConfigurations.get(virtualHost);
  if (known === undefined) {
    const routes = virtualHost.routes.filter(({ match }) => match?.pathSpecifier.case !== "connectMatcher");
    known = create(RouteConfigurationSchema, {
      name,
      virtualHosts: [{ ...virtualHost, routes: routes.map(withKnownFilters) }],
    });
    routeConfigurations.set(virtualHost, known);
  }
  return known;
}

/** Libraries refuse a route that configures a filter which they do not have. */
function withKnownFilters(route: Route): Route {
  const typedPerFilterConfig = Object.fromEntries(
    Object.entries(route.typedPerFilterConfig).filter(([filter]) => filter === FAULT_FILTER),
  );
  return { ...route, typedPerFilterConfig };
}

function clusterForGrpc(cluster: Cluster): Cluster {
  let known = clusters.get(cluster);
  if (known === undefined) {
    const ring = cluster.lbPolicy === Cluster_LbPolicy.RING_HASH || cluster.lbPolicy === Cluster_LbPolicy.MAGLEV;
    known = create(ClusterSchema, {
      name: cluster.name,
      clusterDiscoveryType: cluster.clusterDiscoveryType,
      edsClusterConfig: cluster.edsClusterConfig,
      // The policies that every library has.
      lbPolicy: ring ? Cluster_LbPolicy.RING_HASH : Cluster_LbPolicy.ROUND_ROBIN,
      circuitBreakers: cluster.circuitBreakers,
      outlierDetection: cluster.outlierDetection,
    });
    clusters.set(cluster, known);
  }
  return known;
}

/** The same endpoints, mesh workloads at their services' ports instead of their agents' ports for mutual TLS. */
export function endpointsForGrpc(assignment: ClusterLoadAssignment): ClusterLoadAssignment {
  let known = assignments.get(assignment);
  if (known !== undefined) return known;
  const port = parseClusterName(assignment.clusterName)?.port ?? 0;
  known = create(ClusterLoadAssignmentSchema, {
    clusterName: assignment.clusterName,
    endpoints: assignment.endpoints.map((locality) => ({
      ...locality,
      // A group without one is refused.
      locality: locality.locality ?? create(LocalitySchema),
      lbEndpoints: locality.lbEndpoints.map((each) => {
        const { metadata, hostIdentifier: { value, case: kind } } = each;
        const address = kind === "endpoint" ? value.address?.address : undefined;
        const mutualTls = metadata?.filterMetadata["envoy.transport_socket_match"]?.tlsMode === "istio";
        if (!mutualTls || address?.case !== "socketAddress") return each;
        const plain = create(EndpointSchema, { address: socketAddress(address.value.address, port) });
        return create(LbEndpointSchema, { ...each, hostIdentifier: { case: "endpoint", value: plain } });
      }),
    })),
  });
  assignments.set(assignment, known);
  return known;
}
