/** What a gateway serves: the listeners and routes of all Gateways that select it. */
import { create } from "@bufbuild/protobuf";
import { TrafficDirection } from "../../xds/gen/envoy/config/core/v3/base_pb.ts";
import { type FilterChain, FilterChainSchema } from "../../xds/gen/envoy/config/listener/v3/listener_components_pb.ts";
import { type Listener, ListenerSchema } from "../../xds/gen/envoy/config/listener/v3/listener_pb.ts";
import type { RouteConfiguration } from "../../xds/gen/envoy/config/route/v3/route_pb.ts";
import type { WorkloadNode } from "../../xds/node.ts";
import { httpAuthorization, networkAuthorization } from "../security/authorization.ts";
import { gatewayHttp } from "../http_connection_manager.ts";
import { socketAddress, tlsInspector } from "../inbound.ts";
import { selects } from "../labels.ts";
import type { MeshIndex } from "../mesh_index.ts";
import { proxySettings } from "../telemetry/proxy_settings.ts";
import type { Warn } from "../warning.ts";
import { hostsOf } from "./hosts.ts";
import { tcpRoute, tlsRoutes } from "./l4.ts";
import { isPassthrough, type MergedPort, type MergedServer, mergeGateways } from "./merge.ts";
import { gatewayRoutes } from "./routes.ts";
import { gatewayTls } from "./tls.ts";

/** The listeners of a gateway, one for each address and port, and their route configurations. */
export function compileGateway(
  index: MeshIndex,
  node: WorkloadNode,
  warn: Warn,
): { listeners: Listener[]; routes: RouteConfiguration[] } {
  const selecting = index.gateways.filter(({ spec }) => selects(spec.selector, node.labels));
  const ports = mergeGateways(selecting, warn);
  const listeners = ports.flatMap((port) => {
    const chains = filterChains(port, index, node, warn);
    if (chains.length === 0) return [];
    const address = port.bind || node.address;
    return [create(ListenerSchema, {
      name: `${address}_${port.number}`,
      address: socketAddress(address, port.number),
      trafficDirection: TrafficDirection.OUTBOUND,
      listenerFilters: port.kind === "tls" ? [tlsInspector] : [],
      filterChains: chains,
    })];
  });
  const byName = new Map<string, MergedServer[]>();
  for (const server of ports.flatMap(({ servers }) => servers)) {
    if (server.routeName !== "") byName.set(server.routeName, [...byName.get(server.routeName) ?? [], server]);
  }
  const routes = [...byName].map(([name, servers]) => gatewayRoutes(name, servers, index, node, warn));
  return { listeners, routes };
}

function filterChains(port: MergedPort, index: MeshIndex, node: WorkloadNode, warn: Warn): FilterChain[] {
  const { mesh } = index;
  const [first] = port.servers;
  // As in Istio, policies are for gateways as for every other workload.
  const workload = { namespace: node.namespace, labels: node.labels, hostname: "" };
  const network = networkAuthorization(mesh, workload, port.number, warn);
  const http = (routeName: string) =>
    gatewayHttp(
      routeName,
      routeName,
      proxySettings(mesh, node, "CLIENT"),
      httpAuthorization(mesh, workload, port.number, warn),
    );
  if (port.kind === "http") {
    return [create(FilterChainSchema, { filters: [http(first.routeName)] })];
  }
  if (port.kind === "tcp") {
    const filter = tcpRoute(first, index, node, warn);
    return filter === null ? [] : [create(FilterChainSchema, { filters: [...network, filter] })];
  }
  const taken = new Set<string>();
  return port.servers.flatMap((merged) => {
    const { server, routeName, gateway } = merged;
    if (isPassthrough(server)) {
      return tlsRoutes(merged, taken, index, node, warn).map(({ serverNames, filter }) =>
        chain(serverNames, [...network, filter])
      );
    }
    const filter = routeName === "" ? tcpRoute(merged, index, node, warn) : http(routeName);
    if (filter === null) return [];
    const name = `${gateway}/${server.port.name}`;
    const filters = routeName === "" ? [...network, filter] : [filter];
    return [chain(hostsOf(server), filters, name, gatewayTls(server.tls!, routeName !== ""))];
  });
}

/** A chain for TLS with one of these server names; `*` is any, also none. */
function chain(
  serverNames: readonly string[],
  filters: FilterChain["filters"],
  name = `passthrough/${serverNames.join(",")}`,
  transportSocket?: FilterChain["transportSocket"],
): FilterChain {
  return create(FilterChainSchema, {
    name,
    filterChainMatch: {
      transportProtocol: "tls",
      serverNames: serverNames.includes("*") ? [] : [...serverNames],
    },
    filters,
    transportSocket,
  });
}
