/** TLS and TCP routes of VirtualServices for local applications that dial a service's address. */
import { create } from "@bufbuild/protobuf";
import { resolveHost } from "../istio/host.ts";
import type { L4MatchAttributes, RouteDestination, VirtualService } from "../istio/types.ts";
import type { Service, ServicePort } from "../mesh.ts";
import {
  type Filter,
  type FilterChain,
  FilterChainSchema,
} from "../xds/gen/envoy/config/listener/v3/listener_components_pb.ts";
import { type Listener, ListenerSchema } from "../xds/gen/envoy/config/listener/v3/listener_pb.ts";
import { clusterName } from "../xds/names.ts";
import { inRange } from "./address_range.ts";
import type { Client } from "./destination_rules.ts";
import { tlsInspector } from "./inbound.ts";
import { destinationsFilter } from "./l4_destinations.ts";
import type { MeshIndex } from "./mesh_index.ts";
import { isHttp } from "./protocol.ts";
import { sourceMatches } from "./routes.ts";
import { shapesConnections, tcpProxy } from "./tcp_proxy.ts";
import { effectivePolicy } from "./traffic_policy.ts";
import { virtualAddresses } from "./virtual_addresses.ts";
import { MESH_GATEWAY } from "./virtual_services.ts";
import type { Warn } from "./warning.ts";

/** One port of a service as a client dials it. */
interface DialledPort {
  service: Service;
  port: ServicePort;
  address: string;
}

/**
 * The listeners among `listeners` that rules give other filter chains than the service's own, by name.
 *
 * Of the first rule with a route that applies to the client: where the port is TLS, a chain for each match on server
 * names, else the first TCP route. As in Istio, beside TLS routes a name that none of them has is refused.
 *
 * @param listeners on the addresses of services
 * @param range of these addresses
 */
export function routedListeners(
  listeners: ReadonlyMap<string, Listener>,
  index: MeshIndex,
  client: Client,
  range: string,
  warn: Warn,
): Map<string, Listener> {
  const routed = new Map<string, Listener>();
  if (!index.virtualServices.hasL4Routes && !index.destinationRules.shapesConnections) return routed;
  const { services } = index.view(client);
  const addresses = virtualAddresses(services, range);
  const taken = new Set<string>();
  for (const service of services) {
    for (const address of addresses.get(service.hostname) ?? []) {
      for (const port of service.ports) {
        const name = `${address}_${port.number}`;
        const listener = listeners.get(name);
        if (listener === undefined || taken.has(name)) continue;
        taken.add(name);
        // Where nobody says what a port speaks it is relayed as it comes, but rules for TCP are not for it.
        const isRelayed = !isHttp(port.protocol);
        if (!isRelayed && port.protocol !== "UNSPECIFIED") continue;
        const ruled = isRelayed ? chainsOf({ service, port, address }, index, client, warn) : [];
        const filterChains = ruled.length > 0 ? ruled : shapedChain(service, port, index, client);
        if (filterChains.length === 0) continue;
        const listenerFilters = ruled.length > 0 && isTls(port) ? [tlsInspector] : [];
        routed.set(name, create(ListenerSchema, { ...listener, listenerFilters, filterChains }));
      }
    }
  }
  return routed;
}

function chainsOf(dialled: DialledPort, index: MeshIndex, client: Client, warn: Warn): FilterChain[] {
  const compile = isTls(dialled.port) ? tlsChains : tcpChains;
  for (const virtualService of index.virtualServices.l4Candidates(dialled.service.hostname, index.view(client))) {
    const chains = compile(virtualService, dialled, index, client, warn);
    if (chains.length > 0) return chains;
  }
  return [];
}

/** To the service itself, where the client's DestinationRule says something of connections; empty: it does not. */
function shapedChain(service: Service, port: ServicePort, index: MeshIndex, client: Client): FilterChain[] {
  const policy = effectivePolicy(index.rulesFor(service, client).trafficPolicy, undefined, port.number);
  if (!shapesConnections(policy)) return [];
  const name = clusterName("outbound", port.number, "", service.hostname);
  return [create(FilterChainSchema, { filters: [tcpProxy(name, index.mesh.settings, policy)] })];
}

function isTls({ protocol }: ServicePort): boolean {
  return protocol === "TLS" || protocol === "HTTPS";
}

function tlsChains(
  virtualService: VirtualService,
  dialled: DialledPort,
  index: MeshIndex,
  client: Client,
  warn: Warn,
): FilterChain[] {
  const taken = new Set<string>();
  return (virtualService.spec.tls ?? []).flatMap(({ match, route }, place) =>
    match.filter((each) => applies(each, dialled, virtualService, client)).flatMap(({ sniHosts }) => {
      // Of two chains for one name the first holds.
      const names = sniHosts.map((host) => host.toLowerCase()).filter((host) => !taken.has(host));
      names.forEach((name) => taken.add(name));
      if (names.length === 0) return [];
      const filter = filterOf(route, `tls[${place}].route`, dialled, virtualService, index, client, warn);
      return [create(FilterChainSchema, {
        name: names.join(","),
        filterChainMatch: { transportProtocol: "tls", serverNames: names.includes("*") ? [] : names },
        filters: [filter],
      })];
    })
  );
}

function tcpChains(
  virtualService: VirtualService,
  dialled: DialledPort,
  index: MeshIndex,
  client: Client,
  warn: Warn,
): FilterChain[] {
  const routes = virtualService.spec.tcp ?? [];
  const place = routes.findIndex(({ match }) =>
    !match?.length || match.some((each) => applies(each, dialled, virtualService, client))
  );
  if (place < 0) return [];
  const filter = filterOf(routes[place].route, `tcp[${place}].route`, dialled, virtualService, index, client, warn);
  return [create(FilterChainSchema, { filters: [filter] })];
}

function applies(
  match: L4MatchAttributes,
  { port, address }: DialledPort,
  { metadata }: VirtualService,
  client: Client,
): boolean {
  if (match.port !== undefined && match.port !== port.number) return false;
  if (match.destinationSubnets?.length && !match.destinationSubnets.some((subnet) => inRange(address, subnet))) {
    return false;
  }
  return sourceMatches(match, { client, gateway: MESH_GATEWAY, namespace: metadata.namespace });
}

function filterOf(
  route: readonly RouteDestination[],
  field: string,
  { port }: DialledPort,
  { metadata: { namespace, name } }: VirtualService,
  index: MeshIndex,
  client: Client,
  warn: Warn,
): Filter {
  return destinationsFilter(route, {
    index,
    client,
    port: port.number,
    hostname: (host) => resolveHost(host, namespace, index.mesh.settings.domain).toLowerCase(),
    warn: (place, message) => warn({ kind: "VirtualService", namespace, name, field: `${field}${place}`, message }),
  });
}
