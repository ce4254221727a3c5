/** How a workload is reached: by mutual TLS on its agent's inbound port, and in plaintext on its own port. */
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { ServerTLSSettings } from "../istio/types.ts";
import type { Mesh } from "../mesh.ts";
import { type Cluster, Cluster_DiscoveryType, ClusterSchema } from "../xds/gen/envoy/config/cluster/v3/cluster_pb.ts";
import { type Address, AddressSchema } from "../xds/gen/envoy/config/core/v3/address_pb.ts";
import { TrafficDirection } from "../xds/gen/envoy/config/core/v3/base_pb.ts";
import {
  type Filter,
  type FilterChain,
  FilterChainSchema,
  ListenerFilterSchema,
} from "../xds/gen/envoy/config/listener/v3/listener_components_pb.ts";
import { type Listener, ListenerSchema } from "../xds/gen/envoy/config/listener/v3/listener_pb.ts";
import { type RouteConfiguration, RouteConfigurationSchema } from "../xds/gen/envoy/config/route/v3/route_pb.ts";
import { TlsInspectorSchema } from "../xds/gen/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.ts";
import { clusterName, serverName } from "../xds/names.ts";
import type { WorkloadNode, WorkloadPort } from "../xds/node.ts";
import { packAny } from "../xds/resources.ts";
import { connectionPoolFields, httpVersion } from "./connection_pool.ts";
import { inboundHttp } from "./http_connection_manager.ts";
import { selects } from "./labels.ts";
import { type MeshIndex, meshIndex } from "./mesh_index.ts";
import { isHttp, portProtocol } from "./protocol.ts";
import { gatewayTls } from "./gateway/tls.ts";
import { type IngressPort, ingressPorts } from "./sidecar/ingress.ts";
import { effectivePolicy } from "./traffic_policy.ts";
import { tcpProxy } from "./tcp_proxy.ts";
import { DOWNSTREAM_MUTUAL_TLS, DOWNSTREAM_MUTUAL_TLS_TCP, MUTUAL_TLS_ALPN } from "./transport_socket.ts";
import { httpAuthorization, networkAuthorization } from "./security/authorization.ts";
import type { PortMode } from "./security/peer_authentication.ts";
import { securityIndex } from "./security/security_index.ts";
import { proxySettings } from "./telemetry/proxy_settings.ts";
import type { Warn } from "./warning.ts";
import { workloadHostname } from "./workload_hostname.ts";

/** Istio's name of the listener that takes all of a workload's mesh traffic. */
export const VIRTUAL_INBOUND = "virtualInbound";

const UNIX = "unix:";

/** Finds out whether a connection begins with a ClientHello, and what it asks for. */
export const tlsInspector = create(ListenerFilterSchema, {
  name: "envoy.filters.listener.tls_inspector",
  configType: { case: "typedConfig", value: packAny(TlsInspectorSchema, create(TlsInspectorSchema)) },
});

/** The inbound listeners and clusters of a workload. */
export function compileInbound(
  mesh: Mesh,
  node: WorkloadNode,
  warn: Warn,
): { listeners: Listener[]; clusters: Cluster[] } {
  const listeners: Listener[] = [];
  const clusters: Cluster[] = [];
  const chains: FilterChain[] = [];
  const hostname = workloadHostname(mesh, node);
  const subsets = hostname === "" ? [] : subsetsOf(meshIndex(mesh), hostname, node.labels);
  for (const port of ingressPorts(meshIndex(mesh), node)) {
    clusters.push(inboundCluster(mesh, node, port, hostname));
    const served = servedPort(mesh, node, port, hostname, warn);
    if (hostname !== "" && served.mode !== "DISABLE") {
      const serverNames = ["", ...subsets].map((subset) => serverName(port.number, subset, hostname));
      chains.push(mutualTlsChain(clusterName("inbound", port.number, "", ""), served, { serverNames }));
    }
    // Where the application itself holds the address, callers outside the mesh reach it without the agent.
    const address = port.bind ?? node.address;
    if (port.targetAddress === address && port.targetPort === port.number) continue;
    const filterChains = port.tls === undefined || port.origin === undefined
      ? ownPortChains(served)
      : ingressTlsChains(served, port.tls, port.origin, warn);
    listeners.push(create(ListenerSchema, {
      name: `${address}_${port.number}`,
      address: socketAddress(address, port.number),
      trafficDirection: TrafficDirection.INBOUND,
      listenerFilters: filterChains.some(({ transportSocket }) => transportSocket !== undefined) ? [tlsInspector] : [],
      filterChains,
    }));
  }
  if (chains.length > 0) {
    listeners.push(create(ListenerSchema, {
      name: VIRTUAL_INBOUND,
      address: socketAddress(node.address, node.inboundPort),
      trafficDirection: TrafficDirection.INBOUND,
      listenerFilters: [tlsInspector],
      filterChains: chains,
    }));
  }
  return { listeners, clusters };
}

/** A port of the workload: what its chains do, and who may speak to it how. */
interface ServedPort {
  http: boolean;
  mode: PortMode;
  filters: Filter[];
}

function servedPort(mesh: Mesh, node: WorkloadNode, port: WorkloadPort, hostname: string, warn: Warn): ServedPort {
  const http = isHttp(portProtocol(port.name, port.protocol));
  const workload = { namespace: node.namespace, labels: node.labels, hostname };
  const settings = proxySettings(mesh, node, "SERVER");
  const filters = http
    ? [
      inboundHttp(
        `inbound_${node.address}_${port.number}`,
        inboundRoutes(port),
        settings,
        httpAuthorization(mesh, workload, port.number, warn),
      ),
    ]
    : [
      ...networkAuthorization(mesh, workload, port.number, warn),
      tcpProxy(clusterName("inbound", port.number, "", ""), settings),
    ];
  return { http, mode: securityIndex(mesh).peerAuthentication.mode(workload, port.number), filters };
}

/** The chain that ends mutual TLS. */
function mutualTlsChain(
  name: string,
  { http, filters }: ServedPort,
  match: { serverNames?: string[]; applicationProtocols?: string[] },
): FilterChain {
  return create(FilterChainSchema, {
    name,
    filterChainMatch: { transportProtocol: "tls", ...match },
    filters,
    transportSocket: http ? DOWNSTREAM_MUTUAL_TLS : DOWNSTREAM_MUTUAL_TLS_TCP,
  });
}

/**
 * The chains of the workload's own port, as istiod has them for each mode, but for one case: a PERMISSIVE port that is
 * not HTTP takes plaintext alone, because the server may speak first, and looking for TLS would wait for the client.
 */
function ownPortChains(port: ServedPort): FilterChain[] {
  const { http, mode, filters } = port;
  if (mode === "STRICT") return [mutualTlsChain("mutual-tls", port, {})];
  // Of other protocols nothing is asked: TLS may be the application's own.
  const filterChainMatch = http ? { transportProtocol: "raw_buffer" } : undefined;
  const plaintext = create(FilterChainSchema, { name: "plaintext", filterChainMatch, filters });
  if (!http || mode === "DISABLE") return [plaintext];
  return [mutualTlsChain("mutual-tls", port, { applicationProtocols: MUTUAL_TLS_ALPN }), plaintext];
}

/** As in Istio, TLS of an ingress listener's own holds where PeerAuthentication switches mutual TLS off for its port. */
function ingressTlsChains(
  port: ServedPort,
  tls: ServerTLSSettings,
  { sidecar: { metadata: { namespace, name } }, field }: NonNullable<IngressPort["origin"]>,
  warn: Warn,
): FilterChain[] {
  if (port.mode === "DISABLE") {
    return [create(FilterChainSchema, {
      name: "ingress-tls",
      filterChainMatch: { transportProtocol: "tls" },
      filters: port.filters,
      transportSocket: gatewayTls(tls, port.http),
    })];
  }
  const message =
    `is not in force: it needs a PeerAuthentication that says DISABLE for the port, which says ${port.mode}`;
  warn({ kind: "Sidecar", namespace, name, field: `${field}.tls`, message });
  return ownPortChains(port);
}

/** Names of the subsets that the workload is in, in any client's rules: under each of them it may be asked for. */
function subsetsOf(index: MeshIndex, hostname: string, labels: Record<string, string>): string[] {
  const names = new Set<string>();
  for (const rule of index.destinationRules.allFor(hostname)) {
    for (const subset of rule.spec.subsets ?? []) {
      if (selects(subset.labels, labels)) names.add(subset.name);
    }
  }
  return [...names].sort();
}

/** The cluster of the application itself. Of a DestinationRule only the connection pool holds here, as in Istio. */
function inboundCluster(mesh: Mesh, node: WorkloadNode, port: IngressPort, hostname: string): Cluster {
  const name = clusterName("inbound", port.number, "", "");
  const service = mesh.services.get(hostname);
  const rules = service === undefined ? undefined : meshIndex(mesh).rulesFor(service, node);
  const connectionPool = port.connectionPool ??
    effectivePolicy(rules?.trafficPolicy, undefined, port.number).connectionPool;
  // Upgrades are for callers.
  const version = httpVersion(portProtocol(port.name, port.protocol), {
    http: { useClientProtocol: connectionPool?.http?.useClientProtocol },
  }, undefined);
  return create(ClusterSchema, {
    name,
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.STATIC },
    ...connectionPoolFields({ connectionPool }, mesh.settings, { version }),
    loadAssignment: {
      clusterName: name,
      endpoints: [{
        lbEndpoints: [{ hostIdentifier: { case: "endpoint", value: { address: targetAddress(port) } } }],
      }],
    },
    metadata: hostname === "" ? undefined : {
      filterMetadata: { istio: { services: [{ host: hostname, name: node.service, namespace: node.namespace }] } },
    },
  });
}

/** Everything goes to the application: routing happened at the caller. */
function inboundRoutes(port: WorkloadPort): RouteConfiguration {
  const name = clusterName("inbound", port.number, "", "");
  return create(RouteConfigurationSchema, {
    name,
    validateClusters: false,
    virtualHosts: [{
      name: `inbound|http|${port.number}`,
      domains: ["*"],
      routes: [{
        name: "default",
        match: { pathSpecifier: { case: "prefix", value: "/" } },
        action: {
          case: "route",
          value: { clusterSpecifier: { case: "cluster", value: name }, timeout: durationFromMs(0) },
        },
      }],
    }],
  });
}

function targetAddress({ targetAddress, targetPort }: WorkloadPort): Address {
  if (!targetAddress.startsWith(UNIX)) return socketAddress(targetAddress, targetPort);
  const path = targetAddress.slice(UNIX.length);
  return create(AddressSchema, { address: { case: "pipe", value: { path } } });
}

/** An IP address and a TCP port. */
export function socketAddress(address: string, port: number): Address {
  return create(AddressSchema, {
    address: { case: "socketAddress", value: { address, portSpecifier: { case: "portValue", value: port } } },
  });
}
